"""Settings of a project whose times have no zone, and are those of a place with summer time."""

from tests.settings import *  # noqa: F403

USE_TZ = False
TIME_ZONE = "Europe/Berlin"
