"""A site with django-oauth-toolkit instead of this app, on the settings of the example."""

import os

from benchmarks.sites.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.toolkit_urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "oauth2_provider",
]
OAUTH2_PROVIDER = {"SCOPES": {"notes:read": "Read your notes"}}
if hasher := os.environ.get("TOOLKIT_HASHER"):
    PASSWORD_HASHERS = [hasher]
