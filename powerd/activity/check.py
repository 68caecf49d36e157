"""What an activity check is: its declaration, its interface, and the ports that it may use."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from powerd.core.dataclass import dataclass
from powerd.linux.values import HostError

if TYPE_CHECKING:  # powerd check does without these
    from powerd.activity.model import Activity
    from powerd.attribution.model import Access
    from powerd.core.clock import Clock
    from powerd.core.poller import PollDepth
    from powerd.disks.model import DiskFacts
    from powerd.linux.ports import Files, Helper, Logind, Network, Processes


class NotApplicableError(HostError):
    """This machine does not have the interface that the check reads (no ZFS, no PSI).

    It does not keep the server awake. After a poll that has measured something it counts as any other
    HostError.
    """


class SleepOptions(NamedTuple):
    """The options of sleep rules and wake-ups that a check may need.

    Attributes:
        idle_for: the shortest ``sleep.idle_for``, seconds.
        min_sleep: ``wake.min_sleep``, seconds.
        timers: ``wake.timers``.
    """

    idle_for: float
    min_sleep: float
    timers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckPorts:
    """The operating system as a check sees it.

    Attributes:
        files, network, logind, helper, processes: the five ports.
        clock: of the host.
        sleep_options: returns the options in force.
        disks: returns what the source "disks" has read last, in this round or in the one before; None = it
            has not been polled yet. Raises HostError if the disks cannot be read.
        accesses: returns who has used each disk within the last hour, most first (AttributionReport.busy).
    """

    files: Files
    network: Network
    logind: Logind
    helper: Helper
    processes: Processes
    clock: Clock
    sleep_options: Callable[[], SleepOptions]
    disks: Callable[[], DiskFacts | None]
    accesses: Callable[[], Sequence[Access]] = tuple

    @property
    def idle_for(self) -> float:
        """The shortest ``sleep.idle_for`` in force, seconds."""
        return self.sleep_options().idle_for


class Check(Protocol):
    """One configured check. An instance exists as long as its options stay the same."""

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """Measure once; concurrent with other checks, never with itself.

        Raises:
            NotApplicableError: this machine does not have the interface.
            HostError: the measurement failed; one sentence with what, where and the remedy.
        """
        ...


@dataclass(frozen=True, slots=True)
class CheckKind:
    """The declaration of a check; each module of ``activity/checks/`` has one, named ``KIND``.

    Attributes:
        name: of the table in ``[activity]``, and of the module.
        options: a frozen dataclass of option() fields. Its ``__post_init__`` may raise ValueError, each of
            its ``args`` one clause, for invalid combinations. The framework adds ``enabled``, ``on_error``
            and, if ``many``, ``name``.
        new: makes the check from its options and the ports.
        default_on: the check runs without a table of its own.
        many: the configuration has a list of tables, ``[[activity.http]]``, each with a name.
        near_sleep_only: the check is polled when a sleep is near, and while its last result kept the server
            awake, after failures at growing intervals; for a child process, the helper or a slow server.
        example: the options that the sample configuration shows; None = the defaults.
    """

    name: str
    options: type[Any]
    new: Callable[[Any, CheckPorts], Check]
    default_on: bool = False
    many: bool = False
    near_sleep_only: bool = False
    example: object | None = None

    @property
    def manual(self) -> str:
        """What counts, what does not, and the source of the interface: the docstring of its module."""
        return inspect.cleandoc(sys.modules[self.new.__module__].__doc__ or "")

    @property
    def summary(self) -> str:
        """The first line of the manual."""
        return self.manual.partition("\n")[0]
