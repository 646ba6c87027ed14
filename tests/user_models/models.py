"""User models of projects that make the look-up of a token more than a join of plain columns."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models


class ReversedText(models.TextField):
    """A column that is stored otherwise than it is read, as an encrypted one would be."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return value if value is None else value[::-1]

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return prepared if prepared is None else prepared[::-1]


class UuidUser(AbstractBaseUser):
    """A key that is no number, columns with names that must be quoted, JSON, and a column that is converted."""

    USERNAME_FIELD = "email"

    key = models.UUIDField("key", primary_key=True, default=uuid.uuid4, db_column="order by")
    email = models.EmailField(unique=True, db_column="E-Mail")
    is_active = models.BooleanField(default=True)
    profile = models.JSONField(default=dict)
    nickname = ReversedText(null=True)
    seen_at = models.DateTimeField(null=True)

    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.email


class Person(AbstractBaseUser):
    USERNAME_FIELD = "email"

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)

    objects = BaseUserManager()

    def __str__(self) -> str:
        return self.email


class ChildUser(Person):
    """A child model: its columns are in two tables, and its key is that of the parent."""

    nickname = models.CharField(max_length=50, blank=True)
