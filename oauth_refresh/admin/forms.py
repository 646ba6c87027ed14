"""The forms behind an application's pages."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.crypto import get_random_string, salted_hmac
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto, jose
from oauth_refresh.admin.choosing import UserField, user_name
from oauth_refresh.conf import app_settings
from oauth_refresh.models import STAFF, Application, GrantType
from oauth_refresh.models.choices import SECRET_METHODS
from oauth_refresh.scopes import OFFLINE_ACCESS, scope_texts
from oauth_refresh.services.issuing import yields_refresh_token

SECRET_REPLACED = _("The secret was replaced after this page was opened. Open the page again to replace it once more.")
FORM_SENT_TWICE = _("These tokens were generated before: the form was sent twice. Open the page again for more tokens.")
_OVERLAPS = (
    (0, _("not at all: the old secret has leaked")),
    (3600, _("for one hour")),
    (24 * 3600, _("for one day")),
    (7 * 24 * 3600, _("for seven days")),
    (30 * 24 * 3600, _("for thirty days")),
)

_EXAMPLES = {
    "redirect_uris": "https://app.example.com/callback",
    "jwks": '{"keys": []}',
    "jwks_uri": "https://app.example.com/jwks.json",
}


class KeySetField(forms.JSONField):
    """JSON that shows nothing where there is nothing, not ``null``, and what was entered as it was entered.

    A parser may fail on a text that others wrote: one that is nested deep, or a number of thousands of digits.
    """

    def to_python(self, value: Any) -> Any:
        try:
            parsed = super().to_python(value)
        except (ValueError, RecursionError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": ""}) from error
        if not jose.is_plain_json(parsed):
            raise ValidationError(_("A key of the set cannot be read."))
        return parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else data

    def prepare_value(self, value: Any) -> Any:
        return value or "" if isinstance(value, str | None) else super().prepare_value(value)


class WordsField(forms.MultipleChoiceField):
    """Boxes to tick for a column that holds words separated by spaces."""

    widget = forms.CheckboxSelectMultiple

    def clean(self, value: Any) -> Any:
        return " ".join(super().clean(value))


def _grant_type_choices() -> Iterator[tuple[str, Any]]:
    for value, label in GrantType.choices:
        is_offered = value in app_settings.grant_types
        yield value, label if is_offered else _("%(label)s (not offered: add it to GRANT_TYPES)") % {"label": label}


class ApplicationForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes no type argument when it runs
    """An application with boxes to tick for its words; one that needs a secret gets it after it is saved."""

    names_url = ""  # where names of users are proposed; see UserField

    client_id = forms.CharField(
        label=_("Client ID"), max_length=255, required=False, help_text=_("Leave it empty to have one generated.")
    )
    owner = UserField(label=_("Owner"), help_text=_("By user name. Only for information: it gives no rights."))
    grant_types = WordsField(label=_("Grant types"), choices=_grant_type_choices)
    scope = WordsField(
        label=_("Scope"), required=False, help_text=_("What it may request. Nothing ticked: any scope of the project.")
    )

    resources = WordsField(
        label=_("Resources"),
        required=False,
        help_text=_("A resource server only: which of the project's resources it is. Nothing ticked: all of them."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fill_in()
        scope: Any = self.fields["scope"]
        # Shown, not dropped: an application saved without its only scope, which is unknown now, could ask for any.
        unknown, texts = _("%(name)s (unknown to the project: untick it, or add it to SCOPES)"), scope_texts()
        scope.choices = [
            (name, f"{name}: {texts[name]}" if name in texts else unknown % {"name": name})
            for name in dict.fromkeys([*app_settings.scopes, *self.initial["scope"]])
        ]
        if "resources" in self.fields:  # the form of staff who may not mark resource servers lacks it
            resources: Any = self.fields["resources"]
            names = dict.fromkeys([*app_settings.resources, *self.initial["resources"]])
            resources.choices = [(name, name) for name in names]
            if not names:
                resources.widget = forms.MultipleHiddenInput()
        for name in ("rotate_refresh_tokens", "revoke_access_tokens_on_refresh", "revoke_on_reuse"):
            if name in self.fields:  # the form of staff who may only look lacks it
                in_force = getattr(app_settings, name)
                text = _("as the project's settings say: yes") if in_force else _("as the project's settings say: no")
                widget: Any = self.fields[name].widget
                widget.choices = [("unknown", text), *list(widget.choices)[1:]]

    def _fill_in(self) -> None:
        """Show words as boxes that are ticked, the owner by name, and an example in what is empty."""
        if "owner" in self.fields:  # the form of staff who may not view users lacks it
            owner: Any = self.fields["owner"]
            owner.propose(self.names_url)
            self.initial["owner"] = user_name(self.instance.owner)
        for name, example in _EXAMPLES.items():  # by these the style sheet knows that a field is empty, too
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = example
        for name in ("grant_types", "resources", "scope"):
            self.initial[name] = self.initial.get(name, getattr(self.instance, name)).split()

    def clean_client_id(self) -> str:
        return self.cleaned_data["client_id"] or crypto.generate_client_id()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.instance.pk and cleaned.get("auth_method") in SECRET_METHODS:
            # The application must have a secret to be valid. The real one is generated once the row exists, since only
            # then it can be shown and logged; until then, and if that fails, no one knows the secret.
            self.instance.secret_digest = crypto.digest(crypto.generate_client_secret())
        self._require_redirect_uri(cleaned)
        self._require_constraints(cleaned)
        return cleaned

    def _require_redirect_uri(self, cleaned: dict[str, Any]) -> None:
        """Refuse the authorization code grant without a redirect URI, unless the row was stored so and this stays."""
        columns = {"grant_types", "redirect_uris"}
        if columns & self.errors.keys() or (self.instance.pk and not columns & set(self.changed_data)):
            return
        values = {name: cleaned.get(name, getattr(self.instance, name)) for name in columns}
        try:
            Application(**values).require_redirect_uri()
        except ValidationError as error:
            self.add_error(None, error)

    def _require_constraints(self, cleaned: dict[str, Any]) -> None:
        """Check what a public application must have, where its authentication is only shown: Django leaves that out."""
        if "auth_method" in self.fields:
            return
        columns = ("auth_method", "requires_pkce", "rotate_refresh_tokens")
        values = {name: cleaned.get(name, getattr(self.instance, name)) for name in columns}
        try:
            Application(**values).validate_constraints(exclude={"client_id"})
        except ValidationError as error:
            self.add_error(None, error)

    def add_error(self, field: str | None, error: Any) -> None:
        """Show errors of a column that this person may only read at the top: Django raises if the form lacks it."""
        by_field = getattr(error, "error_dict", {field: error}) if field is None else {field: error}
        for name, errors in by_field.items():
            super().add_error(name if name in self.fields else None, errors)


class ReplaceSecretForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label=_("The present secret stays valid"),
        choices=_OVERLAPS,
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=24 * 3600,
        widget=forms.RadioSelect,
    )
    replaces = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, application: Application) -> None:
        """``replaces`` stands for the secret the page was shown with; keyed, so that no guess can be tested by it."""
        secret = application.secret_digest or application.imported_secret_hash
        shown = salted_hmac("oauth_refresh.admin.secret", secret, algorithm="sha256")
        super().__init__(data, initial={"replaces": shown.hexdigest()})

    def clean(self) -> None:
        # A second click would replace, and with overlap 0 invalidate, the secret that was just shown.
        if "replaces" in self.changed_data:
            raise ValidationError(SECRET_REPLACED)


class GenerateTokensForm(forms.Form):
    """For which user, and what the tokens may do; without a user, for the application itself where it may."""

    username = UserField()
    scope = WordsField(label=_("Scope"), required=False)
    once = forms.CharField(required=False, initial=partial(get_random_string, 22), widget=forms.HiddenInput)

    def __init__(self, data: Any, *, application: Application, issuer: Any, names_url: str) -> None:
        """``names_url``: where names of users are proposed; "" for staff who may not view users."""
        super().__init__(data)
        self.issuer = issuer
        username: Any = self.fields["username"]
        username.propose(names_url)
        scope: Any = self.fields["scope"]
        offline = [OFFLINE_ACCESS] if yields_refresh_token(application, STAFF) else []
        allowed = [*(name for name in application.allowed_scopes if name != OFFLINE_ACCESS), *offline]
        scope.choices = [(name, scope_texts()[name]) for name in allowed]
        scope.initial = app_settings.default_scopes or application.scope.split()
        may_act_alone = not application.is_public and application.allows_grant_type(GrantType.CLIENT_CREDENTIALS)
        self.fields["username"].required = not may_act_alone
        if may_act_alone:
            self.fields["username"].help_text = _("Leave it empty for tokens of the application itself.")

    def clean_username(self) -> Any:
        """Return the user, or None."""
        user = self.cleaned_data["username"]
        if getattr(user, "is_superuser", False) and not self.issuer.is_superuser:
            # The tokens could do everything: who may generate tokens would have the rights of a superuser.
            raise ValidationError(_("Only a superuser may generate tokens for a superuser."))
        return user
