"""The composition root: board, sources, engine and actuators put together on some host.

The host is handed in, so that the same daemon runs on this machine and in a rehearsal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

from powerd import actuators, disks, health, transit, wake
from powerd.board import Board
from powerd.clock import Clock
from powerd.config import Clients, Options
from powerd.engine import HEARTBEAT, Engine, Limbs
from powerd.host import eyes as host
from powerd.host.values import Going
from powerd.keeps import Keeps, Lasting
from powerd.kept import Kept
from powerd.looks import Looks
from powerd.model import (
    Client,
    Decision,
    Disk,
    Done,
    Finding,
    Mode,
    Order,
    Sleep,
    Snapshot,
    Status,
    Unrest,
)
from powerd.policy.clients import standings
from powerd.sources.cards import Cards
from powerd.sources.inhibitors import Inhibitors
from powerd.sources.known import Known
from powerd.sources.presence import Presence
from powerd.sources.runner import Watch
from powerd.sources.timers import Timers
from powerd.store import Store
from powerd.transit import Lock, Night, OwnAlarm, Transit
from powerd.wishes import Wishes


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
        self._options = options
        self._clock = clock
        self._hands = hands
        self._hear = hear
        self._kept = Kept(store, boot, clock, complain)
        self._block = Lock(hands, ("sleep", "shutdown", "idle"), "block", complain)
        self.keeps = Keeps(
            self.board,
            clock,
            boot,
            document=self._kept.load("keeps"),
            remember=lambda document: self._kept.save("keeps", document),
            hear=self._hold_up,
        )
        self._known = Known(eyes, self._kept.strangers(), self._kept.remember)
        self._presence = Presence(eyes, clock, options.clients, self._known, _counting)
        self._standing = tuple(kind(eyes, clock, options) for kind in (Inhibitors, Timers, Cards))
        self._watches = {
            source.name: Watch(source, self.board, clock) for source in (self._presence, *self._standing)
        }
        self.looks = Looks(options, self.board, clock, self._watches, lambda: self.status)
        alarm = OwnAlarm(
            eyes, hands, clock, self._kept.load("alarm"), lambda document: self._kept.save("alarm", document)
        )
        self._night = Night(
            self.board,
            clock,
            hands,
            options=options,
            alarm=alarm,
            still=self.looks.still,
            complain=complain,
        )
        self._transit = Transit(
            self.board,
            clock,
            eyes,
            self._night,
            Lock(hands, ("sleep", "shutdown"), "delay", complain),
            wanted=self.looks.wanted,
            hear=self._heed,
            complain=complain,
        )
        self._disks = disks.Disks(eyes, hands, clock, self.board, store=store, complain=complain, boot=boot)
        self._disks.rhythm(options.clients.every)
        self._health = health.Health(self.board, clock, store, complain, alert)
        limbs = Limbs(look=self.looks.closely, obey=self._obey, tell=self._tell)
        self._engine = Engine(
            self.board, clock, options, limbs, self._disks.memory, unrest=self._kept.unrest()
        )
        self.wishes = Wishes(
            options,
            self.board,
            eyes,
            hands,
            disks=self._disks,
            health=self._health,
            send=self._engine.errands.send,
        )

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
            self._kept.remember(self._known.strangers)

    def reconfigure(self, options: Options) -> None:
        """Take over a new configuration; what was observed is kept."""
        self._options = self._night.options = self.looks.options = self.wishes.options = options
        self._presence.options = options.clients
        for source in self._standing:
            source.options = options
        for watch in self._watches.values():
            watch.hurry()
        self._transit.stand_by()
        self._hold_up(self.board.snapshot().keeps)
        self._disks.rhythm(options.clients.every)
        self._engine.reconfigure(options)

    def trouble(self) -> str | None:
        """Why no decisions are being made; None = they are."""
        if self.status is None:
            return "no decision has been made yet"
        late = self._clock.now().mono - self.status.now.mono - 2 * HEARTBEAT
        return f"no decision has been made for {late + 2 * HEARTBEAT:.0f} s" if late > 0 else None

    async def _obey(self, order: Order, mode: Mode) -> Done:
        self._disks.begun(order)
        done = Done(False, "it was broken off")
        try:
            done = await actuators.obey(order, self._hands, mode, self._night)
        finally:
            self._disks.obeyed(order, done)
        self._health.obeyed(order, done)
        if isinstance(order, Sleep) and order.action == "poweroff" and done.ok and mode == "enforce":
            self._kept.part(self.status.decision.memory.unrest if self.status else Unrest(), order.wake)
        return done

    def _heed(self, going: Going) -> None:
        """What logind says; its answers may be others now."""
        self.looks.hasten(going.what)
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
