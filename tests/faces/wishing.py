"""A house that grants wishes and writes them down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from faces.house import NOW, at

from powerd.faces.http import Wishes
from powerd.model import DiskId, Keep, KeepId, RefusedError, Woken

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - a secret of these tests alone


@dataclass
class Wishing:
    """What was wished, in its order.

    Attributes:
        said: each wish, and its end where it has one.
        token: what TCP takes; None = over TCP nothing may be changed; an exception is raised.
        let_go: a hold has ended.
    """

    said: list[tuple[object, ...]] = field(default_factory=list)
    token: str | ValueError | None = None
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def wishes(self) -> Wishes:
        return Wishes(
            self.keep, self.drop, self.hold, self.wake, self.stand_by, self.check, self.test, self.read_token
        )

    def read_token(self) -> str | None:
        if isinstance(self.token, ValueError):
            raise self.token
        return self.token

    def keep(self, seconds: float, because: str) -> Keep:
        self.said.append(("keep", seconds, because))
        if seconds > 1e6:
            raise RefusedError("that is too long")
        return Keep(KeepId("3"), because, NOW, at(seconds))

    def drop(self, name: str) -> Keep:
        self.said.append(("drop", name))
        if name != "3":
            raise RefusedError(f'there is no keep "{name}"', unknown=True)
        return Keep(KeepId("3"), "backup", NOW, at(60))

    @contextmanager
    def hold(self, because: str) -> Iterator[Keep]:
        self.said.append(("hold", because))
        try:
            yield Keep(KeepId("h1"), because, NOW, None)
        finally:
            self.said.append(("let go", because))
            self.let_go.set()

    async def wake(self, host: str) -> Woken:
        self.said.append(("wake", host))
        if host == "nobody":
            raise RefusedError('no client is known as "nobody"', unknown=True)
        return Woken(host, "02:00:00:00:00:09", (("eth0", "10.0.0.255"),))

    async def check(self, disk: str) -> DiskId:
        self.said.append(("check", disk))
        if disk == "nothing":
            raise RefusedError('there is no disk "nothing"', unknown=True)
        return DiskId(disk)

    async def test(self, disk: str, kind: str) -> DiskId:
        self.said.append(("test", disk, kind))
        if disk == "asleep":
            raise RefusedError("asleep is asleep")
        return DiskId(disk)

    async def stand_by(self, disk: str) -> tuple[DiskId, ...]:
        self.said.append(("stand by", disk))
        if disk == "nothing":
            raise RefusedError('there is no disk "nothing"', unknown=True)
        if disk == "ssd":
            raise RefusedError("sda will not stand by: solid state")
        return DiskId(disk), DiskId("its-mirror")


WISHES = Wishing().wishes()
