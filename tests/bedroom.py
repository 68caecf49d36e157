"""A machine that can sleep, on the running loop's time: logind, its locks, the RTC, and what wakes it.

It stands in for hardware and for logind's side of a sleep, in the order in which the real one does things.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from helper.clocks import KernelRtc
from scripted import BEGIN, LoopClock

from powerd.helper import rtc
from powerd.helper.errors import RefusalError
from powerd.helper.protocol import AlarmRequest, ClearAlarm, ReadAlarm, SetAlarm
from powerd.host.values import Alarm, Going, HostError
from powerd.host.wakeup import Wakeups, WakeupSource
from powerd.model import Card, Inhibitor, KeyPress, Timer

CLOCK = WakeupSource("00:04", "/devices/pnp0/00:04", driver="rtc_cmos", events=0)
CARD = WakeupSource("0000:00:03.0", "/devices/pci0000:00/0000:00:03.0", driver="e1000", events=0)


class Held:
    """One lock: whoever was given the descriptor holds it until that is closed."""

    def __init__(self, what: str, why: str, mode: str) -> None:
        self.what, self.why, self.mode = what, why, mode
        self._own, self.given = os.pipe()

    def __repr__(self) -> str:
        return f"{self.mode} {self.what}: {self.why}"

    def held(self) -> bool:
        poll = select.poll()
        poll.register(self._own, 0)
        return not poll.poll(0)  # POLLHUP, once nobody can write any more


class Bedroom:
    """The machine.

    Attributes:
        rtc: its real-time clock, which goes by ``clock``.
        able_to: what logind answers to Can..., by action; anything else is ``yes``.
        others: locks of others.
        pressed: the last key press.
        elapses: timers by unit.
        cards: network cards by name.
        counts: events of the wakeup sources.
        delay: InhibitDelayMaxSec=.
        night: seconds that it sleeps if no alarm wakes it.
        refusal: what the helper says to everything.
        no_locks: what logind says to whoever wants a lock.
        slept: at each sleep: the alarm's distance in seconds, None = none.
        orders: what logind was ordered to do.
        silent: logind says nothing when a sleep begins or ends.
        nap: a sleep is so short that the clocks show nothing of it.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.rtc = KernelRtc()
        self.able_to: dict[str, str] = {}
        self.others: tuple[Inhibitor, ...] = ()
        self.pressed: KeyPress | None = None
        self.elapses: dict[str, Timer] = {}
        self.cards: dict[str, Card] = {}
        self.counts = {CLOCK: 0, CARD: 0}
        self.delay = 5.0
        self.night = 8 * 3600.0
        self.refusal: str | None = None
        self.no_locks: HostError | None = None
        self.slept: list[float | None] = []
        self.orders: list[str] = []
        self.silent = False
        self.nap = False
        self._sleeps = 0
        self._locks: list[Held] = []
        self._heard: asyncio.Queue[Going] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard.put_nowait(Going("found"))

    def locks(self, mode: str) -> list[Held]:
        """Powerd's that are held."""
        return [lock for lock in self._locks if lock.mode == mode and lock.held()]

    def tell(self, going: Going) -> None:
        """Have logind say something."""
        if not self.silent or going.what not in {"sleep", "shutdown"}:
            self._heard.put_nowait(going)

    def alarm(self) -> float | None:
        """Seconds to the alarm that stands; None = none does."""
        self._tick()
        self.rtc.read("wakealarm")
        return None if self.rtc.alarm is None else self.rtc.alarm - self.rtc.now

    async def sleep(self, what: str = "sleep", *, fails: bool = False) -> None:
        """What logind does when it is told to; a shutdown has no end."""
        self.tell(Going("shutdown" if what == "shutdown" else "sleep"))
        deadline = asyncio.get_running_loop().time() + self.delay
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
            if not self.locks("delay"):
                break
        self.slept.append(self.alarm())
        if what == "shutdown":
            return
        if not fails:
            self._pass(self.slept[-1])
        await asyncio.sleep(0.1)
        self.tell(Going("sleep", begins=False))

    def _pass(self, alarm: float | None) -> None:
        woken = CLOCK if alarm is not None and alarm <= self.night else CARD
        if not self.nap:
            self._clock.slept += self.night if woken is CARD else (alarm or 0.0) + 1
        self._sleeps += 1
        self.counts[woken] += 1

    # --- Eyes ---

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        return self.others

    async def able(self, action: str) -> str:
        return self.able_to.get(action, "yes")

    async def key_press(self) -> KeyPress | None:
        return self.pressed

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        return tuple(self.elapses[unit] for unit in units)

    async def patience(self) -> float:
        return self.delay

    async def goings(self) -> AsyncIterator[Going]:
        while True:
            yield await self._heard.get()

    async def card(self, interface: str) -> Card:
        return self.cards[interface]

    async def read_alarm(self) -> Alarm:
        return self._ask(ReadAlarm())

    def wakeup_sources(self) -> Wakeups:
        sources = tuple(replace(each, events=count) for each, count in self.counts.items())
        return Wakeups(sources, "", (("eth0", CARD.device),), self._sleeps)

    # --- Hands ---

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        if self.no_locks is not None:
            raise self.no_locks
        self._locks.append(Held(what, why, mode))
        return self._locks[-1].given

    async def logind(self, action: str) -> None:
        self.orders.append(action)
        task = asyncio.create_task(self.sleep("shutdown" if action == "poweroff" else "sleep"))
        self._tasks.add(task)

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        return self._ask(SetAlarm(in_seconds, replaces))

    async def clear_alarm(self, at: int) -> Alarm:
        return self._ask(ClearAlarm(at))

    async def arm_card(self, interface: str) -> Card:
        if self.refusal is not None:
            raise HostError(self.refusal)
        self.cards[interface] = Card(interface, self.cards[interface].supported, "g")
        return self.cards[interface]

    def _ask(self, request: AlarmRequest) -> Alarm:
        """As the helper itself obeys, on an RTC that answers as the kernel's does."""
        if self.refusal is not None:
            raise HostError(self.refusal)
        self._tick()
        try:
            return rtc.obey(request, self.rtc)
        except RefusalError as error:
            raise HostError(str(error)) from None

    def _tick(self) -> None:
        now = self._clock.now()
        self.rtc.now = int(BEGIN + now.mono + now.slept)
