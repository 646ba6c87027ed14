"""A key of thirty digits in an address is no key: an empty list, or Django's answers to a filter that is wrong."""

from http import HTTPStatus

import pytest
from django.contrib.admin.views.main import ChangeList
from django.urls import NoReverseMatch

from tests.admin.pages import admin_url

pytestmark = pytest.mark.django_db

HUGE = "9" * 30
LISTS = ["grant", "application", "accesstoken", "refreshtoken", "grantevent", "authorizationcode", "trustedissuer"]
FILTERS = [
    "id__in",
    "pk__in",
    "user",
    "user_id",
    "application",
    "grant",
    "grant__id__in",
    "grant__user__id__exact",
    "p",
]


def url_of(name, *args):
    try:
        return admin_url(name, *args)
    except NoReverseMatch:
        pytest.skip("no such page")


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("page", ["changelist", "export_csv", "export_json"])
def test_filter_of_a_list(admin_browser, model, name, page):
    response = admin_browser.get(f"{url_of(f'{model}_{page}')}?{name}={HUGE}")

    assert response.status_code in {HTTPStatus.OK, HTTPStatus.FOUND, HTTPStatus.BAD_REQUEST}
    if response.status_code == HTTPStatus.FOUND:
        assert response.url.endswith("?e=1")


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("page", ["change", "revoke", "history", "secret", "tokens", "timeline_csv"])
def test_page_of_a_row(admin_browser, model, page):
    assert admin_browser.get(url_of(f"{model}_{page}", HUGE)).status_code in {HTTPStatus.FOUND, HTTPStatus.NOT_FOUND}


def test_key_that_the_driver_of_the_database_cannot_take_is_a_wrong_filter(admin_browser, monkeypatch):
    def get_results(self, request):
        if "id__in" in request.GET:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return whole(self, request)

    whole = ChangeList.get_results
    monkeypatch.setattr(ChangeList, "get_results", get_results)

    response = admin_browser.get(f"{admin_url('grant_changelist')}?id__in={HUGE}")

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, f"{admin_url('grant_changelist')}?e=1")
