"""The retry slots of a grant: for each refresh token that was spent a moment ago, when, and the salt of its successors.

They are packed in one column of the grant's row, which a refresh writes anyway. With a slot, the token that was spent,
and a key of the project, the same successors can be derived again; without one of the three they are random.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from oauth_refresh.crypto import SALT_BYTES

MOST_SLOTS = 8

_SLOT = struct.Struct(f">Iq{SALT_BYTES}s")  # generation, microseconds since 1970, salt: 44 bytes
SLOTS_BYTES = MOST_SLOTS * _SLOT.size
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RetrySlot:
    """The refresh token of ``generation`` was spent at ``spent_at``; its successors were derived with ``salt``."""

    generation: int
    spent_at: datetime
    salt: bytes


def read_slots(packed: bytes | memoryview | None) -> tuple[RetrySlot, ...]:
    """Return the slots, the oldest first; none if the column was cut off or altered so that it cannot be read."""
    if packed is None or len(packed) % _SLOT.size:
        return ()
    try:
        return tuple(
            RetrySlot(generation=generation, spent_at=_from_microseconds(microseconds), salt=salt)
            for generation, microseconds, salt in _SLOT.iter_unpack(bytes(packed))
        )
    except OverflowError:
        return ()


def pack_slots(slots: Sequence[RetrySlot]) -> bytes:
    """Return what the column holds, with the latest slots if there are more than fit."""
    return b"".join(
        _SLOT.pack(slot.generation, _to_microseconds(slot.spent_at), slot.salt) for slot in slots[-MOST_SLOTS:]
    )


def _to_microseconds(moment: datetime) -> int:
    aware = moment if settings.USE_TZ else timezone.make_aware(moment)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _from_microseconds(microseconds: int) -> datetime:
    aware = _EPOCH + timedelta(microseconds=microseconds)
    return aware if settings.USE_TZ else timezone.make_naive(aware)
