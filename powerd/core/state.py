"""The board: the latest fact per key, a change event, and snapshots of the whole. It interprets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from powerd.core.actions import Action, CompletedAction
from powerd.core.snapshot import Snapshot, SourceId
from powerd.core.time import Reading, Unavailable
from powerd.disks.disk_id import DiskId
from powerd.disks.model import Disk, DiskAction, DiskActivity, GroupSpinUp
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, ShutdownInProgress, SystemdTimer, WakeEvent
from powerd.presence.model import Client, ClientId, Observation
from powerd.requests.model import KeepAwake, KeepAwakeId
from powerd.smart.model import SmartRecord


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one look of a source gives back.

    Attributes:
        status: the source on itself: Seen with its warnings, or Blind.
        clients, observations, inhibitors, key_press, timers, network_cards, disks, activity: None = as
            they were.
    """

    status: Reading[tuple[str, ...]] | Unavailable
    clients: Mapping[ClientId, Client] | None = None
    observations: Mapping[ClientId, Reading[Observation] | Unavailable] | None = None
    inhibitors: tuple[Inhibitor, ...] | None = None
    key_press: KeyPress | None = None
    timers: tuple[SystemdTimer, ...] | None = None
    network_cards: Mapping[str, Reading[NetworkCard] | Unavailable] | None = None
    disks: Mapping[DiskId, Disk] | None = None
    activity: Mapping[DiskId, Reading[DiskActivity] | Unavailable] | None = None


_DATA_FIELDS: Final = tuple(field.name for field in fields(PollResult) if field.name != "status")
"""Named alike in the Snapshot."""


class StateStore:
    """Holds facts; each source name has one writer."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._changed = asyncio.Event()
        self._writers: set[SourceId] = set()

    def snapshot(self) -> Snapshot:
        """Everything known now, frozen."""
        return self._snapshot

    def register_writer(self, source: SourceId) -> None:
        """Become the one writer for ``source``.

        Raises:
            RuntimeError: it has a writer already.
        """
        if source in self._writers:
            raise RuntimeError(f"two writers for the facts of {source}")
        self._writers.add(source)

    def publish(self, source: SourceId, result: PollResult) -> None:
        """Replace what ``source`` said before."""
        old = self._snapshot
        new = {field: value for field in _DATA_FIELDS if (value := getattr(result, field)) is not None}
        self._set(replace(old, sources={**old.sources, source: result.status}, **new))

    def set_keep_awake(self, requests: Mapping[KeepAwakeId, KeepAwake]) -> None:
        """Replace who wants the server awake on purpose."""
        self._set(replace(self._snapshot, keep_awake=requests))

    def set_shutdown(self, shutdown: ShutdownInProgress | None) -> None:
        """The server is on its way down, by whomever's order; None = it is not, or no more."""
        self._set(replace(self._snapshot, shutdown=shutdown))

    def set_wake_event(self, wake_event: WakeEvent) -> None:
        """It has woken up, by this."""
        self._set(replace(self._snapshot, wake_event=wake_event))

    def action_started(self, action: Action) -> None:
        """``order`` is being obeyed from now on."""
        self._set(replace(self._snapshot, running_actions=self._snapshot.running_actions | {action}))

    def action_completed(self, completed: CompletedAction) -> None:
        """An order has been obeyed, well or badly."""
        old, action = self._snapshot, completed.action
        without_running = replace(old, running_actions=old.running_actions - {action})
        if isinstance(action, DiskAction):
            of_disks = {**old.completed_disk_actions, (type(action), action.disk): completed}
            self._set(replace(without_running, completed_disk_actions=of_disks))
        else:
            self._set(
                replace(without_running, completed_actions={**old.completed_actions, type(action): completed})
            )

    def add_group_spin_up(self, group: str, spin_up: GroupSpinUp) -> None:
        """A guarded group of disks has been woken as a whole."""
        self._set(replace(self._snapshot, group_spin_ups={**self._snapshot.group_spin_ups, group: spin_up}))

    def request_spin_down(self, requests: Mapping[DiskId, float]) -> None:
        """A person has wished disks to stand by, at the CLOCK_MONOTONIC of each."""
        old = self._snapshot
        self._set(replace(old, spin_down_requests={**old.spin_down_requests, **requests}))

    def update_smart_history(self, histories: Mapping[DiskId, SmartRecord]) -> None:
        """This is what is remembered of the health of these drives."""
        old = self._snapshot
        self._set(replace(old, smart_history={**old.smart_history, **histories}))

    def request_decision(self) -> None:
        """Have the next decision made now although no fact has changed: the configuration has."""
        self._changed.set()

    async def wait_for_change(self, deadline: float) -> bool:
        """Wait for a fact to change (True), or for loop time ``when`` (False); several changes are one."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def _set(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._changed.set()
