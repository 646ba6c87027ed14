"""Receivers of revocations: which of them lacks notices, and why."""

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.base import ReadOnlyAdmin
from oauth_refresh.models import RevocationReceiver


@admin.register(RevocationReceiver)
class RevocationReceiverAdmin(ReadOnlyAdmin):
    list_display = ("host", "waiting", "position", "delivered_at", "failed_at", "last_error", "attempts")
    fields = (*list_display, "next_attempt_at", "created_at", "url_digest")
    readonly_fields = ("host", "waiting")
    ordering = ("pk",)

    @admin.display(description=gettext_lazy("host"))
    def host(self, receiver: RevocationReceiver) -> str:
        return receiver.host or _("no longer in the settings")

    @admin.display(description=gettext_lazy("notices waiting"))
    def waiting(self, receiver: RevocationReceiver) -> int:
        return receiver.waiting
