"""The settings of the example project that depend on the environment."""

import json

import pytest

from tests.server import manage

UNREACHABLE = "postgres://nobody@127.0.0.1:1/nowhere"
SCRIPT = """
import json
from django.db import connection
binds_on_server = connection.features.uses_server_side_binding
print(json.dumps([binds_on_server, connection.get_connection_params()["prepare_threshold"]]))
"""


@pytest.mark.parametrize(("prepared", "expected"), [("True", [True, 5]), ("False", [False, None])])
def test_statements_are_prepared_only_with_database_prepared(prepared, expected):
    result = manage(
        "shell", "--verbosity", "0", "--command", SCRIPT, database_url=UNREACHABLE, DATABASE_PREPARED=prepared
    )

    assert json.loads(result.stdout) == expected
