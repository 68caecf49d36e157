"""Fixes are written, removed, and survive an interruption at any point."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import pytest
from doctor.server import Server

from powerd.doctor.fixes import RECORDS, FixStore
from powerd.doctor.model import DAEMON_RELOAD, Diagnosis, DoctorError, OwnFile, SystemCommand, mask, restart
from powerd.linux.values import HostError

P = ParamSpec("P")
T = TypeVar("T")
SYSTEM_CALLS: Final = (
    "open", "mkdir", "rename", "replace", "unlink", "rmdir", "symlink", "chmod", "fchmod",
)  # fmt: skip
FIX: Final = Diagnosis(
    "example",
    "x.service",
    "It writes.",
    "It stops.",
    files=(
        OwnFile("/etc/systemd/system/x.service.d/powerd.conf", "[Service]\nNice=1\n"),
        OwnFile("/etc/sysctl.d/60-powerd-x.conf", "vm.x = 1\n"),
        *mask("y.timer")[0],
    ),
    commands=(
        DAEMON_RELOAD,
        restart("x.service"),
        SystemCommand(("sysctl", "-w", "vm.x=1"), ("sysctl", "-w", "vm.x=0")),
    ),
)


class Interruption(BaseException):
    """Ends a run at once, as SIGKILL does."""


class Run:
    """A store whose commands and system calls can be interrupted before the n-th of them."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.remaining = -1
        self.store = FixStore(server.root, self.execute)
        for name in SYSTEM_CALLS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(os, "fsync", lambda _: self.count())  # a real one takes milliseconds

    def _counted(self, call: Callable[P, T]) -> Callable[P, T]:
        def counted(*args: P.args, **options: P.kwargs) -> T:
            self.count()
            return call(*args, **options)

        return counted

    def count(self) -> None:
        if self.remaining == 0:
            raise Interruption
        self.remaining -= 1

    async def execute(self, argv: object) -> None:
        del argv
        self.count()

    def interrupted_at(self, n: int, operation: Callable[[], Any]) -> bool:
        """Run an operation, interrupted before its n-th step; whether it was."""
        self.remaining = n
        try:
            asyncio.run(operation())
        except Interruption:
            return True
        finally:
            self.remaining = -1
        return False


@pytest.fixture
def interruptible(server: Server, monkeypatch: pytest.MonkeyPatch) -> Run:
    server.at("/etc/systemd/system").mkdir(parents=True)
    return Run(server, monkeypatch)


def store_of(server: Server, commands: list[str] | None = None) -> FixStore:
    async def execute(argv: Sequence[str]) -> None:
        if commands is not None:
            commands.append(" ".join(argv))

    return FixStore(server.root, execute)


def test_what_is_written_and_removed(server: Server) -> None:
    commands: list[str] = []
    store, before = store_of(server, commands), server.tree()
    old_mask = os.umask(0o077)
    try:
        asyncio.run(store.apply(FIX.id, FIX))
    finally:
        os.umask(old_mask)
    written = server.tree()
    drop_in = "etc/systemd/system/x.service.d"
    assert written[f"{drop_in}/powerd.conf"][0] == stat.S_IFREG | 0o644
    assert written[drop_in][0] == stat.S_IFDIR | 0o755
    assert written["etc/systemd/system/y.timer"][3] == "/dev/null"
    assert written[RECORDS[1:]][0] == stat.S_IFDIR | 0o700
    assert written[f"{RECORDS[1:]}/example.json"][0] == stat.S_IFREG | 0o600
    (applied,) = store.applied()
    assert (applied.id, applied.complete) == ("example", True)
    assert applied.paths == tuple(file.path for file in FIX.files)
    asyncio.run(store.remove(FIX.id))
    assert server.tree() == before
    reload, again = "systemctl daemon-reload", "systemctl try-restart x.service"
    assert commands == [reload, again, "sysctl -w vm.x=1", reload, again, "sysctl -w vm.x=0"]


def interruptions(operation: Callable[[int], bool]) -> Iterator[int]:
    """0, 1, 2, ... until the operation is no longer interrupted."""
    n = 0
    while operation(n):
        yield n
        n += 1
    assert n > 20, "the operation has that many steps"


def test_an_interrupted_fix_is_undone(interruptible: Run) -> None:
    before, store = interruptible.server.tree(), interruptible.store
    for _ in interruptions(lambda n: interruptible.interrupted_at(n, lambda: store.apply(FIX.id, FIX))):
        if store.applied():
            asyncio.run(store.remove(FIX.id))
        assert tree_of(interruptible) == before


def tree_of(run: Run) -> dict[str, Any]:
    """The tree without what an interruption before the record leaves: the empty directory of the records."""
    record = f"{RECORDS[1:]}"
    return {path: row for path, row in run.server.tree().items() if not path.startswith(record)}


def test_an_interrupted_fix_is_completed(interruptible: Run) -> None:
    store = interruptible.store
    asyncio.run(store.apply(FIX.id, FIX))
    complete = interruptible.server.tree()
    asyncio.run(store.remove(FIX.id))
    for _ in interruptions(lambda n: interruptible.interrupted_at(n, lambda: store.apply(FIX.id, FIX))):
        asyncio.run(store.apply(FIX.id, None if store.applied() else FIX))
        assert interruptible.server.tree() == complete
        asyncio.run(store.remove(FIX.id))


def test_an_interrupted_undo_is_repeated(interruptible: Run) -> None:
    before, store = interruptible.server.tree(), interruptible.store

    def interrupted(n: int) -> bool:
        asyncio.run(store.apply(FIX.id, FIX))
        return interruptible.interrupted_at(n, lambda: store.remove(FIX.id))

    for _ in interruptions(interrupted):
        if store.applied():
            asyncio.run(store.remove(FIX.id))
        assert tree_of(interruptible) == before


def test_a_failed_command_leaves_a_record(server: Server) -> None:
    async def fail(argv: object) -> None:
        raise HostError(f"{argv} failed")

    with pytest.raises(HostError):
        asyncio.run(FixStore(server.root, fail).apply(FIX.id, FIX))
    (applied,) = store_of(server).applied()
    assert not applied.complete


def test_an_undo_goes_on_after_a_failed_command(server: Server) -> None:
    commands: list[str] = []
    before, store = server.tree(), store_of(server, commands)
    asyncio.run(store.apply(FIX.id, FIX))

    async def fail(argv: Sequence[str]) -> None:
        commands.append(" ".join(argv))
        if "x.service" in argv:
            raise HostError("there is no x.service")

    del commands[:]
    with pytest.raises(DoctorError, match=r"removed.* no x\.service"):
        asyncio.run(FixStore(server.root, fail).remove(FIX.id))
    assert commands[-1] == "sysctl -w vm.x=0"
    assert server.tree() == before


@pytest.mark.parametrize("file", FIX.files, ids=lambda file: file.path)
def test_a_file_of_others_is_not_replaced(server: Server, file: OwnFile) -> None:
    server.put(file.path, "mine\n")
    before = server.tree()
    with pytest.raises(DoctorError, match=file.path):
        asyncio.run(store_of(server).apply(FIX.id, FIX))
    assert server.tree() == before


def edit(path: Path) -> None:
    path.unlink()
    path.write_text("[Service]\nNice=2\n")


def widen(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        path.chmod(0o666)


@pytest.mark.parametrize("change", [edit, widen])
@pytest.mark.parametrize("file", FIX.files, ids=lambda file: file.path)
def test_a_file_that_was_changed_since_is_left(
    server: Server, file: OwnFile, change: Callable[[Path], None]
) -> None:
    store = store_of(server)
    asyncio.run(store.apply(FIX.id, FIX))
    change(server.at(file.path))
    changed = server.tree()
    with pytest.raises(DoctorError, match=file.path):
        asyncio.run(store.remove(FIX.id))
    assert server.tree() == changed
    server.at(file.path).unlink()  # moved away, as the error suggests
    asyncio.run(store.remove(FIX.id))
    assert store.applied() == ()


def test_files_of_others_in_a_directory_of_the_fix_stay(server: Server) -> None:
    store = store_of(server)
    asyncio.run(store.apply(FIX.id, FIX))
    server.put("/etc/systemd/system/x.service.d/mine.conf", "[Service]\n")
    asyncio.run(store.remove(FIX.id))
    assert [path.name for path in server.at("/etc/systemd/system").rglob("*")] == ["x.service.d", "mine.conf"]


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_records_that_others_can_write_are_not_trusted(server: Server, mode: int) -> None:
    store = store_of(server)
    asyncio.run(store.apply(FIX.id, FIX))
    server.at(RECORDS).chmod(mode)
    with pytest.raises(DoctorError, match="not trusted"):
        asyncio.run(store.remove(FIX.id))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"complete": true}'])
def test_a_damaged_record(server: Server, content: str) -> None:
    store = store_of(server)
    asyncio.run(store.apply(FIX.id, FIX))
    server.put(f"{RECORDS}/example.json", content)
    with pytest.raises(DoctorError, match=r"example\.json"):
        asyncio.run(store.remove(FIX.id))


def test_a_record_of_nothing(server: Server) -> None:
    with pytest.raises(DoctorError, match="has not applied"):
        asyncio.run(store_of(server).remove("example"))
