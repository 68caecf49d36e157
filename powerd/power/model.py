"""Sleep and wake-up of the server itself: who else has a say in it, what wakes it, and what woke it."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from powerd.core.codec import pattern
from powerd.core.time import Moment


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """Somebody else's inhibitor lock, a row of logind's ListInhibitors (org.freedesktop.login1(5)).

    Attributes:
        what: what it holds up: ``sleep``, ``shutdown``, ``idle``, ``handle-lid-switch``, ...
        who, why: in the words of who took it.
        mode: ``block``, ``block-weak`` or ``delay``.
        uid, pid: whose it is.
    """

    what: frozenset[str]
    who: str
    why: str
    mode: str
    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class KeyPress:
    """The last sign of a person in any login session.

    Attributes:
        at: CLOCK_MONOTONIC; the kernel tells it to 8 s only.
        session: the session, as a person knows it: ``alice on pts/0``.
    """

    at: float
    session: str


@dataclass(frozen=True, slots=True)
class SystemdTimer:
    """A systemd timer for which the server is to be up (systemd.timer(5)).

    Attributes:
        unit: ``backup.timer``.
        wall: POSIX time of its next calendar elapse; None = it has none.
        mono: CLOCK_MONOTONIC of its next monotonic elapse (OnBootSec= and the like); None = it has none.
        pauses_in_sleep: its monotonic elapse comes no nearer while the server sleeps, for it has no
            WakeSystem=; to be
            woken for it would be in vain.
    """

    unit: str
    wall: float | None = None
    mono: float | None = None
    pauses_in_sleep: bool = False


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
    """How a network card can wake the server, and how it will.

    Attributes:
        interface: its name.
        supported, armed: letters of WOL_FLAGS; "" = in no way.
    """

    interface: InterfaceName
    supported: WolFlags
    armed: WolFlags


@dataclass(frozen=True, slots=True)
class WakeTime:
    """When the server has to be up again, and for what.

    Attributes:
        at: the moment of the alarm; asleep until then, so ``mono + slept`` and ``wall`` count.
        reason: ``wake.at Mon-Fri 06:30``, ``backup.timer``.
    """

    at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class ShutdownInProgress:
    """The server is on its way down: logind has said so, and waits for us for a few seconds.

    Attributes:
        since: CLOCK_MONOTONIC.
        kind: ``sleep`` or ``shutdown``.
    """

    since: float
    kind: str


class WakeupCause(enum.StrEnum):
    """What woke the server, as far as the kernel tells."""

    ALARM = "alarm"
    NETWORK = "network"
    BUTTON = "button"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WakeEvent:
    """One wake-up.

    Attributes:
        at: CLOCK_MONOTONIC of when it was noticed.
        cause: see Cause.
        detail: what the kernel said, e.g. ``wake-up source 0000:00:03.0 (eth0)``; "" = nothing.
        clock_advanced: whether CLOCK_BOOTTIME has gained by it. Where the clocksource stops meanwhile, the
            kernel
            measures a sleep in whole seconds of an RTC, and one of less than that may leave no trace.
    """

    at: float
    cause: WakeupCause
    detail: str = ""
    clock_advanced: bool = True


@dataclass(frozen=True, slots=True)
class WakeStormState:
    """Wake-ups for which nobody came; a moment here is ``mono + slept``, CLOCK_BOOTTIME.

    Attributes:
        last_wakeup_at: the latest wake-up; None = none since powerd started.
        last_event: the Waking that was the latest when the server fell asleep, or is that of ``woke`` by now.
        cause: of the latest wake-up, as far as known.
        needed: somebody or something has kept the server awake since.
        unneeded_wakeups: the latest wake-ups in vain, each with its cause, the oldest first.
        storm_count: how often it has backed off from them since somebody was last there.
        stay_up_until: it stays up until then; None = it has not backed off.
        stay_up_for: seconds for which it then stays up.
    """

    last_wakeup_at: float | None = None
    last_event: WakeEvent | None = None
    cause: WakeupCause = WakeupCause.UNKNOWN
    needed: bool = False
    unneeded_wakeups: tuple[tuple[float, WakeupCause], ...] = ()
    storm_count: int = 0
    stay_up_until: float | None = None
    stay_up_for: float = 0.0


@dataclass(frozen=True, slots=True)
class WakeupSource:
    """One wakeup source of the kernel.

    Attributes:
        name: as its driver calls it, e.g. ``LNXPWRBN:00``, ``00:04``, ``0000:00:1f.6``.
        device: path below /sys of the device it stands for, e.g. ``/devices/pnp0/00:04``; "" = none.
        driver: of that device, e.g. ``rtc_cmos``; "" = none.
        events: how many wakeup events it has had since boot.
    """

    name: str
    device: str = ""
    driver: str = ""
    events: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by again; the kernel's number of it changes with the device's coming and going."""
        return self.name, self.device


@dataclass(frozen=True, slots=True)
class WakeupState:
    """What the kernel tells of wake-ups at one moment.

    Attributes:
        sources: all wakeup sources.
        irq: the interrupt that ended the last sleep, with the names of its handlers, e.g. ``9 (acpi)``;
            "" = it does not tell.
        cards: interfaces of network cards, each with the path of its device.
        suspend_count: how many sleeps there have been since boot that really were some; None = it does not
            tell.
    """

    sources: tuple[WakeupSource, ...] = ()
    irq: str = ""
    cards: tuple[tuple[str, str], ...] = ()
    suspend_count: int | None = None

    def sources_fired_since(self, before: WakeupState) -> tuple[WakeupSource, ...]:
        """Sources that have had events since ``before``; () where nothing is known of before.

        A device that was lost and found again over the sleep has a new source, which begins at 0.
        """
        if not before.sources:
            return ()
        counts_before, counts_now = before._counts(), self._counts()
        return tuple(source for source in self.sources if counts_now[source.key] > counts_before[source.key])

    def slept_since(self, before: WakeupState) -> bool:
        """Whether there has been a sleep since ``before``, as far as the kernel tells."""
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
