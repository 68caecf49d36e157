"""Keeps the history of drives' health, executes the results of checks, and notifies of findings.

The rules on when to check a drive, and on findings, are in policy, schedule and findings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from powerd.core.actions import ActionResult, RequestRefusedError
from powerd.core.service import Actuator, DomainService, Environment
from powerd.core.snapshot import Decision, Status
from powerd.disks.model import Disk, DiskAction, DiskFacts, DiskId, FailureCause, PowerStatus, find_disk
from powerd.disks.policy.write_safety import may_write, would_start_disk
from powerd.disks.state import DisksReport
from powerd.smart.actions import CheckHealth, HealthReading, StartTest
from powerd.smart.findings import new_findings
from powerd.smart.history import SmartHistory
from powerd.smart.model import Finding, SmartFacts, SmartRecord, SmartReports
from powerd.smart.policy import has_smart

_DRIVE_NOT_REACHED: Final = frozenset({FailureCause.HELPER_UNAVAILABLE, FailureCause.GONE, FailureCause.BUSY})
"""Causes that kept an action from reaching the drive."""


def describe_action(action: CheckHealth | StartTest) -> str:
    """The action in the past tense, for the message on its result."""
    match action:
        case CheckHealth():
            return "read its health"
        case StartTest(test=test):
            return f"started its {test} self-test"


class SmartService(DomainService):
    """Keeps the history, and notifies of new findings.

    Args:
        environment: from the daemon.
        notify: called with each finding that was not notified yet.
        execute: executes an action on a disk, which the given function describes.
    """

    is_essential = False

    def __init__(
        self,
        environment: Environment,
        notify: Callable[[Disk, Finding], None],
        execute: Callable[[DiskAction, Callable[[Any], str]], Awaitable[ActionResult]],
    ) -> None:
        self._state = environment.state
        self._clock = environment.clock
        self._directory = str(environment.storage.directory or "")
        self._notify = notify
        self._execute_disk_action = execute
        self.actuators = dict.fromkeys((CheckHealth, StartTest), Actuator(self._execute, describe_action))
        self._history = SmartHistory(environment.storage, self._may_write)
        self._decision: Decision | None = None

    def on_decision(self, status: Status) -> None:
        """Publish the records of new drives, and notify of new findings."""
        self._decision = decision = status.decision
        now = self._clock.now().wall.timestamp()
        changed: dict[DiskId, SmartRecord] = {}
        for disk in (report.disk for report in decision.part(DisksReport).disks if has_smart(report.disk)):
            report = decision.part(SmartReports).smart.get(disk.id)
            if report is None:
                changed[disk.id] = self._history.record_of(self._history_key(disk), now)
            elif (report.findings, report.acknowledged) != (
                report.record.notified_findings,
                report.record.acknowledged,
            ):
                for finding in new_findings(report.record.notified_findings, report.findings):
                    self._notify(disk, finding)
                changed[disk.id] = self._history.mark_notified(
                    self._history_key(disk), report.findings, now, report.acknowledged
                )
        self._publish(changed)
        self._history.write()

    async def _execute(self, action: CheckHealth | StartTest) -> ActionResult:
        result = await self._execute_disk_action(action, describe_action)
        self.on_completed(action, result)
        return result

    def on_completed(self, action: CheckHealth | StartTest, result: ActionResult) -> None:
        """Record the result of a check or of the start of a self-test."""
        disk = self._disk_of(action.disk)
        if disk is None:
            return
        now, found = self._clock.now().wall.timestamp(), result.answer
        name = self._history_key(disk)
        match action, found:
            case CheckHealth(may_wake=woken), HealthReading():
                record = self._history.add_check(
                    name, replace(found.health, checked_at=now), found.device_type, woken=woken
                )
            case CheckHealth(may_wake=True), FailureCause() if found not in _DRIVE_NOT_REACHED:
                record = self._history.mark_woken(name, now)
            case StartTest(test=test), PowerStatus():
                record = self._history.add_test_start(name, test, now)
            case _:
                return
        self._publish({disk.id: record})

    def find(self, query: str) -> tuple[Disk, str]:
        """The drive with this id, device or serial number, and the device type by which smartctl reached it.

        Raises:
            RequestRefusedError: there is none, there are several, or it does not report its health.
        """
        disk = find_disk(
            (report.disk for report in self._decision.part(DisksReport).disks) if self._decision else (),
            query,
        )
        if disk is None:
            raise RequestRefusedError(f'there is no disk "{query}"; `powerd smart` lists all', not_found=True)
        if not has_smart(disk):
            raise RequestRefusedError(f"{disk.device} does not report its health")
        return disk, self._history.record_of(
            self._history_key(disk), self._clock.now().wall.timestamp()
        ).device_type

    def acknowledge(self, query: str) -> DiskId:
        """Acknowledge all findings of the drive with this id, device or serial number; returns its id.

        Raises:
            RequestRefusedError: as find().
        """
        disk, _ = self.find(query)
        now = self._clock.now().wall.timestamp()
        self._publish({disk.id: self._history.acknowledge(self._history_key(disk), now)})
        return disk.id

    def close(self) -> None:
        """Write the changed records.

        A disk is woken for it only to record that a drive was woken, which would otherwise be repeated, or
        that a person has acknowledged findings; the drives still have the rest.
        """
        reports = self._decision.part(DisksReport).disks if self._decision else ()
        awake = not would_start_disk(self._directory, reports)
        self._history.write(force=self._history.has_irreplaceable or awake)

    def _history_key(self, disk: Disk) -> str:
        """The key of its record: the serial number, unless several drives behind a bridge have the same."""
        disks = [report.disk for report in self._decision.part(DisksReport).disks] if self._decision else []
        same_serial = sum(each.serial == disk.serial for each in disks)
        return f"{disk.serial} {disk.id}" if same_serial > 1 else disk.serial

    def _disk_of(self, name: DiskId) -> Disk | None:
        return self._state.snapshot().part(DiskFacts).disks.get(name)

    def _publish(self, records: Mapping[DiskId, SmartRecord]) -> None:
        if records:
            history = self._state.snapshot().part(SmartFacts).smart_history
            self._state.put(SmartFacts({**history, **records}))

    def _may_write(self) -> bool:
        """Whether the disk that holds the records is awake; False before the first decision."""
        if self._decision is None:
            return False
        activity = self._state.snapshot().part(DiskFacts).activity
        return may_write(self._directory, self._decision.part(DisksReport).disks, activity, self._clock.now())
