"""The real daemon while its HTTP server is attacked: it answers, decides, and feeds the watchdog."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rig.attacks import ATTACKS
from rig.daemon import Daemon, SleepCommand
from rig.lan import Lan, stop
from rig.wait import until

from powerd.ui.http.connections import MAX_EVENT_STREAMS, MAX_TCP_CONNECTIONS

pytestmark = pytest.mark.lan

TESTS = Path(__file__).parents[1]
PORT = 8787
REACHED = {
    "idle": MAX_TCP_CONNECTIONS,
    "half requests": MAX_TCP_CONNECTIONS,
    "event streams": MAX_EVENT_STREAMS,
}
"""Connections that the daemon has while an attack lasts."""


def test_it_goes_on_while_its_http_server_is_attacked(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    config = sleep_command.config(clients='learn = "0s"\nleases = []\nhosts = ["10.77.1.9"]\n')
    config = config.replace("listen = []", f'listen = ["127.0.0.1:{PORT}"]')
    with Lan(tmp_path) as lan:
        lan.join("laptop").take("10.77.1.9/24")
        with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
            powerd.sees(**{"10.77.1.9": "present"})
            files, memory = powerd.open_files(), powerd.resident_mb()
            for name in ATTACKS:
                attacker = lan.server.inside.start(
                    *(sys.executable, "-m", "rig.attacks", name, str(PORT)), env={"PYTHONPATH": str(TESTS)}
                )
                reached = files + REACHED.get(name, 1)
                until(lambda: powerd.open_files() >= reached, f"the attack has begun: {name}", every=0.01)  # noqa: B023 - called at once
                fed = powerd.notified().count("WATCHDOG=1")
                assert powerd.states() == {"10.77.1.9": "present"}
                powerd.run_command("keep", "1h", "--because", name)
                powerd.awake_because(name)
                assert powerd.notified().count("WATCHDOG=1") > fed
                assert powerd.open_files() <= files + MAX_TCP_CONNECTIONS + 16, name
                assert attacker.poll() is None, name
                stop(attacker)
                until(lambda: powerd.open_files() <= files, f"all connections have ended: {name}")
            assert powerd.resident_mb() - memory < 30
        lines = powerd.log.read_text().splitlines()
        assert sum("which is the limit" in line for line in lines) == 1, "one line per episode"
        assert len(lines) < 20
        assert sleep_command.run_count() == 0
