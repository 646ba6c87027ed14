"""``docs/grants.md`` shows a request and its answer for every grant type. This test runs them and compares the page.

``UPDATE_DOCS=1`` writes the page again.
"""

import json
import os
import re
import time
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.server import curl, manage_all

PAGE = Path(__file__).resolve().parents[2] / "docs" / "grants.md"
PUBLIC_ORIGIN = "https://auth.example"
SECRET = "a-client-secret-of-more-than-22-characters"
PASSWORD = "a long enough password"
REDIRECT_URI = "https://app.example/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

INTRODUCTION = """# Grant types, request by request

Each request below was sent with curl to a running server, and each answer is the server's. Only the server's address
is replaced, and tokens, codes and assertions are shortened. `tests/flows/test_grants_page.py` generates this page, and
fails when it is out of date.

The applications were registered with

```sh
python manage.py oauth_create_application "Web app" --client-id web --client-secret … \\
    --grant-type authorization_code --grant-type client_credentials --grant-type password \\
    --grant-type urn:ietf:params:oauth:grant-type:jwt-bearer --grant-type refresh_token \\
    --redirect-uri https://app.example/callback
python manage.py oauth_create_application "Phone app" --client-id phone --public \\
    --grant-type password --grant-type refresh_token
python manage.py oauth_create_application "Service" --client-id service --auth-method private_key_jwt \\
    --jwks service.json --grant-type client_credentials
python manage.py oauth_trust_issuer https://idp.example --jwks idp.json --algorithm ES256 --subject-field username
```
"""


class GeneratedPage:
    """Sends requests, and adds each with its answer to the text of the page."""

    def __init__(self, origin, folder):
        self.origin, self.folder, self.text = origin, folder, INTRODUCTION

    def write(self, text):
        self.text += f"\n{text}\n"

    def post(self, path, *, user=None, **form):
        """Send a request with curl, add it and its answer to the page, and return the answer's members."""
        options = [f"-u {user}:{SECRET}"] if user else []
        options += [f"-d {name}={_quoted(value)}" for name, value in form.items()]
        command = " \\\n    ".join([f"curl {self.origin}/oauth/{path}", *options])
        answer = curl(command, folder=self.folder)
        shown = f"```json\n{json.dumps(answer.json, indent=2)}\n```" if answer.json else "200, and an empty object."
        self.write(f"```sh\n{command}\n```\n\n{shown}")
        assert answer.status == 200, answer.text
        return answer.json

    @property
    def published(self):
        """Return the page as it is published: with another address, and with shortened secrets."""
        page = self.text.replace(self.origin, PUBLIC_ORIGIN).replace(SECRET, "SECRET").replace(VERIFIER, "VERIFIER")
        page = page.replace(CHALLENGE, "CHALLENGE").replace(_quoted(PASSWORD), "PASSWORD")
        page = re.sub(r"((?:oac|oat|ort)_)[A-Za-z0-9_-]{43,}", r"\1…", page)
        return re.sub(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "eyJ…", page)


def _quoted(value):
    return value if re.fullmatch(r"[\w.:/~+-]+", value) else f"'{value}'"


MAKE_USER = f"from django.contrib.auth.models import User; User.objects.create_user('eve', password={PASSWORD!r})"


@pytest.fixture(scope="module")
def keys():
    return {name: ECKey.generate_key("P-256", parameters={"kid": name}) for name in ("service", "idp")}


@pytest.fixture
def page(origin, database_url, tmp_path, keys):
    """Register the applications of the introduction, and a user."""
    for name, key in keys.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    create, grant = "oauth_create_application", "--grant-type"
    commands = (
        ("shell", "--verbosity", "0", "--command", MAKE_USER),
        (
            *(create, "Web app", "--client-id", "web", "--client-secret", SECRET, "--redirect-uri", REDIRECT_URI),
            *(grant, "authorization_code", grant, "client_credentials", grant, "password"),
            *(grant, JWT_BEARER, grant, "refresh_token"),
        ),
        (create, "Phone app", "--client-id", "phone", "--public", grant, "password", grant, "refresh_token"),
        (
            *(create, "Service", "--client-id", "service", "--auth-method", "private_key_jwt"),
            *("--jwks", str(tmp_path / "service.json"), grant, "client_credentials"),
        ),
        (
            *("oauth_trust_issuer", "https://idp.example", "--jwks", str(tmp_path / "idp.json")),
            *("--algorithm", "ES256", "--subject-field", "username"),
        ),
    )
    manage_all(*commands, database_url=database_url)
    return GeneratedPage(origin, tmp_path)


def assertion(key, *, issuer, subject, audience):
    """Return a signed assertion that is valid for five minutes."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


def allow_in_a_browser(url, folder):
    """Sign in and allow as a browser would, and return the address that it is redirected to."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    cookies = folder / "cookies"
    jar = f"-b {cookies} -c {cookies}"

    def token():
        return re.search(r"csrftoken\t(\S+)", cookies.read_text())[1]

    curl(f"curl {jar} {origin}/login/", folder=folder)
    form = urlencode({"username": "eve", "password": PASSWORD, "csrfmiddlewaretoken": token()})
    curl(f"curl {jar} -d '{form}' {origin}/login/", folder=folder)
    curl(f"curl {jar} '{url}'", folder=folder)
    form = urlencode({"decision": "allow", "csrfmiddlewaretoken": token()})
    return curl(f"curl {jar} -d '{form}' '{url}'", folder=folder).headers["location"]


def test_page_of_grant_types_is_up_to_date(page, keys, tmp_path):
    _write_authorization_code(page, tmp_path)
    _write_other_grant_types(page, keys)

    if os.environ.get("UPDATE_DOCS"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page.published)
    assert PAGE.read_text() == page.published


def _write_authorization_code(page, folder):
    query = {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": REDIRECT_URI,
        "scope": "notes:read",
        "state": "af0ifjsldkj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    page.write("## Authorization code with PKCE (RFC 6749 §4.1, RFC 7636)\n\nSend the user's browser to")
    lines = "\n    &".join(urlencode({name: value}) for name, value in query.items())
    page.write(f"```text\n{page.origin}/oauth/authorize\n    ?{lines}\n```")
    location = allow_in_a_browser(f"{page.origin}/oauth/authorize?{urlencode(query)}", folder)
    page.write("The user signs in and allows. The browser is redirected to")
    shown = location.replace("?", "\n    ?").replace("&", "\n    &").replace("%3A", ":").replace("%2F", "/")
    page.write(f"```text\n{shown}\n```\n\nCheck `state` and `iss`, then redeem the code within a minute, once:")
    [code] = parse_qs(urlsplit(location).query)["code"]
    pair = page.post(
        "token",
        user="web",
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier=VERIFIER,
    )
    page.write(
        "## Refresh (RFC 6749 §6)\n\n"
        "This spends the old refresh token. The access token that was issued with it is no longer valid."
    )
    pair = page.post("token", user="web", grant_type="refresh_token", refresh_token=pair["refresh_token"])
    page.write("## Revoke (RFC 7009)\n\nEither token revokes the grant with all its tokens.")
    page.post("revoke", user="web", token=pair["refresh_token"])


def _write_other_grant_types(page, keys):
    page.write("## Client credentials (RFC 6749 §4.4)\n\nThe application acts for itself. There is no refresh token.")
    page.post("token", user="web", grant_type="client_credentials", scope="PRODUCTION")
    page.write(
        "The same with a signed assertion instead of a secret (RFC 7523 §2.2). Its `iss` and `sub` are the\n"
        "client ID, its `aud` is the issuer, and its `jti` is new for each request:"
    )
    client_assertion = assertion(keys["service"], issuer="service", subject="service", audience=page.origin)
    page.post(
        "token",
        grant_type="client_credentials",
        client_assertion_type=CLIENT_ASSERTION,
        client_assertion=client_assertion,
    )
    page.write(
        "## JWT bearer (RFC 7523 §2.1)\n\nA trusted issuer vouches for a user; for a superuser only if it "
        "was registered with `--superusers`. The application authenticates as usual."
    )
    user_assertion = assertion(keys["idp"], issuer="https://idp.example", subject="eve", audience=page.origin)
    page.post("token", user="web", grant_type=JWT_BEARER, assertion=user_assertion)
    page.write(
        "## Password (RFC 6749 §4.3)\n\n"
        "For migrations only: it is disabled unless `GRANT_TYPES` and the application list it."
    )
    page.post("token", client_id="phone", grant_type="password", username="eve", password=PASSWORD, scope="notes:write")
