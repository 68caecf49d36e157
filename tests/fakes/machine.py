"""A machine that can sleep, on the running loop's time: logind, its locks, the RTC, and what wakes it.

It stands in for hardware and for logind's side of a sleep, in the order in which the real one does things.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fakes.ports import BEGIN, LoopClock
from fakes.rtc import FakeRtc
from fakes.unused_ports import UnusedPorts

from powerd.helper import rtc
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import AlarmRequest, ClearAlarm, ReadAlarm, SetAlarm
from powerd.linux.values import Alarm, HostError, LogindEvent
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, SystemdTimer, WakeupSource, WakeupState

RTC_WAKEUP = WakeupSource("00:04", "/devices/pnp0/00:04", driver="rtc_cmos", events=0)
CARD_WAKEUP = WakeupSource("0000:00:03.0", "/devices/pci0000:00/0000:00:03.0", driver="e1000", events=0)


class HeldLock:
    """One lock: whoever was given the descriptor holds it until that is closed."""

    def __init__(self, what: str, why: str, mode: str) -> None:
        self.what, self.why, self.mode = what, why, mode
        self._read_end, self.descriptor = os.pipe()

    def __repr__(self) -> str:
        return f"{self.mode} {self.what}: {self.why}"

    def is_held(self) -> bool:
        poll = select.poll()
        poll.register(self._read_end, 0)
        return not poll.poll(0)  # POLLHUP, once nobody can write any more


class FakeMachine(UnusedPorts):
    """The machine.

    Attributes:
        rtc: its real-time clock, which goes by ``clock``.
        sleep_support: what logind answers to Can..., by action; anything else is ``yes``.
        other_locks: locks of others.
        latest_key_press: the last key press.
        timers_by_unit: timers by unit.
        cards: network cards by name.
        wakeup_counts: events of the wakeup sources.
        max_inhibit_delay: InhibitDelayMaxSec=.
        sleep_duration: seconds that it sleeps if no alarm wakes it.
        refusal: what the helper says to everything.
        inhibit_error: what logind says to whoever wants a lock.
        slept: at each sleep: the alarm's distance in seconds, None = none.
        logind_calls: what logind was ordered to do.
        suppress_events: logind says nothing when a sleep begins or ends.
        zero_length_sleep: a sleep is so short that the clocks show nothing of it.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.rtc = FakeRtc()
        self.sleep_support: dict[str, str] = {}
        self.other_locks: tuple[Inhibitor, ...] = ()
        self.latest_key_press: KeyPress | None = None
        self.timers_by_unit: dict[str, SystemdTimer] = {}
        self.cards: dict[str, NetworkCard] = {}
        self.wakeup_counts = {RTC_WAKEUP: 0, CARD_WAKEUP: 0}
        self.max_inhibit_delay = 5.0
        self.sleep_duration = 8 * 3600.0
        self.refusal: str | None = None
        self.inhibit_error: HostError | None = None
        self.alarm_distances: list[float | None] = []
        self.logind_calls: list[str] = []
        self.suppress_events = False
        self.zero_length_sleep = False
        self._sleep_count = 0
        self._locks: list[HeldLock] = []
        self._events: asyncio.Queue[LogindEvent] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._events.put_nowait(LogindEvent("found"))

    def own_locks(self, mode: str) -> list[HeldLock]:
        """Powerd's that are held."""
        return [lock for lock in self._locks if lock.mode == mode and lock.is_held()]

    def emit(self, event: LogindEvent) -> None:
        """Have logind say something."""
        if not self.suppress_events or event.kind not in {"sleep", "shutdown"}:
            self._events.put_nowait(event)

    def seconds_to_alarm(self) -> float | None:
        """Seconds to the alarm that stands; None = none does."""
        self._update_rtc()
        self.rtc.read("wakealarm")
        return None if self.rtc.alarm is None else self.rtc.alarm - self.rtc.now

    async def sleep(self, what: str = "sleep", *, fails: bool = False) -> None:
        """What logind does when it is told to; a shutdown has no end."""
        self.emit(LogindEvent("shutdown" if what == "shutdown" else "sleep"))
        deadline = asyncio.get_running_loop().time() + self.max_inhibit_delay
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
            if not self.own_locks("delay"):
                break
        self.alarm_distances.append(self.seconds_to_alarm())
        if what == "shutdown":
            return
        if not fails:
            self._advance(self.alarm_distances[-1])
        await asyncio.sleep(0.1)
        self.emit(LogindEvent("sleep", start=False))

    def _advance(self, alarm: float | None) -> None:
        wakeup = RTC_WAKEUP if alarm is not None and alarm <= self.sleep_duration else CARD_WAKEUP
        if not self.zero_length_sleep:
            self._clock.slept += self.sleep_duration if wakeup is CARD_WAKEUP else (alarm or 0.0) + 1
        self._sleep_count += 1
        self.wakeup_counts[wakeup] += 1

    # --- Eyes ---

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        return self.other_locks

    async def can_sleep(self, action: str) -> str:
        return self.sleep_support.get(action, "yes")

    async def last_key_press(self) -> KeyPress | None:
        return self.latest_key_press

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        return tuple(self.timers_by_unit[unit] for unit in units)

    async def inhibit_delay(self) -> float:
        return self.max_inhibit_delay

    async def events(self) -> AsyncIterator[LogindEvent]:
        while True:
            yield await self._events.get()

    async def read_card(self, interface: str) -> NetworkCard:
        return self.cards[interface]

    async def read_alarm(self) -> Alarm:
        return self._rtc_request(ReadAlarm())

    def read_wakeup_state(self) -> WakeupState:
        sources = tuple(replace(each, events=count) for each, count in self.wakeup_counts.items())
        return WakeupState(sources, "", (("eth0", CARD_WAKEUP.device),), self._sleep_count)

    # --- Hands ---

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        if self.inhibit_error is not None:
            raise self.inhibit_error
        self._locks.append(HeldLock(what, why, mode))
        return self._locks[-1].descriptor

    async def request_sleep(self, action: str) -> None:
        self.logind_calls.append(action)
        task = asyncio.create_task(self.sleep("shutdown" if action == "poweroff" else "sleep"))
        self._tasks.add(task)

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        return self._rtc_request(SetAlarm(in_seconds, replaces))

    async def clear_alarm(self, at: int) -> Alarm:
        return self._rtc_request(ClearAlarm(at))

    async def arm_card(self, interface: str) -> NetworkCard:
        if self.refusal is not None:
            raise HostError(self.refusal)
        self.cards[interface] = NetworkCard(interface, self.cards[interface].supported, "g")
        return self.cards[interface]

    def _rtc_request(self, request: AlarmRequest) -> Alarm:
        """As the helper itself obeys, on an RTC that answers as the kernel's does."""
        if self.refusal is not None:
            raise HostError(self.refusal)
        self._update_rtc()
        try:
            return rtc.execute(request, self.rtc)
        except RefusalError as error:
            raise HostError(str(error)) from None

    def _update_rtc(self) -> None:
        now = self._clock.now()
        self.rtc.now = int(BEGIN + now.mono + now.slept)
