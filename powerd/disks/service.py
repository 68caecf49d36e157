"""The disks in the daemon: their source, their state file, and the watches of stopped groups.

The decisions say what to poll and to watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from powerd.core.actions import ActionResult, RequestRefusedError
from powerd.core.clock import Clock
from powerd.core.poller import PollDepth
from powerd.core.service import Actuator, DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.time import Reading
from powerd.disks.actuator import describe_action, send_action
from powerd.disks.model import DiskAction, DiskEvents, DiskFacts, DiskId, GroupWatch, find_disk
from powerd.disks.policy import history
from powerd.disks.policy.transitions import CANNOT_SPIN_DOWN
from powerd.disks.policy.write_safety import may_write, would_start_disk
from powerd.disks.source.source import DiskSource
from powerd.disks.state import DiskMemory, DiskReport, DisksMemory, DisksReport
from powerd.linux.ports import Files, Helper
from powerd.linux.values import HostError

_MIN_POLL_DISTANCE: Final = 5.0
"""Least seconds between two extra polls."""
_WATCH_RETRY_AFTER: Final = 300.0
"""Seconds until a failed watch is retried; by then the helper has ended what the failed one began."""


class GroupWatches:
    """Keeps the watches of the latest decision running.

    Args:
        helper: waits for the first access.
        state: gets each group spin-up.
        clock: dates them.
        on_error: called with each error, one sentence.
    """

    def __init__(
        self, helper: Helper, state: StateStore, clock: Clock, on_error: Callable[[str], None]
    ) -> None:
        self._helper = helper
        self._state = state
        self._clock = clock
        self._on_error = on_error
        self._running: dict[GroupWatch, asyncio.Task[None]] = {}
        self._failed_at: dict[GroupWatch, float] = {}

    def update(self, watches: tuple[GroupWatch, ...]) -> None:
        """Run these watches and no others."""
        for watch in self._running.keys() - set(watches):
            self._running.pop(watch).cancel()
        now = self._clock.now().mono
        for watch in watches:
            if (
                watch not in self._running
                and now - self._failed_at.get(watch, -_WATCH_RETRY_AFTER) >= _WATCH_RETRY_AFTER
            ):
                self._running[watch] = asyncio.get_running_loop().create_task(self._watch(watch))

    async def _watch(self, watch: GroupWatch) -> None:
        try:
            spin_up = await self._helper.wait_first_access(watch.disks)
        except HostError as error:
            self._on_error(f"{watch.group}: its disks will spin up one by one: {error}")
            self._failed_at[watch] = self._clock.now().mono
            self._running.pop(watch, None)
            return
        # The watch counts as running until a decision that knows of the spin-up no longer contains it.
        self._failed_at.pop(watch, None)
        events = self._state.snapshot().part(DiskEvents)
        reading = Reading(self._clock.now().mono, spin_up)
        group_spin_ups = {**events.group_spin_ups, watch.group: reading}
        self._state.put(replace(events, group_spin_ups=group_spin_ups))


class DiskService(DomainService):
    """The service of the domain.

    Args:
        files, helper: the ports.
        environment: from the daemon; the disks are polled at the interval of the clients.
    """

    def __init__(self, files: Files, helper: Helper, environment: Environment) -> None:
        clock, state = environment.clock, environment.state
        self._helper = helper
        self._clock = clock
        self._state = state
        self._options = environment.options
        self._store = environment.storage
        self._directory = str(self._store.directory or "")
        self._boot_id = environment.boot_id
        self._source = DiskSource(files, clock, self._options().clients.every)
        self._poller = environment.new_poller(self._source)
        self.pollers = (self._poller,)
        self._source.poll_soon = self._poller.poll_soon
        self._group_watches = GroupWatches(helper, state, clock, environment.on_error)
        disks = history.restore(
            self._store.load("disks", history.DisksDocument).value, self._boot_id, clock.now()
        )
        self.memory = (DisksMemory(disks),)
        self.actuators = {DiskAction: Actuator(self.execute, describe_action)}
        self._remembered: Mapping[DiskId, DiskMemory] = disks
        self._current: history.StoredDisks = history.stored_disks(disks)
        self._stored = self._current
        self._poll_timer: asyncio.TimerHandle | None = None
        self._polled_at = float("-inf")
        self._reports: tuple[DiskReport, ...] = ()

    def on_reconfigure(self) -> None:
        """Poll at the interval of the clients, so that the CPU wakes up once for all."""
        self._source.poll_interval = self._options().clients.every

    def on_decision(self, status: Status) -> None:
        """Apply what a decision says besides its actions."""
        decision = status.decision
        report = decision.part(DisksReport)
        self._reports = report.disks
        self._group_watches.update(report.watched_groups)
        self._schedule_poll(report.next_disk_poll_at)
        remembered = decision.memory.part(DisksMemory).disks
        if remembered != self._remembered:
            self._remembered, self._current = remembered, history.stored_disks(remembered)
        if self._current != self._stored and self.may_write():
            self.save()

    def may_write(self) -> bool:
        """Whether a write to the state directory starts no disk and keeps none from spinning down."""
        activity = self._state.snapshot().part(DiskFacts).activity
        return may_write(self._directory, self._reports, activity, self._clock.now())

    async def execute(
        self, action: DiskAction, describe: Callable[[Any], str] = describe_action
    ) -> ActionResult:
        """Execute an action; its commands to the drive do not count as use.

        Args:
            action: an action of this domain, or of one above it.
            describe: describes the action in the past tense.
        """
        self._source.begin_action(action.disk)
        commands = 0
        try:
            result = await send_action(action, self._helper, describe)
            commands = result.commands
        finally:  # without it, the activity of the disk stops changing on Linux before 5.18
            self._source.end_action(action.disk, commands)
        return result

    async def request_standby(self, name: str) -> tuple[DiskId, ...]:
        """Request the spin-down of a disk and its group; the next use of the group cancels the request.

        Args:
            name: the disk's id, device or serial number.

        Raises:
            RequestRefusedError: there is no such disk, several match, or the disk cannot be spun down.
        """
        disk = find_disk((each.disk for each in self._reports), name)
        report = next((each for each in self._reports if each.disk is disk), None)
        if report is None:
            raise RequestRefusedError(f'there is no disk "{name}"; `powerd disks` lists all', not_found=True)
        if not report.state.can_spin_down:
            reason = report.reason.removeprefix(CANNOT_SPIN_DOWN)
            raise RequestRefusedError(f"{report.disk.device} {CANNOT_SPIN_DOWN}{reason}")
        await self._poller.poll(PollDepth.ROUTINE)  # use before the request does not cancel it
        group, now = report.disk.group, self._clock.now().mono
        members = [each.disk.id for each in self._reports if group is not None and each.disk.group == group]
        events = self._state.snapshot().part(DiskEvents)
        requests = {**events.spin_down_requests, **dict.fromkeys(members or [report.disk.id], now)}
        self._state.put(replace(events, spin_down_requests=requests))
        return tuple(members) or (report.disk.id,)

    def save(self) -> None:
        """Write the state file."""
        if self._current == self._stored:
            return
        document = history.make_document(self._current, self._boot_id, self._clock.now())
        self._store.save("disks", document)
        self._stored = self._current

    def close(self) -> None:
        """End the watches and write the state file.

        That starts a disk only if a spin-down would be lost otherwise, and with it a part of the daily limit.
        """
        self._group_watches.update(())
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        budget_at_risk = history.has_new_spin_downs(self._stored, self._current)
        if budget_at_risk or not would_start_disk(self._directory, self._reports):
            self.save()

    def _schedule_poll(self, when: float) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        if when < float("inf"):
            poll_at = max(when, self._polled_at + _MIN_POLL_DISTANCE)
            self._poll_timer = asyncio.get_running_loop().call_at(poll_at, self._poll_now)

    def _poll_now(self) -> None:
        self._poll_timer = None
        self._polled_at = self._clock.now().mono
        self._poller.poll_soon()
