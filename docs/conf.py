"""Build these pages: ``sphinx-build -W -n --keep-going -b html docs build/docs``.

``<!-- generated: … -->`` on a page is replaced by what is generated from the code: settings, commands, checks, errors.
"""

import re
import sys
from enum import Enum
from pathlib import Path

import django
from django.conf import settings
from django.db.models import Model, QuerySet

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
settings.configure(
    SECRET_KEY="only to build the documentation",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "rest_framework",
        "oauth_refresh",
    ],
    USE_TZ=True,
)
django.setup()

import generated  # noqa: E402  it needs models and settings, which exist only now

import oauth_refresh  # noqa: E402

project = "django-oauth-refresh"
version = release = oauth_refresh.__version__
project_copyright = "the authors of django-oauth-refresh"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = True
# Only references to our own names must resolve: the pages are built without a network.
nitpick_ignore_regex = [("py:.*", r"(?!oauth_refresh\b).*")]
nitpick_ignore = [
    ("py:class", "oauth_refresh.errors.OAuthError"),  # the page of errors has the classes below it
    ("py:class", "oauth_refresh.resource_server.decorators.R"),  # a type variable: the view's own result
    ("py:class", "oauth_refresh.resource_server.remote.decorators.R"),
    ("py:class", "oauth_refresh.services.credentials.ClientCredentials"),  # what the token endpoint read
]

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "django-oauth-refresh"
html_static_path = ["_static"]
html_copy_source = False
html_show_sphinx = False
smartquotes = False

_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def insert_generated(app, page, source):
    """Replace each marker by what is generated from the code."""
    source[0] = _MARKER.sub(lambda marker: generated.PARTS[marker[1]](), source[0])


def hide_constructor(app, kind, name, member, *details):
    """Leave out the constructors of models, querysets and enumerations: readers of these pages do not call them."""
    return ("", None) if isinstance(member, type) and issubclass(member, Enum | Model | QuerySet) else None


def setup(app):
    app.connect("source-read", insert_generated)
    app.connect("autodoc-process-signature", hide_constructor)
