"""The example project as a production site without a proxy: clients see server errors as they would there."""

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, env

ROOT_URLCONF = "tests.faults.urls"
SECURE_SSL_REDIRECT = False
if "timeout" in DATABASES["default"].get("OPTIONS", {}):
    DATABASES["default"]["OPTIONS"]["timeout"] = env.float("SQLITE_TIMEOUT", default=20)
