"""Signals of the token life cycle. They carry rows and reasons, never a raw token.

``refresh_token_exchanged`` is sent inside the transaction of every refresh, and its receivers may veto it; all others
are sent after commit.
"""

from django.dispatch import Signal

refresh_token_exchanged = Signal()
"""``grant, refresh_token, rotates, client_info, rotation``. Raise ``errors.RefreshVetoed`` to refuse."""

DEACTIVATION_UID = "oauth_refresh.deactivate_old_refresh_tokens"
"""The ``dispatch_uid`` of the one receiver without which no refresh succeeds."""

tokens_issued = Signal()
"""``grant, grant_type``: the grant type of the request, so ``refresh_token`` for a refresh."""

refresh_token_reused = Signal()
"""``grant, generation, client_info, seconds_since_spent, same_caller``: a spent refresh token was presented again.

By its own, authenticated client. ``seconds_since_spent``: a float, or None if the row that tells was pruned.
``same_caller``: whether address and user agent are those of the refresh that spent it; None where that is not known.
"""

refresh_retried = Signal()
"""``grant, generation, client_info, seconds_since_spent, same_caller``: a spent token got the current pair.

Inside the retry window. The arguments are those of ``refresh_token_reused``.
"""

grant_revoked = Signal()
"""``grant, reason, by``: one grant was revoked."""

grants_revoked = Signal()
"""``selector, count, reason, by, revocation_id``: a set of grants was revoked; query them by ``revocation_id``."""

session_imported = Signal()
"""``grant``: a session of another server became this grant, and its clients keep their tokens."""

tokens_pruned = Signal()
"""``counts``: how many rows of each kind were deleted, as ``services.Pruned``."""

client_authentication_failed = Signal()
"""``application`` (None if unknown), ``reason, client_info``."""
