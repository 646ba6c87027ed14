"""``docs/grants.md`` shows every grant as a request and its answer. This test runs them all and holds the page to it.

``UPDATE_DOCS=1`` writes the page anew.
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

from tests.flows.server import curl, manage_all

PAGE = Path(__file__).resolve().parents[2] / "docs" / "grants.md"
PUBLIC_ORIGIN = "https://auth.example"
SECRET = "a-client-secret-of-more-than-22-characters"
PASSWORD = "a long enough password"
REDIRECT_URI = "https://app.example/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

INTRODUCTION = """# Grants, request by request

Every request below was sent by curl to a running server, and every answer is what came back; only the server's
address is replaced, and tokens, codes and assertions are shortened. The page is made by
`tests/flows/test_grants_page.py`, which fails if it is not true any more.

The applications were registered by

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


class Story:
    """Runs requests and writes them down."""

    def __init__(self, origin, folder):
        self.origin, self.folder, self.text = origin, folder, INTRODUCTION

    def say(self, text):
        self.text += f"\n{text}\n"

    def post(self, path, *, user=None, **form):
        """Send one request by curl, write it down with its answer, and return the answer's members."""
        options = [f"-u {user}:{SECRET}"] if user else []
        options += [f"-d {name}={_quoted(value)}" for name, value in form.items()]
        command = " \\\n    ".join([f"curl {self.origin}/oauth/{path}", *options])
        answer = curl(command, folder=self.folder)
        shown = f"```json\n{json.dumps(answer.json, indent=2)}\n```" if answer.text else "200, and an empty answer."
        self.say(f"```sh\n{command}\n```\n\n{shown}")
        assert answer.status == 200, answer.text
        return answer.json if answer.text else {}

    @property
    def page(self):
        """Return the page as it is published: another address, and shortened secrets."""
        page = self.text.replace(self.origin, PUBLIC_ORIGIN).replace(SECRET, "SECRET").replace(VERIFIER, "VERIFIER")
        page = page.replace(CHALLENGE, "CHALLENGE").replace(_quoted(PASSWORD), "PASSWORD")
        page = re.sub(r"((?:oac|oat|ort)_)[A-Za-z0-9_-]{43,}", r"\1…", page)
        return re.sub(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "eyJ…", page)


def _quoted(value):
    return value if re.fullmatch(r"[\w.:/~+-]+", value) else f"'{value}'"


@pytest.fixture(scope="module")
def keys():
    return {name: ECKey.generate_key("P-256", parameters={"kid": name}) for name in ("service", "idp")}


@pytest.fixture
def story(origin, database_url, tmp_path, keys):
    """Register what the introduction says, and a user."""
    for name, key in keys.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    create, grant = "oauth_create_application", "--grant-type"
    commands = (
        ("createsuperuser", "--noinput", "--username", "eve", "--email", "eve@example.com"),
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
    manage_all(*commands, database_url=database_url, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return Story(origin, tmp_path)


def assertion(key, *, issuer, subject, audience):
    """Return a signed assertion that lives for five minutes."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)


def allow_as_person(url, folder):
    """Sign in and allow, as a person's browser would, and return the address it is sent to."""
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


def test_page_of_the_grants_is_true(story, keys, tmp_path):
    _tell_authorization_code(story, tmp_path)
    _tell_other_grants(story, keys)

    if os.environ.get("UPDATE_DOCS"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(story.page)
    assert PAGE.read_text() == story.page


def _tell_authorization_code(story, folder):
    query = {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": REDIRECT_URI,
        "scope": "notes:read",
        "state": "af0ifjsldkj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    story.say("## Authorization code with PKCE (RFC 6749 §4.1, RFC 7636)\n\nSend the user's browser to")
    lines = "\n    &".join(urlencode({name: value}) for name, value in query.items())
    story.say(f"```text\n{story.origin}/oauth/authorize\n    ?{lines}\n```")
    location = allow_as_person(f"{story.origin}/oauth/authorize?{urlencode(query)}", folder)
    story.say("The user signs in and allows, and the browser comes back to")
    shown = location.replace("?", "\n    ?").replace("&", "\n    &").replace("%3A", ":").replace("%2F", "/")
    story.say(f"```text\n{shown}\n```\n\nCheck `state` and `iss`, then redeem the code within a minute, once:")
    [code] = parse_qs(urlsplit(location).query)["code"]
    pair = story.post(
        "token",
        user="web",
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier=VERIFIER,
    )
    story.say(
        "## Refresh (RFC 6749 §6)\n\nThe refresh token and the access token that came with it are dead afterwards."
    )
    pair = story.post("token", user="web", grant_type="refresh_token", refresh_token=pair["refresh_token"])
    story.say("## Revoke (RFC 7009)\n\nEither token ends the session with all its tokens.")
    story.post("revoke", user="web", token=pair["refresh_token"])


def _tell_other_grants(story, keys):
    story.say("## Client credentials (RFC 6749 §4.4)\n\nThe application acts for itself. There is no refresh token.")
    story.post("token", user="web", grant_type="client_credentials", scope="PRODUCTION")
    story.say(
        "The same with a signed assertion instead of a secret (RFC 7523 §2.2). Its `iss` and `sub` are the\n"
        "client ID, its `aud` is the issuer, and its `jti` is new each time:"
    )
    client_assertion = assertion(keys["service"], issuer="service", subject="service", audience=story.origin)
    story.post(
        "token",
        grant_type="client_credentials",
        client_assertion_type=CLIENT_ASSERTION,
        client_assertion=client_assertion,
    )
    story.say(
        "## JWT bearer (RFC 7523 §2.1)\n\nA trusted issuer speaks for a user. The application authenticates as always."
    )
    word = assertion(keys["idp"], issuer="https://idp.example", subject="eve", audience=story.origin)
    story.post("token", user="web", grant_type=JWT_BEARER, assertion=word)
    story.say(
        "## Password (RFC 6749 §4.3)\n\n"
        "For migrations only: it is off unless `GRANT_TYPES` and the application name it."
    )
    story.post(
        "token", client_id="phone", grant_type="password", username="eve", password=PASSWORD, scope="notes:write"
    )
