"""Drives that hang or must not be disturbed: none affects another drive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest
from rig.wait import until
from vm.drives import Drive, Drives
from vm.drives_data import mounted
from vm.drives_watch import config, disks, states
from vm.server import Server
from vm.service import Powerd

pytestmark = pytest.mark.vm

AFTER: Final = 15
TEST: Final = 1800.0
"""Seconds that a self-test takes."""
GIVEN_UP: Final = 40
"""Seconds for which the helper waits for a drive that does not answer."""
WATCHED: Final = 36
"""Seconds for which powerd watches for dirty data before a spin-down."""


class DriveBays(NamedTuple):
    """A healthy drive, one that will hang, one with a running self-test, and one with dirty data."""

    healthy: Drive
    dying: Drive
    testing: Drive
    written: Drive


@pytest.fixture
def lazy(server: Server) -> Iterator[None]:
    """Delay write-back, so that written data stay dirty during the test."""
    name = "vm.dirty_expire_centisecs"
    usual = server.run("sysctl", "--values", name)
    server.run("sysctl", "--quiet", f"{name}=60000")
    yield
    server.run("sysctl", "--quiet", f"{name}={usual}")


@pytest.fixture
def drive_set(drives: Drives) -> DriveBays:
    return DriveBays(*drives.plug_in(healthy={}, dying={}, testing={"self_test": TEST}, written={}))


def waits(server: Server, drive: Drive, words: str) -> None:
    """Wait until powerd's reason why the drive is not spun down contains these words."""

    def reason() -> str | None:
        rows = disks(server)
        return rows[drive.id]["reason"] if rows else None

    until(
        reason,
        f"the reason of {drive.name} contains {words!r}",
        every=0.5,
        accept=lambda text: text is not None and words in text,
    )


@pytest.mark.usefixtures("lazy")
def test_an_error_stays_in_its_part(server: Server, powerd: Powerd, drive_set: DriveBays) -> None:
    """A drive hangs, one runs a self-test, one has dirty data; the fourth spins down on time."""
    with mounted(server, drive_set.written.path, "/mnt/written") as film:
        server.run("smartctl", "--test=short", drive_set.testing.path)
        server.run("sh", "-c", f"echo remember >> {film}")
        powerd.start(config(AFTER))
        pid = powerd.pid()
        drive_set.dying.hang()
        until(drive_set.healthy.rests, "the healthy drive is in standby", within=AFTER + 180, every=0.5)
        slept, unresponsive = drive_set.healthy.log("spun down")[-1], drive_set.dying.log("hangs")[-1]
        assert slept.at - unresponsive.at < AFTER + GIVEN_UP + WATCHED, "it does not wait for the other drive"
        waits(server, drive_set.written, "written")
        waits(server, drive_set.testing, "self-test")
        waits(server, drive_set.dying, "does not answer")
        assert states(server, drive_set.dying) == ["hung"]
        assert (powerd.pid(), powerd.restarts()) == (pid, 0)
        assert powerd.status()["error"] is None
        assert not drive_set.testing.log("spun down")
        assert not drive_set.written.log("spun up")
    drive_set.dying.recover()
