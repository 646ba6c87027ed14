"""Trusted issuers, and the assertions that were used up."""

from django.contrib import admin
from django.db import models

from oauth_refresh.admin.discreet import DiscreetAdmin, ReadOnlyAdmin
from oauth_refresh.admin.fields import KeySetField
from oauth_refresh.models import TrustedIssuer, UsedAssertion


@admin.register(TrustedIssuer)
class TrustedIssuerAdmin(DiscreetAdmin):
    """Say whose signed assertions start grants; untick "active" to believe an issuer no longer."""

    list_display = ("issuer", "is_active", "algorithms", "subject_field", "scope")
    list_filter = ("is_active",)
    search_fields = ("issuer",)
    formfield_overrides = {models.JSONField: {"form_class": KeySetField}}


@admin.register(UsedAssertion)
class UsedAssertionAdmin(ReadOnlyAdmin):
    list_display = ("expires_at",)
    fields = ("expires_at",)
