"""Does the memory of a worker grow with the number of refreshes? Linux only. See README.md."""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import our_site  # noqa: E402
from benchmarks.load import AtMost, drive  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import table  # noqa: E402
from benchmarks.scratch import scratch_database  # noqa: E402
from benchmarks.server import THREADS, served  # noqa: E402

CONNECTIONS = 8
STAGES = (0.1, 0.5, 1.0)
MAX_GROWTH_KIB = 2048
"""From the first stage to the last. The memory that the allocator keeps varies by less."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refreshes", type=int, default=100_000, metavar="N")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with scratch_database(database, name="memory") as database_url:
        resident = _measured(database_url, [round(options.refreshes * stage) for stage in STAGES])
    growth = list(resident.values())[-1] - next(iter(resident.values()))
    results = {"machine": described(database), "threads": THREADS, "resident_kib": resident, "growth_kib": growth}
    rows = [(f"{refreshes:,}", f"{kib / 1024:.1f} MiB") for refreshes, kib in resident.items()]
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{table(('refreshes', 'resident memory'), rows)}\n\n")
    is_met = growth <= MAX_GROWTH_KIB
    sys.stdout.write("The target was met.\n" if is_met else f"A worker grew by {growth} KiB.\n")
    return 0 if is_met else 1


def _measured(database_url: str, stages: list[int]) -> dict[int, int]:
    """Return the resident memory of the only worker in KiB, by the number of refreshes."""
    ours = our_site(database_url, grants=CONNECTIONS)
    refreshing = ours.refreshes(CONNECTIONS)
    resident, done = {}, 0
    with served(ours.site, workers=1) as server:
        (worker,) = server.workers()
        for stage in stages:
            count = -(-(stage - done) // CONNECTIONS)
            run = drive(server.ports, [AtMost(source, count) for source in refreshing])
            done += len(run.latencies)
            resident[done] = _resident_kib(worker)
            sys.stderr.write(f"{done} refreshes: {resident[done]} KiB, {run.per_second:.0f}/s\n")
        if server.workers() != [worker]:
            raise SystemExit("The worker was replaced.")
    return resident


def _resident_kib(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    sys.exit(main())
