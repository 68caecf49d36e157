"""Simulates a SATA hard drive: ``python3 -m vm.drive_simulator NAME TRAITS``, traits as a JSON object.

The drive has no power while the server is suspended. SIGTERM detaches it. SIGUSR1 makes it hang: it answers
no command until SIGUSR2. SIGHUP applies the traits in the file NAME.traits beside its log. Needs root,
configfs, and the TCM-USER and loopback fabric of the kernel.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Thread

from vm.drive_simulator.drive import Drive, Traits
from vm.drive_simulator.record import DIRECTORY, Record
from vm.drive_simulator.ring import Ring
from vm.drive_simulator.scsi import Disk
from vm.drive_simulator.supply import Supply
from vm.drive_simulator.target import Target

_TURN = 0.25
"""Seconds between two looks at the standby timer."""
_STEP = 0.1


def _pass(seconds: float) -> None:
    """Wait in small steps, so that a suspend of the server costs at most one step."""
    for _ in range(round(seconds / _STEP)):
        time.sleep(_STEP)


class Program:
    """The drive ``name``, from its attachment to the kernel to its removal."""

    def __init__(self, name: str, traits: Traits) -> None:
        self._ends = False
        self._hangs = False
        self._changes = DIRECTORY / f"{name}.traits"
        self._record = Record(DIRECTORY, name)
        self._drive = Drive(traits, time.monotonic, _pass, self._record.note)
        self._disk = Disk(self._drive)
        self._target = Target(name, traits)
        self._supply = Supply()
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.signal(signal.SIGHUP, lambda *_: self._change())
        signal.signal(signal.SIGUSR1, lambda *_: self._hang(hangs=True))
        signal.signal(signal.SIGUSR2, lambda *_: self._hang(hangs=False))

    def run(self) -> None:
        """Attach the drive, serve its commands until SIGTERM, and detach it."""
        ring = Ring(self._target.create())
        self._serve(ring, self._target.plug_in)
        while not self._ends:
            self._turn(ring)
        self._serve(ring, self._target.pull_out)

    def _serve(self, ring: Ring, change: Callable[[], None]) -> None:
        """Run a change of the kernel's devices in a thread, and serve the commands that the kernel sends."""
        beside = Thread(target=change)
        beside.start()
        while beside.is_alive():
            self._turn(ring)

    def _turn(self, ring: Ring) -> None:
        ring.wait(_TURN)
        if self._hangs:
            time.sleep(_TURN)
            return
        if self._supply.was_off():
            self._drive.power_up()
        self._drive.tick()
        # The record is written before the response, so the sender finds its command there.
        ring.work(self._disk.answer, lambda: self._record.save(self._drive))
        self._record.save(self._drive)

    def _end(self) -> None:
        self._ends, self._hangs = True, False

    def _change(self) -> None:
        self._drive.traits = replace(self._drive.traits, **json.loads(self._changes.read_text()))
        self._record.note("changed")

    def _hang(self, *, hangs: bool) -> None:
        self._hangs = hangs
        self._record.note("hangs" if hangs else "answers again")


if __name__ == "__main__":
    Program(sys.argv[1], Traits(**json.loads(sys.argv[2]))).run()
