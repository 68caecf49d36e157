"""Drives that have a bad day, or are not to be disturbed: each keeps its trouble to itself."""

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
"""Seconds for which a drive is waited for that does not answer."""


class Bays(NamedTuple):
    """A healthy drive, one that will hang, one that tests itself, and one with data on their way to it."""

    healthy: Drive
    dying: Drive
    testing: Drive
    written: Drive


@pytest.fixture
def lazy(server: Server) -> Iterator[None]:
    """What is written reaches no disk before it has been asked what its drive waits for."""
    name = "vm.dirty_expire_centisecs"
    usual = server.run("sysctl", "--values", name)
    server.run("sysctl", "--quiet", f"{name}=60000")
    yield
    server.run("sysctl", "--quiet", f"{name}={usual}")


@pytest.fixture
def bays(drives: Drives) -> Bays:
    return Bays(*drives.plug_in(healthy={}, dying={}, testing={"self_test": TEST}, written={}))


def waits(server: Server, drive: Drive, words: str) -> None:
    """Wait until powerd says, in these words, what keeps the drive from its sleep."""

    def said() -> bool:
        return words in disks(server).get(drive.id, {}).get("waits", "")

    until(said, f"{drive.name}: {words}", within=240, every=0.5)


@pytest.mark.usefixtures("lazy")
def test_trouble_stays_where_it_is(server: Server, powerd: Powerd, bays: Bays) -> None:
    """A drive hangs, one tests itself, one is about to be written to; the fourth sleeps on time."""
    with mounted(server, bays.written.path, "/mnt/written") as film:
        powerd.start(config(AFTER))
        pid = powerd.pid()
        server.run("smartctl", "--test=short", bays.testing.path)
        server.run("sh", "-c", f"echo remember >> {film}")
        bays.dying.hang()
        until(bays.healthy.rests, "the healthy one sleeps", within=AFTER + 180, every=0.5)
        slept, hung = bays.healthy.log("spun down")[-1], bays.dying.log("hangs")[-1]
        assert slept.at - hung.at < AFTER + GIVEN_UP, "before the other one can have been given up"
        waits(server, bays.written, "written")
        waits(server, bays.testing, "self-test")
        waits(server, bays.dying, "does not answer")
        assert states(server, bays.dying) == ["hung"]
        assert (powerd.pid(), powerd.restarts()) == (pid, 0)
        assert powerd.status()["trouble"] is None
        assert not bays.testing.log("spun down")
        assert not bays.written.log("spun up")
    bays.dying.recover()
