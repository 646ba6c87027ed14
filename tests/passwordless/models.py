"""A user model of a project that signs its people in elsewhere: no password, and nothing of Django's own user."""

from django.db import models


class Person(models.Model):
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    is_anonymous = False
    is_authenticated = True

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)

    def __str__(self):
        return self.email
