"""Records the blockers of each decision."""

from __future__ import annotations

from powerd.core.service import DomainService
from powerd.core.snapshot import Status
from powerd.history.model import BlockerTimes
from powerd.history.policy import record_blockers


class HistoryService(DomainService):
    """The history of one daemon, in memory.

    Attributes:
        blocker_times: how long each blocker has lasted.
    """

    def __init__(self) -> None:
        self.blocker_times = BlockerTimes()

    def on_decision(self, status: Status) -> None:
        """Add the time since the decision before."""
        self.blocker_times = record_blockers(self.blocker_times, status.decision.reasons, status.now)
