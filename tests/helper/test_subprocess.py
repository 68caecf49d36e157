"""Tools as child processes: whatever they do, they end, or their lane says that they do not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from rig.limits import no_more_files
from rig.wait import until

from powerd.helper import subprocess
from powerd.helper.errors import RefusalError
from powerd.helper.executor import SerialExecutor
from powerd.helper.subprocess import MAX_PARALLEL_DISKS, OUTPUT_CAP, CompletedTool, ToolRunner, Tools

pytestmark = pytest.mark.process

FREEZER: Final = Path("/sys/fs/cgroup/freezer")
HANG: Final = "trap '' TERM; echo $$ > {0}/pid; exec sleep 600"


def install(place: Path, script: str, name: str = "hdparm") -> Tools:
    (place / name).write_text(f"#!/bin/sh\n{script.replace('{0}', str(place))}\n")
    (place / name).chmod(0o755)
    return Tools([place])


async def run(
    tools: Tools, *words: str, seconds: float = 20, executor: SerialExecutor | None = None
) -> CompletedTool:
    executor = executor or SerialExecutor("sda")
    async with executor.reserve("a test"):
        return await ToolRunner(tools, grace=0.2).run(["hdparm", *words], seconds, executor)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No descriptor stays open, and no process of a test's outlives it."""
    gc.collect()  # or what earlier tests have left is closed meanwhile
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names, not paths
    pid = tmp_path / "pid"
    if pid.exists():
        until(lambda: gone(int(pid.read_text())), "the tool is gone")


def test_outputs_and_status(tmp_path: Path) -> None:
    tools = install(tmp_path, 'echo "out $*"; echo err >&2; printf "\\377" ; exit 3')
    assert asyncio.run(run(tools, "-C", "/dev/x y")) == CompletedTool(3, "out -C /dev/x y\n\ufffd", "err\n")


def test_a_tool_sees_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    tools = install(tmp_path, "env; pwd; wc -c; ls /proc/self/fd | wc -l; ps -o pid=,sid= $$")
    done = asyncio.run(run(tools))
    *env, cwd, stdin, descriptors, session = done.out.splitlines()
    assert {line.partition("=")[0] for line in env} <= {"LC_ALL", "PATH", "PWD", "_", "SHLVL", "OLDPWD"}
    assert "LC_ALL=C" in env
    assert (cwd, stdin) == ("/", "0"), "and there is nothing to read"
    assert int(descriptors) <= 4  # three, and that of ls itself
    assert len(set(session.split())) == 1


def test_more_output_than_there_is_room_for_is_cut(tmp_path: Path) -> None:
    """By the kernel: nobody reads while it runs, and still nothing grows."""
    tools = install(tmp_path, "yes 0123456 | head -c 10000000; echo $?; echo done >&2")
    done = asyncio.run(run(tools))
    assert len(done.out) <= OUTPUT_CAP
    assert done.out.startswith("0123456\n" * 1000)
    assert "done" in done.err


def test_out_of_time_it_is_asked_to_end(tmp_path: Path) -> None:
    tools = install(tmp_path, "echo $$ > {0}/pid; exec sleep 600")
    executor = SerialExecutor("sda")
    with pytest.raises(RefusalError, match=r"hdparm -C sda .*0\.3 s"):
        asyncio.run(run(tools, "-C", "sda", seconds=0.3, executor=executor))
    assert not executor.quarantined


def test_what_does_not_listen_is_killed_with_all_its_children(tmp_path: Path) -> None:
    tools = install(tmp_path, "trap '' TERM; sleep 600 & echo $! > {0}/pid; wait; sleep 600")
    with pytest.raises(RefusalError, match="and was ended"):
        asyncio.run(run(tools, seconds=0.3))


def test_a_grandchild_that_lives_on_is_not_waited_for(tmp_path: Path) -> None:
    tools = install(tmp_path, "sleep 2 & echo well")
    assert asyncio.run(run(tools)).out == "well\n"


def late(
    executor: SerialExecutor, begin: Callable[[], Awaitable[CompletedTool]], let_go: Callable[[], object]
) -> str:
    """The refusal of a tool that cannot be ended; its lane is shut until it is gone, and opens again then."""

    async def hangs_no_more() -> None:
        while executor.quarantined:  # noqa: ASYNC110 - the kernel ends it without an event
            await asyncio.sleep(0.01)

    async def main() -> str:
        with pytest.raises(RefusalError) as caught:
            await begin()
        assert executor.quarantined
        with pytest.raises(RefusalError, match=r"sda .*earlier request"):
            await begin()
        let_go()
        await asyncio.wait_for(hangs_no_more(), 30)
        async with executor.reserve("a test"):
            return str(caught.value)

    return asyncio.run(main())


def test_an_unkillable_child_quarantines_its_executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, executor = install(tmp_path, HANG), SerialExecutor("sda")
    real = os.killpg
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    answer = late(
        executor,
        lambda: run(tools, "-C", seconds=0.3, executor=executor),
        lambda: real(until(lambda: int((tmp_path / "pid").read_text() or 0), "it has begun"), signal.SIGKILL),
    )
    assert "hdparm -C did not" in answer
    assert "no further commands" in answer


@pytest.mark.skipif(
    not os.access(FREEZER / "cgroup.procs", os.W_OK), reason="takes root and a cgroup-v1 freezer"
)
def test_a_hanging_kernel_call_quarantines_its_executor(tmp_path: Path) -> None:
    """A frozen process is in an uninterruptible wait: SIGKILL reaches it when it is thawed."""
    cage = FREEZER / f"powerd-test-{os.getpid()}"
    cage.mkdir()
    try:
        freeze = f"echo $$ > {cage}/cgroup.procs; echo FROZEN > {cage}/freezer.state"
        tools, executor = (
            install(tmp_path, f"echo $$ > {{0}}/pid; {freeze}; sleep 600"),
            SerialExecutor("sda"),
        )
        answer = late(
            executor,
            lambda: run(tools, seconds=3, executor=executor),  # time enough to freeze itself
            lambda: (cage / "freezer.state").write_text("THAWED"),
        )
        assert "cannot be ended" in answer
        until(lambda: gone(int((tmp_path / "pid").read_text())), "it is gone")
    finally:
        (cage / "freezer.state").write_text("THAWED")
        until(lambda: not (cage / "cgroup.procs").read_text(), "the cage is empty")
        cage.rmdir()


def test_who_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    tools, executor = install(tmp_path, HANG), SerialExecutor("sda")

    async def main() -> None:
        task = asyncio.ensure_future(run(tools, executor=executor))
        await asyncio.to_thread(until, (tmp_path / "pid").exists, "it has begun")
        task.cancel()
        await asyncio.wait({task})
        async with asyncio.timeout(20):
            while executor.quarantined:  # noqa: ASYNC110 - the kernel ends it without an event
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_only_so_many_at_once(tmp_path: Path) -> None:
    tools = install(tmp_path, "echo . >> {0}/begun; while [ ! -e {0}/go ]; do sleep 0.05; done")

    async def main() -> None:
        runner = ToolRunner(tools)

        async def one(number: int) -> CompletedTool:
            async with runner.slot():
                return await runner.run(["hdparm"], 60, SerialExecutor(str(number)))

        runs = [asyncio.ensure_future(one(number)) for number in range(MAX_PARALLEL_DISKS + 3)]
        start = tmp_path / "begun"
        await asyncio.to_thread(
            until,
            lambda: start.exists() and len(start.read_text()) >= 2 * MAX_PARALLEL_DISKS,
            "as many as may have begun",
        )
        await asyncio.sleep(0.2)
        assert len(start.read_text()) == 2 * MAX_PARALLEL_DISKS
        (tmp_path / "go").touch()
        assert len(await asyncio.gather(*runs)) == MAX_PARALLEL_DISKS + 3

    asyncio.run(main())


def test_a_request_without_a_free_slot_is_refused_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "SLOT_TIMEOUT", 0.05)

    async def main() -> None:
        runner = ToolRunner(Tools([]))
        async with contextlib.AsyncExitStack() as taken:
            for _ in range(MAX_PARALLEL_DISKS):
                await taken.enter_async_context(runner.slot())
            with pytest.raises(RefusalError) as caught:
                await taken.enter_async_context(runner.slot())
            assert caught.value.cause == "busy"
            assert "32 other disks" in str(caught.value)
        async with runner.slot():
            pass

    asyncio.run(main())


def test_without_descriptors_nothing_is_started_and_no_tool_is_to_be_installed_anew(tmp_path: Path) -> None:
    tools = install(tmp_path, "touch {0}/begun")

    async def main() -> str:
        with no_more_files(), pytest.raises(RefusalError) as caught:
            await run(tools)
        assert caught.value.cause == "unreached"
        return str(caught.value)

    assert f"hdparm cannot be started: {os.strerror(errno.EMFILE)}" in asyncio.run(main())
    assert not (tmp_path / "begun").exists()


def test_what_is_not_there_or_no_program(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="apt-get install hdparm"):
        asyncio.run(run(Tools([tmp_path])))
    with pytest.raises(RefusalError, match="smartmontools"):
        Tools([tmp_path]).require("smartctl")
    with pytest.raises(RefusalError, match="frob is not installed"):
        Tools([tmp_path]).require("frob")
    (tmp_path / "hdparm").write_bytes(b"\x7fELF")
    (tmp_path / "hdparm").chmod(0o755)
    with pytest.raises(RefusalError, match=r"hdparm .*: Exec format error") as caught:
        asyncio.run(run(Tools([tmp_path])))
    assert caught.value.cause == "unreached"


def test_the_first_place_wins_and_path_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name for name in "abc")
    for place in (first, second, third):
        place.mkdir()
    install(second, "")
    install(third, "")
    (first / "hdparm").write_text("not executable")
    monkeypatch.setenv("PATH", str(third))
    assert Tools([first, second, third]).find("hdparm") == second / "hdparm"
    assert Tools([first]).find("hdparm") is None
