"""Client secrets that another server stored by a password hash (RFC 6749 §2.3.1).

Such a hash is slow on purpose, and costs a processor tenths of a second at each request. So it is used once: the first
right secret is stored as a digest, like those of this server, if it is long enough for that.
"""

import logging
from datetime import datetime

from django.contrib.auth.hashers import check_password

from oauth_refresh import crypto
from oauth_refresh.models import Application
from oauth_refresh.services.db import db_alias, is_valid_text, retry_serialization_failure
from oauth_refresh.services.guess_limit import count_guess

logger = logging.getLogger(__name__)

_LONGEST = 1_000
"""A longer text is not compared: no server gave its clients such a secret."""


def is_imported_secret(application: Application, raw_secret: str, *, address: str | None, now: datetime) -> bool:
    """Whether ``raw_secret`` is the one whose imported hash is valid now; if it is, store its digest in place of it.

    A guess is counted before it is compared, as for passwords: the comparison is what an attacker would wear the server
    out with. So over the limit the right secret is refused too. Raises TooManyAttempts.
    """
    take_back = count_guess("client", account=application.pk, address=address)
    encoded = application.live_secret_hash(now)
    if len(raw_secret) > _LONGEST or not is_valid_text(raw_secret) or not check_password(raw_secret, encoded):
        return False
    take_back()
    if len(raw_secret) >= crypto.MINIMUM_GIVEN_SECRET_LENGTH:
        _store_digest(application, crypto.digest(raw_secret))
    elif not application.imported_secret_is_short:
        _mark_as_short(application)
    return True


def _store_digest(application: Application, digest: str) -> None:
    # Beside a newer secret it is the old one, which is valid until the overlap ends.
    column = "old_secret_digest" if application.secret_digest else "secret_digest"
    if _change(application, **{column: digest}, imported_secret_hash="", imported_secret_is_short=False):
        logger.info("The imported secret of application %s is stored as a digest now.", application.client_id)


def _mark_as_short(application: Application) -> None:
    if _change(application, imported_secret_is_short=True):
        logger.warning(
            "The imported secret of application %s is shorter than %d characters, so its hash stays, and each request "
            "takes as long as a login: replace the secret.",
            application.client_id,
            crypto.MINIMUM_GIVEN_SECRET_LENGTH,
        )


@retry_serialization_failure
def _change(application: Application, **columns: str | bool) -> bool:
    """Set the columns unless another request has changed the secret since it was read. Return whether they were set.

    By an update, which sends no signal: nothing is withdrawn. If another request was faster, this one is as right.
    """
    same_secret = {
        "secret_digest": application.secret_digest,
        "imported_secret_hash": application.imported_secret_hash,
        "imported_secret_is_short": application.imported_secret_is_short,
    }
    if not Application.objects.using(db_alias()).filter(pk=application.pk, **same_secret).update(**columns):
        return False
    for column, value in columns.items():
        setattr(application, column, value)
    return True
