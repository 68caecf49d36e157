"""Values of the power domain: inhibitors, key presses, timers, network cards, wake times and wake-ups."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from powerd.core.actions import CompletedAction, WakeTime
from powerd.core.codec import pattern
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId
from powerd.core.time import Moment, Reading, Unavailable


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """An inhibitor lock of another process, from logind's ListInhibitors (org.freedesktop.login1(5)).

    Attributes:
        what: what it inhibits: ``sleep``, ``shutdown``, ``idle``, ``handle-lid-switch``, ...
        who, why: the holder's own texts.
        mode: ``block``, ``block-weak`` or ``delay``.
        uid, pid: of the holder.
    """

    what: frozenset[str]
    who: str
    why: str
    mode: str
    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class KeyPress:
    """The last key press in any login session.

    Attributes:
        at: CLOCK_MONOTONIC, with the kernel's resolution of 8 s.
        session: the session for display: ``alice on pts/0``.
    """

    at: float
    session: str


@dataclass(frozen=True, slots=True)
class SystemdTimer:
    """A systemd timer for which the server has to be awake (systemd.timer(5)).

    Attributes:
        unit: ``backup.timer``.
        wall: POSIX time of its next calendar elapse; None = it has none.
        mono: CLOCK_MONOTONIC of its next monotonic elapse (OnBootSec= and the like); None = it has none.
        pauses_in_sleep: its monotonic clock stops during sleep because it has no WakeSystem=; waking the
            server for it would be useless.
    """

    unit: str
    wall: float | None = None
    mono: float | None = None
    pauses_in_sleep: bool = False


MAGIC_PACKET: Final = "g"
"""The magic packet's letter in ethtool(8)."""
WOL_FLAGS: Final = "pumbagsf"
"""Ways to wake by the network, by the letters of ethtool(8), in the order of the kernel's bits: PHY activity,
unicast, multicast, broadcast, ARP, magic packet, SecureOn password, filter."""
WolFlags: TypeAlias = Annotated[
    str,
    pattern(
        "".join(f"{letter}?" for letter in WOL_FLAGS),
        f"letters of {WOL_FLAGS!r}, each at most once and in this order",
    ),
]
InterfaceName: TypeAlias = Annotated[
    str,
    pattern(r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}", "an interface's name of 1 to 15 letters, digits or _.:@-"),
]


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """The Wake-on-LAN setting of a network card.

    Attributes:
        interface: its name.
        supported, armed: letters of WOL_FLAGS; "" = in no way.
    """

    interface: InterfaceName
    supported: WolFlags
    armed: WolFlags


@dataclass(frozen=True, slots=True)
class ShutdownInProgress:
    """logind has announced a sleep or shutdown, and waits a few seconds for delay locks.

    Attributes:
        since: CLOCK_MONOTONIC.
        kind: ``sleep`` or ``shutdown``.
    """

    since: float
    kind: str


class WakeupCause(enum.StrEnum):
    """The cause of a wake-up that the kernel reports."""

    ALARM = "alarm"
    NETWORK = "network"
    BUTTON = "button"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WakeEvent:
    """One wake-up of the server.

    Attributes:
        at: CLOCK_MONOTONIC at which it was detected.
        cause: its cause.
        detail: the kernel's details, e.g. ``wake-up source 0000:00:03.0 (eth0)``; "" = none.
        clock_advanced: whether CLOCK_BOOTTIME did; some kernels measure sleep in whole seconds of an RTC.
        slept: seconds asleep by the clocks, also before powerd was restarted during the sleep.
    """

    at: float
    cause: WakeupCause
    detail: str = ""
    clock_advanced: bool = True
    slept: float = 0.0


@dataclass(frozen=True, slots=True)
class WakeStormState:
    """Unneeded wake-ups; times are ``mono + slept``, CLOCK_BOOTTIME.

    Attributes:
        last_wakeup_at: the latest wake-up; None = none since powerd started.
        last_event: the wake event last taken into account.
        cause: of the latest wake-up, if known.
        off_for: seconds for which the server was off before the latest wake-up, after a power-off by powerd;
            None = it was not.
        needed: a blocker has kept the server awake since the latest wake-up.
        unneeded_wakeups: the latest unneeded wake-ups, each with its cause, the oldest first.
        storm_count: wake storms since the server was last needed.
        stay_up_until: the server stays awake until then; None = no storm.
        stay_up_for: the length of that period, or of the last one, seconds.
    """

    last_wakeup_at: float | None = None
    last_event: WakeEvent | None = None
    cause: WakeupCause = WakeupCause.UNKNOWN
    off_for: float | None = None
    needed: bool = False
    unneeded_wakeups: tuple[tuple[float, WakeupCause], ...] = ()
    storm_count: int = 0
    stay_up_until: float | None = None
    stay_up_for: float = 0.0


@dataclass(frozen=True, slots=True)
class WakeupSource:
    """One wakeup source of the kernel.

    Attributes:
        name: the driver's name for it, e.g. ``LNXPWRBN:00``, ``00:04``, ``0000:00:1f.6``.
        device: path below /sys of its device, e.g. ``/devices/pnp0/00:04``; "" = none.
        driver: of that device, e.g. ``rtc_cmos``; "" = none.
        events: wakeup events since boot.
    """

    name: str
    device: str = ""
    driver: str = ""
    events: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Its identity; the kernel's number changes when the device is removed and added."""
        return self.name, self.device


@dataclass(frozen=True, slots=True)
class SuspendFailures:
    """The kernel's record of failed suspends since boot (Documentation/ABI/testing/sysfs-power).

    Attributes:
        count, steps: suspends that have failed, None = unknown; steps of suspends and hibernations that have.
        step, device, error: the last ones: ``suspend``, ``0000:00:14.0 (xhci_hcd)``, errno; 0 = unknown.
    """

    count: int | None = None
    steps: int = 0
    step: str = ""
    device: str = ""
    error: int = 0


@dataclass(frozen=True, slots=True)
class WakeupState:
    """The kernel's wakeup counters at one time.

    Attributes:
        sources: all wakeup sources.
        irq: the interrupt that ended the last sleep, with the names of its handlers, e.g. ``9 (acpi)``;
            "" = unknown.
        cards: network interfaces, each with the path of its device.
        suspend_count: successful suspends since boot; None = unknown.
        failures: suspends that have failed.
    """

    sources: tuple[WakeupSource, ...] = ()
    irq: str = ""
    cards: tuple[tuple[str, str], ...] = ()
    suspend_count: int | None = None
    failures: SuspendFailures = field(default=SuspendFailures())

    def sources_fired_since(self, before: WakeupState) -> tuple[WakeupSource, ...]:
        """Sources with events since ``before``; () if ``before`` is empty.

        A device that was removed and added during the sleep has a new source, which starts at 0.
        """
        if not before.sources:
            return ()
        counts_before, counts_now = before._counts(), self._counts()
        return tuple(source for source in self.sources if counts_now[source.key] > counts_before[source.key])

    def slept_since(self, before: WakeupState) -> bool:
        """Whether the kernel has counted a suspend since ``before``."""
        return (
            self.suspend_count is not None
            and before.suspend_count is not None
            and self.suspend_count > before.suspend_count
        )

    def _counts(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for source in self.sources:
            counts[source.key] += source.events
        return counts


@dataclass(frozen=True, slots=True)
class LogindFacts:
    """The facts that the logind source reads.

    Attributes:
        inhibitors: inhibitor locks of other programs, of any mode.
        key_press: the last key press in a login session; None = none is known.
    """

    inhibitors: tuple[Inhibitor, ...] = ()
    key_press: KeyPress | None = None


@dataclass(frozen=True, slots=True)
class TimerFacts:
    """systemd timers for which the server has to be up."""

    timers: tuple[SystemdTimer, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkCardFacts:
    """What wakes the server by each network card of the LAN."""

    network_cards: Mapping[str, Reading[NetworkCard] | Unavailable] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, slots=True)
class TransitionFacts:
    """Sleep and wake-up of the server.

    Attributes:
        shutdown: a sleep or shutdown in progress, also one that powerd has not requested; None = none.
        wake_event: the last wake-up; None = none since powerd started.
        not_slept_at: CLOCK_MONOTONIC of the end of the last one that did not take place; None = none.
        not_slept_why: what the kernel reports about that, one clause; "" = nothing.
    """

    shutdown: ShutdownInProgress | None = None
    wake_event: WakeEvent | None = None
    not_slept_at: float | None = None
    not_slept_why: str = ""


@dataclass(frozen=True, slots=True)
class SleepMemory:
    """The memory of the sleep rules.

    Attributes:
        idle_since: CLOCK_MONOTONIC since which nothing has kept the server awake; None while something does.
        unused_since: CLOCK_MONOTONIC since which nothing but dozing clients has kept the server awake, for
            rules that ignore them; None while something else does.
        used_at: CLOCK_MONOTONIC of the last proof that the server was used, from which unused_since counts;
            None = it is used until a blocker ends, or nothing is known yet.
        completed_rules: rules executed since the server has been idle for them.
        failures: consecutive failures of each rule, and the time of the last.
        last_sleep_result: the latest result of a sleep that has been taken into account.
        awaited_sleep: a sleep that logind has accepted, and that has not happened yet; None = there is none.
        wake_storm: wake-ups without any use of the server.
        busy_until: CLOCK_MONOTONIC until which the server stays up for an event that is near, and that event.
        failed_sleep: CLOCK_MONOTONIC of the first failure since the last sleep, and the latest text; or None.
        free_since: during a request to sleep that passes over clients, CLOCK_MONOTONIC since which nothing
            but clients has kept the server awake; None while something else does, or without such a request.
    """

    idle_since: float | None = None
    unused_since: float | None = None
    used_at: float | None = None
    completed_rules: frozenset[int] = frozenset()
    failures: Mapping[int, tuple[int, float]] = field(default_factory=lambda: MappingProxyType({}))
    last_sleep_result: CompletedAction | None = None
    awaited_sleep: CompletedAction | None = None
    wake_storm: WakeStormState = field(default_factory=WakeStormState)
    busy_until: tuple[float, str] | None = None
    failed_sleep: tuple[float, str] | None = None
    free_since: float | None = None

    def begin_idleness(self) -> SleepMemory:
        """The memory of a server that is not idle: idleness begins again."""
        return replace(
            self,
            idle_since=None,
            unused_since=None,
            free_since=None,
            completed_rules=frozenset(),
            failures={},
        )

    @property
    def quiet_since(self) -> float | None:
        """CLOCK_MONOTONIC since which nothing has needed the server; None = something does."""
        if self.free_since is not None:
            return self.free_since
        return self.unused_since if self.idle_since is None else self.idle_since


@dataclass(frozen=True, slots=True)
class SleepCancelled:
    """The answer of a Sleep that powerd has cancelled because of a blocker, or another program's sleep."""


@dataclass(frozen=True, slots=True)
class SleepUnconfirmed:
    """The answer of a Sleep whose command was ended by its time limit: the server may sleep later."""


@dataclass(frozen=True, slots=True)
class SleepRequest:
    """A person's request to sleep as soon as nothing keeps the server awake.

    Attributes:
        since: when it was made.
        until: when it ends if the server has not slept; by ``mono + slept`` (CLOCK_BOOTTIME).
        over_clients: present clients do not delay it.
    """

    since: Moment
    until: Moment
    over_clients: bool

    def seconds_left(self, now: Moment) -> float:
        """Seconds until the end, at least 0."""
        return max(0.0, self.until.mono + self.until.slept - now.mono - now.slept)


@dataclass(frozen=True, slots=True)
class SleepRequestFacts:
    """The last request to sleep, or None. In a Decision it is None if the request has ended."""

    sleep_request: SleepRequest | None = None


@dataclass(frozen=True, slots=True)
class PowerReport:
    """When the server has to be up again if it sleeps now; None = at no time."""

    wake_time: WakeTime | None = None


LOGIND: Final = SourceId("logind")
TIMERS: Final = SourceId("timers")
NETWORK_CARDS: Final = SourceId("cards")

POLL_INTERVALS: Final[Mapping[SourceId, float]] = MappingProxyType(
    {LOGIND: 900.0, TIMERS: 900.0, NETWORK_CARDS: 86_400.0}
)
"""Seconds between two polls. Change events trigger a poll earlier."""
