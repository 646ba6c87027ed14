"""The npm client oauth4webapi: it discovers the server and authenticates by signed assertions."""

import json
import os
import subprocess
from pathlib import Path

from joserfc.jwk import ECKey

from tests.interop.site import PASSWORD, REDIRECT_URI
from tests.waiting import LONGEST_SECONDS

SCRIPT = Path(__file__).parent / "client.mjs"


def test_client_discovers_redeems_refreshes_and_revokes(site, folder, tmp_path):
    key = ECKey.generate_key("P-256", parameters={"kid": "interop-1"})
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    create = ("oauth_create_application", "Interop", "--client-id", "interop", "--auth-method", "private_key_jwt")
    site.manage(*create, "--jwks", str(jwks), "--redirect-uri", REDIRECT_URI)

    played = subprocess.run(
        ["node", SCRIPT, site.origin, "eve", PASSWORD],
        input=json.dumps(key.as_dict(private=True)),
        env={**os.environ, "INTEROP": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * LONGEST_SECONDS,
    )

    assert played.returncode == 0, played.stderr
    assert played.stdout.splitlines() == [
        f"discovered {site.origin}/oauth/token",
        "redeemed bearer notes:read",
        "refreshed true",
        "revoked 400 invalid_grant",
    ]
