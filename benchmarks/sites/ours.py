"""The example project, and beside it the view to compare with."""

from benchmarks.sites.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.ours_urls"
