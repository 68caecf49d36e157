"""The connection to a real dbus-daemon, which is killed and started again; logind is python-dbusmock's."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from linux.private_bus import PrivateBus

from powerd.linux import dbus as host_bus
from powerd.linux.dbus import NoReplyError, error_text, socket_path
from powerd.linux.values import HostError, LogindEvent
from powerd.power.logind import LogindClient

pytestmark = pytest.mark.process

FOUND, LOST = LogindEvent("found"), LogindEvent("lost")


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[LogindClient, asyncio.Queue[LogindEvent]]]:
    """A connection, and a queue of its events."""
    logind, queue = LogindClient(), asyncio.Queue[LogindEvent]()

    async def listen() -> None:
        async for event in logind.events():
            queue.put_nowait(event)

    async with asyncio.TaskGroup() as tasks:
        listener = tasks.create_task(listen())
        yield logind, queue
        listener.cancel()
    logind.close()


async def next_of(queue: asyncio.Queue[LogindEvent]) -> LogindEvent:
    async with asyncio.timeout(60):
        return await queue.get()


async def refusal(logind: LogindClient, kind: type[HostError] = HostError) -> str:
    with pytest.raises(kind) as error:
        await logind.list_inhibitors()
    assert "\n" not in str(error.value)
    return str(error.value)


def descriptors() -> list[str]:
    """What this process has open, by kind."""
    gc.collect()
    links = Path("/proc/self/fd").iterdir()
    return sorted(re.sub(r"\[\d+\]", "", str(link.readlink())) for link in links if link.is_symlink())


def switches() -> int:
    """How often this process has waited for something (proc_pid_status(5))."""
    found = re.search(
        r"^voluntary_ctxt_switches:\s+(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    ("address", "socket"),
    [
        ("unix:path=/run/dbus/system_bus_socket", "/run/dbus/system_bus_socket"),
        ("unix:guid=12,path=/run/a;unix:path=/run/b", "/run/a"),
        ("unix:path=/run/a,guid=12", "/run/a"),
        ("unix:abstract=/tmp/x;unix:path=/run/b", None),
        ("tcp:host=localhost,port=1", None),
    ],
)
def test_where_the_socket_is(address: str, socket: str | None) -> None:
    assert socket_path(address) == (Path(socket) if socket else None)


def test_without_a_bus_nothing_is_imported_and_nobody_waits(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from powerd.power.logind import LogindClient; logind = LogindClient()\n"
        "async def main():\n"
        "    assert await logind.list_inhibitors() == ()\n"
        "    assert await logind.can_sleep('suspend') == ''\n"
        "    assert await logind.last_key_press() is None\n"
        "    assert await logind.inhibit_delay() == 5.0\n"
        "    assert await logind.list_timers(['auto']) == ()\n"
        "    logind.close()\n"
        "asyncio.run(main()); assert 'sdbus' not in sys.modules"
    )
    nothing = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/nothing"}
    subprocess.run([sys.executable, "-c", code], env=nothing, check=True)


def test_a_bus_that_refuses_is_a_sentence(bus: PrivateBus) -> None:
    bus.end()
    Path(bus.address.removeprefix("unix:path=")).touch()
    assert "Connection refused" in asyncio.run(refusal(LogindClient()))


def test_a_library_error_is_reported_by_its_number_only() -> None:
    assert (
        error_text(OSError("File a.c Line 5. sd_bus_open returned error number: 13")) == "Permission denied"
    )
    assert error_text(ValueError("name", "message")) == "message"
    assert error_text(TimeoutError()) == ""


def test_the_connection_to_logind_is_made_lost_and_made_again(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bus, "_PAUSES", (0.05, 0.2))

    async def main() -> None:
        bus.logind()
        async with listening() as (logind, queue):
            assert await next_of(queue) == FOUND
            assert await logind.list_inhibitors() == ()
            for _ in range(2):
                bus.end()
                assert await next_of(queue) == LOST
                assert "cannot reach" in await refusal(logind)
                bus.start()
                bus.logind()
                assert await next_of(queue) == FOUND
                bus.emit_prepare("PrepareForSleep", begins=True)
                assert await next_of(queue) == LogindEvent("sleep")
                assert await logind.list_inhibitors() == ()

    asyncio.run(main())


def test_who_waits_for_an_answer_when_the_bus_ends_gets_a_sentence_at_once(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bus, "BOUND", 120)
    bus.logind()
    assert bus.mock is not None
    bus.mock.send_signal(signal.SIGSTOP)

    async def main() -> None:
        logind = LogindClient()
        question = asyncio.create_task(refusal(logind, NoReplyError))
        await asyncio.sleep(0.1)
        started_at = time.monotonic()
        bus.end()
        assert "Connection terminated" in await question
        assert time.monotonic() - started_at < host_bus.BOUND / 2

    asyncio.run(main())


def test_who_waits_for_an_answer_when_we_hang_up_gets_a_sentence_too(bus: PrivateBus) -> None:
    bus.logind()
    assert bus.mock is not None
    bus.mock.send_signal(signal.SIGSTOP)

    async def main() -> None:
        logind = LogindClient()
        question = asyncio.create_task(refusal(logind, NoReplyError))
        await asyncio.sleep(0.1)
        logind.close()
        logind.close()
        assert (await question).startswith("systemd-logind gave no answer: ")

    asyncio.run(main())


def test_a_bus_that_hangs_is_waited_for_no_longer_than_the_bound(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bus, "_PAUSES", (0.05, 0.1))
    usual = host_bus.BOUND
    monkeypatch.setattr(host_bus, "BOUND", 0.2)
    bus.hang()

    async def main() -> None:
        async with listening() as (logind, queue):
            assert re.match("systemd-logind .*answer", await refusal(logind))
            await asyncio.sleep(0.5)
            assert queue.empty(), "a bus that says nothing is none"
            monkeypatch.setattr(host_bus, "BOUND", usual)
            bus.resume()
            bus.logind()
            assert await next_of(queue) == FOUND

    asyncio.run(main())


def test_where_there_was_no_bus_nothing_is_tried_until_somebody_has_found_one(bus: PrivateBus) -> None:
    bus.end()

    async def main() -> None:
        async with listening() as (logind, queue):
            await asyncio.sleep(0.05)
            before = switches()
            await asyncio.sleep(0.5)
            assert switches() - before <= 3
            bus.start()
            bus.logind()
            assert queue.empty()
            assert await logind.list_inhibitors() == ()
            assert await next_of(queue) == FOUND

    asyncio.run(main())


def test_a_bus_that_was_there_is_missed(bus: PrivateBus) -> None:
    """Somebody may hold a lock of a logind that cannot be asked just now."""

    async def main() -> None:
        logind = LogindClient()
        assert await logind.list_inhibitors() == (), "a bus without logind"
        bus.end()
        assert await refusal(logind)
        assert os.strerror(errno.ENOENT) in await refusal(logind)

    asyncio.run(main())


def test_other_people_s_signals_wake_nobody(bus: PrivateBus) -> None:
    """Match rules are as narrow as can be: of one object of logind's, and none of its sessions'."""
    bus.logind()
    bus.session("alice", "pts/0")

    async def main() -> None:
        async with listening() as (_, queue):
            assert await next_of(queue) == FOUND
            await asyncio.sleep(0.1)
            before = switches()
            noise = bus.noise(200)
            while noise.poll() is None:
                await asyncio.sleep(0.25)
                before += 1  # by this timer
            assert noise.returncode == 0
            assert switches() - before <= 5, "of 600 signals"
            assert queue.empty()

    asyncio.run(main())


def test_nothing_is_left_open_and_the_loop_is_left_in_peace(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bus, "_PAUSES", (0.02, 0.02))

    async def main() -> None:
        bus.logind(CanSuspend="no")
        before = descriptors()
        async with listening() as (logind, queue):
            for _ in range(3):
                assert await next_of(queue) == FOUND
                connected = descriptors()
                for _ in range(20):
                    assert await logind.can_sleep("suspend") == "no"
                assert descriptors() == connected, "one connection for all calls"
                bus.end()
                assert await next_of(queue) == LOST
                assert descriptors() == before
                bus.start()
                bus.logind(CanSuspend="no")
            assert await next_of(queue) == FOUND
            spent = time.process_time()
            await asyncio.sleep(0.5)
            assert time.process_time() - spent < 0.2, "a descriptor that is always ready spins the loop"
        assert descriptors() == before

    asyncio.run(main())


def test_a_bus_that_refuses_the_signal_match_is_unavailable(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_bus, "_PAUSES", (0.02, 0.02))

    async def main() -> None:
        bus.end()
        bus.start('<limit name="max_match_rules_per_connection">1</limit>')
        bus.logind()
        async with listening() as (_, queue):
            await asyncio.sleep(0.3)
            assert queue.empty()
            bus.end()
            bus.start()
            assert await next_of(queue) == FOUND

    asyncio.run(main())
