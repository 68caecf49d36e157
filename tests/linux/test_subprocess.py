from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.limits import descriptors

from powerd.linux import subprocess
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError, ProcessResult

pytestmark = pytest.mark.process


def run(*argv: str, timeout: float = 20, stdin: bytes | None = None) -> ProcessResult:
    return asyncio.run(subprocess.run(argv, timeout=timeout, stdin=stdin))


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.01)


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


def test_status_and_both_outputs() -> None:
    assert run("sh", "-c", "echo out; echo err >&2; exit 3") == ProcessResult(3, "out\n", "err\n")


def test_a_signal_is_a_negative_status() -> None:
    assert run("sh", "-c", "kill -9 $$").status == -signal.SIGKILL


def test_no_shell_reads_the_words() -> None:
    assert run("echo", "$HOME; id", "*").stdout == "$HOME; id *\n"


def test_stdin_is_dev_null_unless_given() -> None:
    assert run("cat").stdout == ""
    assert run("cat", stdin=b"one\ntwo\n").stdout == "one\ntwo\n"


def test_a_child_that_reads_nothing_is_no_error() -> None:
    assert run("true", stdin=b"x" * 1_000_000).status == 0


def test_the_environment_is_ours_in_the_c_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERD_TEST", "kept")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert run("sh", "-c", "echo $POWERD_TEST $LC_ALL").stdout == "kept C\n"


def test_output_beyond_the_cap_is_thrown_away_and_blocks_nobody() -> None:
    end = run("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo done >&2")
    assert (end.status, end.stdout, end.stderr) == (0, "x" * OUTPUT_CAP, "done\n")


def test_bytes_that_are_no_text() -> None:
    assert run("printf", "a\\377b").stdout == "a\ufffdb"


@pytest.mark.parametrize("argv", [["no-such-program-here"], ["/etc/passwd"], ["/"], []])
def test_what_cannot_be_started_is_one_sentence(argv: list[str]) -> None:
    with pytest.raises(HostError, match=r"^cannot run [^\n]*; [^\n]*$"):
        run(*argv)


def test_a_nul_in_an_argument_is_one_sentence() -> None:
    with pytest.raises(HostError, match=r"^cannot run echo: "):
        run("echo", "a\0b")


def test_at_its_timeout_the_whole_group_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(HostError, match=r"^sh .* 3 s "):
        run("sh", "-c", 'sleep 60 & echo $! $$ >"$0"; wait', str(pids), timeout=3)
    grandchild, child = map(int, pids.read_text().split())
    assert not alive(child)
    assert gone_within(grandchild, 30)


def test_whoever_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "_GRACE", 0.2)
    before = time.monotonic()
    with pytest.raises(HostError):
        run("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", timeout=0.3)
    assert time.monotonic() - before < 20


def test_a_background_grandchild_is_neither_waited_for_nor_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    before = time.monotonic()
    end = run("sh", "-c", 'sleep 30 & echo $! >"$0"; echo left', str(pid))
    assert end.stdout == "left\n"
    assert time.monotonic() - before < 20
    grandchild = int(pid.read_text())
    assert alive(grandchild)
    os.kill(grandchild, signal.SIGKILL)


def test_a_grandchild_that_writes_for_ever_does_not_keep_us() -> None:
    assert run("sh", "-c", "yes & echo $! >&2; sleep 0.1").status == 0


def test_cancelled_it_ends_the_child_and_keeps_nothing_open(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def cancel() -> None:
        gc.collect()  # or what earlier tests have left is closed meanwhile
        before = descriptors()
        task = asyncio.create_task(
            subprocess.run(["sh", "-c", 'echo $$ >"$0"; exec sleep 60', str(pid)], timeout=60)
        )
        await until(lambda: pid.exists() and bool(pid.read_text()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: descriptors() == before)  # it is reaped by its pidfd a moment later

    asyncio.run(asyncio.wait_for(cancel(), 60))
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_no_thread_is_made() -> None:
    before = threading.active_count()

    async def count() -> int:
        task = asyncio.create_task(subprocess.run(["sleep", "0.1"], timeout=20))
        await asyncio.sleep(0.05)
        threads = threading.active_count()
        await task
        return threads

    assert asyncio.run(count()) == before


def test_children_do_not_wait_for_each_other() -> None:
    async def both() -> list[ProcessResult]:
        slow = subprocess.run(["sh", "-c", "read line; echo $line"], timeout=20, stdin=b"x\n")
        return list(await asyncio.gather(slow, *(subprocess.run(["true"], timeout=20) for _ in range(10))))

    assert [end.status for end in asyncio.run(both())] == [0] * 11
