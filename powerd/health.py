"""The health's part of the daemon: what is remembered of each drive, and whom findings are told.

It holds no rule: when a drive is checked, and what that means, policy says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from powerd.board import Board
from powerd.clock import Clock
from powerd.model import (
    Answered,
    Checked,
    CheckHealth,
    Decision,
    Disk,
    DiskId,
    Done,
    Finding,
    Order,
    Record,
    RefusedError,
    StartTest,
    Trouble,
)
from powerd.model.disk_names import named
from powerd.policy.disks.writes import may_write, would_wake
from powerd.policy.findings import news
from powerd.policy.smart import talks
from powerd.records import Records
from powerd.store import Store

_UNTOUCHED: Final = frozenset({Trouble.UNREACHED, Trouble.GONE, Trouble.BUSY})
"""What kept an order from getting as far as the drive."""


class Health:
    """See the module.

    Args:
        board: where records go.
        clock: says when a drive was checked.
        store: what outlives a restart; None = nothing does.
        complain: called with each fault that is no status, one sentence.
        alert: called with each finding that has not been told.
    """

    def __init__(
        self,
        board: Board,
        clock: Clock,
        store: Store | None,
        complain: Callable[[str], None],
        alert: Callable[[Disk, Finding], None],
    ) -> None:
        self._board = board
        self._clock = clock
        self._directory = str(store.directory) if store else ""
        self._alert = alert
        self._records = Records(store, self._may_write, complain)
        self._decision: Decision | None = None
        self._woken: set[str] = set()

    def told(self, decision: Decision) -> None:
        """Take up drives that are new, and tell what is new of the others."""
        self._decision = decision
        now = self._clock.now().wall.timestamp()
        changed: dict[DiskId, Record] = {}
        for disk in (report.disk for report in decision.disks if talks(report.disk)):
            report = decision.smart.get(disk.id)
            if report is None:
                changed[disk.id] = self._records.of(self._name(disk), now)
            elif report.findings != report.record.told:
                for finding in news(report.record.told, report.findings):
                    self._alert(disk, finding)
                changed[disk.id] = self._records.told(self._name(disk), report.findings, now)
        self._remember(changed)
        self._records.write()

    def obeyed(self, order: Order, done: Done) -> None:
        """A drive has been checked, or told to test itself; or could not be."""
        disk = self._disk(order.disk) if isinstance(order, CheckHealth | StartTest) else None
        if disk is None:
            return
        now, found = self._clock.now().wall.timestamp(), done.found
        name = self._name(disk)
        if isinstance(order, CheckHealth) and order.wake:
            self._woken.add(name)
        match order, found:
            case CheckHealth(), Checked():
                record = self._records.add(name, replace(found.health, at=now), found.kind)
            case CheckHealth(wake=True), Trouble() if found not in _UNTOUCHED:
                record = self._records.woken(name, now)
            case StartTest(test=test), Answered():
                record = self._records.tested(name, test, now)
            case _:
                return
        self._remember({disk.id: record})

    def find(self, word: str) -> tuple[Disk, str]:
        """The drive of this id, device or serial number, and how smartctl reaches it.

        Raises:
            RefusedError: there is none, there are several, or it does not tell of its health.
        """
        disk = named((report.disk for report in self._decision.disks) if self._decision else (), word)
        if disk is None:
            raise RefusedError(
                f'there is no disk "{word}"; `powerd smart` names those that there are', unknown=True
            )
        if not talks(disk):
            raise RefusedError(f"{disk.device} does not tell of its health")
        return disk, self._records.of(self._name(disk), self._clock.now().wall.timestamp()).kind

    def close(self) -> None:
        """Keep what has not been written yet.

        A disk is woken for it only where it would be forgotten that a drive was, and that be woken again; all
        else the drives still know.
        """
        dear = self._woken & self._records.waiting
        reports = self._decision.disks if self._decision else ()
        self._records.write(anyway=bool(dear) or not would_wake(self._directory, reports))

    def _name(self, disk: Disk) -> str:
        """What its record goes by: the serial number, unless a bridge gives one and the same to several."""
        disks = [report.disk for report in self._decision.disks] if self._decision else []
        twins = sum(each.serial == disk.serial for each in disks)
        return f"{disk.serial} {disk.id}" if twins > 1 else disk.serial

    def _disk(self, name: DiskId) -> Disk | None:
        return self._board.snapshot().disks.get(name)

    def _remember(self, records: Mapping[DiskId, Record]) -> None:
        if records:
            self._board.remember(records)

    def _may_write(self) -> bool:
        """Whether the disk that holds the records is awake; not before the first decision has told of any."""
        if self._decision is None:
            return False
        activity = self._board.snapshot().activity
        return may_write(self._directory, self._decision.disks, activity, self._clock.now())
