"""The example project in production, without a limit on failures: a race fails more often than a person would."""

from tests.faults.settings import *  # noqa: F403
from tests.faults.settings import OAUTH_REFRESH

OAUTH_REFRESH["FAILURE_RATE"] = None
