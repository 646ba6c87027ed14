"""The servers of ``peers.py``: ours, and those of other packages, each in a virtual environment of its own."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.contenders import MD5, TOOLKIT, our_site, refreshes
from benchmarks.environments import python_of_site_with, versions
from benchmarks.load import Answer, Requests, Run, at_once, basic, drive, post
from benchmarks.scratch import scratch_database
from benchmarks.server import served, site

ALLAUTH = ("django-allauth[idp-oidc]==65.22.1", "requests==2.34.2")
"""The identity provider also imports requests."""
AUTHLIB = "Authlib==1.9.10"
WINDOW = 30
"""The retry window of ``OURS_WINDOW``, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server with a confidential client, and one refresh token of each of its grants."""

    ports: tuple[int, ...]
    authorization: str
    refresh_tokens: list[str]
    token_path: str
    revoke_path: str
    sources: list[Requests] = field(default_factory=list)

    def drive(self, connections: int, seconds: float) -> Run:
        """Refresh on as many connections, each with a grant of its own that it continues in the next run."""
        if not self.sources:
            self.sources.extend(refreshes(self.refresh_tokens, self.authorization, path=self.token_path))
        return drive(self.ports, self.sources[:connections], seconds=seconds)

    def refresh(self, token: str) -> bytes:
        form = f"grant_type=refresh_token&refresh_token={token}"
        return post(self.token_path, form, authorization=self.authorization)

    def revoke(self, token: str) -> bytes:
        form = f"token={token}&token_type_hint=refresh_token"
        return post(self.revoke_path, form, authorization=self.authorization)

    def send(self, *requests: bytes) -> list[Answer]:
        """Send the requests at once, each on a connection of its own, and return the answers in the same order."""
        return at_once(self.ports, list(requests))


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Our package. ``window`` is the retry window of the client."""

    title: str
    client_secret: str = "SHA-256 of 256 random bits"  # noqa: S105  how it is stored
    settings: str = "benchmarks.sites.ours"
    window: int = 0

    def versions(self) -> dict[str, str]:
        return {"django-oauth-refresh": version("django-oauth-refresh")}

    def start(self, stack: ExitStack, url: str, *, grants: int, **environment: str) -> Served:
        database_url = stack.enter_context(scratch_database(url, name="peers_ours"))
        ours = our_site(database_url, grants=grants, settings=self.settings, window=self.window, **environment)
        return Served(
            ports=stack.enter_context(served(ours.site)).ports,
            authorization=ours.authorization,
            refresh_tokens=[token["refresh_token"] for token in ours.tokens],
            token_path="/oauth/token",  # noqa: S106  a path
            revoke_path="/oauth/revoke",
        )


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A server of another package. ``client_secret`` says how it is stored, which a refresh has to pay for."""

    title: str
    client_secret: str
    name: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    settings: str
    steps: str
    token_path: str = "/oauth/token"  # noqa: S105  a path
    revoke_path: str = "/oauth/revoke"
    environment: Mapping[str, str] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """Return the installed versions of the packages that make a refresh."""
        return versions(python_of_site_with(*self.requirements), *self.packages)

    def start(self, stack: ExitStack, url: str, *, grants: int, **environment: str) -> Served:
        """Serve the site on a database of its own until the stack is closed."""
        database_url = stack.enter_context(scratch_database(url, name=f"peers_{self.name}"))
        python = python_of_site_with(*self.requirements)
        environment = {**self.environment, "SIGNING_KEY": _signing_key(), **environment}
        peer = site(self.settings, database_url, python=python, **environment)
        made = json.loads(peer.call(self.steps, f"create_tokens({grants})"))
        return Served(
            ports=stack.enter_context(served(peer)).ports,
            authorization=basic(made["client_id"], made["client_secret"]),
            refresh_tokens=made["refresh_tokens"],
            token_path=self.token_path,
            revoke_path=self.revoke_path,
        )


def _toolkit(name: str, *, client_secret: str, hasher: str = "") -> Peer:
    return Peer(
        title="django-oauth-toolkit",
        client_secret=client_secret,
        name=name,
        requirements=(TOOLKIT,),
        packages=("django-oauth-toolkit", "oauthlib"),
        settings="benchmarks.sites.toolkit_compliant",
        steps="benchmarks.sites.toolkit_steps",
        environment={"SECRET_HASHER": hasher},
    )


def _allauth(name: str, *, client_secret: str, hasher: str = "") -> Peer:
    return Peer(
        title="django-allauth, identity provider",
        client_secret=client_secret,
        name=name,
        requirements=ALLAUTH,
        packages=("django-allauth", "oauthlib"),
        settings="benchmarks.sites.allauth",
        steps="benchmarks.sites.allauth_steps",
        token_path="/identity/o/api/token",  # noqa: S106  a path
        revoke_path="/identity/o/api/revoke",
        environment={"SECRET_HASHER": hasher},
    )


SERVERS: dict[str, Ours | Peer] = {
    "ours": Ours(title="this package"),
    "authlib": Peer(
        title="Authlib, OAuth 2 server for Django",
        client_secret="as it is, compared as text",  # noqa: S106  how it is stored
        name="authlib",
        requirements=(AUTHLIB,),
        packages=("Authlib",),
        settings="benchmarks.sites.authlib",
        steps="benchmarks.sites.authlib_steps",
        environment={"AUTHLIB_INSECURE_TRANSPORT": "true"},  # as it asks for where there is no TLS
    ),
    "toolkit_md5": _toolkit("toolkit_md5", client_secret="MD5", hasher=MD5),  # noqa: S106  how it is stored
    "allauth_md5": _allauth("allauth_md5", client_secret="MD5", hasher=MD5),  # noqa: S106  how it is stored
    "toolkit": _toolkit("toolkit", client_secret="PBKDF2, its default"),  # noqa: S106  how it is stored
    "allauth": _allauth("allauth", client_secret="PBKDF2, its default"),  # noqa: S106  how it is stored
}
"""In the order of a round: those that are compared most run one after the other."""

_QUIET = "benchmarks.sites.clients"
OURS_STRICT = Ours(title="this package, no retry window", settings=_QUIET)
OURS_WINDOW = Ours(title=f"this package, retry window of {WINDOW} s", settings=_QUIET, window=WINDOW)
"""The two whose behaviour is looked at, without a log of the refusals."""


@cache
def _signing_key() -> str:
    """Return a private key, as the identity provider of django-allauth needs one to start."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
