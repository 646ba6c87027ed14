"""The stylesheets: those of the pages touch nothing of a project's, those of the admin do without Django's colours."""

import re
from pathlib import Path

import pytest

import oauth_refresh
from tests.admin.pages import admin_url
from tests.server import ROOT

STATIC = Path(oauth_refresh.__file__).parent / "static" / "oauth_refresh"
TEMPLATES = Path(oauth_refresh.__file__).parent / "templates"


def stylesheet(name):
    """Return a stylesheet without its comments."""
    return re.sub(r"/\*.*?\*/", "", (STATIC / name).read_text(), flags=re.DOTALL)


def selectors(css):
    """Return each selector, those of a list one by one; what stands in parentheses is part of its selector."""
    lists = re.findall(r"(?:^|[{}])\s*([^{}@]+?)\s*\{", css)
    return [one.strip() for several in lists for one in re.split(r",(?![^(]*\))", several)]


def test_selectors_are_found_in_rules_of_every_form():
    css = ".a, .b:is(c, d) { x: y } @media (min-width: 1rem) {\n .e > f { x: y }\n g { x: y } }"

    assert selectors(css) == [".a", ".b:is(c, d)", ".e > f", "g"]


def test_every_rule_of_the_pages_is_below_our_class():
    found = selectors(stylesheet("pages.css"))

    assert len(found) > 50
    assert [one for one in found if not re.match(r"\.oauth-refresh(?![\w-])", one)] == []


def test_variables_of_the_pages_are_defined_below_our_class():
    assert ":root" not in stylesheet("pages.css")


@pytest.mark.parametrize("path", sorted((TEMPLATES / "oauth_refresh").glob("*.html")), ids=lambda path: path.name)
def test_classes_of_the_pages_have_our_prefix(path):
    """Those of Bootstrap and the like, such as ``card`` and ``button``, do not match them."""
    text = re.sub(r"\{[%{].*?[%}]\}", "", path.read_text())
    classes = [name for names in re.findall(r'class="([^"]*)"', text) for name in names.split()]

    assert [name for name in classes if not name.startswith("oauth-")] == []


def test_every_colour_of_the_admin_has_a_fallback():
    """Themes of the admin lack the variables that Django's stylesheets define."""
    css = stylesheet("admin.css")
    own = set(re.findall(r"(--oauth-[\w-]+):", css))

    used = re.findall(r"var\((--[\w-]+)\s*(,?)", css)

    assert own
    assert [name for name, fallback in used if not fallback and name not in own] == []


def test_every_rule_of_the_admin_is_about_what_is_ours():
    ours = r"oauth-|\.app-oauth_refresh\b|\.model-(grant(event)?|(refresh|access)token)\b|^:root$|^html\b"

    assert [one for one in selectors(stylesheet("admin.css")) if not re.search(ours, one)] == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_template_has_no_script_and_no_style_within(path):
    """They work under the policy ``default-src 'self'``."""
    text = path.read_text()

    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text) == []


LISTS = ["grant", "refreshtoken", "accesstoken", "authorizationcode", "grantevent", "application", "trustedissuer"]


@pytest.mark.parametrize("name", [*LISTS, "usedassertion"])
def test_filters_have_a_column_or_a_parameter_as_themes_of_the_admin_expect(admin_client, name):
    """Grappelli asks ``field.name`` of every filter that has a ``field``."""
    response = admin_client.get(admin_url(f"{name}_changelist"))

    for spec in response.context["cl"].filter_specs:
        field = getattr(spec, "field", None)
        assert spec.parameter_name if field is None else field.name


EXEMPT = re.compile(r'SECURE_REDIRECT_EXEMPT = \[r"(.*?)"\]')
DOCUMENTED = {
    path.name: EXEMPT.search(path.read_text())
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "example_project" / "settings.py"]
    if "SECURE_REDIRECT_EXEMPT" in path.read_text()
}
OTHERS = [
    *("account/token", "revoke/all", "oauth/authorize", "oauth/applications/revoke", "oauth/api/applications/revoke"),
    *("api/token", "my/oauth/token", "oauth/token/more", "oauth/tokens", "admin/revoke", "x/oauth2/v1/revoke/"),
]


def test_exemption_from_the_redirect_to_https_is_documented():
    assert set(DOCUMENTED) == {"security-notes.md", "behind-a-proxy.md", "settings.py"}


@pytest.mark.parametrize("page", ["security-notes.md", "behind-a-proxy.md", "settings.py"])
def test_documented_exemption_matches_only_our_endpoints(page):
    """Django searches for the pattern in the path without its first slash."""
    pattern = re.compile(DOCUMENTED[page][1])

    names = ("token", "revoke", "introspect", "verify")
    endpoints = [f"oauth/{name}{slash}" for name in names for slash in ("", "/")]
    assert [path for path in endpoints if not pattern.search(path)] == []
    assert [path for path in OTHERS if pattern.search(path)] == []


@pytest.mark.parametrize("mount", ["", "oauth/", "oauth-api/oauth/", "oauth2/v1/"])
def test_exemption_of_the_example_covers_each_mount(mount):
    assert re.search(DOCUMENTED["settings.py"][1], f"{mount}token")
