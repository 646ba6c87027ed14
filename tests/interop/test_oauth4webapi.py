"""The npm client oauth4webapi: it discovers the server and authenticates by signed assertions."""

import json
import os
import subprocess
from pathlib import Path

from joserfc.jwk import ECKey

from tests.flows.server import manage

SCRIPT = Path(__file__).parent / "client.mjs"
PASSWORD = "a long enough password"


def test_client_discovers_redeems_refreshes_and_revokes(origin, database_url, folder, tmp_path):
    key = ECKey.generate_key("P-256", parameters={"kid": "interop-1"})
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    create = ("oauth_create_application", "Interop", "--client-id", "interop", "--auth-method", "private_key_jwt")
    for arguments in (
        (*create, "--jwks", str(jwks), "--redirect-uri", "https://client.example/callback"),
        ("createsuperuser", "--noinput", "--username", "eve", "--email", "eve@example.com"),
    ):
        result = manage(*arguments, database_url=database_url, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        assert result.returncode == 0, result.stderr

    played = subprocess.run(
        ["node", SCRIPT, origin, "eve", PASSWORD],
        input=json.dumps(key.as_dict(private=True)),
        env={**os.environ, "INTEROP": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert played.returncode == 0, played.stderr
    assert played.stdout.splitlines() == [
        f"discovered {origin}/oauth/token",
        "redeemed bearer notes:read",
        "refreshed true",
        "revoked 400 invalid_grant",
    ]
