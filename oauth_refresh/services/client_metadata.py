"""Clients that were not registered: their client ID is the https URL of a document that describes them.

The document is fetched for a user who is signed in, and the row is written when that user allows the application. So
visitors who are not signed in cause neither a request nor a row.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import NoLongerActive, UnusableRedirect
from oauth_refresh.models import Application
from oauth_refresh.services.client_documents import (
    DOCUMENT_COLUMNS,
    DocumentUnavailable,
    is_document_url,
    read_document,
)
from oauth_refresh.services.clients import find_application
from oauth_refresh.services.db import atomic_write, db_alias

logger = logging.getLogger(__name__)

_UNUSABLE = gettext_noop(
    "The application that sent you here is not registered, and the document that describes it cannot be used."
)


def needs_document(client_id: str) -> bool:
    """Whether the client is known only once its document was read, which takes a user who is signed in."""
    return _may_be_described(client_id) and _is_described_by_document(find_application(client_id))


def find_client(client_id: str, *, user: Any) -> Application | None:
    """Return the active application that an authorization request of ``user`` names; None if there is none.

    One that a document describes is returned as it is described now, and nothing is saved. Raises UnusableRedirect,
    always with the same text, if the document cannot be used: no grant starts then, while refreshes use the stored row.
    """
    stored = find_application(client_id)
    if _may_be_described(client_id) and _is_described_by_document(stored):
        try:
            return _as_described(client_id, stored=stored, user=user)
        except DocumentUnavailable as error:
            logger.info("The metadata document of a client at %s is refused: %s.", urlsplit(client_id).hostname, error)
            raise UnusableRedirect(_UNUSABLE) from error
    return stored if stored is not None and stored.is_active and not stored.from_metadata_document else None


def describing_host(application: Application) -> str:
    """Return the host, in ASCII, of the document that describes the application; empty if it was registered."""
    return (urlsplit(application.client_id).hostname or "") if application.from_metadata_document else ""


def store_application(application: Application) -> None:
    """Write an application that a document describes, or what has changed of it, and set its primary key.

    What staff have set stays. Does nothing for an application that was registered. Raises NoLongerActive if another
    application has the client ID by now.
    """
    if not application.from_metadata_document:
        return
    columns = {name: getattr(application, name) for name in DOCUMENT_COLUMNS}
    marks = {name: getattr(application, name) for name in ("from_metadata_document", "repeats_redirect_uri")}
    with atomic_write(durable=False):
        # Of two users who are the first at the same moment, one inserts the row, and the other one reads it.
        rows = Application.objects.using(db_alias())
        stored, _created = rows.get_or_create(client_id=application.client_id, defaults=columns | marks)
        # Staff have registered it meanwhile, or a case-insensitive collation (MariaDB) finds what is not the same.
        if not stored.from_metadata_document or stored.client_id != application.client_id:
            raise NoLongerActive("Another application has the client ID of the one that was allowed.")
        changed = [name for name, value in columns.items() if getattr(stored, name) != value]
        for name in changed:
            setattr(stored, name, columns[name])
        if changed:
            stored.save(using=db_alias(), update_fields=changed)
    application.pk = stored.pk


def _may_be_described(client_id: str) -> bool:
    """Whether the project accepts a document at this client ID."""
    if not app_settings.client_id_metadata_documents or not is_document_url(client_id):
        return False
    hosts = app_settings.client_id_metadata_hosts
    return hosts is None or urlsplit(client_id).hostname in hosts


def _is_described_by_document(stored: Application | None) -> bool:
    """Whether the client was neither registered, nor deactivated after a document described it."""
    return stored is None or (stored.from_metadata_document and stored.is_active)


def _as_described(client_id: str, *, stored: Application | None, user: Any) -> Application:
    # OAuth 2.1 clients do not repeat the redirect URI; the code challenge, which all of these send, does as much.
    new = Application(client_id=client_id, from_metadata_document=True, repeats_redirect_uri=False)
    application = new if stored is None else stored
    for name, value in read_document(client_id, user=user).items():
        setattr(application, name, value)
    # Constraints of the table: staff may have allowed it as long as it had keys.
    if application.is_public and not (application.requires_pkce and application.rotate_refresh_tokens is not False):
        raise DocumentUnavailable("it is public now, but staff have set what only an application with keys may have")
    return application
