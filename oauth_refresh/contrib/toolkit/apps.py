from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import pre_save

if TYPE_CHECKING:
    from oauth_refresh.services.unmoved_sessions import UnmovedSessions


class ToolkitConfig(AppConfig):
    name = "oauth_refresh.contrib.toolkit"
    label = "oauth_refresh_toolkit"
    imports_foreign_tokens = True  # so texts without our form are looked up, also once FOREIGN_TOKENS is empty again

    def ready(self) -> None:
        from oauth_refresh.contrib.toolkit import checks, ending  # noqa: PLC0415  models exist only now

        register(checks.check_default_scopes, Tags.compatibility)
        pre_save.connect(ending.end_when_password_changes, dispatch_uid="oauth_refresh_toolkit.end_sessions")

    def end_sessions(self, sessions: "UnmovedSessions") -> None:
        """End sessions that were not moved yet, when the grants of their users or applications are revoked here."""
        from oauth_refresh.contrib.toolkit import ending  # noqa: PLC0415  models exist only now

        ending.end_sessions(sessions)
