"""The example as a production site, but without TLS, and with persistent database connections."""

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES

SECURE_SSL_REDIRECT = False
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
