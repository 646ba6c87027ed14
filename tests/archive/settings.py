"""Settings of a project with a second database, which holds an archive of users and applications."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["archive"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
ROOT_URLCONF = "tests.archive.urls"
