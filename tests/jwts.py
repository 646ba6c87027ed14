"""Sign JWTs as clients and trusted issuers do, rightly and wrongly. Keys are generated once, because RSA is slow."""

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from oauth_refresh.models import Application, AuthMethod, GrantType
from tests.factories import ApplicationFactory
from tests.oauth import OAuthClient

ISSUER = "https://auth.example"
TOKEN_ENDPOINT = "https://auth.example/oauth/token"
JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

RSA_KEY = RSAKey.generate_key(2048)
EC_KEY = ECKey.generate_key("P-256")
ED_KEY = OKPKey.generate_key("Ed25519")
OTHER_KEY = ECKey.generate_key("P-256")
ALGORITHM_OF_TYPE = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}


class Absence(Enum):
    """What stands for a member that is not there; its name is the same in every process that collects the tests."""

    LEFT_OUT = auto()


LEFT_OUT = Absence.LEFT_OUT


def segment(part: Any) -> str:
    """Return one part of a compact JWT; bytes are taken as they are, all else as JSON."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def assemble(header: Any, claims: Any, signature: bytes = b"signature") -> str:
    """Return a JWT without a valid signature."""
    return f"{segment(header)}.{segment(claims)}.{segment(signature)}"


def sign(claims: Any, key: Key = EC_KEY, /, **header: Any) -> str:
    """Return a JWT that ``key`` signed; a header member that is LEFT_OUT is not there."""
    members = present({"alg": ALGORITHM_OF_TYPE.get(key.key_type), "typ": "JWT", **header})
    registry = jws.JWSRegistry(algorithms=[members["alg"]], strict_check_header=False)
    registry.max_header_length = 100_000
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(members, payload, key, registry=registry)


def present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not LEFT_OUT}


def public(key: Key, **members: Any) -> dict[str, Any]:
    """Return the JWK of the public half."""
    return {**key.as_dict(private=False), **members}


def jwks(*keys: Key) -> dict[str, Any]:
    return {"keys": [public(key) for key in keys]}


def client_claims(client_id: str, **changes: Any) -> dict[str, Any]:
    """Return what a client says of itself, for a minute and once."""
    return _fresh(**{"iss": client_id, "sub": client_id, **changes})


def grant_claims(issuer: Any, user: Any, **changes: Any) -> dict[str, Any]:
    """Return what a trusted issuer says of ``user``, for a minute and once."""
    return _fresh(**{"iss": issuer.issuer, "sub": user.get_username(), **changes})


def _fresh(**claims: Any) -> dict[str, Any]:
    now = int(time.time())
    return present({"aud": ISSUER, "iat": now, "exp": now + 60, "jti": uuid.uuid4().hex, **claims})


def client_assertion(signed: str) -> dict[str, str]:
    """Return the parameters that present ``signed`` as client authentication."""
    return {"client_assertion_type": JWT_BEARER_ASSERTION, "client_assertion": signed}


def key_application(*keys: Key, **fields: Any) -> Application:
    """Register an application that authenticates by assertions signed with one of ``keys``."""
    own = {"jwks": jwks(*keys)} if keys else {}
    grant_types = "authorization_code client_credentials password refresh_token " + GrantType.JWT_BEARER
    return ApplicationFactory(
        **{
            "auth_method": AuthMethod.PRIVATE_KEY_JWT,
            "secret_digest": "",
            "grant_types": grant_types,
            **own,
            **fields,
        }
    )


@dataclass
class KeyClient(OAuthClient):
    """A client that signs a new assertion for every request."""

    key: Key = field(default_factory=lambda: EC_KEY)

    @property
    def credentials(self) -> dict[str, str]:
        return client_assertion(sign(client_claims(self.application.client_id), self.key))
