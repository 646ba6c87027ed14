"""A reader of the feed of revocations."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from oauth_refresh.models import Grant
from tests.factories import ApplicationFactory
from tests.oauth import basic, post_form

READER_SECRET = "the-secret-of-an-api-on-another-machine"


@dataclass
class FeedReader:
    """A resource server that follows the feed from ``cursor``, as the reference of the endpoint says."""

    cursor: str = ""
    pages: int = 0
    authorization: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        application = ApplicationFactory(raw_secret=READER_SECRET, is_resource_server=True)
        self.authorization = basic(application.client_id, READER_SECRET)
        self.cursor = self.ask("")["cursor"]

    def post(self, after: str) -> Any:
        return post_form("revocations", {"after": after}, authorization=self.authorization)

    def ask(self, after: str) -> dict[str, Any]:
        response = self.post(after)
        assert response.status_code == HTTPStatus.OK, response.content
        body: dict[str, Any] = response.json()
        return body

    def page(self) -> dict[str, Any]:
        """Read one page, and go on behind it."""
        body = self.ask(self.cursor)
        assert set(body) == {"cursor", "revocations", "more"}
        self.cursor = body["cursor"]
        self.pages += 1
        return body

    def read(self) -> list[dict[str, Any]]:
        """Read to the last page, and return all entries."""
        body = self.page()
        entries: list[dict[str, Any]] = body["revocations"]
        while body["more"]:
            body = self.page()
            entries += body["revocations"]
        return entries


def covers(entry: dict[str, Any], grant: Grant) -> bool:
    """Whether an entry says that this grant was revoked, to a reader that knows what introspection says of it."""
    known = {"grant_id": str(grant.public_id), "sub": str(grant.user_id), "client_id": grant.application.client_id}
    return entry == {"all": True} or all(known.get(name) == value for name, value in entry.items())
