"""A site in this process, on an empty database that exists for one simulation: ``DATABASE_URL``, or in memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.test.utils import setup_databases, setup_test_environment, teardown_databases, teardown_test_environment


@contextmanager
def simulated_site() -> Iterator[None]:
    """Set Django up for the length of the block, as the tests do; it can be done once in a process."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(databases, verbosity=0)
        teardown_test_environment()
