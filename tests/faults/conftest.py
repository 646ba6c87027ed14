import os
from importlib.util import find_spec

import pytest
from django.db import connection

from tests.faults.servers import why_absent
from tests.faults.stage import stage


@pytest.fixture(scope="session")
def set_stage():
    """Set the stage for the kind of database under test."""
    absent = why_absent(connection.vendor) or (None if find_spec("gunicorn") else "gunicorn is not installed")
    if absent is not None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(absent)
    with stage(connection.vendor) as chosen:
        yield chosen


@pytest.fixture
def here(set_stage):
    """The stage, cleared of its sites afterwards."""
    yield set_stage
    set_stage.clear_sites()
