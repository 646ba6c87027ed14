"""Database servers of our own, with full durability, each made new in a temporary folder on a free port."""

import os
import pwd
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.faults.processes import Process
from tests.server import free_port
from tests.waiting import LONGEST_SECONDS

DATABASE = "oauth_refresh"


class PostgreSQL(Process):
    """PostgreSQL as it comes, with fsync and synchronous_commit; as ``postgres``, since it refuses to run as root."""

    scheme, owner = "postgres", "postgres"

    def __init__(self, folder: Path) -> None:
        data, port = folder / "postgresql", free_port()
        user = "postgres" if os.geteuid() == 0 else None
        data.mkdir()
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(data, account.pw_uid, account.pw_gid)
        self.binaries = postgresql_binaries()
        assert self.binaries is not None, "Install PostgreSQL."
        _run(
            [f"{self.binaries}/initdb", "-D", str(data), "-U", self.owner, "--auth=trust", "--encoding=UTF8"], user=user
        )
        settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "max_connections=200")
        command = [f"{self.binaries}/postgres", "-D", str(data)]
        command += [argument for setting in settings for argument in ("-c", setting)]
        super().__init__(command, port=port, log=folder / "postgresql.log", environment=os.environ, user=user)

    def answers(self) -> bool:
        """Whether it takes statements; while it recovers from a crash, it takes connections only."""
        return _succeeds([*self.client("postgres"), "-c", "SELECT 1"])

    def create_database(self) -> None:
        _run([*self.client("postgres"), "-c", f"CREATE DATABASE {DATABASE}"])

    def client(self, database: str) -> list[str]:
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.owner]
        return [f"{self.binaries}/psql", "-qtA", *address, "-d", database]

    def query(self, statement: str) -> str:
        """Return the rows, one a line."""
        return _run([*self.client(DATABASE), "-c", statement])

    def url(self, *, port: int | None = None, options: str = "") -> str:
        """Return its URL, or that of a proxy to it."""
        return f"postgres://{self.owner}@127.0.0.1:{port or self.port}/{DATABASE}{options}"


class MariaDB(Process):
    """MariaDB that writes each commit to disk before it answers."""

    scheme, owner = "mysql", "root"

    def __init__(self, folder: Path) -> None:
        data, port = folder / "mariadb", free_port()
        user = pwd.getpwuid(os.geteuid()).pw_name
        data.mkdir()
        own = ["--no-defaults", f"--datadir={data}", f"--user={user}"]
        _run(["mariadb-install-db", *own, "--auth-root-authentication-method=normal", "--skip-test-db"])
        durable = ["--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=128M", "--max-connections=200"]
        local = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/mariadb.sock", "--skip-name-resolve"]
        command = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", *own, *durable, *local]
        super().__init__(command, port=port, log=folder / "mariadb.log", environment=os.environ)

    def answers(self) -> bool:
        return _succeeds([*self.client(), "-e", "SELECT 1"])

    def create_database(self) -> None:
        _run([*self.client(), "-e", f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4"])

    def client(self) -> list[str]:
        return ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.port), "-u", self.owner, "-NB"]

    def query(self, statement: str) -> str:
        return _run([*self.client(), DATABASE, "-e", statement])

    def url(self, *, port: int | None = None, options: str = "") -> str:
        """Return its URL, or that of a proxy to it."""
        return f"mysql://{self.owner}@127.0.0.1:{port or self.port}/{DATABASE}{options}"


class SQLite:
    """No server: a file. What can break is the disk, and the lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "site.sqlite3"

    def start(self) -> None:
        pass

    create_database = kill = start

    def query(self, statement: str) -> str:
        with closing(sqlite3.connect(self.path)) as connection:
            return "\n".join("|".join(map(str, row)) for row in connection.execute(statement))

    def url(self, *, port: int | None = None, options: str = "") -> str:
        assert port is None, "Nothing stands between a process and its file."
        return f"sqlite:///{self.path}{options}"


class Redis(Process):
    """A cache that forgets everything when it ends."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        super().__init__(command, port=port, log=folder / "redis.log", environment=os.environ)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


Database = PostgreSQL | MariaDB | SQLite
SERVERS: dict[str, type[Database]] = {"postgresql": PostgreSQL, "mysql": MariaDB, "sqlite": SQLite}
"""By the vendor's name, as Django has it."""


def postgresql_binaries() -> Path | None:
    """Return the folder that holds ``initdb``: Debian keeps it out of PATH, one for each version."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


def missing_software(vendor: str) -> str | None:
    """Say which software for a server of this kind is not installed; None if nothing is missing."""
    if vendor == "postgresql" and postgresql_binaries() is None:
        return "PostgreSQL's initdb is not installed"
    if vendor == "mysql" and not (shutil.which("mariadb-install-db") and shutil.which("mariadb")):
        return "MariaDB's server and client are not installed"
    return None


def _run(command: list[str], *, user: str | None = None) -> str:
    owner = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS, cwd="/", **owner
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=LONGEST_SECONDS, cwd="/").returncode == 0
