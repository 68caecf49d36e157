from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux import files
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")


async def collected(path: Path) -> list[str]:
    return [chunk async for chunk in HostFiles().read_chunks(str(path))]


def test_find_sorts_and_leaves_directories_out(tmp_path: Path) -> None:
    for name in ("b.leases", "a.leases", "c.conf"):
        (tmp_path / "var" / "lib").mkdir(parents=True, exist_ok=True)
        (tmp_path / "var" / "lib" / name).write_text("")
    (tmp_path / "var" / "lib" / "d.leases").mkdir()
    assert HostFiles(tmp_path).find("/var/lib/*.leases") == ("/var/lib/a.leases", "/var/lib/b.leases")
    assert HostFiles(tmp_path).find("/var/lib/a.leases") == ("/var/lib/a.leases",)
    assert HostFiles(tmp_path).find("/var/lib") == ()
    assert HostFiles(tmp_path).find("/var/lib/none") == ()
    assert HostFiles(tmp_path).find("/nowhere/*") == ()
    assert HostFiles(tmp_path).find("/var/lib/c.conf/*") == ()


def test_find_sees_sockets(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "wlan0"))
        assert HostFiles(tmp_path).find("/wlan*") == ("/wlan0",)


def test_the_stat_signature_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    assert HostFiles(tmp_path).stat_signature("/leases") is None
    path.write_text("one")
    first = HostFiles(tmp_path).stat_signature("/leases")
    path.write_text("three")
    second = HostFiles(tmp_path).stat_signature("/leases")
    new = tmp_path / "new"
    new.write_text("three")
    new.replace(path)
    third = HostFiles(tmp_path).stat_signature("/leases")
    assert len({first, second, third}) == 3
    assert HostFiles(tmp_path).stat_signature("/leases/below") is None


def test_chunks_are_bounded_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_text("lease { }\n" * 20_000)
    pieces = asyncio.run(collected(path))
    assert len(pieces) == 4
    assert max(map(len, pieces)) <= 1 << 16
    assert "".join(pieces) == path.read_text()


def test_the_loop_gets_its_turn_between_pieces(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * (10 << 16))

    async def turns() -> int:
        count = 0

        async def counting() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(counting())
        await collected(path)
        task.cancel()
        return count

    assert asyncio.run(turns()) >= 10


@given(st.binary(max_size=300), st.integers(1, 7))
def test_text_is_the_same_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_CHUNK_SIZE", size)
        assert "".join(asyncio.run(collected(path))) == data.decode(errors="replace")


def test_a_fifo_or_directory_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ""):
        with pytest.raises(HostError, match=r"^cannot read [^\n]*; [^\n]*$"):
            asyncio.run(collected(tmp_path / name))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^[^\n]*/none: No such file or directory; [^\n]+$"):
        asyncio.run(collected(tmp_path / "none"))


def as_nobody(read: Callable[[], object]) -> str:
    """What ``look`` is refused with, for a user without any rights."""
    os.setegid(65534)
    os.seteuid(65534)
    try:
        read()
    except HostError as error:
        return str(error)
    finally:
        os.seteuid(0)
        os.setegid(0)
    return "not refused"


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A directory of group ``games`` that others may not enter, with a file in it."""
    for parent in (tmp_path, *list(tmp_path.parents)[:-2]):  # all below /tmp
        parent.chmod(0o755)
    (tmp_path / "kea").mkdir()
    (tmp_path / "kea" / "leases").write_text("x")
    os.chown(tmp_path / "kea", 0, 60)
    (tmp_path / "kea").chmod(0o750)
    return tmp_path


@root_only
def test_a_locked_directory_names_its_group(locked: Path) -> None:
    remedy = "add user nobody to group games: usermod -aG games nobody"
    path = locked / "kea" / "leases"
    assert as_nobody(lambda: HostFiles(locked).stat_signature("/kea/leases")).endswith(remedy)
    assert as_nobody(lambda: HostFiles(locked).find("/kea/leases")).endswith(remedy)
    assert as_nobody(lambda: HostFiles(locked).find("/kea/*")).endswith(remedy)
    assert as_nobody(lambda: asyncio.run(collected(path))).endswith(remedy)


@root_only
def test_a_file_of_roots_own_needs_an_acl(locked: Path) -> None:
    path = locked / "secret"
    path.write_text("x")
    path.chmod(0o600)
    message = as_nobody(lambda: asyncio.run(collected(path)))
    assert f"setfacl -m u:nobody:r {path}" in message


def test_other_refusals_name_the_reason(tmp_path: Path) -> None:
    message = files.error_text("read", "/x", tmp_path / "x", OSError(errno.EIO, "whatever"))
    assert f"read /x: {os.strerror(errno.EIO)}; " in message
