"""Choosing a user or an application by name: a text field that proposes names, and works without JavaScript.

Not Django's own autocompletion: it needs JavaScript, and a registered admin of users with ``search_fields``.
"""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.forms.widgets import Script
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.models import Application
from oauth_refresh.services.lookup import find_users

_MOST_PROPOSED = 20

Proposal = tuple[str, str]
"""What the field takes, and what it is called."""


def user_name(user: Any) -> str:
    """Return the name by which a user is chosen; "" for None."""
    return "" if user is None else str(getattr(user, get_user_model().USERNAME_FIELD))


def users_like(text: str) -> list[Proposal]:
    """Return the users whose name contains ``text``, at most twenty; none for an empty text."""
    users = get_user_model()
    column = users.USERNAME_FIELD
    if not text.strip("\0 "):
        return []
    found = users._default_manager.filter(**{f"{column}__icontains": text.replace("\0", "")}).order_by(column)
    return [(name, name) for name in map(str, found.values_list(column, flat=True)[:_MOST_PROPOSED])]


def applications_like(text: str) -> list[Proposal]:
    """Return the applications whose name or client ID contains ``text``, at most twenty; none for an empty text."""
    text = text.replace("\0", "")
    if not text.strip():
        return []
    found = Application.objects.filter(Q(name__icontains=text) | Q(client_id__icontains=text)).order_by("name", "pk")
    return list(found.values_list("client_id", "name")[:_MOST_PROPOSED])


class ProposingInput(forms.TextInput):
    """A text field with proposals, which a script refreshes from ``url`` as the text is typed; "" for none."""

    class Media:
        js = [Script("oauth_refresh/propose.js", defer=True)]

    url = ""
    proposals: tuple[Proposal, ...] = ()

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if self.url:
            context["widget"]["attrs"] |= {"list": f"{name}-proposals", "data-proposals": self.url}
        return context

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        field = super().render(name, value, attrs, renderer)
        if not self.url:
            return field
        options = format_html_join("", '<option value="{}">{}</option>', self.proposals)
        return format_html('{}<datalist id="{}-proposals">{}</datalist>', field, name, options)


class UserField(forms.CharField):
    """A user by name: the row, or None if empty. Where names are proposed, an unknown one is answered with its like."""

    def __init__(self, **options: Any) -> None:
        widget = ProposingInput({"autocomplete": "off", "spellcheck": "false"})
        defaults: dict[str, Any] = {"label": gettext_lazy("User name"), "required": False, "widget": widget}
        super().__init__(**defaults | options)

    def propose(self, url: str) -> None:
        """Propose names, for staff who may view users."""
        self.widget.url = url

    def clean(self, value: Any) -> Any:
        name = super().clean(value)
        if not name:
            return None
        if (user := next(iter(find_users(name)), None)) is not None:
            return user
        text = _("There is no user of that name.")
        if self.widget.url and (alike := users_like(name)):
            self.widget.proposals = tuple(alike)
            text = _("%(text)s Names alike: %(names)s") % {
                "text": text,
                "names": ", ".join(name for name, _title in alike),
            }
        raise ValidationError(text)
