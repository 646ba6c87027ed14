"""The example with a refresh in seven statements, as an application of plain Django would make it: see ``latency.py``.

The application is looked up by itself, and the update and the two inserts are statements of one transaction.
"""

from benchmarks.sites.ours import *  # noqa: F403
from benchmarks.sites.ours import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.sites.seven_statements_app.SevenStatements"]
