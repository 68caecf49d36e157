"""The simulated server's sleep: logind, the RTC, and wake-ups by the network.

Events have the order of a real machine: logind announces the sleep and waits for the delay locks; the machine
sleeps until its alarm is due or the script wakes it; logind announces the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from powerd.linux.values import Alarm, HostError, LogindEvent
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer, WakeupSource, WakeupState

_DELAY = 5.0
"""InhibitDelayMaxSec= (logind.conf(5)), seconds."""
_RTC_DEVICE = "/devices/pnp0/00:04"
_CARD_DEVICE = "/devices/pci0000:00/0000:00:03.0"


@dataclass(slots=True, kw_only=True)
class SimulatedMachine:
    """The part of a Household that sleeps.

    Attributes:
        slept: seconds asleep so far.
        network_wake_at: given the true time of the sleep, the time of the next wake-up by the network.
        alarm: true time, in whole seconds, of the RTC alarm; None = none is set.
        alarm_error: the helper's error for setting an alarm; None = it succeeds.
        timer_elapses: by unit, given a true time, the next elapse of the timer.
        locks: inhibitor locks of other processes.
        is_typing: whether a person is typing at a true time.
        performed: (true time, action) of every action.
        wakeup_times: true time of every wake-up.
        logind_call_times: true times of requests to logind.
        logind_error: logind's error for a request; None = it succeeds.
    """

    slept: float = 0.0
    network_wake_at: Callable[[float], float] = field(default=lambda asleep: asleep + 8 * 3600)
    alarm: int | None = None
    alarm_error: str | None = None
    timer_elapses: dict[str, Callable[[float], float]] = field(default_factory=dict)
    locks: tuple[Inhibitor, ...] = ()
    is_typing: Callable[[float], bool] = field(default=lambda _: False)
    _last_key_press: KeyPress | None = None
    performed: list[tuple[float, str]] = field(default_factory=list)
    wakeup_times: list[float] = field(default_factory=list)
    logind_call_times: list[float] = field(default_factory=list)
    logind_error: str | None = None
    _logind_events: asyncio.Queue[LogindEvent] = field(default_factory=asyncio.Queue)
    _delay_locks: set[asyncio.Event] = field(default_factory=set)
    _sleep_task: asyncio.Task[None] | None = None
    _wakeup_counts: dict[str, int] = field(default_factory=lambda: {_RTC_DEVICE: 0, _CARD_DEVICE: 0})

    def true_time(self) -> float:
        """POSIX seconds as a perfect clock would show them."""
        raise NotImplementedError

    def mono(self) -> float:
        """The server's CLOCK_MONOTONIC."""
        raise NotImplementedError

    # --- ports, reading ---

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """The locks of the script."""
        return self.locks

    async def can_sleep(self, action: str) -> str:
        """Every action is possible."""
        del action
        return "yes"

    async def last_key_press(self) -> KeyPress | None:
        """A person who types does so continuously."""
        if self.is_typing(self.true_time()):
            self._last_key_press = KeyPress(self.mono(), "anna on tty1")
        return self._last_key_press

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """The next elapses of the script's timers."""
        return tuple(SystemdTimer(unit, wall=self.timer_elapses[unit](self.true_time())) for unit in units)

    async def inhibit_delay(self) -> float:
        """The default of logind."""
        return _DELAY

    async def events(self) -> AsyncIterator[LogindEvent]:
        """The signals of logind."""
        yield LogindEvent("found")
        while True:
            yield await self._logind_events.get()

    async def read_card(self, interface: str) -> NetworkCard:
        """A magic packet wakes the server."""
        return NetworkCard(interface, "g", "g")

    async def read_alarm(self) -> Alarm:
        """The RTC runs on true time."""
        return self._alarm_reading(self.alarm, written=False)

    def read_wakeup_state(self) -> WakeupState:
        """An RTC and a network card."""
        sources = tuple(
            WakeupSource(_name(path), path, events=count) for path, count in self._wakeup_counts.items()
        )
        return WakeupState(sources, cards=(("eth0", _CARD_DEVICE),))

    # --- ports, acting ---

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """A lock until the descriptor is closed."""
        del what, why
        ours, given = os.pipe()
        if mode == "delay":
            free = asyncio.Event()
            self._delay_locks.add(free)
            asyncio.get_running_loop().add_reader(ours, self._on_lock_released, free, ours)
        else:
            os.close(ours)
        return given

    def _on_lock_released(self, lock: asyncio.Event, ours: int) -> None:
        """The descriptor was closed."""
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        self._delay_locks.discard(lock)
        lock.set()

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """As the helper does: an earlier alarm of another program is left alone."""
        if self.alarm_error is not None:
            raise HostError(self.alarm_error)
        before, at = self.alarm, int(self.true_time()) + in_seconds
        keep_existing = before is not None and before <= at and before != replaces
        self.alarm = before if keep_existing else at
        return self._alarm_reading(before, written=not keep_existing)

    async def clear_alarm(self, at: int) -> Alarm:
        """Clear the alarm if it is set to ``at``."""
        before = self.alarm
        if before == at:
            self.alarm = None
        return self._alarm_reading(before, written=False)

    async def arm_card(self, interface: str) -> NetworkCard:
        """The card is always armed."""
        return await self.read_card(interface)

    async def request_sleep(self, action: str) -> None:
        """Accept the request and sleep; a power-off counts as a sleep, so the script continues."""
        self.logind_call_times.append(self.true_time())
        if self.logind_error is not None:
            raise HostError(self.logind_error)
        self.fall_asleep(action)

    def fall_asleep(self, what: str) -> None:
        """Begin a sleep: logind sends its signal before it replies to the request."""
        self._logind_events.put_nowait(LogindEvent("sleep"))
        self._sleep_task = asyncio.get_running_loop().create_task(self._sleep(what))

    async def _sleep(self, what: str) -> None:
        """Sleep until the alarm or the network wakes the server; CLOCK_MONOTONIC does not advance."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DELAY):
                await _wait_for_locks(self._delay_locks)
        asleep = self.true_time()
        self.performed.append((asleep, what))
        self.slept += self._wakeup_time(asleep) - asleep
        self.wakeup_times.append(self.true_time())
        self._logind_events.put_nowait(LogindEvent("sleep", start=False))

    def _wakeup_time(self, asleep: float) -> float:
        """The time of the wake-up; counts its wakeup source."""
        network_wake = self.network_wake_at(asleep)
        if self.alarm is None or not asleep < self.alarm <= network_wake:
            self._wakeup_counts[_CARD_DEVICE] += 1
            return network_wake
        at, self.alarm = self.alarm, None
        self._wakeup_counts[_RTC_DEVICE] += 1
        return float(at)

    def _alarm_reading(self, before: int | None, *, written: bool) -> Alarm:
        return Alarm("rtc0", int(self.true_time()), self.alarm, before, written)


def _name(device: str) -> str:
    return device.rpartition("/")[2]


async def _wait_for_locks(locks: Iterable[asyncio.Event]) -> None:
    """Wait until every lock is released."""
    for lock in tuple(locks):
        await lock.wait()
