"""powerd beside the real logind: its locks, what it says of those of others, and a shutdown by hand.

The tests share one boot and run in the order they stand in: the last one powers the machine off.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from rig.boot import CannotBootError
from rig.sleeping_server import POWERD, SleepingServer, installed_server
from rig.wait import until

pytestmark = pytest.mark.lan

HOOKS = """
[hooks]
before_sleep = ["/usr/bin/touch", "/var/lib/powerd/good-night"]
"""


@pytest.fixture(scope="module")
def sleeping_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SleepingServer]:
    try:
        with installed_server(tmp_path_factory.mktemp("boot")) as server_with_laptop:
            server_with_laptop.configure("enforce", HOOKS, action="suspend")
            (server_with_laptop.server.root / "var/log/journal").mkdir(parents=True, exist_ok=True)
            server_with_laptop.server.boot()
            server_with_laptop.server.run("systemctl", "start", "powerd")
            yield server_with_laptop
    except CannotBootError as error:
        pytest.skip(str(error))


def events(journal: str) -> list[dict[str, str]]:
    """Powerd's lines of ``journalctl --output=json``."""
    return [line for text in journal.splitlines() if "POWERD_EVENT" in (line := json.loads(text))]


def warned(sleeping_server: SleepingServer) -> str:
    """All that it gives as reasons, whether they keep it awake or not."""
    return "\n".join(reason["text"] for reason in sleeping_server.status()["decision"]["reasons"])


def noted(sleeping_server: SleepingServer) -> list[dict[str, str]]:
    """Powerd's lines up to now."""
    return events(sleeping_server.server.run("journalctl", "--unit=powerd", "--output=json"))


def test_an_action_that_this_machine_cannot_take_is_a_warning_at_start(
    sleeping_server: SleepingServer,
) -> None:
    """No container can suspend: logind answers "na", or from systemd 257 on why."""
    sleeping_server.awake_because("10.77.1.9: home")
    until(lambda: "will not work" in warned(sleeping_server), "logind has been asked")
    (output,) = (text for text in warned(sleeping_server).splitlines() if "will not work" in text)
    assert re.match(r'sleep rule 1 .*"(na|Read-only file system)" for suspend', output)
    assert "sleep rule 1" in sleeping_server.server.run(POWERD, "why")
    assert "1: see `powerd why`" in sleeping_server.server.run(POWERD, "status")
    report = until(
        lambda: [line for line in noted(sleeping_server) if output in line["MESSAGE"]], "it is noted"
    )
    assert [(line["POWERD_EVENT"], line["PRIORITY"]) for line in report] == [("remark", "4")]


def test_it_is_waited_for_before_a_sleep_of_others(sleeping_server: SleepingServer) -> None:
    uid = int(sleeping_server.server.run("id", "--user", "powerd"))
    wanted = {("sleep", "delay", uid), ("shutdown", "delay", uid)}
    until(
        lambda: {(lock["what"], lock["mode"], lock["uid"]) for lock in sleeping_server.locks()} == wanted,
        "both are held",
    )


def blocks(sleeping_server: SleepingServer) -> set[str]:
    """Why powerd blocks, if it does so in every way."""
    found = [
        (lock["what"], lock["why"]) for lock in sleeping_server.locks() if lock["mode"].startswith("block")
    ]
    reasons = {why for _, why in found}
    return reasons if len(found) == 3 * len(reasons) else {"not yet"}


def test_a_keep_is_a_lock_that_everybody_sees_and_goes_with_its_end(sleeping_server: SleepingServer) -> None:
    sleeping_server.server.run(POWERD, "keep", "1h", "--because", "backup")
    until(lambda: blocks(sleeping_server) == {"backup"}, "the lock is held")
    assert "backup" in sleeping_server.server.run("systemd-inhibit", "--list")
    sleeping_server.server.run(POWERD, "keep", "1h", "--because", "scrub")
    until(lambda: blocks(sleeping_server) == {"backup; scrub"}, "it says both")
    for number in ("1", "2"):
        sleeping_server.server.run(POWERD, "keep", "--drop", number)
    until(lambda: blocks(sleeping_server) == set(), "the lock is gone")


def test_locks_go_with_a_daemon_that_is_killed_and_come_back_with_the_next(
    sleeping_server: SleepingServer,
) -> None:
    sleeping_server.server.run(POWERD, "keep", "1h", "--because", "backup")
    until(lambda: blocks(sleeping_server) == {"backup"}, "the lock is held")
    killed = int(sleeping_server.shown("MainPID"))
    sleeping_server.server.run("kill", "-KILL", str(killed))
    until(
        lambda: not any(lock["pid"] == killed for lock in sleeping_server.locks()), "none is left", every=0.2
    )
    until(lambda: blocks(sleeping_server) == {"backup"}, "the next daemon holds it", within=180, every=0.5)
    sleeping_server.server.run(POWERD, "keep", "--drop", "3")


def test_a_shutdown_by_hand_finds_it_prepared(sleeping_server: SleepingServer) -> None:
    """logind waits, and the hook runs before the sleep; the journal is read afterwards, from outside."""
    until(
        lambda: [lock["mode"] for lock in sleeping_server.locks()] == ["delay", "delay"],
        "logind waits for it",
        within=180,
    )
    nspawn = sleeping_server.server.nspawn
    assert nspawn is not None
    sleeping_server.server.run("systemctl", "poweroff")
    until(lambda: nspawn.poll() is not None, "the machine is off", within=240)
    assert (sleeping_server.server.root / "var/lib/powerd/good-night").exists()
    directory = f"--directory={sleeping_server.server.root}/var/log/journal"
    read = ["journalctl", directory, "--unit=powerd", "--output=json"]
    done = subprocess.run(read, capture_output=True, text=True, check=True)
    report = [line for line in events(done.stdout) if line["POWERD_EVENT"] == "going-down"]
    (line,) = report
    assert line["POWERD_REASON"].startswith("another program")
