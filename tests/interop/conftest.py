"""Other people's clients against a running server.

They need a browser, Node.js and their packages, so a plain run leaves them out; ``INTEROP`` names the folder with
``node_modules`` and for pictures, as ``.ci/run`` sets it. Each story runs on one of the two screens, and on both with
``EVERY_SCREEN`` set: what is seen on a screen, axe-core checks on both.
"""

import json
import os
import shutil
from pathlib import Path
from zlib import crc32

import pytest

from tests.key_server import serving_keys, write_certificates
from tests.server import manage, runserver

if "INTEROP" in os.environ:
    from playwright.sync_api import sync_playwright

    from tests.interop.site import Site
else:
    collect_ignore_glob = ["test_*.py"]

CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
SCREENS = {
    "phone-light": {"viewport": PHONE, "color_scheme": "light"},
    "desktop-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
}


@pytest.fixture(scope="session")
def folder():
    """Return where ``node_modules`` is and pictures go."""
    return Path(os.environ["INTEROP"])


@pytest.fixture(scope="package")
def documents(tmp_path_factory):
    """Serve metadata documents of clients; yield the server, and the authority that its certificate is from."""
    authority, certificate = write_certificates(tmp_path_factory.mktemp("documents"))
    with serving_keys(certificate) as server:
        yield server, authority


@pytest.fixture(scope="package")
def site(documents, tmp_path_factory):
    """Serve the example project with some people and one application, once for all tests here: on SQLite."""
    _server, authority = documents
    trust = {"OAUTH_ALLOW_PRIVATE_ADDRESSES": "True", "SSL_CERT_FILE": str(authority)}
    database_url = f"sqlite:///{tmp_path_factory.mktemp('interop') / 'site.sqlite3'}"
    migrated = manage("migrate", database_url=database_url)
    assert migrated.returncode == 0, migrated.stderr
    with runserver(database_url=database_url, **trust) as origin:
        site = Site(origin=origin, database_url=database_url)
        site.populate()
        yield site


@pytest.fixture(scope="module")
def browser():
    """Start Chromium, for one module: while it runs, Django refuses to query the database in this process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(browser, site):
    """Return how to get a page where ``username`` is signed in: for the same arguments the same, with a warm cache."""
    opened = {}

    def pages(username, **options):
        key = json.dumps([username, options])
        if key not in opened:
            context = browser.new_context(base_url=site.origin, **options)
            context.add_cookies([site.session_cookie(username)])
            opened[key] = listened_to(context.new_page())
        opened[key].complaints.clear()
        return opened[key]

    return pages


def pytest_generate_tests(metafunc):
    if "screen" in metafunc.fixturenames:
        names = list(SCREENS)
        one = names[crc32(metafunc.function.__name__.encode()) % len(names)]
        metafunc.parametrize("screen", names if "EVERY_SCREEN" in os.environ else [one])


@pytest.fixture
def page(browser, site, screen):
    """Open a page of a fresh profile, without a signed-in user.

    The application's own site answers every request with a blank page.
    """
    context = browser.new_context(base_url=site.origin, **SCREENS[screen])
    context.route("https://client.example/**", lambda route: route.fulfill(body="Back at the application."))
    yield listened_to(context.new_page())
    context.close()


@pytest.fixture
def open_page(pages, screen):
    """Return how to get a page on this screen where ``username`` is signed in."""
    return lambda username, **options: pages(username, **SCREENS[screen], **options)


@pytest.fixture
def admin(open_page):
    """Open a page where eve is signed in, who may do everything."""
    return open_page("eve")


@pytest.fixture
def shoot(screen, folder):
    """Return how to take a picture of a whole page, for people to look at."""

    def shoot(page, name):
        page.wait_for_load_state()
        page.screenshot(path=folder / f"{name}-{screen}.png", full_page=True)

    return shoot


def listened_to(page):
    """Collect in ``page.complaints`` what the browser's console calls an error."""
    page.set_default_timeout(60_000)  # milliseconds
    page.complaints = []
    page.on("console", lambda message: page.complaints.extend(complaint(message)))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page


def complaint(message):
    """Return what a message of the console complains of, if it is an error and not about the icon that there is not."""
    url = message.location["url"]
    return [] if message.type != "error" or url.endswith("/favicon.ico") else [f"{message.text} {url}"]
