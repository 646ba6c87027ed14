"""Our pages inside the base template of a project, as the how-to "Show the pages in your own templates" says."""

import re

import pytest
from django.conf import settings as django_settings
from django.contrib.messages import constants
from django.template.loader import render_to_string

from tests.consent import start_flow
from tests.docs.pages import DOCS, blocks
from tests.factories import GrantFactory
from tests.user_pages.pages import disconnect_url, text_of, url

HOW_TO = blocks(DOCS / "how-to" / "in-your-own-templates.md", "html")
SIMPLE, RENAMED, EXTENDED = HOW_TO

BASE = """<!doctype html><html lang="en"><head><title>{% block title %}{% endblock %} - Host</title>
<link rel="stylesheet" href="/host.css">{% block extra_head %}{% endblock %}</head>
<body class="host"><header><h1>Host</h1><button>Menu</button></header>
{% block messages %}{% for message in messages %}<p class="host-message">{{ message }}</p>{% endfor %}{% endblock %}
<main class="container">{% block content %}{% endblock %}</main></body></html>"""
OTHER_BASE = BASE.replace("block title", "block page_title").replace("block content", "block main")


@pytest.fixture
def templates(settings):
    """Return a function that puts templates of a project before ours."""

    def templates(**sources):
        [engine] = django_settings.TEMPLATES
        options = engine["OPTIONS"] | {
            "loaders": [
                ("django.template.loaders.locmem.Loader", {f"{name}.html": text for name, text in sources.items()}),
                "django.template.loaders.app_directories.Loader",
            ]
        }
        settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]

    return templates


@pytest.fixture
def pages(user, browser):
    """Return a function that opens each of our pages."""
    flow = start_flow(user, name="Notebook")
    grant = GrantFactory(user=user)
    opened = {
        "consent": (flow.browser, flow.url(), "Allow Notebook?"),
        "refusal": (flow.browser, flow.url(client_id="unknown"), "This link does not work"),
        "list": (browser, url("applications"), "Connected applications"),
        "disconnect": (browser, disconnect_url(grant), f"Disconnect {grant.application}?"),
        "disconnect all": (browser, url("applications_revoke"), "Disconnect all applications?"),
    }
    return lambda: {name: (one.get(address), title) for name, (one, address, title) in opened.items()}


@pytest.mark.parametrize(
    ("base", "ours"), [(BASE, SIMPLE), (OTHER_BASE, RENAMED)], ids=["blocks of the same names", "of other names"]
)
def test_pages_stand_in_the_base_template_of_a_project(templates, pages, base, ours):
    templates(**{"base": base, "oauth_refresh/base": ours})

    for response, title in pages().values():
        page = response.content.decode()
        assert f"<title>{title} - Host</title>" in page
        assert '<link rel="stylesheet" href="/static/oauth_refresh/pages.css">' in page
        assert page.count("<html") == page.count("<body") == page.count("<main") == 1
        assert '<body class="host"><header><h1>Host</h1><button>Menu</button></header>' in page
        inside = re.search(r'<main class="container">\s*(.*)\s*</main>', page, re.DOTALL)[1]
        assert re.match(r'<div class="oauth-refresh oauth-(card|list)">', inside)
        assert inside.rstrip().endswith("</div>")


def test_message_is_shown_once_by_a_base_template_that_shows_messages(templates, browser, user):
    templates(**{"base": BASE, "oauth_refresh/base": SIMPLE, "oauth_refresh/messages": ""})
    grant = GrantFactory(user=user)

    done = browser.post(disconnect_url(grant), follow=True)

    assert text_of(done).count("was disconnected.") == 1
    assert "host-message" in done.content.decode()


def test_message_is_shown_without_a_base_template_of_the_project(browser, user):
    done = browser.post(disconnect_url(GrantFactory(user=user)), follow=True)

    assert f'<p class="{constants.DEFAULT_TAGS[constants.SUCCESS]}">' in done.content.decode()
    assert text_of(done).count("was disconnected.") == 1


def test_block_of_a_page_can_be_changed(templates, user):
    flow = start_flow(user)
    source = "{% extends 'oauth_refresh/consent.html' %}" + EXTENDED.partition("%}")[2]
    templates(**{"consent-of-the-project": source})

    page = render_to_string("consent-of-the-project.html", {"application": flow.client.application, "destination": "x"})

    assert "What does this mean?" in page
    assert 'value="allow"' in page
