"""A simulated server that can sleep: logind, its locks, the RTC, network cards, and commands.

Events have the order of a real machine: logind announces the sleep and waits for the delay locks; the machine
sleeps until its alarm is due or the network wakes it; logind announces the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from fnmatch import fnmatch
from typing import Final

from powerd.attribution.model import FileReading, TraceReading
from powerd.disks.model import DiskAction, DiskId, GroupSpinUp
from powerd.helper import rtc
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import AlarmRequest, ClearAlarm, ReadAlarm, SetAlarm
from powerd.linux.ports import Alarm
from powerd.linux.values import (
    CommandTimeoutError,
    HostError,
    LogindEvent,
    LoginSession,
    ProcessResult,
    SystemdUnit,
    UnitProcess,
    UnitStart,
)
from powerd.power.model import (
    Inhibitor,
    KeyPress,
    NetworkCard,
    SuspendFailures,
    SystemdTimer,
    WakeupSource,
    WakeupState,
)
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.rtc import SimulatedRtc
from powerd.smart.actions import DiskResult

RTC_WAKEUP: Final = WakeupSource("00:04", "/devices/pnp0/00:04", driver="rtc_cmos", events=0)
CARD_WAKEUP: Final = WakeupSource(
    "0000:00:03.0", "/devices/pci0000:00/0000:00:03.0", driver="e1000", events=0
)


class HeldLock:
    """An inhibitor lock of powerd's: it is held until the descriptor is closed."""

    def __init__(self, what: str, why: str, mode: str) -> None:
        self.what, self.why, self.mode = what, why, mode
        self.released = asyncio.Event()
        self._read_end, self.descriptor = os.pipe()
        asyncio.get_running_loop().add_reader(self._read_end, self._on_release)

    def __repr__(self) -> str:
        return f"{self.mode} {self.what}: {self.why}"

    def is_held(self) -> bool:
        """Whether the descriptor is open."""
        if self.released.is_set():
            return False
        poll = select.poll()
        poll.register(self._read_end, 0)
        return not poll.poll(0)  # POLLHUP, once no process can write

    def _on_release(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)
        self.released.set()


@dataclass(frozen=True, slots=True)
class SimulatedUnit:
    """A unit of systemd that is loaded.

    Attributes:
        processes: the command line of each process ID.
        active, sub: its state (SystemdUnit).
        start: how it was started.
        session: the session of logind of a scope ``session-ID.scope``.
        cgroup: the control group of its processes, below its own.
    """

    processes: Mapping[int, str] = field(default_factory=dict)
    active: str = "active"
    sub: str = "running"
    start: UnitStart = field(default=UnitStart())
    session: LoginSession | None = None
    cgroup: str = ""


@dataclass
class SimulatedMachine:
    """A server without disks; implements the ports Logind, Helper and Processes.

    Attributes:
        clock: the server's clocks.
        rtc: its real-time clock.
        network_wake_at: given the true time of the sleep, the time of the next wake-up by the network.
        sleep_support: logind's answer to Can..., by action; any other answer is ``yes``.
        other_locks: inhibitor locks of other processes.
        latest_key_press: the last key press.
        is_typing: whether a person is typing at a true time.
        timer_elapses: by unit, given a true time, the next elapse of the timer.
        units: units of systemd, by name.
        users: names by user ID.
        units_error: the error of every query about units; None = systemd answers.
        cards: network cards by name; an unlisted one can be woken by a magic packet.
        max_inhibit_delay: InhibitDelayMaxSec= (logind.conf(5)), seconds.
        helper_error: the helper's error for every request; None = requests succeed.
        alarm_error: the helper's error for setting an alarm.
        inhibit_error: logind's error for a request of a lock.
        logind_error: logind's error for a request to sleep.
        command_result, command_duration: how each command ends, and the seconds that it takes.
        suppress_events: logind sends no signal when a sleep or a shutdown begins or ends.
        zero_length_sleep: a sleep is so short that the clocks do not show it.
        suspend_failures: the kernel's record of failed suspends.
        announced: ``sleep`` or ``shutdown`` if logind has announced one that is not over.
        calls: the requested actions in their order, the name first.
        performed: (true time, action) of every sleep and command.
        alarm_distances: at each sleep the seconds to the alarm; None = none was set.
        wakeup_times: true time of every wake-up.
        broadcasts: true times of announcements.
        logind_call_times: true times of requests to logind.
    """

    clock: SimulatedClock = field(default_factory=SimulatedClock)
    _: KW_ONLY
    rtc: SimulatedRtc = field(default_factory=SimulatedRtc)
    network_wake_at: Callable[[float], float] = field(default=lambda asleep: asleep + 8 * 3600)
    sleep_support: dict[str, str] = field(default_factory=dict)
    other_locks: tuple[Inhibitor, ...] = ()
    latest_key_press: KeyPress | None = None
    is_typing: Callable[[float], bool] = field(default=lambda _: False)
    timer_elapses: dict[str, Callable[[float], float]] = field(default_factory=dict)
    units: dict[str, SimulatedUnit] = field(default_factory=dict)
    users: dict[int, str] = field(default_factory=dict)
    units_error: HostError | None = None
    cards: dict[str, NetworkCard] = field(default_factory=dict)
    max_inhibit_delay: float = 5.0
    helper_error: str | None = None
    alarm_error: str | None = None
    inhibit_error: HostError | None = None
    logind_error: str | None = None
    command_result: ProcessResult = field(default=ProcessResult(0, "", ""))
    command_duration: float = 0.0
    suppress_events: bool = False
    zero_length_sleep: bool = False
    suspend_failures: SuspendFailures = field(default=SuspendFailures(0))
    announced: str = ""
    calls: list[tuple[object, ...]] = field(default_factory=list)
    performed: list[tuple[float, str]] = field(default_factory=list)
    alarm_distances: list[float | None] = field(default_factory=list)
    wakeup_times: list[float] = field(default_factory=list)
    broadcasts: list[float] = field(default_factory=list)
    logind_call_times: list[float] = field(default_factory=list)
    _wakeup_counts: dict[WakeupSource, int] = field(default_factory=lambda: {RTC_WAKEUP: 0, CARD_WAKEUP: 0})
    _own_locks: list[HeldLock] = field(default_factory=list)
    _events: asyncio.Queue[LogindEvent] = field(default_factory=asyncio.Queue)
    _sleep_task: asyncio.Task[None] | None = None

    def own_locks(self, mode: str) -> list[HeldLock]:
        """The locks of powerd that are held."""
        return [lock for lock in self._own_locks if lock.mode == mode and lock.is_held()]

    def emit(self, event: LogindEvent) -> None:
        """Logind sends a signal."""
        if event.kind in {"sleep", "shutdown"}:
            self.announced = event.kind if event.start else ""
        if not self.suppress_events or event.kind not in {"sleep", "shutdown"}:
            self._events.put_nowait(event)

    def seconds_to_alarm(self) -> float | None:
        """Seconds to the alarm that is set; None = none."""
        self._update_rtc()
        self.rtc.read("wakealarm")
        return None if self.rtc.alarm is None else self.rtc.alarm - self.rtc.now

    def fall_asleep(self, action: str = "suspend", *, fails: bool = False) -> None:
        """Begin a sleep: logind sends its signal before it replies to the request."""
        self.emit(LogindEvent("shutdown" if action == "poweroff" else "sleep"))
        self._sleep_task = asyncio.get_running_loop().create_task(self._sleep(action, fails=fails))

    async def sleep(self, action: str = "suspend", *, fails: bool = False) -> None:
        """A whole sleep, requested by any program."""
        self.emit(LogindEvent("shutdown" if action == "poweroff" else "sleep"))
        await self._sleep(action, fails=fails)

    def wake_up(self, slept: float, source: WakeupSource = CARD_WAKEUP) -> None:
        """End a sleep that was announced; 0 s = it has failed."""
        if slept:
            self._wakeup_counts[source] += 1
            self.clock.slept += 0.0 if self.zero_length_sleep else slept
            self.wakeup_times.append(self.clock.true_time())
        self.emit(LogindEvent("sleep", start=False))

    async def _sleep(self, action: str, *, fails: bool) -> None:
        """What logind does for ``action``; after a power-off nothing follows."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.max_inhibit_delay):
                for lock in self.own_locks("delay"):
                    await lock.released.wait()
        asleep = self.clock.true_time()
        self.performed.append((asleep, action))
        self.alarm_distances.append(self.seconds_to_alarm())
        if action == "poweroff":
            return
        self.wake_up(*((0.0,) if fails else self._next_wakeup(asleep)))

    def _next_wakeup(self, asleep: float) -> tuple[float, WakeupSource]:
        """For how long the machine sleeps, and its wakeup source."""
        network_wake, alarm = self.network_wake_at(asleep), self.rtc.alarm
        if alarm is None or not asleep < alarm <= network_wake:
            return network_wake - asleep, CARD_WAKEUP
        self.rtc.alarm = None
        return alarm - asleep, RTC_WAKEUP

    # --- Logind ---

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """The locks of other processes."""
        return self.other_locks

    async def can_sleep(self, action: str) -> str:
        """Every action is possible, unless the script says otherwise."""
        return self.sleep_support.get(action, "yes")

    async def last_key_press(self) -> KeyPress | None:
        """A person who types does so continuously."""
        if self.is_typing(self.clock.true_time()):
            self.latest_key_press = KeyPress(self.clock.mono(), "anna on tty1")
        return self.latest_key_press

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """The next elapses of the script's timers."""
        return tuple(
            SystemdTimer(unit, wall=self.timer_elapses[unit](self.clock.true_time())) for unit in units
        )

    async def list_units(self, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
        """The units in one of these states, by patterns."""
        if self.units_error is not None:
            raise self.units_error
        return tuple(
            SystemdUnit(name, unit.active, unit.sub, f"/{name}")
            for name, unit in sorted(self.units.items())
            if unit.active in states and any(fnmatch(name, pattern) for pattern in patterns)
        )

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        """The processes of a unit."""
        found = self.units.get(unit, SimulatedUnit())
        return tuple(
            UnitProcess(f"/slice/{unit}{found.cgroup}", pid, command)
            for pid, command in found.processes.items()
        )

    async def read_start(self, unit: SystemdUnit) -> UnitStart:
        """How a unit was started."""
        return self.units[unit.name].start

    async def find_session(self, session: str) -> LoginSession | None:
        """The session of a scope."""
        unit = self.units.get(f"session-{session}.scope")
        return None if unit is None else unit.session

    async def user_name(self, uid: int) -> str:
        """The name of a user."""
        return self.users.get(uid, f"user {uid}")

    async def inhibit_delay(self) -> float:
        """The configured delay."""
        return self.max_inhibit_delay

    async def events(self) -> AsyncIterator[LogindEvent]:
        """The signals of logind from now on."""
        self._events = asyncio.Queue()
        yield LogindEvent("found")
        while True:
            yield await self._events.get()

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """A lock until the descriptor is closed."""
        if self.inhibit_error is not None:
            raise self.inhibit_error
        self._own_locks = [*(lock for lock in self._own_locks if lock.is_held()), HeldLock(what, why, mode)]
        return self._own_locks[-1].descriptor

    async def transition_in_progress(self) -> str:
        """After the announcement of a sleep or a shutdown; a power-off never ends."""
        return self.announced

    async def check_sleep(self, action: str) -> None:
        """Nothing forbids a sleep."""

    async def request_sleep(self, action: str) -> None:
        """Accept the request and sleep."""
        self.calls.append(("logind", action))
        self.logind_call_times.append(self.clock.true_time())
        if self.logind_error is not None:
            raise HostError(self.logind_error)
        self.fall_asleep(action)

    # --- Helper ---

    async def read_alarm(self) -> Alarm:
        """The RTC runs on true time."""
        return self._rtc_request(ReadAlarm())

    async def set_alarm(self, in_seconds: int, replaces: int | None) -> Alarm:
        """By the helper's own code."""
        if self.alarm_error is not None:
            raise HostError(self.alarm_error)
        return self._rtc_request(SetAlarm(in_seconds, replaces))

    async def clear_alarm(self, at: int) -> Alarm:
        """By the helper's own code."""
        return self._rtc_request(ClearAlarm(at))

    def _rtc_request(self, request: AlarmRequest) -> Alarm:
        self._require_helper()
        self._update_rtc()
        try:
            return rtc.execute(request, self.rtc)
        except RefusalError as error:
            raise HostError(str(error)) from None

    def _update_rtc(self) -> None:
        self.rtc.now = int(self.clock.true_time())

    def _require_helper(self) -> None:
        if self.helper_error is not None:
            raise HostError(self.helper_error)

    async def read_card(self, interface: str) -> NetworkCard:
        """The setting of the card."""
        return self.cards.get(interface, NetworkCard(interface, "g", "g"))

    async def arm_card(self, interface: str) -> NetworkCard:
        """Enable wake-up by magic packet."""
        self._require_helper()
        self.cards[interface] = replace(await self.read_card(interface), armed="g")
        return self.cards[interface]

    async def execute_disk_action(self, action: DiskAction) -> DiskResult:
        """There are no disks."""
        raise HostError(f"{action.disk}: the simulation has no disks")

    async def wait_first_access(self, disks: tuple[DiskId, ...]) -> GroupSpinUp:
        """There are no disks."""
        raise HostError(f"{disks[0]}: the simulation has no disks")

    async def read_files(self, disks: tuple[DiskId, ...], standby: tuple[DiskId, ...] = ()) -> FileReading:
        """There are no disks."""
        raise HostError(f"{disks or standby}: the simulation has no disks")

    async def read_trace(self, disks: tuple[DiskId, ...]) -> TraceReading:
        """There are no disks."""
        raise HostError(f"{disks[0]}: the simulation has no disks")

    async def stop_trace(self) -> TraceReading:
        """Nothing is traced."""
        return TraceReading()

    # --- Processes, and the wakeup counters ---

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Processes.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Every command takes and returns what the script says."""
        self.calls.append(("run", tuple(argv), timeout, *(env or {}).items(), *([stdin] if stdin else [])))
        self.performed.append((self.clock.true_time(), argv[0]))
        if self.command_duration:
            await asyncio.sleep(min(self.command_duration, timeout))  # noqa: TID251 - virtual time
        if self.command_duration > timeout:
            raise CommandTimeoutError(f"{argv[0]} was still running after {timeout:g} s and was ended")
        return self.command_result

    async def broadcast(self, text: str) -> None:
        """Record the announcement."""
        self.calls.append(("broadcast", text))
        self.broadcasts.append(self.clock.true_time())

    def read_wakeup_state(self) -> WakeupState:
        """An RTC and a network card."""
        sources = tuple(replace(each, events=count) for each, count in self._wakeup_counts.items())
        count = sum(self._wakeup_counts.values())
        return WakeupState(sources, "", (("eth0", CARD_WAKEUP.device),), count, self.suspend_failures)
