"""Wall time of ``powerd status`` as a process that queries a running daemon.

Usage: python tests/benchmarks/bench_cli.py. For comparison it also measures an empty Python process and, if
installed, curl with the same request.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ui.status_server_process import status_server

ROUNDS = 10
MOST = 0.25


def median(argv: list[str]) -> float:
    """Wall time of a command, seconds, the median of ROUNDS after one to warm up."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def memory(argv: list[str]) -> float:
    """Peak resident memory of a command, MB."""
    pid = os.posix_spawn(
        argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    return os.wait4(pid, 0)[2].ru_maxrss / 1024


def main() -> int:
    """Print the table; 1 if the figure is missed."""
    powerd = str(Path(sys.executable).with_name("powerd"))
    with tempfile.TemporaryDirectory() as directory, status_server("crowd", Path(directory) / "s"):
        lazy_server = ["--socket", f"{directory}/s"]
        rows = [
            ("python -c pass", [sys.executable, "-c", "pass"]),
            ("powerd status", [powerd, "status", *lazy_server]),
            ("powerd why", [powerd, "why", *lazy_server]),
            ("powerd clients (200)", [powerd, "clients", *lazy_server]),
        ]
        if curl := shutil.which("curl"):
            rows.append(
                (
                    "curl /api/status",
                    [curl, "-s", "--unix-socket", f"{directory}/s", "http://localhost/api/status"],
                )
            )
        print(f"{'command':<24} {'median':>9} {'memory':>9}")
        results = {name: median(argv) for name, argv in rows}
        for name, argv in rows:
            print(f"{name:<24} {results[name] * 1000:>6.0f} ms {memory(argv):>6.1f} MB")
    missed = results["powerd status"] > MOST
    print(f"powerd status: at most {MOST * 1000:.0f} ms: {'MISSED' if missed else 'reached'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
