"""A browser without JavaScript: it reads pages, and presses the buttons of their forms."""

from html import unescape
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import urljoin

import requests

SECONDS = 30


class Forms(HTMLParser):
    """The forms of a page: where each goes, its hidden fields, and its buttons."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form":
            self.found.append({"action": given.get("action", ""), "fields": {}, "buttons": []})
        elif tag == "input" and given.get("type") == "hidden":
            self.found[-1]["fields"][given["name"]] = given.get("value", "")
        elif tag == "button" and "disabled" not in given and self.found and given.get("type") != "button":
            self.found[-1]["buttons"].append((given.get("name"), given.get("value")))


class Visitor(requests.Session):
    """``page`` is the last answer."""

    def __init__(self, origin):
        super().__init__()
        self.trust_env = False
        self.origin = origin
        self.page = None

    def open(self, path, **options):
        self.page = self.get(urljoin(self.origin, path), timeout=SECONDS, **options)
        return self

    def press(self, name, value, **options):
        """Send the first form that has this button."""
        button = (name, value)
        form = next(form for form in Forms(self.page.text).found if button in form["buttons"])
        fields = form["fields"] | ({name: value} if name else {})
        url = urljoin(self.page.url, form["action"])
        self.page = self.post(url, data=fields, headers={"Referer": self.page.url}, timeout=SECONDS, **options)
        return self

    def act(self, *actions):
        for action in actions:
            self.press("action", action)
        return self

    def connect(self, kind):
        """Let the client connect, and agree."""
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
