import os
from importlib.util import find_spec

import pytest
from django.db import connection

from tests.faults.deployment import deploy
from tests.faults.servers import missing_software


@pytest.fixture(scope="session")
def shared_deployment():
    """A database server of the kind under test, and what is needed to serve the example project on it."""
    absent = missing_software(connection.vendor) or (None if find_spec("gunicorn") else "gunicorn is not installed")
    if absent is not None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(absent)
    with deploy(connection.vendor) as deployment:
        yield deployment


@pytest.fixture
def deployment(shared_deployment):
    """The same, without the sites that an earlier test started."""
    yield shared_deployment
    shared_deployment.stop_sites()
