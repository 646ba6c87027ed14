"""A user model of a project that deletes people by a mark in their row."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class PresentAccounts(BaseUserManager):
    def get_queryset(self):
        return super().get_queryset().filter(deleted_at=None)


class Account(AbstractBaseUser):
    USERNAME_FIELD = "username"

    username = models.CharField(max_length=50, unique=True)
    is_active = models.BooleanField(default=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = PresentAccounts()
    all_objects = models.Manager()

    def delete(self, *args, **kwargs):
        self.deleted_at = timezone.now()
        self.save(update_fields=["deleted_at"])
