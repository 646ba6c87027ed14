"""The drawing of the layers shows the code as it is."""

import subprocess
import sys

import pytest

from tests.server import ROOT


@pytest.mark.slow
def test_drawing_of_the_layers_and_of_a_refresh_is_up_to_date():
    script = [sys.executable, "docs/architecture.py", "--check"]

    result = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
