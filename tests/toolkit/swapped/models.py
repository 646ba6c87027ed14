"""Models of a project that swaps those of django-oauth-toolkit for its own."""

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractAccessToken, AbstractApplication, AbstractRefreshToken


class Client(AbstractApplication):
    department = models.CharField(max_length=50, blank=True)


class Pass(AbstractAccessToken):
    pass


class Renewal(AbstractRefreshToken):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)

    class Meta(AbstractRefreshToken.Meta):
        indexes = ()
