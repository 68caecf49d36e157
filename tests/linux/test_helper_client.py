"""Asking the helper: the whole way to an RTC and back, and every way in which an answer may be missing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from helper.helper_process import NOBODY, HelperProcess, as_user
from rig.wait import until

from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    GroupSpinUp,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper import rtc
from powerd.helper.dispatcher import Dispatcher
from powerd.helper.protocol.codec import encode_request, encode_response
from powerd.helper.protocol.messages import (
    AlarmResponse,
    AwaitFirstAccess,
    ClearAlarm,
    ReadAlarm,
    ReadCard,
    ReadFiles,
    Request,
    SetAlarm,
    deadline_of,
)
from powerd.helper.server import HelperServer
from powerd.linux import helper_client
from powerd.linux.helper_client import HelperClient, send_request
from powerd.linux.unix_sockets import listen_unix
from powerd.linux.values import HostError
from powerd.power.model import NetworkCard
from powerd.simulation.rtc import EPOCH, SimulatedRtc
from powerd.smart.actions import CheckHealth

T = TypeVar("T")


@contextlib.asynccontextmanager
async def serving(path: Path, deadline: float = 5.0) -> AsyncIterator[None]:
    """The real server on this loop."""
    with listen_unix(path) as socket_path:
        server = HelperServer(socket_path, Dispatcher(deadline=deadline), frozenset({os.geteuid()}))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            yield
            server.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedRtc:
    """The machine's RTC."""
    clock = SimulatedRtc()
    monkeypatch.setattr(rtc, "find_rtc", lambda _root: clock)
    return clock


def test_a_complete_sleep(tmp_path: Path, clock: SimulatedRtc) -> None:
    """Set, set again with what is one's own, woken by it, and nothing to clear."""

    async def main() -> None:
        at = tmp_path / "s"
        async with serving(at):
            first = await send_request(SetAlarm(3600, None), at)
            assert first == AlarmResponse("rtc0", EPOCH, EPOCH + 3600, None, written=True)
            second = await send_request(SetAlarm(7200, first.at), at)
            assert (second.at, second.before) == (EPOCH + 7200, EPOCH + 3600)
            assert (await send_request(ReadAlarm(), at)).in_seconds == 7200
            clock.now += 7200
            assert (await send_request(ClearAlarm(EPOCH + 7200), at)).at is None

    asyncio.run(main())


def test_a_complete_sleep_by_its_methods(tmp_path: Path, clock: SimulatedRtc) -> None:
    async def main() -> None:
        one = HelperClient(tmp_path / "s")
        async with serving(tmp_path / "s"):
            assert (await one.set_alarm(3600, None)).at == EPOCH + 3600
            assert (await one.set_alarm(7200, EPOCH + 3600)).before == EPOCH + 3600
            assert (await one.read_alarm()).in_seconds == 7200
            clock.now += 7200
            assert (await one.clear_alarm(EPOCH + 7200)).at is None
            with pytest.raises(HostError, match="no network interface nope"):
                await one.read_card("nope")

    asyncio.run(main())


@pytest.mark.parametrize("key", ["read", "arm"])
def test_a_card_is_the_models(tmp_path: Path, key: str) -> None:
    one = HelperClient(tmp_path / "s")
    ask_it = one.read_card if key == "read" else one.arm_card
    card = answered(
        tmp_path / "s", encode_response(NetworkCard("eth0", "pumbg", "g")), lambda: ask_it("eth0")
    )
    assert card == NetworkCard("eth0", "pumbg", "g")


def test_what_is_none_of_the_vocabulary_is_never_sent(tmp_path: Path) -> None:
    one = HelperClient(tmp_path / "nothing")

    async def main() -> None:
        for alarm in (one.set_alarm(59, None), one.set_alarm(60, -1), one.clear_alarm(-1)):
            with pytest.raises(HostError, match=r"in_seconds|replaces|at must"):
                await alarm
        for card in (one.read_card("../x"), one.arm_card("")):
            with pytest.raises(HostError, match=r"interface must"):
                await card

    asyncio.run(main())


@pytest.mark.process
def test_a_disk_is_asked_stopped_and_set() -> None:
    with HelperProcess() as server:

        async def main() -> None:
            at = server.socket
            assert await send_request(CheckPowerMode(DiskId("ata-SDA")), at) == PowerStatus(
                PowerMode.ACTIVE, 1
            )
            assert (await send_request(SetApmLevel(DiskId("ata-SDA"), 128), at)).apm == 128
            assert (await send_request(ReadPowerFeatures(DiskId("ata-SDA")), at)).apm_supported
            assert (await send_request(SetStandbyTimer(DiskId("ata-SDA"), 3600), at)).mode == "active"
            assert (await send_request(SpinDown(DiskId("ata-SDA"), "ata"), at)).mode == "standby"

        asyncio.run(main())
        assert server.drives.state("sda") == "standby"


@pytest.mark.process
def test_a_guard_answers_when_a_disk_is_touched_and_ends_when_it_is_cancelled() -> None:
    with HelperProcess() as server:

        async def started_at(guard: asyncio.Task[GroupSpinUp]) -> None:
            before = len(server.log())
            await asyncio.to_thread(until, lambda: len(server.log()) > before, "it is guarded")
            assert not guard.done()

        async def main() -> GroupSpinUp:
            request = AwaitFirstAccess((DiskId("ata-SDA"), DiskId("ata-SDB")))
            guard = asyncio.ensure_future(send_request(request, server.socket))
            await started_at(guard)
            guard.cancel()
            await asyncio.to_thread(
                until, lambda: "the client has closed the connection" in server.log()[-1], "it ends"
            )
            guard = asyncio.ensure_future(send_request(request, server.socket))
            await started_at(guard)
            server.drives.write("sys/block/sdb/stat", "9 0 72 1\n")
            return await asyncio.wait_for(guard, 20)

        answer = asyncio.run(main())
        assert (answer.first_disk, answer.other_disks, answer.failed_disks) == (
            DiskId("ata-SDB"),
            (),
            (DiskId("ata-SDA"),),
        )


@pytest.mark.process
def test_two_hundred_disks_at_once() -> None:
    """More than the queue before the door, and than tools that run at once."""
    with HelperProcess() as server:
        for number in range(2, 200):
            server.drives.add(f"sd{number}", number)
        names = [
            DiskId("ata-SDA"),
            DiskId("ata-SDB"),
            *(DiskId(f"ata-SD{number}") for number in range(2, 200)),
        ]

        async def main() -> list[Any]:
            return await asyncio.gather(
                *(send_request(CheckPowerMode(name), server.socket) for name in names)
            )

        answers = asyncio.run(main())
        assert all(isinstance(answer, PowerStatus) for answer in answers)
        assert {answer.mode for answer in answers} == {"active"}


def test_a_refusal_is_the_helpers_sentence(tmp_path: Path, clock: SimulatedRtc) -> None:
    clock.drops_alarm = True

    async def main() -> None:
        async with serving(tmp_path / "s"):
            with pytest.raises(HostError, match=r"rtc0 .*600 s"):
                await send_request(SetAlarm(600, None), tmp_path / "s")

    asyncio.run(main())


def test_a_hanging_rtc_holds_up_nobody_else(
    tmp_path: Path, clock: SimulatedRtc, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(clock, "read", lambda _attribute: gate.wait(30) and "")

    async def main() -> None:
        at = tmp_path / "s"
        async with serving(at, deadline=0.2):
            hanging = asyncio.create_task(send_request(ReadAlarm(), at))
            await asyncio.sleep(0)
            with pytest.raises(HostError, match="no network interface nope"):
                await send_request(ReadCard("nope"), at)
            with pytest.raises(HostError, match=r"real-time clock .*0\.2 s"):
                await hanging
            with pytest.raises(HostError, match=r"real-time clock .*earlier request"):
                await send_request(ReadAlarm(), at)

    asyncio.run(main())
    gate.set()


def test_one_connection_too_many_is_refused(
    tmp_path: Path, clock: SimulatedRtc, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, gate = threading.Event(), threading.Event()

    def hangs(_attribute: str) -> str:
        asked.set()
        gate.wait(30)
        return ""

    monkeypatch.setattr(clock, "read", hangs)
    monkeypatch.setattr("powerd.helper.server.MAX_REQUESTS", 1)

    async def main() -> None:
        async with serving(tmp_path / "s", deadline=3.0):
            hanging = asyncio.create_task(send_request(ReadAlarm(), tmp_path / "s"))
            await asyncio.to_thread(asked.wait, 20)
            with pytest.raises(HostError, match="1 requests"):
                await send_request(ReadCard("nope"), tmp_path / "s")
            with pytest.raises(HostError, match="did not respond"):
                await hanging

    asyncio.run(main())
    gate.set()


def answered(path: Path, line: bytes, request: Callable[[], Awaitable[T]]) -> T:
    """Ask somebody who answers any request with ``line``."""

    async def main() -> T:
        async def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(line)
            writer.close()

        server = await asyncio.start_unix_server(meet, path)
        try:
            return await request()
        finally:
            server.close()

    return asyncio.run(main())


def test_a_group_watch_returns_the_disks_spun_up(tmp_path: Path) -> None:
    one, other, at = DiskId("ata-A"), DiskId("ata-B"), tmp_path / "s"
    response = GroupSpinUp(first_disk=one, other_disks=(other,), failed_disks=(), duration=7.5)
    waiting = HelperClient(at).wait_first_access
    assert answered(at, encode_response(response), lambda: waiting((one, other))) == response


def test_an_answer_to_something_else_is_none(tmp_path: Path) -> None:
    at = tmp_path / "s"
    with pytest.raises(HostError, match="unexpected response"):
        answered(at, encode_response(NetworkCard("eth0", "g", "g")), lambda: send_request(ReadAlarm(), at))


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", b"\xff\n", b"x" * 5000, encode_request(ReadAlarm())])
def test_no_answer_is_one_sentence(tmp_path: Path, line: bytes) -> None:
    at = tmp_path / "s"
    with pytest.raises(HostError, match=r"^[^\n]*no valid response[^\n]+$"):
        answered(at, line, lambda: send_request(ReadAlarm(), at))


def test_silence_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_client, "_START_MARGIN", 0.03)
    monkeypatch.setattr(helper_client, "deadline_of", lambda _: 0.02)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(HostError, match=r"^[^\n]* 0\.05 s; [^\n]+$"):
            asyncio.run(send_request(ReadAlarm(), tmp_path / "s"))


@pytest.mark.parametrize(
    "request_",
    [
        ReadAlarm(),
        CheckPowerMode(DiskId("ata-A")),
        SpinDown(DiskId("ata-A"), "ata"),
        CheckHealth(DiskId("ata-A"), may_wake=True, device_type=""),
        ReadFiles((DiskId("ata-A"),)),
    ],
)
def test_the_helper_is_waited_for_longer_than_it_promises_to_take(request_: Request) -> None:
    promised, waited = deadline_of(request_), helper_client._timeout_of(request_)  # noqa: SLF001 - minutes, to be seen in no test
    assert promised is not None
    assert waited is not None
    assert waited >= promised + 10, "a small computer that is busy starts it in ten"


def test_a_guard_is_waited_for_without_end() -> None:
    assert helper_client._timeout_of(AwaitFirstAccess((DiskId("ata-A"), DiskId("ata-B")))) is None  # noqa: SLF001 - a deadline of minutes


@pytest.mark.parametrize(
    ("request_", "unit"), [(ReadAlarm(), "powerd-helper"), (ReadFiles(()), "powerd-files")]
)
def test_nobody_there_is_one_sentence(tmp_path: Path, request_: Request, unit: str) -> None:
    with pytest.raises(HostError, match=rf"^[^\n]+; [^\n]*systemctl [^\n]*{unit}\.socket$"):
        asyncio.run(send_request(request_, tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "s"))
    with pytest.raises(HostError, match=rf"^[^\n]+; [^\n]*systemctl [^\n]*{unit}\.socket$"):
        asyncio.run(send_request(request_, tmp_path / "s"))


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")
def test_a_forbidden_peer_is_refused() -> None:
    with HelperProcess() as server:
        with as_user(NOBODY), pytest.raises(HostError, match=f"user {NOBODY} may not"):
            asyncio.run(send_request(ReadAlarm(), server.socket))
        server.socket.chmod(0o600)
        with as_user(NOBODY), pytest.raises(HostError, match="permission denied"):
            asyncio.run(send_request(ReadAlarm(), server.socket))
