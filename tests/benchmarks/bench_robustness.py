"""Effects of attacks on the HTTP server on the daemon: response times, decisions, memory.

Needs root: server and client run in network namespaces. Each attack is a process on the same processors and
lasts for a minute; the daemon decides every 5 s. `powerd status` is queried every half second on the Unix
socket.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from rig.attacks import ATTACKS
from rig.daemon import Daemon, SleepCommand
from rig.lan import Lan, stop
from rig.wait import until

TESTS: Final = Path(__file__).parents[1]
PORT: Final = 8787
EVERY: Final = 5
LIMITED: Final = ("idle", "half requests", "gzip bombs")
LIMITS: Final = f"limits of {', '.join(LIMITED)}: status within 1 s, 0 missed decisions, 2 MB kept"


class Result(NamedTuple):
    """Of one attack: answers in s, missed decisions, most descriptors, most memory and kept memory in MB."""

    slowest: float
    median: float
    missed: int
    files: int
    peak: float
    left: float


def measure(powerd: Daemon, lan: Lan, name: str, seconds: float) -> Result:
    files, memory = powerd.open_files(), powerd.resident_mb()
    decisions = powerd.notified().count("WATCHDOG=1")
    attacker = lan.server.inside.start(
        *(sys.executable, "-m", "rig.attacks", name, str(PORT)), env={"PYTHONPATH": str(TESTS)}
    )
    end = time.monotonic() + seconds
    answers, most_files, peak = [], 0, 0.0
    while time.monotonic() < end:
        asked = time.monotonic()
        powerd.status()
        answers.append(time.monotonic() - asked)
        most_files, peak = max(most_files, powerd.open_files()), max(peak, powerd.resident_mb())
        time.sleep(0.5)
    made = powerd.notified().count("WATCHDOG=1") - decisions
    stop(attacker)
    until(lambda: powerd.open_files() <= files, f"all connections have ended: {name}")
    left = powerd.resident_mb() - memory
    answers.sort()
    missed = max(0, int(seconds / EVERY) - 1 - made)
    return Result(answers[-1], answers[len(answers) // 2], missed, most_files, peak, left)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each attack")
    seconds = parser.parse_args().seconds
    print(
        f"{'attack':20}{'status max, s':>15}{'median, s':>11}{'missed':>8}{'files':>7}{'MB':>7}{'MB kept':>9}"
    )
    good = True
    with tempfile.TemporaryDirectory() as directory, Lan(Path(directory)) as lan:
        lan.join("laptop").take("10.77.1.9/24")
        config = SleepCommand(Path(directory)).config(
            mode="observe", clients='learn = "0s"\nleases = []\nhosts = ["10.77.1.9"]\n'
        )
        config = config.replace("listen = []", f'listen = ["127.0.0.1:{PORT}"]')
        with Daemon(lan.server.inside, Path(directory, "powerd"), config) as powerd:
            powerd.sees(**{"10.77.1.9": "present"})
            for name in ATTACKS:
                result = measure(powerd, lan, name, seconds)
                print(
                    f"{name:20}{result.slowest:15.3f}{result.median:11.3f}{result.missed:8}{result.files:7}"
                    f"{result.peak:7.1f}{result.left:+9.1f}",
                    flush=True,
                )
                good &= name not in LIMITED or (
                    result.slowest <= 1 and not result.missed and result.left <= 2
                )
    print(LIMITS)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
