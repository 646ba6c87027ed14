"""What of a project still uses django-oauth-toolkit is listed; ``tests/test_toolkit.py`` runs this."""

import json
from io import StringIO

from django.core.management import call_command

AUTHENTICATION = "oauth2_provider.contrib.rest_framework.authentication.OAuth2Authentication"
PERMISSION = "oauth2_provider.contrib.rest_framework.permissions.TokenHasScope"
HERE = "tests.toolkit.old_uses"


def listed(*options):
    printed = StringIO()
    call_command("oauth_list_toolkit_views", *options, stdout=printed)
    return printed.getvalue()


def test_views_are_listed_with_what_they_use(settings):
    settings.ROOT_URLCONF = HERE

    assert json.loads(listed("--json")) == [
        {"place": f"authenticated ({HERE}.Authenticated)", "uses": [AUTHENTICATION]},
        {"place": f"permitted ({HERE}.Permitted)", "uses": [PERMISSION]},
        {"place": f"mixed ({HERE}.Mixed)", "uses": ["oauth2_provider.views.generic.ProtectedResourceView"]},
        {"place": f"class ({HERE}.DecoratedClass)", "uses": ["oauth2_provider.decorators.protected_resource"]},
        {"place": f"api ({HERE}.decorated_api)", "uses": [PERMISSION]},
        {"place": f"inner/decorated ({HERE}.decorated)", "uses": ["oauth2_provider.decorators.rw_protected_resource"]},
        {"place": f"^actions/special/$ ({HERE}.Actions)", "uses": [PERMISSION]},
    ]


def test_default_classes_of_the_project_count_for_each_view(settings):
    settings.ROOT_URLCONF = "tests.toolkit.defaults"

    assert listed() == f"^$ (tests.toolkit.defaults.Plain): {AUTHENTICATION}\n"


def test_its_own_views_and_settings_are_listed(settings):
    settings.ROOT_URLCONF = "oauth2_provider.urls"
    settings.AUTHENTICATION_BACKENDS = ["oauth2_provider.backends.OAuth2Backend", "of.the.project"]
    settings.MIDDLEWARE = ["oauth2_provider.middleware.OAuth2TokenMiddleware"]

    lines = listed().splitlines()

    assert lines[-2:] == [
        "AUTHENTICATION_BACKENDS: oauth2_provider.backends.OAuth2Backend",
        "MIDDLEWARE: oauth2_provider.middleware.OAuth2TokenMiddleware",
    ]
    assert "token/ (oauth2_provider.views.base.TokenView): oauth2_provider.views.base.TokenView" in lines


def test_project_that_has_moved_is_told_so(settings):
    settings.ROOT_URLCONF = "tests.urls"

    assert listed() == "Nothing of the project uses django-oauth-toolkit.\n"
