"""Attacks and mistakes: stale forms, tokens in the wrong place, searches that would list everything."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.urls import path, reverse

from oauth_refresh import crypto
from oauth_refresh.admin.applications import ApplicationAdmin
from oauth_refresh.admin.tokens import AccessTokenAdmin
from oauth_refresh.models import AccessToken, Application, Grant
from oauth_refresh.services.clients import replace_secret
from tests.admin.applications import replaces_field
from tests.admin.pages import admin_url, browser, log_entries, messages_on
from tests.factories import SECRET, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


class EarlierAdmin(ApplicationAdmin):
    """Another request replaces the secret after the form's row was read, and before it is written."""

    def save_model(self, request, obj, form, change):
        replace_secret(Application.objects.get(pk=obj.pk), overlap=timedelta(0))
        super().save_model(request, obj, form, change)


site = AdminSite(name="small")
site.register(Application, EarlierAdmin)
site.register(AccessToken, AccessTokenAdmin)
urlpatterns = [path("small/", site.urls), path("admin/", admin.site.urls)]


@pytest.fixture
def small_site(settings, admin_browser):
    """A project that has an admin of two models, and the OAuth endpoints elsewhere."""
    settings.ROOT_URLCONF = __name__
    return admin_browser


def shown(client, url):
    form = client.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_form_saved_late_does_not_restore_a_replaced_secret(small_site, application):
    url = reverse("small:oauth_refresh_application_change", args=[application.pk])

    response = small_site.post(url, shown(small_site, url) | {"name": "Renamed"})

    stored = Application.objects.get()
    assert (response.status_code, stored.name) == (HTTPStatus.FOUND, "Renamed")
    assert stored.secret_digest != crypto.digest(SECRET)


def test_form_without_a_change_writes_nothing(admin_browser, application):
    url = admin_url("application_change", application.pk)
    before = Application.objects.values().get()

    response = admin_browser.post(url, shown(admin_browser, url))

    assert (response.status_code, Application.objects.values().get()) == (HTTPStatus.FOUND, before)


def test_second_click_does_not_replace_the_new_secret(admin_browser, application):
    form = {"overlap": "86400", "replaces": replaces_field(admin_browser, application)}
    url = admin_url("application_secret", application.pk)
    admin_browser.post(url, form)
    before = Application.objects.values().get()

    response = admin_browser.post(url, form)

    assert "The secret was replaced after this page was opened" in response.content.decode()
    assert Application.objects.values().get() == before


class OvertakenAdmin(ApplicationAdmin):
    """Another request replaces the secret after the form was found to be of the present one."""

    def issue_secret(self, request, application, *, overlap):
        replace_secret(Application.objects.get(pk=application.pk), overlap=overlap)
        return super().issue_secret(request, application, overlap=overlap)


def test_secret_replaced_while_the_form_is_handled_is_kept(rf, admin_browser, application, superuser):
    form = {"overlap": "86400", "replaces": replaces_field(admin_browser, application)}
    request = rf.post("/", form)
    request.user = superuser

    response = OvertakenAdmin(Application, admin.site).secret_view(request, str(application.pk))

    stored = Application.objects.get()
    assert "The secret was replaced after this page was opened" in response.content.decode()
    assert stored.old_secret_digest == crypto.digest(SECRET)


@pytest.mark.parametrize("text", ["leaked {}", "{}"])
def test_reason_may_not_hold_a_token(admin_browser, client_app, text):
    url = admin_url("grant_revoke", client_app.grant.pk)

    response = admin_browser.post(url, {"confirm": "yes", "reason": text.format(client_app.access_token)})

    assert "Leave the token out of the reason" in response.content.decode()
    assert not Grant.objects.filter(revoked_at__isnull=False).exists()
    assert log_entries() == []


@pytest.mark.parametrize("name", ["q", "all", "_facets"])
@pytest.mark.parametrize("page", ["grant_revoke_list", "application_revoke_list", "application_changelist"])
def test_token_in_any_address_is_neither_searched_nor_logged(admin_browser, client_app, page, name):
    response = admin_browser.post(
        admin_url(page, **{name: client_app.access_token}), {"confirm": "yes", "reason": "test"}
    )

    assert response.status_code == HTTPStatus.FOUND
    assert client_app.access_token not in response.url
    assert messages_on(admin_browser.get(response.url))[0][0] == "warning"
    assert (Grant.objects.filter(revoked_at__isnull=False).exists(), log_entries()) == (False, [])


@pytest.mark.parametrize("page", ["grant_revoke_list", "application_revoke_list"])
def test_search_with_a_nul_revokes_nothing(admin_browser, client_app, page):
    response = admin_browser.post(admin_url(page, q="\0nobody"), {"confirm": "yes", "reason": "test"})

    assert response.url.endswith("/?e=1")
    assert not Grant.objects.filter(revoked_at__isnull=False).exists()


def test_very_long_search_finds_nothing(admin_browser):
    GrantFactory()

    response = admin_browser.get(admin_url("grant_changelist", q=" ".join(["a"] * 2000)))

    assert (response.status_code, response.context["cl"].result_count) == (HTTPStatus.OK, 0)


def test_tokens_are_shown_where_neither_their_grant_nor_the_endpoints_have_a_page(small_site, application):
    UserFactory(username="alice")
    url = reverse("small:oauth_refresh_application_tokens", args=[application.pk])

    response = small_site.post(url, {"username": "alice", "scope": ["notes:read"]})

    assert response.status_code == HTTPStatus.OK
    assert "oat_" in response.content.decode()
    assert "curl" not in response.content.decode()


def test_list_of_tokens_works_where_grants_have_no_page(small_site, client_app):
    response = small_site.get(reverse("small:oauth_refresh_accesstoken_changelist"))

    assert (response.status_code, response.context["cl"].result_count) == (HTTPStatus.OK, 1)


def test_template_that_misses_a_variable_logs_no_secret(admin_browser, application, settings, caplog):
    caplog.set_level("DEBUG", logger="django.template")
    (engine,) = settings.TEMPLATES
    careless = {"admin/oauth_refresh/application/value.html": "{{ no_such_thing }}{{ value }}"}
    loaders = [("django.template.loaders.locmem.Loader", careless), "django.template.loaders.app_directories.Loader"]
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": {**engine["OPTIONS"], "loaders": loaders}}]
    form = {"overlap": "0", "replaces": replaces_field(admin_browser, application)}

    admin_browser.post(admin_url("application_secret", application.pk), form)

    (digest,) = Application.objects.values_list("secret_digest", flat=True)
    words = set(caplog.text.replace("'", " ").replace('"', " ").split())
    assert "no_such_thing" in caplog.text
    assert [word for word in words if crypto.digest(word) == digest] == []


def test_staff_who_may_not_view_cannot_tell_which_rows_exist(db):
    client = browser(UserFactory(is_staff=True))

    assert client.get(admin_url("grant_revoke", 1)).status_code == HTTPStatus.FORBIDDEN


def test_api_refuses_json_that_is_nested_too_deep(user, client):
    client.force_login(user)

    response = client.post(
        reverse("oauth_refresh:api_applications_revoke"), "[" * 100_000, content_type="application/json"
    )

    assert response.status_code == HTTPStatus.BAD_REQUEST
