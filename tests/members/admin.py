"""The project's own user admin: all grants of a person can be revoked, also by a proxy and by a child model."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from oauth_refresh.admin import SignOutEverywhereMixin
from tests.members.models import Member, StaffUser

admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(SignOutEverywhereMixin, UserAdmin):
    pass


@admin.register(StaffUser, Member)
class SpecialPersonAdmin(SignOutEverywhereMixin, admin.ModelAdmin):
    """Not a UserAdmin, whose pages have one name for all models."""
