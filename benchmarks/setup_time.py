"""How much longer ``django.setup()`` takes with the app, in milliseconds of processor time: the least of several runs.

python benchmarks/setup_time.py [RUNS]
"""

import subprocess
import sys

DJANGO = ["admin", "auth", "contenttypes", "messages", "sessions"]
PROGRAM = """
import sys, time
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=sys.argv[1:], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", SECRET_KEY="x")
begun = time.process_time()
django.setup()
print((time.process_time() - begun) * 1000)
"""


def setup_time(apps: list[str], *, runs: int) -> float:
    """Return the least time that ``django.setup()`` took with these apps."""
    command = [sys.executable, "-c", PROGRAM, *apps]
    times = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _run in range(runs)]  # noqa: S603
    return min(map(float, times))


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for contrib in (DJANGO, DJANGO[1:]):
        apps = [*(f"django.contrib.{name}" for name in contrib), "rest_framework"]
        without, with_app = setup_time(apps, runs=runs), setup_time([*apps, "oauth_refresh"], runs=runs)
        kind = "with" if contrib is DJANGO else "without"
        print(f"{kind} the admin: {without:.1f} ms, and {with_app - without:.1f} ms more with the app")
