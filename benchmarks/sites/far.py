"""An API on another machine, with the middleware of the example. ``FAR_ISSUER`` is the site that knows its tokens."""

import os

from benchmarks.sites.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.far_urls"
OAUTH_RESOURCE_SERVER = {
    "ISSUER": os.environ["FAR_ISSUER"],
    "CLIENT_ID": os.environ["FAR_CLIENT_ID"],
    "CLIENT_SECRET": os.environ["FAR_CLIENT_SECRET"],
    "MAX_AGE": float(os.environ["FAR_MAX_AGE"]),
}
