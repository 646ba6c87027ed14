"""What each list and each page of the admin costs in statements: the same with ten rows and with a thousand."""

from http import HTTPStatus

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth_refresh.models import Grant
from oauth_refresh.services.revocation import NAMED_GRANTS
from tests.admin.many import many_rows
from tests.admin.pages import admin_url, form_with

pytestmark = pytest.mark.django_db

SIGNED_IN = 2
"""Session and user, at every request."""


@pytest.fixture(scope="module", params=[10, 1000], ids="with {} rows".format)
def rows(request, django_db_setup, django_db_blocker):
    """One row of each model, among so many; stored once for all tests here."""
    with django_db_blocker.unblock():
        rows = many_rows(request.param)
    yield rows
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


def costs(client, urls):
    """Return how many statements each page takes beside those that read session and user."""
    ContentType.objects.get_for_models(*apps.get_models())  # Django reads each once, and keeps it
    found = {}
    for name, url in urls.items():
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        assert response.status_code == HTTPStatus.OK, url
        found[name] = len(queries) - SIGNED_IN
    return found


LISTS = {
    "grant": 3,
    "refreshtoken": 2,
    "accesstoken": 2,
    "application": 2,
    "grantevent": 2,
    "authorizationcode": 2,
    "trustedissuer": 2,
    "usedassertion": 2,
    "auth_user": 4,
}
"""Count and read. The list of grants also reads the applications to filter by.

Django's own list of users counts a second time and reads the groups to filter by.
"""


def test_every_list_costs_the_same(rows, admin_browser):
    assert costs(admin_browser, {name: admin_url(f"{name}_changelist") for name in LISTS}) == LISTS


FILTERED = [
    "state=blocked",
    "state=revoked",
    "reason=other",
    "client_id=client-1",
    "application=1",
    "created_at__gte=2020-01-01T00:00Z",
    "q=user+application+client",
    "o=3",
]


def test_no_filter_costs_more(rows, admin_browser):
    urls = {query: f"{admin_url('grant_changelist')}?{query}" for query in FILTERED}

    assert costs(admin_browser, urls) == dict.fromkeys(FILTERED, 3)


PERIOD = "from=2020-01-01T00:00&until=2040-01-01T00:00"
BY_ADDRESS = ("address=192.0.2.1", "address=192.0.2.0/24", "address=2001:db8::/32", "address=nonsense")
BY_TIME = tuple(f"time={name}&{PERIOD}" for name in ("started", "refreshed", "revoked", "alarmed"))
MOST_BY_ADDRESS = 16
"""The list, and three counts of what else the address touched: grants, refreshes and events.

Each of the four asks first in which forms the addresses of a network are stored.
"""


@pytest.mark.parametrize("name", ["grant", "refreshtoken", "grantevent"])
def test_filter_by_address_or_network_costs_no_more_with_more_rows(rows, admin_browser, name):
    urls = {query: f"{admin_url(f'{name}_changelist')}?{query}" for query in BY_ADDRESS}

    found = costs(admin_browser, urls)

    assert max(found.values()) <= MOST_BY_ADDRESS
    assert found["address=nonsense"] <= 1


def test_filter_by_time_costs_nothing_more(rows, admin_browser):
    urls = {query: f"{admin_url('grant_changelist')}?{query}" for query in BY_TIME}
    others = ("refreshtoken", "accesstoken", "grantevent")

    assert costs(admin_browser, urls) == dict.fromkeys(BY_TIME, 3)
    assert costs(admin_browser, {name: f"{admin_url(f'{name}_changelist')}?{PERIOD}" for name in others}) == (
        dict.fromkeys(others, 2)
    )


def test_address_and_time_together_cost_as_much_as_the_address(rows, admin_browser):
    query = f"{BY_ADDRESS[1]}&{BY_TIME[1]}&state=active&q=user"

    found = costs(admin_browser, {query: f"{admin_url('grant_changelist')}?{query}"})

    assert found[query] <= MOST_BY_ADDRESS


PAGES = {
    "grant": 8,
    "refreshtoken": 5,
    "accesstoken": 5,
    "application": 3,
    "grantevent": 2,
    "authorizationcode": 2,
    "trustedissuer": 1,
    "usedassertion": 1,
    "auth_user": 7,
}
"""A page with a button to revoke asks first whether there is anything to revoke.

That of a grant also counts the other grants of its user, and of its application; of a user, the active grants.
"""


def test_every_page_of_a_row_costs_the_same(rows, admin_browser):
    assert costs(admin_browser, {name: admin_url(f"{name}_change", rows[name].pk) for name in PAGES}) == PAGES


REVOCABLE = ["grant", "refreshtoken", "accesstoken", "application", "auth_user"]


def test_page_that_asks_before_a_row_is_revoked_costs_the_row_and_the_preview(rows, admin_browser):
    assert costs(
        admin_browser, {name: admin_url(f"{name}_revoke", rows[name].pk) for name in REVOCABLE}
    ) == dict.fromkeys(REVOCABLE, 1 + 3)


def test_page_that_asks_before_a_list_is_revoked_costs_the_count_and_the_preview(rows, admin_browser):
    assert costs(admin_browser, {name: admin_url(f"{name}_revoke_list") for name in REVOCABLE}) == {
        **dict.fromkeys(REVOCABLE, 1 + 3),
        "grant": 1 + 1 + 3,
        "auth_user": 6,
    }


OTHERS = {"application_secret": 1, "application_tokens": 1, "application_add": 0}


def test_other_pages_of_an_application_cost_the_same(rows, admin_browser):
    urls = {name: admin_url(name, *([] if name.endswith("add") else [rows["application"].pk])) for name in OTHERS}

    assert costs(admin_browser, urls) == OTHERS


@pytest.mark.parametrize(("name", "reads"), {**dict.fromkeys(REVOCABLE, 1), "grant": 2, "auth_user": 3}.items())
def test_revoking_a_whole_list_costs_the_same(rows, admin_browser, name, reads):
    url = admin_url(f"{name}_revoke_list")
    reads += Grant.objects.unrevoked().count() <= NAMED_GRANTS  # then the notices name them
    form = form_with(admin_browser.get(url), "confirm")

    with CaptureQueriesContext(connection) as queries:
        admin_browser.post(url, form | {"reason": "incident"})

    verbs = [query["sql"].split()[0] for query in queries]
    assert (verbs.count("UPDATE"), verbs.count("INSERT"), verbs.count("SELECT") - SIGNED_IN) == (1, 2, reads)


def test_finding_a_token_costs_one_statement(rows, admin_browser, client_app):
    with CaptureQueriesContext(connection) as queries:
        admin_browser.post(admin_url("grant_find"), {"text": client_app.refresh_token})

    assert len(queries) - SIGNED_IN == 1
