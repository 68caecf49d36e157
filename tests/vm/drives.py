"""Simulated hard drives for the virtual server: attached, inspected, detached.

Each is a program in the server (``drive_simulator``) behind the kernel's own SCSI stack, so udev, hdparm
and smartctl see a SATA disk. Tests read its log and its state.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rig.wait import until
from vm.drive_simulator.drive import Traits
from vm.drive_simulator.record import DIRECTORY

from powerd.disks.model import DiskId

if TYPE_CHECKING:
    from vm.server import Server

_PROGRAM: Final = Path(__file__).parent / "drive_simulator"
_PLUGGED: Final = 300
"""Seconds; about ten where nothing else is running."""
_PLACE: Final = "/opt/drive-simulator"
_MODEL: Final = Traits().model
PLAIN: Final = "/dev/disk/by-id/ata-QEMU_HARDDISK_PLAIN"
"""QEMU's own SATA disk, which takes every command and has no spindle: it always says "active/idle"."""


@dataclass(frozen=True)
class Event:
    """A line of a drive's log: a command that it received, or what it did.

    Attributes:
        at: CLOCK_MONOTONIC of the server in seconds, as in service.JournalEntry.
        what: e.g. ``standby-immediate``; drive_simulator defines the words.
    """

    at: float
    what: str


@dataclass(frozen=True)
class State:
    """The state and the counters of a drive; the counters are those of drive_simulator.drive.Counts."""

    power: str
    timer: int
    apm: int
    starts: int
    reads: int
    writes: int
    commands: int
    smart_reads: int


@dataclass(frozen=True)
class Drive:
    """One attached drive.

    Attributes:
        name: the name of its files and its unit.
        id: its name in /dev/disk/by-id, by which powerd identifies it.
    """

    name: str
    id: DiskId
    _server: Server

    @property
    def path(self) -> str:
        """Its stable device path."""
        return f"/dev/disk/by-id/{self.id}"

    def kernel(self) -> str:
        """Its present kernel name, e.g. ``sdb``; "" while udev does not know the drive."""
        return self._server.run("udevadm", "info", "--query=name", self.path, check=False)

    def state(self) -> State:
        """Its present state."""
        return State(**json.loads(self._server.run("cat", f"{DIRECTORY}/{self.name}.json")))

    def log(self, *words: str) -> list[Event]:
        """Its log since it was attached, oldest line first: all, or what begins with one of ``words``."""
        lines = self._server.run("cat", f"{DIRECTORY}/{self.name}.log").splitlines()
        split = (line.partition(" ") for line in lines)
        events = [Event(float(at), what) for at, _, what in split]
        return [event for event in events if not words or event.what.startswith(words)]

    def rests(self) -> bool:
        """Whether the drive is spun down."""
        return self.state().power == "standby"

    def hang(self) -> None:
        """Let the drive hang: it answers no command until recover()."""
        self._signal("USR1")

    def recover(self) -> None:
        """Let the drive answer again, the pending commands first."""
        self._signal("USR2")

    def become(self, **traits: float) -> None:
        """Change traits of the running drive, such as the error counters of an ageing one."""
        before = len(self.log("changed"))
        self._server.lay(f"{DIRECTORY}/{self.name}.traits", json.dumps(traits))
        self._signal("HUP")
        until(lambda: len(self.log("changed")) > before, f"{self.name} has changed")

    def _signal(self, signal: str) -> None:
        self._server.run("systemctl", "kill", f"--signal={signal}", f"spindle-{self.name}")

    def powers(self) -> str:
        """The output of ``hdparm -C`` for the drive."""
        return self._server.run("hdparm", "-C", self.path).rpartition("is:")[2].strip()


def together(*drives: Drive) -> bool:
    """Whether the drives have spun up side by side: the last began before the first had ended."""
    start = max(drive.log("spins up")[-1].at for drive in drives)
    return start < min(drive.log("spun up")[-1].at for drive in drives)


class Drives:
    """The drive bays of ``server``; a drive is detached only when nothing on it is mounted."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._units: list[str] = []

    def plug_in(self, **bays: dict[str, Any]) -> list[Drive]:
        """Attach spinning drives, and wait until udev has named all of them.

        Args:
            bays: fields of drive_simulator.drive.Traits, by a short name; the serial number contains it.
        """
        self._bring_program()
        drives = [self._power_up(name, **traits) for name, traits in bays.items()]
        for drive in drives:
            until(drive.kernel, f"udev knows {drive.id}", within=_PLUGGED, every=0.2)
        self._server.run("udevadm", "settle")
        return drives

    def _power_up(self, name: str, **traits: Any) -> Drive:  # noqa: ANN401 - the fields of Traits, each of its own type
        kind = replace(Traits(serial=f"WD-{name.upper()}"), **traits)
        unit = f"spindle-{name}"
        self._units.append(unit)
        self._server.run(
            *("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--property=TimeoutStopSec=60s"),
            *(
                f"--setenv=PYTHONPATH={_PLACE}",
                "python3",
                "-m",
                "vm.drive_simulator",
                name,
                json.dumps(asdict(kind)),
            ),
        )
        return Drive(name, DiskId(f"ata-{kind.model}_{kind.serial}".replace(" ", "_")), self._server)

    def _bring_program(self) -> None:
        """Copy the drive simulator to the server, once per boot."""
        if not self._server.run("sh", "-c", f"test -d {_PLACE} || echo missing"):
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for source in sorted(_PROGRAM.glob("*.py")):
                tar.add(source, f"vm/drive_simulator/{source.name}")
        unpack = f"mkdir {_PLACE} && base64 --decode | tar --extract --gzip --directory={_PLACE}"
        self._server.run("sh", "-c", unpack, given=base64.b64encode(packed.getvalue()).decode())

    def pull_out(self) -> None:
        """Detach all drives, also those that hang."""
        if self._units and self._server.on:
            self._server.run("systemctl", "stop", *self._units, check=False)
        self._units.clear()
