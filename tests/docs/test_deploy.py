"""The recipe for production works as printed: environment, units and nginx, on ports and paths of a test."""

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection

from tests.docs.nginx import make_certificate, nginx, on_this_machine, require_nginx, running
from tests.faults.processes import Process
from tests.server import ROOT, free_port

PAGE = (ROOT / "docs/how-to/deploy.md").read_text()
HOST = "auth.example.com"

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="the recipe is for PostgreSQL")


def printed(language, beginning):
    """Return the block of the page with this beginning."""
    (block,) = [body for body in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if body.startswith(beginning)]
    return block


def commands(unit, name):
    """Return the commands of a unit, without the paths on the machine of the page."""
    return [shlex.split(line) for line in re.findall(rf"^{name}=/srv/oauth/venv/bin/(.*)$", unit, re.MULTILINE)]


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The site that the recipe sets up, on this machine."""

    environment: dict[str, str]
    https: int
    http: int

    def run(self, words):
        """Run a command of the page, and return what it printed, errors too."""
        program = sys.executable if words[0] == "python" else Path(sys.executable).parent / words[0]
        done = subprocess.run(
            [program, *words[1:]], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def curl(self, path, *words, scheme="https"):
        """Send a request by host name, and return the status, and the target of a redirect or the body."""
        port = self.https if scheme == "https" else self.http
        done = subprocess.run(
            [
                *("curl", "-sS", "--insecure", "--resolve", f"{HOST}:{port}:127.0.0.1"),
                *("-o", "-", "-w", "\n%{http_code} %{redirect_url}", f"{scheme}://{HOST}:{port}{path}", *words),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        body, _newline, end = done.stdout.rpartition("\n")
        status, _space, target = end.partition(" ")
        return int(status), target or body


@pytest.fixture(scope="module")
def deployed(database_url, tmp_path_factory):
    """Follow the page, except for the packages, the users and systemd."""
    require_nginx()
    folder = tmp_path_factory.mktemp("deployed")
    unit, own = printed("ini", "[Unit]"), {"SECRET_KEY": secrets.token_urlsafe(64), "DATABASE_URL": database_url}
    settings = dict(line.split("=", 1) for line in printed("ini", "DEBUG=").splitlines())
    environment = {"PATH": os.environ["PATH"], **settings, **own}
    site = Deployed(environment=environment, https=free_port(), http=free_port())
    for command in commands(unit, "ExecStartPre"):
        site.run(command)
    (command,) = commands(unit, "ExecStart")
    make_certificate(folder, HOST)
    here = {
        "listen 443 ssl": f"listen 127.0.0.1:{site.https} ssl",
        "listen 80": f"listen 127.0.0.1:{site.http}",
        "/etc/ssl/auth.example.com.pem": f"{folder}/certificate.pem",
        "/etc/ssl/auth.example.com.key": f"{folder}/key.pem",
        "/srv/oauth/site": str(ROOT),
        "/run/oauth.sock": f"{folder}/oauth.sock",
    }
    servers = on_this_machine(printed("nginx", "server {"), here)
    with gunicorn(command, folder, site), nginx(servers, port=site.https, folder=folder):
        yield site


@contextmanager
def gunicorn(words, folder, site):
    """Start it as the unit does; systemd would give it the socket."""
    own = ["--chdir", str(ROOT), "--bind", f"unix:{folder}/oauth.sock", "--bind", f"127.0.0.1:{(port := free_port())}"]
    program = str(Path(sys.executable).parent / words[0])
    with running(Process([program, *words[1:], *own], port=port, log=folder / "g.log", environment=site.environment)):
        yield


@pytest.fixture(scope="module")
def client(deployed):
    """A public client's ID and the refresh token of its one grant."""
    deployed.run(["python", "manage.py", "shell", "--command", MAKE_USER])
    create = ["python", "manage.py", "oauth_create_application", "Phone", "--public", "--json"]
    redirect = ["--redirect-uri", "https://phone.example/callback"]  # without one it prints a note as well
    client_id = json.loads(deployed.run([*create, *redirect]).splitlines()[-1])["client_id"]
    issue = ["python", "manage.py", "oauth_issue_tokens", "--application", client_id, "--user", "eve", "--json"]
    return client_id, json.loads(deployed.run(issue).splitlines()[-1])["refresh_token"]


MAKE_USER = "from django.contrib.auth.models import User; User.objects.create_user('eve')"


def test_check_finds_what_the_page_says_and_nothing_else(deployed):
    found = deployed.run(["python", "manage.py", "check", "--deploy", "--database", "default"])

    assert set(re.findall(r"\((\w+\.[EW]\d+)\)", found)) == set(re.findall(r"`(oauth_refresh\.W\d+)`", PAGE))


def test_pages_and_their_files_are_served_over_tls(deployed):
    status, page = deployed.curl("/")
    stylesheets = re.findall(r'href="(/static/[^"]+\.css)"', page)

    assert (status, bool(stylesheets)) == (200, True)
    assert {deployed.curl(path)[0] for path in stylesheets} == {200}


def test_metadata_names_the_site(deployed):
    _status, body = deployed.curl("/.well-known/oauth-authorization-server")

    assert json.loads(body)["token_endpoint"] == f"https://{HOST}/oauth/token"


def test_demonstration_is_not_served(deployed):
    assert deployed.curl("/playground/")[0] == 404


def test_pages_are_redirected_to_https_and_endpoints_are_not(deployed):
    assert deployed.curl("/some/page", scheme="http") == (301, f"https://{HOST}/some/page")
    assert {deployed.curl(f"/oauth/{name}", "-d", "a=b", scheme="http")[0] for name in ("token", "revoke")} == {400}


def test_refresh_is_answered_and_recorded_with_the_address_of_the_client(deployed, client):
    client_id, refresh_token = client
    form = f"grant_type=refresh_token&client_id={client_id}&refresh_token={refresh_token}"

    status, body = deployed.curl("/oauth/token", "-d", form, "-H", "X-Forwarded-For: 203.0.113.66")

    assert (status, set(json.loads(body)) >= {"access_token", "refresh_token"}) == (200, True)
    seen = "from oauth_refresh.models import RefreshToken as R; print(R.objects.latest('pk').address)"
    assert deployed.run(["python", "manage.py", "shell", "--command", seen]).split()[-1] == "127.0.0.1"


def test_nightly_unit_prunes(deployed):
    (command,) = commands(printed("ini", "[Service]\nType=oneshot"), "ExecStart")

    assert json.loads(deployed.run([*command, "--json"]))["grants"] == 0
