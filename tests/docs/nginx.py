"""nginx in front of a site of a test, with the servers that a page of the documentation prints."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.processes import Process

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/unused-1;
    uwsgi_temp_path {folder}/unused-2;
    scgi_temp_path {folder}/unused-3;
    {servers}
}}
"""


def require_nginx() -> str:
    """Return the path of nginx; skip the test where it is not installed."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)("nginx is not installed")
    return program


def make_certificate(folder: Path, host: str) -> None:
    """Write ``certificate.pem`` and ``key.pem``."""
    names = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem", "-subj", f"/CN={host}"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names], check=True, capture_output=True
    )


def on_this_machine(servers: str, here: Mapping[str, str]) -> str:
    """Return printed servers with the ports and paths of this machine; each that is replaced must be there."""
    for there, replacement in here.items():
        assert there in servers
        servers = servers.replace(there, replacement)
    return servers


@contextmanager
def nginx(servers: str, *, port: int, folder: Path) -> Iterator[None]:
    """Run nginx with these servers, one of which listens at ``port``."""
    configuration = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # the owner of the files
    configuration.write_text(user + _CONFIGURATION.format(folder=folder, servers=servers))
    command = [require_nginx(), "-c", str(configuration)]
    with running(Process(command, port=port, log=folder / "n.log", environment=os.environ)):
        yield


@contextmanager
def running(process: Process) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        process.kill()
