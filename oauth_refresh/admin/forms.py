"""The forms behind an application's pages."""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto
from oauth_refresh.admin.fields import KeySetField, OverrideField, WordsField
from oauth_refresh.conf import app_settings
from oauth_refresh.models import Application, GrantType
from oauth_refresh.services.accounts import find_user

if TYPE_CHECKING:
    ApplicationModelForm = forms.ModelForm[Application]
else:
    ApplicationModelForm = forms.ModelForm

_DURATION = _("Days and hours:minutes:seconds, such as 14 00:00:00. Empty: as the project's settings say.")
REPLACED_MEANWHILE = _("The secret was replaced meanwhile, perhaps by a second click. Open this page anew to go on.")
SENT_BEFORE = _("This form was sent before, by a second click or a reload. Open this page anew for more tokens.")
_OVERLAPS = (
    (0, _("not at all: the old secret has leaked")),
    (3600, _("for one hour")),
    (24 * 3600, _("for one day")),
    (7 * 24 * 3600, _("for seven days")),
    (30 * 24 * 3600, _("for thirty days")),
)


class ApplicationForm(ApplicationModelForm):
    """An application with boxes to tick for its words; one that needs a secret gets it after it is saved."""

    grant_types = WordsField(label=_("Grant types"))
    scope = WordsField(
        label=_("Scope"), required=False, help_text=_("What it may ask for. Nothing ticked: any scope of the project.")
    )

    class Meta:
        model = Application
        fields = "__all__"
        field_classes = {"jwks": KeySetField}
        help_texts = {
            "access_token_lifetime": _DURATION,
            "refresh_token_lifetime": _DURATION,
            "grant_lifetime": _DURATION,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self.fields["grant_types"], _grant_type_choices())
        self.fields["grant_types"].initial = self.instance.grant_types
        _offer(self.fields["scope"], _scope_choices(self.instance.scope))
        if "client_id" in self.fields:
            self.fields["client_id"].required = False
            self.fields["client_id"].help_text = _("Leave it empty to have one generated.")
        for name in ("rotate_refresh_tokens", "revoke_access_tokens_on_refresh"):
            if (field := self.fields.get(name)) is None:
                continue  # whoever may only look has a form without fields
            in_force = bool(getattr(app_settings, name))
            self.fields[name] = OverrideField(
                in_force=in_force, label=field.label, help_text=field.help_text, required=False
            )

    def clean_client_id(self) -> str:
        return self.cleaned_data["client_id"] or crypto.generate_client_id()

    def _post_clean(self) -> None:
        """Let a new application pass as one that has a secret: it is handed out as soon as the row exists."""
        is_new = self.instance._state.adding  # noqa: SLF001  as Django's own forms ask
        if is_new:
            self.instance.secret_digest = crypto.digest(crypto.generate_client_secret())  # nobody ever knew this one
        super()._post_clean()  # type: ignore[misc]
        if is_new and not self.instance.uses_secret:
            self.instance.secret_digest = ""


class ReplaceSecretForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label=_("The present secret works on"),
        choices=_OVERLAPS,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=24 * 3600,
        widget=forms.RadioSelect,
    )
    replaces = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, application: Application, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen = salted_hmac("oauth_refresh.admin.secret", application.secret_digest, algorithm="sha256").hexdigest()
        self.initial["replaces"] = self.seen

    def clean_replaces(self) -> str:
        """Refuse a form that was sent twice, or shown before somebody else replaced the secret."""
        if not constant_time_compare(self.cleaned_data["replaces"], self.seen):
            raise ValidationError(REPLACED_MEANWHILE)
        return self.seen


class GenerateTokensForm(forms.Form):
    """For which user, and what the tokens may do; without a user, for the application itself where it may."""

    username = forms.CharField(label=_("User name"), required=False, widget=forms.TextInput({"autocomplete": "off"}))
    scope = WordsField(label=_("Scope"), required=False)
    once = forms.CharField(required=False, initial=partial(get_random_string, 22), widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, application: Application, operator: Any, sent: Collection[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.application, self.operator, self.sent = application, operator, sent
        _offer(self.fields["scope"], ((name, app_settings.scopes[name]) for name in application.allowed_scopes))
        self.fields["scope"].initial = [
            name for name in app_settings.default_scopes if name in application.allowed_scopes
        ]
        self.may_act_alone = not application.is_public and application.allows_grant_type(GrantType.CLIENT_CREDENTIALS)
        if self.may_act_alone:
            self.fields["username"].help_text = _("Leave it empty for tokens of the application itself.")
        self.fields["username"].required = not self.may_act_alone

    def clean_once(self) -> str:
        """Refuse a form that was sent twice: who reloads the page with the tokens wants no further session."""
        once: str = self.cleaned_data["once"]
        if once and once in self.sent:
            raise ValidationError(SENT_BEFORE)
        return once

    def clean_username(self) -> Any:
        """Return the user, or None. Nobody reaches above themselves: a superuser's tokens are for superusers."""
        name = self.cleaned_data["username"]
        if not name:
            return None
        user = find_user(name)
        if user is None:
            raise ValidationError(_("There is no user of that name."))
        if getattr(user, "is_superuser", False) and not self.operator.is_superuser:
            raise ValidationError(_("Only a superuser may generate tokens for a superuser."))
        return user


def _offer(field: Any, choices: Iterable[tuple[str, Any]]) -> None:
    field.choices = list(choices)


def _grant_type_choices() -> Iterator[tuple[str, Any]]:
    for value, label in GrantType.choices:
        is_offered = value in app_settings.grant_types
        yield value, label if is_offered else _("%(label)s (not offered: add it to GRANT_TYPES)") % {"label": label}


def _scope_choices(stored: str) -> Iterator[tuple[str, Any]]:
    """Yield the scopes of the project, and those of the application that it no longer knows, so that they show."""
    for name, text in app_settings.scopes.items():
        yield name, f"{name}: {text}"
    for name in stored.split():
        if name not in app_settings.scopes:
            yield name, _("%(name)s (unknown to the project: untick it, or add it to SCOPES)") % {"name": name}
