"""Whom the server believes: register and change trusted issuers of assertions."""

from typing import Any

from oauth_refresh.models import TrustedIssuer
from oauth_refresh.services.transactions import write_alias


def trust_issuer(name: str, **fields: Any) -> TrustedIssuer:
    """Register the issuer, or set ``fields`` of the one there is; a new source of keys replaces the other.

    Raises ValidationError, by field.
    """
    TrustedIssuer(issuer=name).clean_fields(exclude={"jwks", "jwks_uri"})  # before the name is looked up
    stored = TrustedIssuer.objects.using(write_alias()).filter(issuer=name).first()
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    issuer = stored if stored is not None and stored.issuer == name else TrustedIssuer(issuer=name)
    if "jwks" in fields or "jwks_uri" in fields:
        fields = {"jwks": None, "jwks_uri": "", **fields}
    for column, value in fields.items():
        setattr(issuer, column, value)
    issuer.full_clean()
    issuer.save(using=write_alias())
    return issuer
