"""What a hostile reviewer tried: stale forms, tokens in the wrong place, searches that mean everything."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.urls import path, reverse

from oauth_refresh import crypto
from oauth_refresh.admin import AccessTokenAdmin, ApplicationAdmin
from oauth_refresh.models import AccessToken, Application, Grant
from oauth_refresh.services.client_secrets import replace_secret
from tests.admin.applications import seen
from tests.admin.pages import address, browser, log, told
from tests.conftest import SECRET
from tests.factories import GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


class EarlierAdmin(ApplicationAdmin):
    """Somebody replaces the secret after the form's row was read, and before it is written."""

    def save_model(self, request, obj, form, change):
        replace_secret(Application.objects.get(pk=obj.pk), overlap=timedelta(0))
        super().save_model(request, obj, form, change)


site = AdminSite(name="small")
site.register(Application, EarlierAdmin)
site.register(AccessToken, AccessTokenAdmin)
urlpatterns = [path("small/", site.urls), path("admin/", admin.site.urls)]


@pytest.fixture
def small_site(settings, operator):
    """A project that has an admin of two models, and the OAuth endpoints elsewhere."""
    settings.ROOT_URLCONF = __name__
    return operator


def shown(client, url):
    form = client.get(url).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_form_that_is_saved_late_brings_no_leaked_secret_back(small_site, application):
    url = reverse("small:oauth_refresh_application_change", args=[application.pk])

    response = small_site.post(url, shown(small_site, url) | {"name": "Renamed"})

    stored = Application.objects.get()
    assert (response.status_code, stored.name) == (HTTPStatus.FOUND, "Renamed")
    assert stored.secret_digest != crypto.digest(SECRET)


def test_form_without_a_change_writes_nothing(operator, application):
    url = address("application_change", application.pk)
    before = Application.objects.values().get()

    response = operator.post(url, shown(operator, url))

    assert (response.status_code, Application.objects.values().get()) == (HTTPStatus.FOUND, before)


def test_second_click_on_a_new_secret_kills_none(operator, application):
    form = {"overlap": "86400", "replaces": seen(operator, application)}
    url = address("application_secret", application.pk)
    operator.post(url, form)
    before = Application.objects.values().get()

    response = operator.post(url, form)

    assert "The secret was replaced meanwhile" in response.content.decode()
    assert Application.objects.values().get() == before


class OvertakenAdmin(ApplicationAdmin):
    """Somebody replaces the secret after the form was found to be of the present one."""

    def hand_out_secret(self, request, application, *, overlap):
        replace_secret(Application.objects.get(pk=application.pk), overlap=overlap)
        return super().hand_out_secret(request, application, overlap=overlap)


def test_secret_replaced_under_the_eyes_of_a_form_is_told_and_kills_none(rf, operator, application, superuser):
    form = {"overlap": "86400", "replaces": seen(operator, application)}
    request = rf.post("/", form)
    request.user = superuser

    response = OvertakenAdmin(Application, admin.site).secret_view(request, str(application.pk))

    stored = Application.objects.get()
    assert "The secret was replaced meanwhile" in response.content.decode()
    assert stored.old_secret_digest == crypto.digest(SECRET)


@pytest.mark.parametrize("text", ["leaked {}", "{}"])
def test_reason_may_not_hold_a_token(operator, client_app, text):
    url = address("grant_revoke", client_app.grant.pk)

    response = operator.post(url, {"confirm": "yes", "reason": text.format(client_app.access_token)})

    assert "so write it without the token" in response.content.decode()
    assert not Grant.objects.filter(revoked_at__isnull=False).exists()
    assert log() == []


@pytest.mark.parametrize("name", ["q", "all", "_facets"])
@pytest.mark.parametrize("page", ["grant_revoke_list", "application_revoke_list", "application_changelist"])
def test_token_in_any_address_is_neither_searched_nor_logged(operator, client_app, page, name):
    response = operator.post(address(page, **{name: client_app.access_token}), {"confirm": "yes", "reason": "test"})

    assert response.status_code == HTTPStatus.FOUND
    assert client_app.access_token not in response.url
    assert told(operator.get(response.url))[0][0] == "warning"
    assert (Grant.objects.filter(revoked_at__isnull=False).exists(), log()) == (False, [])


@pytest.mark.parametrize("page", ["grant_revoke_list", "application_revoke_list"])
def test_search_that_cannot_be_made_finds_nothing_to_revoke(operator, client_app, page):
    response = operator.post(address(page, q="\0nobody"), {"confirm": "yes", "reason": "test"})

    assert "warning" in [level for level, _text in told(operator.get(response.url))]
    assert not Grant.objects.filter(revoked_at__isnull=False).exists()


def test_search_for_very_many_words_finds_nothing(operator):
    GrantFactory()

    response = operator.get(address("grant_changelist", q=" ".join(["a"] * 2000)))

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


def test_template_that_misses_a_variable_logs_no_secret(operator, application, settings, caplog):
    caplog.set_level("DEBUG", logger="django.template")
    (engine,) = settings.TEMPLATES
    careless = {"admin/oauth_refresh/application/value.html": "{{ no_such_thing }}{{ value }}"}
    loaders = [("django.template.loaders.locmem.Loader", careless), "django.template.loaders.app_directories.Loader"]
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": {**engine["OPTIONS"], "loaders": loaders}}]
    form = {"overlap": "0", "replaces": seen(operator, application)}

    operator.post(address("application_secret", application.pk), form)

    (digest,) = Application.objects.values_list("secret_digest", flat=True)
    words = set(caplog.text.replace("'", " ").replace('"', " ").split())
    assert "no_such_thing" in caplog.text
    assert [word for word in words if crypto.digest(word) == digest] == []


def test_staff_who_may_not_view_is_told_nothing_of_a_row_that_is_not_there(db):
    client = browser(UserFactory(is_staff=True))

    assert client.get(address("grant_revoke", 1)).status_code == HTTPStatus.FORBIDDEN


def test_api_refuses_json_that_is_nested_too_deep(user, client):
    client.force_login(user)

    response = client.post(
        reverse("oauth_refresh:api_applications_revoke"), "[" * 100_000, content_type="application/json"
    )

    assert response.status_code == HTTPStatus.BAD_REQUEST
