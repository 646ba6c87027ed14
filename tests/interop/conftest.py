"""Other people's clients against a running server.

They need a browser, Node.js and their packages, so a plain run leaves them out; ``INTEROP`` names the folder with
``node_modules`` and for pictures, as ``.ci/run`` sets it.
"""

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if "INTEROP" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def folder():
    """Return where ``node_modules`` is and pictures go."""
    return Path(os.environ["INTEROP"])
