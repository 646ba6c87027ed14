"""The example project, with an API for the clients of ``real_clients.py``, and without a log of what they cause."""

from benchmarks.sites.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.clients_urls"
LOGGING = {"version": 1, "handlers": {"null": {"class": "logging.NullHandler"}}, "root": {"handlers": ["null"]}}
