"""A browser without JavaScript: it reads pages, and submits their forms."""

from html import unescape
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import urljoin

import requests

TIMEOUT = 30


class Forms(HTMLParser):
    """Parses the forms of a page: their action, hidden fields and buttons."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "form":
            self.found.append({"action": values.get("action", ""), "fields": {}, "buttons": []})
        elif tag == "input" and values.get("type") == "hidden":
            self.found[-1]["fields"][values["name"]] = values.get("value", "")
        elif tag == "button" and "disabled" not in values and self.found and values.get("type") != "button":
            self.found[-1]["buttons"].append((values.get("name"), values.get("value")))


class Visitor(requests.Session):
    """``page`` is the last response."""

    def __init__(self, origin):
        super().__init__()
        self.trust_env = False
        self.origin = origin
        self.page = None

    def open(self, path, **options):
        self.page = self.get(urljoin(self.origin, path), timeout=TIMEOUT, **options)
        return self

    def press(self, name, value, **options):
        """Submit the first form that has this button."""
        button = (name, value)
        form = next(form for form in Forms(self.page.text).found if button in form["buttons"])
        fields = form["fields"] | ({name: value} if name else {})
        url = urljoin(self.page.url, form["action"])
        self.page = self.post(url, data=fields, headers={"Referer": self.page.url}, timeout=TIMEOUT, **options)
        return self

    def act(self, *actions):
        for action in actions:
            self.press("action", action)
        return self

    def connect(self, kind):
        """Let the client connect, and allow it."""
        self.open("/").press("kind", kind).press("decision", "allow")
        assert self.page.status_code == HTTPStatus.OK, self.text
        return self

    def can_press(self, name, value):
        return any((name, value) in form["buttons"] for form in Forms(self.page.text).found)

    @property
    def text(self):
        return unescape(self.page.text)

    @property
    def caption(self):
        return self.text.partition('<h2 id="caption">')[2].partition("</h2>")[0]
