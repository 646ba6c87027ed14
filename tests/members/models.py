"""What projects do to the user model: a proxy, and a child model."""

from django.contrib.auth.models import User
from django.db import models


class StaffUser(User):
    class Meta:
        proxy = True


class Member(User):
    nickname = models.CharField(max_length=50, blank=True)


class Receipt(models.Model):
    """What a project keeps about a grant, and does not let go of."""

    grant = models.ForeignKey("oauth_refresh.Grant", on_delete=models.PROTECT)

    def __str__(self) -> str:
        return f"receipt for grant {self.grant}"


class Footnote(models.Model):
    """As above, but only the database objects: on PostgreSQL and SQLite not before COMMIT."""

    refresh_token = models.ForeignKey("oauth_refresh.RefreshToken", on_delete=models.DO_NOTHING)

    def __str__(self) -> str:
        return f"footnote to {self.refresh_token}"


class Bookmark(models.Model):
    """What a project gives up with a grant."""

    grant = models.ForeignKey("oauth_refresh.Grant", on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"bookmark of grant {self.grant}"
