"""The states that a grant can be in, as arguments of its factory; of an inactive one, with the reason it gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)

ACTIVE_GRANTS: dict[str, dict[str, Any]] = {
    "just started": {},
    "refreshed": {"refreshed": True},
    "without a cap": {"expires_at": None},
    "without a user": {"without_user": True},
    "without a fingerprint": {"password_fingerprint": ""},
}
INACTIVE_GRANTS: dict[str, tuple[dict[str, Any], str]] = {
    "not started": ({"generation": 0, "access_floor": 0}, "not started"),
    "revoked": ({"revoked": True}, "revoked"),
    "idle for too long": ({"expired": True}, "expired"),
    "over its cap": (
        {"created_at": PAST, "expires_at": PAST + timedelta(days=1), "idle_expires_at": FUTURE},
        "expired",
    ),
    "revoked and expired": ({"revoked": True, "expired": True}, "revoked"),
    "of an inactive application": ({"application__is_active": False}, "application inactive"),
    "of an inactive user": ({"user__is_active": False}, "user inactive"),
}
