"""How the server of a rehearsal sleeps and wakes up: logind's side of it, an RTC, and whoever wakes it.

Things happen in the order in which the real ones do: logind says that a sleep is coming, and waits for the
delay locks; the machine sleeps until its alarm goes off or the script wakes it; logind says that it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from powerd.host.values import Alarm, Going, HostError
from powerd.host.wakeup import Wakeups, WakeupSource
from powerd.model import Card, Inhibitor, KeyPress, Timer

_DELAY = 5.0
"""InhibitDelayMaxSec= (logind.conf(5)), seconds."""
_CLOCK = "/devices/pnp0/00:04"
_CARD = "/devices/pci0000:00/0000:00:03.0"


@dataclass(slots=True, kw_only=True)
class Nights:
    """The part of a House that sleeps.

    Attributes:
        slept: seconds asleep so far.
        wakes_at: given the true time of falling asleep, when somebody wakes the server by the network.
        alarm: true time, in whole seconds, of the alarm that stands; None = none does.
        alarm_fails: what the helper says instead of setting one; None = it does.
        elapses: by unit, given a true time, when a timer elapses next.
        locks: inhibitor locks of others.
        typing: whether somebody is typing at a true time.
        done: (true time, what) of every act.
        woken: true time of every wake-up.
        asked: true times at which logind was asked for anything.
        fails: what logind answers instead of obeying; None = it obeys.
    """

    slept: float = 0.0
    wakes_at: Callable[[float], float] = field(default=lambda asleep: asleep + 8 * 3600)
    alarm: int | None = None
    alarm_fails: str | None = None
    elapses: dict[str, Callable[[float], float]] = field(default_factory=dict)
    locks: tuple[Inhibitor, ...] = ()
    typing: Callable[[float], bool] = field(default=lambda _: False)
    _pressed: KeyPress | None = None
    done: list[tuple[float, str]] = field(default_factory=list)
    woken: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    fails: str | None = None
    _heard: asyncio.Queue[Going] = field(default_factory=asyncio.Queue)
    _delays: set[asyncio.Event] = field(default_factory=set)
    _asleep: asyncio.Task[None] | None = None
    _stirs: dict[str, int] = field(default_factory=lambda: {_CLOCK: 0, _CARD: 0})

    def true_time(self) -> float:
        """POSIX seconds as a perfect clock would show them."""
        raise NotImplementedError

    def mono(self) -> float:
        """The server's CLOCK_MONOTONIC."""
        raise NotImplementedError

    # --- Eyes ---

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Those of the script."""
        return self.locks

    async def able(self, action: str) -> str:
        """It can do everything."""
        del action
        return "yes"

    async def key_press(self) -> KeyPress | None:
        """Somebody who types does so at every moment."""
        if self.typing(self.true_time()):
            self._pressed = KeyPress(self.mono(), "anna on tty1")
        return self._pressed

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        """When those of the script elapse next."""
        return tuple(Timer(unit, wall=self.elapses[unit](self.true_time())) for unit in units)

    async def patience(self) -> float:
        """As logind has it where nobody has changed it."""
        return _DELAY

    async def goings(self) -> AsyncIterator[Going]:
        """What logind says."""
        yield Going("found")
        while True:
            yield await self._heard.get()

    async def card(self, interface: str) -> Card:
        """A magic packet wakes the server."""
        return Card(interface, "g", "g")

    async def read_alarm(self) -> Alarm:
        """The RTC keeps true time."""
        return self._told(self.alarm, written=False)

    def wakeup_sources(self) -> Wakeups:
        """An RTC and a network card."""
        sources = tuple(WakeupSource(_name(path), path, events=count) for path, count in self._stirs.items())
        return Wakeups(sources, cards=(("eth0", _CARD),))

    # --- Hands ---

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """A lock that lasts until the descriptor is closed."""
        del what, why
        ours, given = os.pipe()
        if mode == "delay":
            free = asyncio.Event()
            self._delays.add(free)
            asyncio.get_running_loop().add_reader(ours, self._freed, free, ours)
        else:
            os.close(ours)
        return given

    def _freed(self, lock: asyncio.Event, ours: int) -> None:
        """The other end was closed."""
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        self._delays.discard(lock)
        lock.set()

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """As the helper does: an earlier one that is not the caller's own is left alone."""
        if self.alarm_fails is not None:
            raise HostError(self.alarm_fails)
        before, at = self.alarm, int(self.true_time()) + in_seconds
        keep = before is not None and before <= at and before != replaces
        self.alarm = before if keep else at
        return self._told(before, written=not keep)

    async def clear_alarm(self, at: int) -> Alarm:
        """Take away this one."""
        before = self.alarm
        if before == at:
            self.alarm = None
        return self._told(before, written=False)

    async def arm_card(self, interface: str) -> Card:
        """It is armed as ever."""
        return await self.card(interface)

    async def logind(self, action: str) -> None:
        """Accept, and go to sleep; who powers off is taken for asleep, as the script goes on after that."""
        self.asked.append(self.true_time())
        if self.fails is not None:
            raise HostError(self.fails)
        self.fall_asleep(action)

    def fall_asleep(self, what: str) -> None:
        """Begin a sleep: logind gives its signal before it answers whoever ordered it."""
        self._heard.put_nowait(Going("sleep"))
        self._asleep = asyncio.get_running_loop().create_task(self._sleep(what))

    async def _sleep(self, what: str) -> None:
        """Sleep until the alarm or somebody wakes the server; what it does not notice is the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DELAY):
                await _all(self._delays)
        asleep = self.true_time()
        self.done.append((asleep, what))
        self.slept += self._wakes(asleep) - asleep
        self.woken.append(self.true_time())
        self._heard.put_nowait(Going("sleep", begins=False))

    def _wakes(self, asleep: float) -> float:
        """When it wakes up, and by what."""
        visit = self.wakes_at(asleep)
        if self.alarm is None or not asleep < self.alarm <= visit:
            self._stirs[_CARD] += 1
            return visit
        at, self.alarm = self.alarm, None
        self._stirs[_CLOCK] += 1
        return float(at)

    def _told(self, before: int | None, *, written: bool) -> Alarm:
        return Alarm("rtc0", int(self.true_time()), self.alarm, before, written)


def _name(device: str) -> str:
    return device.rpartition("/")[2]


async def _all(locks: Iterable[asyncio.Event]) -> None:
    """Wait until every lock is free."""
    for lock in tuple(locks):
        await lock.wait()
