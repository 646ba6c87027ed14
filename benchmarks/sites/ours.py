"""The example project, with a view to compare with."""

from benchmarks.sites.production import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.ours_urls"
