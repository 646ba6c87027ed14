"""Django's own user admin, with a button that signs people out of every application."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from oauth_refresh.admin import SignOutEverywhereMixin

admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(SignOutEverywhereMixin, UserAdmin):  # type: ignore[type-arg]
    pass
