"""The activity checks in the daemon: their source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from powerd.activity.check import CheckPorts, SleepOptions
from powerd.activity.source import ActivitySource
from powerd.attribution.model import Access
from powerd.config.options import Options, SleepRule
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Snapshot
from powerd.core.time import Unavailable
from powerd.disks.model import DISKS, DiskFacts
from powerd.linux.ports import Ports
from powerd.linux.values import HostError

_DEFAULT_RULE: Final = SleepRule()


class ActivityService(DomainService):
    """The service of the domain.

    Args:
        ports: the operating system.
        environment: from the daemon.
        accesses: returns AttributionReport.busy.
    """

    def __init__(
        self, ports: Ports, environment: Environment, accesses: Callable[[], Sequence[Access]]
    ) -> None:
        check_ports = CheckPorts(
            ports.files,
            ports.network,
            ports.logind,
            ports.helper,
            ports.processes,
            environment.clock,
            lambda: sleep_options(environment.options()),
            lambda: latest_disks(environment.state.snapshot()),
            accesses,
        )
        self.pollers = (environment.new_poller(ActivitySource(check_ports, environment.options)),)


def latest_disks(snapshot: Snapshot) -> DiskFacts | None:
    """The last reading of the source "disks"; None = it has not been polled yet.

    Raises:
        HostError: the disks cannot be read.
    """
    status = snapshot.sources.get(DISKS)
    if isinstance(status, Unavailable):
        raise HostError(status.reason)
    return None if status is None else snapshot.part(DiskFacts)


def sleep_options(options: Options) -> SleepOptions:
    """What checks may need of the options of sleep rules and wake-ups."""
    idle_for = min([rule.idle_for for rule in options.sleep], default=_DEFAULT_RULE.idle_for)
    return SleepOptions(idle_for, options.wake.min_sleep, options.wake.timers)
