"""Django's user admin, with a button that revokes all grants of a user."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from oauth_refresh.admin import SignOutEverywhereMixin

admin.site.unregister(User)


@admin.register(User)
class ExampleUserAdmin(SignOutEverywhereMixin, UserAdmin):  # type: ignore[type-arg]
    pass
