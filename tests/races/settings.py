"""The example project as a production site that guessers may try: a race fails more often than a person would."""

from tests.faults.settings import *  # noqa: F403
from tests.faults.settings import OAUTH_REFRESH

OAUTH_REFRESH["FAILURE_RATE"] = None
