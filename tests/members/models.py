"""What projects do to the user model: a proxy, and a child model."""

from django.contrib.auth.models import User
from django.db import models


class StaffUser(User):
    class Meta:
        proxy = True


class Member(User):
    nickname = models.CharField(max_length=50, blank=True)
