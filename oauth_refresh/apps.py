from importlib import import_module

from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.core import checks as django_checks
from django.db.models.signals import post_save, pre_delete, pre_save
from django.utils.translation import gettext_lazy as _

from oauth_refresh.signals import DEACTIVATION_UID, refresh_token_exchanged


class OAuthRefreshConfig(AppConfig):
    name = "oauth_refresh"
    verbose_name = _("OAuth grants and tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from oauth_refresh import checks, receivers  # noqa: PLC0415  models exist only now

        refresh_token_exchanged.connect(receivers.deactivate_old_refresh_tokens, dispatch_uid=DEACTIVATION_UID)
        pre_save.connect(
            receivers.remember_password_before_rehash, dispatch_uid="oauth_refresh.remember_password_before_rehash"
        )
        post_save.connect(receivers.revoke_when_user_changes, dispatch_uid="oauth_refresh.revoke_when_user_changes")
        post_save.connect(
            receivers.revoke_when_application_changes, dispatch_uid="oauth_refresh.revoke_when_application_changes"
        )
        for model in apps.get_models():
            # With senders: Django deletes rows of a model that has receivers only after it has read them.
            if issubclass(model, (get_user_model(), self.get_model("Application"))):
                pre_delete.connect(
                    receivers.revoke_before_deletion, sender=model, dispatch_uid="oauth_refresh.revoke_before_deletion"
                )
        for optional, module in (("corsheaders", "cors"), ("drf_spectacular", "openapi")):
            if apps.is_installed(optional):
                import_module(f"oauth_refresh.authorization_server.{module}")
        for check, tag, deploy in checks.ALL:
            django_checks.register(check, tag, deploy=deploy)
