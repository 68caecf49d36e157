"""The service on a booted Debian: real systemd, logind and polkit, the unit as it ships, a client on its LAN.

The tests share one boot and run in the order they stand in: the last one powers the machine off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from rig.boot import Booted, CannotBootError
from rig.lan import Host, Lan
from rig.wait import until

pytestmark = pytest.mark.lan

POWERD: Final = "/opt/powerd/bin/powerd"
CONFIG: Final = """\
mode = "{mode}"
[clients]
leases = []
hosts = ["10.77.1.9"]
learn = "0s"
every = "5s"
timeout = "0.3s"
absent_after = "6s"
[[sleep]]
action = "poweroff"
idle_for = "2s"
warn = "0s"
[awake]
after_start = "0s"
after_resume = "0s"
"""


class Night:
    """The booted server, and the one client that keeps it up."""

    def __init__(self, server: Booted, laptop: Host) -> None:
        self.server = server
        self.laptop = laptop

    def status(self) -> dict[str, Any]:
        """``powerd status --json`` on the server."""
        status: dict[str, Any] = json.loads(self.server.run(POWERD, "status", "--json", check=False) or "{}")
        return status

    def shown(self, name: str) -> str:
        """One property of the unit (systemctl(1), show)."""
        return self.server.run("systemctl", "show", "--value", f"--property={name}", "powerd")

    def configure(self, mode: str) -> None:
        """Write a configuration; it takes a reload to be in force."""
        self.server.lay("etc/powerd/powerd.toml", CONFIG.format(mode=mode))


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    scratch = tmp_path_factory.mktemp("boot")
    with Lan(scratch) as lan:
        laptop = lan.join("laptop")
        laptop.take("10.77.1.9/24")
        try:
            with Booted(scratch, lan.server.inside) as server:
                server.install_powerd()
                night = Night(server, laptop)
                night.configure("observe")
                server.boot()
                yield night
        except CannotBootError as error:
            pytest.skip(str(error))


def test_unit_starts_and_is_ready(night: Night) -> None:
    """With Type=notify ``systemctl start`` ends only after READY=1; and it sees the client in its sandbox."""
    night.server.run("systemctl", "start", "powerd")
    assert night.shown("ActiveState") == "active"
    until(lambda: night.status().get("state") == "awake", "the client is seen")
    assert "10.77.1.9" in night.shown("StatusText")
    pid = night.shown("MainPID")
    assert night.server.run("stat", "--format=%U", f"/proc/{pid}") == "powerd"
    held = night.server.run("grep", "CapEff", f"/proc/{pid}/status").split()[1]
    assert int(held, 16) == 1 << 13, "CAP_NET_RAW (capabilities(7)) and nothing else"


def test_journal_holds_the_fields(night: Night) -> None:
    lines = night.server.run("journalctl", "--unit=powerd", "--output=json").splitlines()
    entries = [entry for line in lines if "POWERD_EVENT" in (entry := json.loads(line))]
    assert entries
    assert all(len(entry["MESSAGE_ID"]) == 32 for entry in entries)


def test_only_root_and_its_group_may_ask(night: Night) -> None:
    asked = night.server.run("stat", "--format=%A %U %G", "/run/powerd/powerd.sock")
    assert asked == "srw-rw---- powerd powerd"


def test_bad_configuration_is_refused_on_reload(night: Night) -> None:
    night.server.lay("etc/powerd/powerd.toml", 'mode = "enforce"\n[clients]\nevry = "5s"\n')
    night.server.run("systemctl", "reload", "powerd")
    assert night.shown("ActiveState") == "active"
    assert night.status()["mode"] == "observe"
    assert "clients.evry: unknown key" in night.server.run("journalctl", "--unit=powerd", "--output=cat")


def test_hung_daemon_is_killed_and_started_again(night: Night) -> None:
    night.configure("observe")
    night.server.lay(
        "etc/systemd/system/powerd.service.d/short.conf", "[Service]\nWatchdogSec=12s\nRestartSec=0\n"
    )
    night.server.run("systemctl", "daemon-reload")
    night.server.run("systemctl", "restart", "powerd")
    assert night.shown("NRestarts") == "0"
    night.server.run("kill", "-STOP", night.shown("MainPID"))
    until(lambda: night.shown("NRestarts") == "1", "the watchdog has started it again", within=60, every=0.5)
    until(lambda: night.status().get("state") == "awake", "it sees the client again", within=40)


def test_good_configuration_is_taken_on_reload(night: Night) -> None:
    night.configure("enforce")
    night.server.run("systemctl", "reload", "powerd")
    until(lambda: night.status().get("mode") == "enforce", "the new mode is in force")


def test_inhibitor_lock_is_heard(night: Night) -> None:
    """Somebody holds a block lock while everybody is gone: logind refuses, and that is the reason shown."""
    lock = ["systemd-inhibit", "--what=shutdown", "--who=backup", "--why=night backup", "--mode=block"]
    night.server.run("systemd-run", "--unit=backup", *lock, "sleep", "infinity")
    until(lambda: "night backup" in night.server.run("systemd-inhibit", "--list"), "the lock is held")
    night.laptop.leave()
    until(
        lambda: "could not power off" in night.server.run(POWERD, "why", check=False),
        "the refusal is a reason",
        within=60,
        every=0.5,
    )
    assert "backup" in night.server.run(POWERD, "why")
    night.laptop.come_back()
    until(lambda: night.status().get("state") == "awake", "the client is back", within=40)
    night.server.run("systemctl", "stop", "backup")


def test_powers_off_after_the_last_has_left(night: Night) -> None:
    """By its own right as user powerd, over D-Bus, logind and polkit, down to the end of the machine."""
    nspawn = night.server.nspawn
    assert nspawn is not None
    assert nspawn.poll() is None
    night.laptop.leave()
    until(lambda: nspawn.poll() is not None, "the machine is off", within=90)
    assert nspawn.returncode == 0
