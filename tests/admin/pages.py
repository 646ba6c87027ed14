"""The admin as a browser meets it: addresses, who is signed in, and what a page says."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.factories import UserFactory


def admin_url(page: str, *arguments: Any, **query: Any) -> str:
    """Return the URL of a page of the admin, such as ``grant_changelist``; ours unless it names another app."""
    name = page if page.startswith(("auth_", "members_")) else f"oauth_refresh_{page}"
    return reverse(f"admin:{name}", args=arguments, query=query or None)


def staff(*permissions: str, **fields: Any) -> Any:
    """Return a member of staff with these permissions only."""
    person = UserFactory(is_staff=True, **fields)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert person.user_permissions.count() == len(permissions)
    return person


def browser(person: Any, **options: Any) -> Client:
    """Return a browser in which ``person`` has signed in."""
    client = Client(**options)
    client.force_login(person)
    return client


def plain_text(fragment: str) -> str:
    """Return the text of some HTML, as a reader sees it."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", fragment)).split())


def page_text(response: Any) -> str:
    """Return the text of a page's content."""
    return plain_text(re.sub(r"<(script|style|head)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL))


def messages_on(response: Any) -> list[tuple[str, str]]:
    """Return the messages at the top of a page, each with its level."""
    listed = re.search(r'<ul class="messagelist">(.*?)</ul>', response.content.decode(), re.DOTALL)
    found = re.findall(r'<li class="(\w+)">(.*?)</li>', listed[1], re.DOTALL) if listed else []
    return [(level, plain_text(text)) for level, text in found]


def column(response: Any, name: str) -> list[str]:
    """Return the cells of one column of a list."""
    html = response.content.decode()
    return [
        plain_text(cell) for cell in re.findall(rf'<t[dh] class="field-{name}\b[^"]*">(.*?)</t[dh]>', html, re.DOTALL)
    ]


def definitions(response: Any) -> dict[str, str]:
    """Return the definition lists of a page: name to value."""
    pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", response.content.decode(), re.DOTALL)
    return {plain_text(name): plain_text(value) for name, value in pairs}


def links(response: Any) -> list[str]:
    return [unescape(url) for url in re.findall(r'<a [^>]*?href="([^"]*)"', response.content.decode())]


def form_errors(response: Any) -> dict[str, list[str]]:
    """Return the errors of a page's form, by field."""
    assert response.status_code == 200
    form = response.context["adminform"].form if "adminform" in response.context else response.context["form"]
    return {name: list(messages) for name, messages in form.errors.items()}


def readonly_fields(response: Any) -> dict[str, str]:
    """Return the fields of a page that can only be read: label to value."""
    pattern = r'<label>([^<]*):</label>(?:(?!<label>).)*?<div class="readonly">(.*?)</div>'  # maybe with a help text
    return {
        plain_text(label): plain_text(text) for label, text in re.findall(pattern, response.content.decode(), re.DOTALL)
    }


def log_entries() -> list[tuple[str, str | None, str, str]]:
    """Return the admin's log, oldest entry first: the model, the row's key and name, and what was done."""
    return [
        (entry.content_type.model, entry.object_id, entry.object_repr, entry.get_change_message())
        for entry in LogEntry.objects.select_related("content_type").order_by("pk")
    ]


class Forms(HTMLParser):
    """The forms of a page, each with what a browser sends if nothing is changed: name to values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, list[str]]] = [{}]
        self._name = ""
        self._text: list[str] | None = None
        self.feed(html)

    def _send(self, name: str | None, value: str) -> None:
        if name:
            self.forms[-1].setdefault(name, []).append(value)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        kind = attributes.get("type", "text")
        if tag == "form":
            self.forms.append({})
        elif tag == "input" and kind not in {"submit", "button"}:
            if kind not in {"checkbox", "radio"} or "checked" in attributes:
                self._send(attributes.get("name"), attributes.get("value", "on" if kind == "checkbox" else ""))
        elif tag == "select":
            self._name = attributes.get("name", "")
        elif tag == "option" and "selected" in attributes:
            self._send(self._name, attributes.get("value", ""))
        elif tag == "textarea":
            self._name, self._text = attributes.get("name", ""), []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text is not None:
            self._send(self._name, "".join(self._text).removeprefix("\r").removeprefix("\n"))
            self._text = None


def form_with(response: Any, name: str) -> dict[str, list[str]]:
    """Return what a browser sends if it sends the form that has a field of this name as it is."""
    (form,) = [form for form in Forms(response.content.decode()).forms if name in form]
    return form
