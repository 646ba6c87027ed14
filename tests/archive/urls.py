"""The admin of users in the archive, beside that of the test project."""

from django.contrib.admin import AdminSite
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.urls import path

from oauth_refresh.admin import SignOutEverywhereMixin
from tests import urls


class ArchivedUserAdmin(SignOutEverywhereMixin, UserAdmin):
    def get_queryset(self, request):
        return super().get_queryset(request).using("archive")


archive = AdminSite(name="archive")
archive.register(User, ArchivedUserAdmin)

urlpatterns = [*urls.urlpatterns, path("archive/", archive.urls)]
