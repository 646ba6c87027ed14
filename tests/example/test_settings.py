"""What the environment tells the example's settings."""

import json

import pytest

from tests.flows.server import manage

NOWHERE = "postgres://nobody@127.0.0.1:1/nowhere"
TELL = """
import json
from django.db import connection
binds_on_server = connection.features.uses_server_side_binding
print(json.dumps([binds_on_server, connection.get_connection_params()["prepare_threshold"]]))
"""


@pytest.mark.parametrize(("asked", "expected"), [("True", [True, 5]), ("False", [False, None])])
def test_statements_are_prepared_only_if_the_environment_asks_for_it(asked, expected):
    told = manage("shell", "--verbosity", "0", "--command", TELL, database_url=NOWHERE, DATABASE_PREPARED=asked)

    assert json.loads(told.stdout) == expected
