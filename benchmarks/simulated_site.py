"""A site in this process for a simulation, on an empty database: on the server of DATABASE_URL, or in memory.

Importing this module sets up Django with the settings of the tests, so models can be imported after it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.test.utils import setup_databases, setup_test_environment, teardown_databases, teardown_test_environment

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()


@contextmanager
def simulated_site() -> Iterator[None]:
    """Create the database and, after the block, drop it."""
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(databases, verbosity=0)
        teardown_test_environment()
