"""What all sites have in common: the example as a production site, without TLS, and on connections that stay open."""

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES

SECURE_SSL_REDIRECT = False
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
