from __future__ import annotations

import os
from pathlib import Path

import pytest

from powerd.host import sysfs
from powerd.host.sysfs import Sysfs
from powerd.host.values import HostError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one disk, ``sda``."""
    home = tmp_path / "sys/devices/ata1/block/sda"
    home.mkdir(parents=True)
    (home / "size").write_text("  4096\n")
    (home / "stat").write_text("1 2 3\n")
    (tmp_path / "sys/block").mkdir()
    (tmp_path / "sys/block/sda").symlink_to("../devices/ata1/block/sda")
    return tmp_path


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_entries_are_all_names_in_a_directory(tree: Path) -> None:
    files = Sysfs(tree)
    assert files.entries("/sys/block") == ("sda",)
    assert files.entries("/sys/block/sda") == ("size", "stat")
    assert files.entries("/sys/block/sdb") == ()
    assert files.entries("/sys/block/sda/size") == ()


def test_entries_that_may_not_be_seen_are_one_sentence(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(HostError, match=r"^cannot look into /sys/block: Permission denied; [^\n]*$"):
        Sysfs(tree).entries("/sys/block")


def test_peek_strips_and_bears_what_is_not_there(tree: Path) -> None:
    files = Sysfs(tree)
    assert files.peek("/sys/block/sda/size") == "4096"
    assert files.peek("/sys/block/sda/none") is None
    assert files.peek("/sys/block/sda") is None, "a directory"
    assert files.peek("/sys/block/sda/size", limit=4) == "40"


def test_peek_reads_what_comes_in_pieces() -> None:
    """A seq_file of the kernel gives a page at a time."""
    whole = Path("/proc/kallsyms").read_text()
    assert Sysfs(Path("/")).peek("/proc/kallsyms", limit=1 << 30) == whole.strip()


def test_target_follows_links_below_the_root(tree: Path) -> None:
    files = Sysfs(tree)
    assert files.target("/sys/block/sda") == "/sys/devices/ata1/block/sda"
    assert files.target("/sys/block/sdb") is None
    assert Sysfs(Path("/")).target("/proc/self") == f"/proc/{os.getpid()}"


def test_gauges_show_what_the_file_says_now(tree: Path) -> None:
    files, path = Sysfs(tree), "/sys/block/sda/stat"
    assert files.gauges([path, "/sys/block/sda/none"]) == ["1 2 3", None]
    (tree / "sys/block/sda/stat").write_text("1 2 4\n")
    before = open_files()
    assert files.gauges([path]) == ["1 2 4"]
    assert open_files() == before, "it stays open"
    assert files.gauges([]) == []
    assert open_files() == before - 1, "nobody asks for it any more"


def test_gauges_beyond_what_may_be_open_are_read_all_the_same(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysfs, "_KEPT", 1)
    files, before = Sysfs(tree), open_files()
    for _ in range(3):
        assert files.gauges(["/sys/block/sda/stat", "/sys/block/sda/size"]) == ["1 2 3", "4096"]
    assert open_files() == before + 1
    files.close()
    assert open_files() == before


def test_a_gauge_does_not_take_another_device_of_that_name_for_its_own(tmp_path: Path) -> None:
    """What sysfs does when a device goes: reading a file that was open fails with ENODEV."""

    home = tmp_path / "sda"
    home.mkdir()
    (home / "stat").write_text("1")
    files = Sysfs(tmp_path)
    assert files.gauges(["/sda/stat"]) == ["1"]
    descriptor = next(fd for fd in range(3, 4096) if _leads_to(fd, home / "stat"))
    os.close(descriptor)  # reads of it fail from now on, as they do with ENODEV
    assert files.gauges(["/sda/stat"]) == [None], (
        "not silently opened anew: whoever asks must look around first"
    )
    assert files.gauges(["/sda/stat"]) == ["1"]


def _leads_to(fd: int, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{fd}").readlink() == path
    except OSError:
        return False
