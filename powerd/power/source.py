"""The sources of the power domain: logind, systemd timers, network cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from powerd.config.options import Options
from powerd.core.clock import Clock
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Moment, Reading, Unavailable
from powerd.linux.ports import Files, Helper, Logind, Network
from powerd.linux.values import HostError
from powerd.power.model import (
    LOGIND,
    NETWORK_CARDS,
    POLL_INTERVALS,
    TIMERS,
    Inhibitor,
    KeyPress,
    LogindFacts,
    NetworkCard,
    NetworkCardFacts,
    SystemdTimer,
    TimerFacts,
)

RETRY_INTERVAL: Final = 60.0
"""Seconds from a failed poll of logind to the next; otherwise logind's signals trigger a poll."""


class LogindSource:
    """The source "logind": inhibitor locks, the last key press, and sleep actions that will not work.

    Args:
        logind: the port.
        clock: for the time of each poll.
        options: returns the configuration in force, with the sleep rules.
    """

    name = LOGIND

    def __init__(self, logind: Logind, clock: Clock, options: Callable[[], Options]) -> None:
        self._logind = logind
        self._clock = clock
        self._options = options
        self._can_sleep: dict[str, str] = {}
        self._key_press: KeyPress | None = None
        self._failed = False

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two polls."""
        return RETRY_INTERVAL if self._failed else POLL_INTERVALS[LOGIND]

    async def poll(self, depth: PollDepth) -> PollResult:
        """List inhibitor locks and the last key press, and check the configured actions.

        Raises:
            HostError: logind does not reply.
        """
        del depth
        self._failed = True
        at = self._clock.now().mono
        locks = await self._logind.list_inhibitors()
        self._key_press = await self._logind.last_key_press() or self._key_press
        await self._update_can_sleep(locks)
        self._failed = False
        return PollResult(Reading(at, tuple(self._warnings())), (LogindFacts(locks, self._key_press),))

    async def _update_can_sleep(self, locks: tuple[Inhibitor, ...]) -> None:
        """Check each configured action until the reply is ``yes``, which does not change afterwards.

        Not while a block lock is held: logind then replies ``challenge`` or ``no`` to all.
        """
        if any(lock.mode.startswith("block") for lock in locks):
            return
        for action in dict.fromkeys(rule.action for rule in self._options().sleep):
            if action != "command" and self._can_sleep.get(action) != "yes":
                self._can_sleep[action] = await self._logind.can_sleep(action)

    def _warnings(self) -> list[str]:
        return [
            f"sleep rule {n} will not work: "
            + (
                f'logind answers "{answer}" for {rule.action}, {_REMEDY.get(answer, _CANNOT)}'
                if answer
                else "systemd-logind does not run or has no D-Bus, so it cannot "
                f'{rule.action}; install dbus and start systemd-logind, or use action = "command"'
            )
            for n, rule in enumerate(self._options().sleep, 1)
            if (answer := self._can_sleep.get(rule.action, "yes")) != "yes"
        ]


_REMEDY: Final = {"challenge": "this user may not; install the polkit rule"}
_CANNOT: Final = "this machine does not support it; choose another action"


_MIN_INTERVAL: Final = 60.0
"""Least seconds between two polls, also after a failed one."""
_NEXT_ELAPSE_DELAY: Final = 1.0
"""Seconds after an elapse until systemd reports the next one."""


class SystemdTimerSource:
    """The source "timers": the next elapses of the timers in ``wake.timers``.

    Args:
        logind: the port.
        clock: for the time of each poll.
        options: returns the configuration in force, with the names of the timers.
    """

    name = TIMERS

    def __init__(self, logind: Logind, clock: Clock, options: Callable[[], Options]) -> None:
        self._logind = logind
        self._clock = clock
        self._options = options
        self._poll_interval = _MIN_INTERVAL

    @property
    def poll_interval(self) -> float:
        """Seconds between the starts of two polls: no later than the next elapse."""
        return self._poll_interval

    async def poll(self, depth: PollDepth) -> PollResult:
        """Read each timer's next elapse.

        Raises:
            HostError: systemd does not reply, or a timer does not exist.
        """
        del depth
        self._poll_interval = _MIN_INTERVAL
        now = self._clock.now()
        units = self._options().wake.timers
        timers = await self._logind.list_timers(units) if units else ()
        ahead = [
            left + _NEXT_ELAPSE_DELAY
            for timer in timers
            for left in _seconds_to_elapses(timer, now)
            if left > 0
        ]
        self._poll_interval = max(min([*ahead, POLL_INTERVALS[TIMERS]]), _MIN_INTERVAL)
        return PollResult(Reading(now.mono, tuple(_timer_warnings(timers))), (TimerFacts(timers),))


def _seconds_to_elapses(timer: SystemdTimer, now: Moment) -> list[float]:
    """Seconds to each elapse of the timer."""
    wall = [] if timer.wall is None else [timer.wall - now.wall.timestamp()]
    return wall if timer.mono is None else [*wall, timer.mono - now.mono]


def _timer_warnings(timers: tuple[SystemdTimer, ...]) -> list[str]:
    return [
        f"{timer.unit} does not advance while the server sleeps, so the server is not woken for "
        "it; use OnCalendar="
        for timer in timers
        if timer.pauses_in_sleep and timer.mono is not None
    ]


_MAX_DEPTH: Final = 4
"""Greatest number of devices above a card: a VLAN on a bridge on a bond, and one in reserve."""


class NetworkCardSource:
    """The source "cards": Wake-on-LAN settings of the LAN's network cards.

    Args:
        files, network, helper: the ports.
        clock: for the time of each poll.
        options: returns the configuration in force, which determines whether the cards matter.
    """

    name = NETWORK_CARDS
    poll_interval = POLL_INTERVALS[NETWORK_CARDS]

    def __init__(
        self, files: Files, network: Network, helper: Helper, clock: Clock, options: Callable[[], Options]
    ) -> None:
        self._files = files
        self._network = network
        self._helper = helper
        self._clock = clock
        self._options = options

    async def poll(self, depth: PollDepth) -> PollResult:
        """Read the setting of each hardware card below a link to a LAN.

        Raises:
            HostError: the links cannot be listed.
        """
        del depth
        at = self._clock.now().mono
        options = self._options()
        if not options.wake.arm_lan and all(rule.action == "command" for rule in options.sleep):
            return PollResult(Reading(at, ()), (NetworkCardFacts(),))
        links = (await self._network.lan()).links
        names = sorted({card for link in links for card in self._hardware_below(link.name, _MAX_DEPTH)})
        return PollResult(
            Reading(at, ()), (NetworkCardFacts({name: await self._read_card(name) for name in names}),)
        )

    async def _read_card(self, name: str) -> Reading[NetworkCard] | Unavailable:
        at = self._clock.now().mono
        try:
            return Reading(at, await self._helper.read_card(name))
        except HostError as error:
            return Unavailable(at, str(error))

    def _hardware_below(self, name: str, depth: int) -> Iterator[str]:
        """The hardware below link ``name``: the link itself, or the ports of a bridge, bond or VLAN.

        Documentation/ABI/testing/sysfs-class-net: ``lower_NAME``, and ``device``, which only hardware has.
        """
        directory = f"/sys/class/net/{name}"
        if self._files.stat_signature(f"{directory}/device/uevent") is not None:
            yield name
        elif depth:
            for path in self._files.find(f"{directory}/lower_*/ifindex"):
                yield from self._hardware_below(path.split("/")[-2].removeprefix("lower_"), depth - 1)
