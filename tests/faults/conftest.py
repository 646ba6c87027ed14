from importlib.util import find_spec

import pytest
from django.db import connection

from tests.faults.servers import why_absent
from tests.faults.stage import stage

RETRY_WINDOW = 30


@pytest.fixture(scope="module")
def lenient_stage():
    """A stage of the kind of database under test, whose application may ask again for a lost answer."""
    yield from _set(retry_window=RETRY_WINDOW)


@pytest.fixture(scope="module")
def strict_stage():
    """A stage of the kind of database under test, whose application has no retry window."""
    yield from _set(retry_window=0)


@pytest.fixture
def here(request):
    """The stage that a test names, cleared of its sites afterwards."""
    chosen = request.getfixturevalue(request.param)
    yield chosen
    chosen.clear_sites()


def _set(*, retry_window):
    absent = why_absent(connection.vendor) or (None if find_spec("gunicorn") else "gunicorn is not installed")
    if absent is not None:
        pytest.skip(absent)
    with stage(connection.vendor, retry_window=retry_window) as chosen:
        yield chosen
