"""A fake of the daemon that accepts requests and records them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ui.statuses import NOW, at

from powerd.core.actions import RequestRefusedError
from powerd.core.snapshot import Status
from powerd.disks.model import DiskId
from powerd.power.model import SleepRequest
from powerd.requests.model import AcceptedSleep, KeepAwake, KeepAwakeId, WakeOnLanResult
from powerd.ui.http.context import RequestHandlers

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - a secret of these tests alone


@dataclass
class FakeRequests:
    """The requests in their order.

    Attributes:
        calls: each request, and the end of each hold.
        token: the token for writing over TCP; None = writing is disabled; an exception is raised.
        reload_error: why a reload is refused.
        status: the decision after a request to sleep.
        notify_results: of a test message, each recipient and its error.
        hold_ended: a hold has ended.
    """

    calls: list[tuple[object, ...]] = field(default_factory=list)
    token: str | ValueError | None = None
    reload_error: str | None = None
    status: Status | None = None
    notify_results: tuple[tuple[str, str], ...] = ()
    hold_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def requests(self) -> RequestHandlers:
        return RequestHandlers(
            self.keep,
            self.drop,
            self.hold,
            self.sleep,
            self.cancel_sleep,
            self.wake_on_lan,
            self.spin_down,
            self.check,
            self.test,
            self.acknowledge,
            self.notify_test,
            self.reload,
            self.read_token,
        )

    def read_token(self) -> str | None:
        if isinstance(self.token, ValueError):
            raise self.token
        return self.token

    async def notify_test(self) -> tuple[tuple[str, str], ...]:
        self.calls.append(("notify_test",))
        return self.notify_results

    def reload(self) -> None:
        self.calls.append(("reload",))
        if self.reload_error is not None:
            raise RequestRefusedError(self.reload_error)

    async def keep(self, seconds: float, because: str) -> KeepAwake:
        self.calls.append(("keep", seconds, because))
        if seconds > 1e6:
            raise RequestRefusedError("that is too long")
        return KeepAwake(KeepAwakeId("3"), because, NOW, at(seconds))

    async def drop(self, name: str) -> KeepAwake:
        self.calls.append(("drop", name))
        if name != "3":
            raise RequestRefusedError(f'there is no keep-awake request "{name}"', not_found=True)
        return KeepAwake(KeepAwakeId("3"), "backup", NOW, at(60))

    @contextmanager
    def hold(self, because: str) -> Iterator[KeepAwake]:
        self.calls.append(("hold", because))
        try:
            yield KeepAwake(KeepAwakeId("h1"), because, NOW, None)
        finally:
            self.calls.append(("let go", because))
            self.hold_ended.set()

    async def sleep(self, over_clients: bool) -> AcceptedSleep:  # noqa: FBT001 - as RequestHandlers.sleep
        self.calls.append(("sleep", over_clients))
        return AcceptedSleep(SleepRequest(NOW, at(3600), over_clients), self.status)

    async def cancel_sleep(self) -> SleepRequest:
        self.calls.append(("cancel sleep",))
        if ("sleep", False) not in self.calls:
            raise RequestRefusedError("no sleep has been requested", not_found=True)
        return SleepRequest(NOW, at(3600), over_clients=False)

    async def wake_on_lan(self, host: str) -> WakeOnLanResult:
        self.calls.append(("wake", host))
        if host == "nobody":
            raise RequestRefusedError('no client is known as "nobody"', not_found=True)
        return WakeOnLanResult(host, "02:00:00:00:00:09", (("eth0", "10.0.0.255"),))

    async def check(self, disk: str) -> DiskId:
        self.calls.append(("check", disk))
        if disk == "nothing":
            raise RequestRefusedError('there is no disk "nothing"', not_found=True)
        return DiskId(disk)

    async def test(self, disk: str, kind: str) -> DiskId:
        self.calls.append(("test", disk, kind))
        if disk == "asleep":
            raise RequestRefusedError("asleep is asleep")
        return DiskId(disk)

    def acknowledge(self, disk: str) -> DiskId:
        self.calls.append(("acknowledge", disk))
        if disk == "nothing":
            raise RequestRefusedError('there is no disk "nothing"', not_found=True)
        return DiskId(disk)

    async def spin_down(self, disk: str) -> tuple[DiskId, ...]:
        self.calls.append(("spin down", disk))
        if disk == "nothing":
            raise RequestRefusedError('there is no disk "nothing"', not_found=True)
        if disk == "ssd":
            raise RequestRefusedError("sda cannot be spun down: solid state")
        return DiskId(disk), DiskId("its-mirror")


REQUESTS = FakeRequests().requests()
