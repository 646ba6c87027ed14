"""What happens when a spent refresh token comes back from its own client (RFC 9700 §4.14.2)."""

import logging
from functools import partial

from django.db import transaction

from oauth_refresh.conf import app_settings
from oauth_refresh.models import ClientInfo, GrantEvent, RevocationReason
from oauth_refresh.services.incidents import record
from oauth_refresh.services.lookup import PresentedRefreshToken
from oauth_refresh.services.revocation import revoke_grant
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing
from oauth_refresh.signals import refresh_token_reused

logger = logging.getLogger(__name__)


@retry_serialization_failure
def sound_reuse_alarm(presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    """Revoke the grant, write down who asked, and tell. Committed on return, whatever the client is answered."""
    grant = presented.grant
    with writing():
        if app_settings.revoke_on_reuse:
            revoke_grant(grant, reason=RevocationReason.REUSE_DETECTED)
        record(GrantEvent.Kind.REUSED, presented, client_info=client_info)
        transaction.on_commit(
            partial(
                refresh_token_reused.send_robust,
                sender=type(grant),
                grant=grant,
                generation=presented.generation,
                client_info=client_info,
            ),
            using=write_alias(),
        )
    logger.warning("Refresh token %d of grant %s came back after it was spent.", presented.generation, grant.public_id)
