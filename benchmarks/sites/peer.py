"""What the sites with other servers have in common: the settings of the example, without its apps and ours."""

import os

from benchmarks.sites.production import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
CSRF_FAILURE_VIEW = "django.views.csrf.csrf_failure"  # the example's needs packages that are not installed here
if hasher := os.environ.get("SECRET_HASHER"):
    PASSWORD_HASHERS = [hasher]
