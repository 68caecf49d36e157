"""The base class of everything that a decision can demand of one disk."""

from __future__ import annotations

from powerd.core.actions import Action
from powerd.disks.disk_id import DiskId


class DiskAction(Action):
    """An action on one disk."""

    __slots__ = ()
    disk: DiskId

    @property
    def target(self) -> DiskId:
        """The disk."""
        return self.disk
