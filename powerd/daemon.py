"""The composition root: board, sources, engine and actuators put together on some host.

The host is handed in, so that the same daemon runs on this machine and in a rehearsal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from powerd import actuators, disks, health, transit, wake
from powerd.board import Board
from powerd.clock import Clock
from powerd.config import Clients, Options
from powerd.engine import HEARTBEAT, Engine, Limbs
from powerd.host import eyes as host
from powerd.host.values import Going
from powerd.keeps import Keeps, Lasting
from powerd.model import (
    LOGIND,
    TIMERS,
    CheckHealth,
    Client,
    Decision,
    Disk,
    DiskId,
    Done,
    Finding,
    Mode,
    Order,
    Outcome,
    RefusedError,
    Sleep,
    Snapshot,
    StartTest,
    Status,
    Unrest,
    Wake,
    Woken,
    found_in,
)
from powerd.policy import powered_off
from powerd.policy.clients import standings
from powerd.policy.wake import next_wake
from powerd.sources import learned
from powerd.sources.cards import Cards
from powerd.sources.inhibitors import Inhibitors
from powerd.sources.known import Known
from powerd.sources.presence import Presence
from powerd.sources.runner import Extent, Watch
from powerd.sources.timers import Timers
from powerd.store import Store
from powerd.transit import Lock, Night, OwnAlarm, Transit

_A_PERSON_WAITS: Final = 10.0
"""Seconds; a check may take a minute, and is then shown when it is done."""
_NO_LONGER: Final = 1.0
"""Seconds that a look may take while logind waits for us; it waits for five in all."""
_FRESH_ENOUGH: Final = 5.0
"""A person who looks twice within so many seconds sees the same look."""


class Eyes(host.Eyes, host.DiskEyes, Protocol):
    """All that the daemon may do to look."""


class Hands(actuators.Hands, disks.Hands, transit.Hands, wake.Hands, Protocol):
    """All that the daemon may do to the machine and its network."""


class Daemon:
    """Everything between the host below and the faces above.

    Args:
        options: the configuration in force.
        eyes, hands, clock: the host.
        store: what outlives a restart.
        hear: called with each new Status.
        complain: called with each fault that is no status, one sentence.
        alert: called with each finding of a drive's health that has not been told.
        boot: which boot of the machine this is; "" = unknown.
    """

    def __init__(  # noqa: PLR0913 - the host's three parts, and what the house is told and tells
        self,
        options: Options,
        eyes: Eyes,
        hands: Hands,
        clock: Clock,
        *,
        store: Store | None = None,
        hear: Callable[[Status], None] = lambda _: None,
        complain: Callable[[str], None] = lambda _: None,
        alert: Callable[[Disk, Finding], None] = lambda *_: None,
        boot: str = "",
    ) -> None:
        self.status: Status | None = None
        self.board = Board()
        self._store = store
        self._boot = boot
        self._complain = complain
        self._options = options
        self._clock = clock
        self._eyes = eyes
        self._hands = hands
        self._hear = hear
        self._block = Lock(hands, ("sleep", "shutdown", "idle"), "block", complain)
        self.keeps = Keeps(
            self.board,
            clock,
            boot,
            document=store.load("keeps") if store else None,
            remember=lambda document: self._save("keeps", document),
            hear=self._hold_up,
        )
        book = learned.from_json(store.load("learned")) if store else {}
        self._known = Known(eyes, book, self._remember)
        self._presence = Presence(eyes, clock, options.clients, self._known, _counting)
        self._standing = tuple(kind(eyes, clock, options) for kind in (Inhibitors, Timers, Cards))
        self._watches = {
            source.name: Watch(source, self.board, clock) for source in (self._presence, *self._standing)
        }
        self._night = self._new_night()
        self._transit = Transit(
            self.board,
            clock,
            eyes,
            self._night,
            Lock(hands, ("sleep", "shutdown"), "delay", complain),
            wanted=self._wanted,
            hear=self._heed,
            complain=complain,
        )
        self._disks = disks.Disks(eyes, hands, clock, self.board, store=store, complain=complain, boot=boot)
        self._disks.rhythm(options.clients.every)
        self._health = health.Health(self.board, clock, store, complain, alert)
        self._errands: set[asyncio.Task[Done]] = set()
        limbs = Limbs(look=self._look_closely, obey=self._obey, tell=self._tell)
        self._engine = Engine(self.board, clock, options, limbs, self._disks.memory, unrest=self._unrest())
        self._looked_at_all = float("-inf")
        self._looking_at_all = asyncio.Lock()

    def _new_night(self) -> Night:
        document = self._store.load("alarm") if self._store else None
        alarm = OwnAlarm(
            self._eyes, self._hands, self._clock, document, lambda data: self._save("alarm", data)
        )
        return Night(
            self.board,
            self._clock,
            self._hands,
            options=self._options,
            alarm=alarm,
            still=self._stirred,
            complain=self._complain,
        )

    def _unrest(self) -> Unrest:
        """What the storm guard knows, if this boot ends a power-off of powerd's; that counts once."""
        document = self._store.load("unrest") if self._store else None
        if document is not None:
            self._save("unrest", None)
        return powered_off.revive(document, self._boot, self._clock.now())

    async def live(self) -> None:
        """Look and decide until cancelled; at the end what was learned is kept, and no alarm."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for watch in self._watches.values():
                    tasks.create_task(_unending(watch.run(), "looking"))
                tasks.create_task(_unending(self._disks.run(), "looking at disks"))
                tasks.create_task(_unending(self._engine.live(), "deciding"))
                tasks.create_task(_unending(self._transit.live(), "hearing logind"))
                tasks.create_task(_unending(self._block.live(), "holding its lock"))
        finally:
            self._disks.close()
            self._health.close()
            self._remember(self._known.strangers)

    def reconfigure(self, options: Options) -> None:
        """Take over a new configuration; what was observed is kept."""
        self._options = self._night.options = options
        self._presence.options = options.clients
        for source in self._standing:
            source.options = options
        for watch in self._watches.values():
            watch.hurry()
        self._transit.stand_by()
        self._hold_up(self.board.snapshot().keeps)
        self._disks.rhythm(options.clients.every)
        self._engine.reconfigure(options)

    async def look_at_all(self) -> None:
        """Ask every client, for a person who wants to see; bounded in time. Who asks meanwhile shares it."""
        async with self._looking_at_all:
            if self._clock.now().mono - self._looked_at_all > _FRESH_ENOUGH:
                await self._watches[self._presence.name].look(Extent.ALL)
                self._looked_at_all = self._clock.now().mono
                await asyncio.sleep(0)  # noqa: TID251 - the engine decides on it before the person is shown

    async def wake(self, host: str) -> Woken:
        """Send magic packets to a client, by its name, address or MAC.

        Raises:
            RefusedError: nobody is known by that name, or nothing could be sent.
        """
        return await wake.wake(host, self.board.snapshot().known, self._eyes, self._hands)

    async def stand_by(self, disk: str) -> tuple[DiskId, ...]:
        """Have a disk and its group stand by; gives those that were meant.

        Raises:
            RefusedError: there is no such disk, or it cannot be made to.
        """
        return await self._disks.stand_by(disk)

    async def check(self, disk: str) -> DiskId:
        """Have a drive's health read, unless it sleeps; what that takes long for goes on in the background.

        Raises:
            RefusedError: there is no such drive, it sleeps, or it cannot be read.
        """
        found, kind = self._health.find(disk)
        await self._wished(CheckHealth(found.id, wake=False, kind=kind))
        return found.id

    async def test(self, disk: str, test: str) -> DiskId:
        """Have a drive test itself, ``short`` or ``long``.

        Raises:
            RefusedError: there is no such drive, it sleeps, or it cannot.
        """
        found, kind = self._health.find(disk)
        await self._wished(StartTest(found.id, test, kind))
        return found.id

    async def _wished(self, order: CheckHealth | StartTest) -> None:
        """Obey a person's order, in whatever mode; wait for it as long as a person does."""
        begun = self._clock.now().mono
        self.board.begin(order)
        errand = asyncio.get_running_loop().create_task(self._obey(order, "enforce"))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)
        errand.add_done_callback(
            lambda task: self.board.end(_outcome(order, task, begun, self._clock.now().mono))
        )
        await asyncio.wait({errand}, timeout=_A_PERSON_WAITS)
        if errand.done() and not errand.result()[0]:
            raise RefusedError(errand.result()[1])

    def trouble(self) -> str | None:
        """Why no decisions are being made; None = they are."""
        if self.status is None:
            return "no decision has been made yet"
        late = self._clock.now().mono - self.status.now.mono - 2 * HEARTBEAT
        return f"no decision has been made for {late + 2 * HEARTBEAT:.0f} s" if late > 0 else None

    async def _obey(self, order: Order, mode: Mode) -> Done:
        self._disks.begun(order)
        done = await actuators.obey(order, self._hands, mode, self._night)
        self._disks.obeyed(order, done)
        self._health.obeyed(order, done)
        if isinstance(order, Sleep) and order.action == "poweroff" and done[0] and mode == "enforce":
            self._part(order)
        return done

    def _part(self, order: Sleep) -> None:
        """The server powers off: keep what the storm guard knows for the next boot."""
        unrest = self.status.decision.memory.unrest if self.status else Unrest()
        self._save("unrest", powered_off.document(unrest, order.wake, self._boot, self._clock.now()))

    async def _look_closely(self) -> None:
        """All sources at once, so that it takes no longer than the slowest."""
        await asyncio.gather(*(watch.look(Extent.CLOSE) for watch in self._watches.values()))

    async def _stirred(self, since: float) -> str | None:
        """Why a sleep that has been prepared since then must not come, after another look; None = it may."""
        await self._look_closely()
        await asyncio.sleep(0)  # noqa: TID251 - the engine decides on it
        decision = self.status.decision if self.status else None
        if decision is None or decision.phase in {"warning", "going-down"}:
            idle = decision.memory.idle_since if decision else None
            # By a key, or a new configuration: somebody was there, though nothing stirs any more.
            return "idleness has begun anew" if idle is not None and idle > since else None
        return next((f"{each.subject}: {each.text}" for each in decision.reasons), decision.phase)

    async def _wanted(self) -> Wake | None:
        """When the server has to be up again should it sleep now, by a fresh look at the timers.

        By policy itself and no decision, for the engine may be waiting for a look at something slower; and by
        what was seen last where systemd does not answer in time.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NO_LONGER):
                await self._watches[TIMERS].look(Extent.CLOSE)
        return next_wake(self.board.snapshot(), self._options, self._clock.now())

    def _heed(self, going: Going) -> None:
        """What logind says hastens the looks at what it concerns, in which all keep their one rhythm."""
        for watch in [self._watches[LOGIND]] if going.what == "inhibitors" else self._watches.values():
            watch.glance()
        self._block.nudge()

    def _hold_up(self, lasting: Lasting) -> None:
        """While anybody wants the server awake, everybody else is to know; an observer holds nobody up."""
        reasons = dict.fromkeys(keep.because or "powerd keep" for keep in lasting.values())
        held = lasting and self._options.mode == "enforce"
        self._block.want("; ".join(reasons) if held else None)

    def _tell(self, snapshot: Snapshot, decision: Decision) -> None:
        now, before = self._clock.now(), self.status
        since = before.since if before is not None and before.decision.phase == decision.phase else now
        self.status = Status(now, self._options.mode, snapshot, decision, since)
        self._disks.told(decision)
        self._health.told(decision)
        self._hear(self.status)
        self._transit.decided(self.status)
        self.keeps.tidy()

    def _remember(self, book: learned.Book) -> None:
        if book:
            self._save("learned", learned.to_json(book))

    def _save(self, name: str, document: object) -> None:
        trouble = self._store.save(name, document) if self._store else None
        if trouble:
            self._complain(trouble)


def _outcome(order: Order, errand: asyncio.Task[Done], begun: float, at: float) -> Outcome:
    if errand.cancelled() or errand.exception() is not None:
        return Outcome(order, at, ok=False, observed="it was broken off", begun=begun)
    done = errand.result()
    return Outcome(order, at, done[0], done[1], begun, found_in(done))


async def _unending(life: Coroutine[None, None, None], what: str) -> None:
    """Live on, or end with an error: systemd then starts the daemon anew, and until then nothing sleeps.

    A TaskGroup takes no notice of a child that returns, or is cancelled by something inside it; a daemon that
    serves its page but no longer decides would be the worst of all.
    """
    try:
        await life
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
    raise RuntimeError(f"powerd stopped {what}, which it must never do")


def _counting(options: Clients) -> Callable[[Client], bool]:
    """Whose presence keeps the server awake, by the rules of policy; a source may not ask it itself."""
    standing = standings(options)
    return lambda client: standing(client).counts
