from __future__ import annotations

import os
from pathlib import Path

import pytest
from rig.limits import descriptors

from powerd.linux import files as files_module
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError


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


def test_entries_are_all_names_in_a_directory(tree: Path) -> None:
    files = HostFiles(tree)
    assert files.listdir("/sys/block") == ("sda",)
    assert files.listdir("/sys/block/sda") == ("size", "stat")
    assert files.listdir("/sys/block/sdb") == ()
    assert files.listdir("/sys/block/sda/size") == ()


def test_entries_that_may_not_be_seen_are_one_sentence(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(HostError, match=r"^[^\n]*/sys/block: Permission denied; [^\n]+$"):
        HostFiles(tree).listdir("/sys/block")


def test_read_text_strips_and_accepts_a_missing_file(tree: Path) -> None:
    files = HostFiles(tree)
    assert files.read_text("/sys/block/sda/size") == "4096"
    assert files.read_text("/sys/block/sda/none") is None
    assert files.read_text("/sys/block/sda") is None, "a directory"
    assert files.read_text("/sys/block/sda/size", limit=4) == "40"


def test_read_text_joins_partial_reads() -> None:
    """A seq_file of the kernel gives a page at a time."""
    whole = Path("/proc/kallsyms").read_text()
    assert HostFiles(Path("/")).read_text("/proc/kallsyms", limit=1 << 30) == whole.strip()


def test_realpath_follows_links_below_the_root(tree: Path) -> None:
    files = HostFiles(tree)
    assert files.realpath("/sys/block/sda") == "/sys/devices/ata1/block/sda"
    assert files.realpath("/sys/block/sdb") is None
    assert HostFiles(Path("/")).realpath("/proc/self") == f"/proc/{os.getpid()}"


def test_read_cached_returns_the_present_content(tree: Path) -> None:
    files, path = HostFiles(tree), "/sys/block/sda/stat"
    assert files.read_cached([path, "/sys/block/sda/none"]) == ["1 2 3", None]
    (tree / "sys/block/sda/stat").write_text("1 2 4\n")
    before = descriptors()
    assert files.read_cached([path]) == ["1 2 4"]
    assert descriptors() == before, "it stays open"
    assert files.read_cached([]) == []
    assert descriptors() == before - 1, "it is no longer read"


def test_files_beyond_the_descriptor_cache_are_read_too(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_OPEN_FILES", 1)
    files, before = HostFiles(tree), descriptors()
    for _ in range(3):
        assert files.read_cached(["/sys/block/sda/stat", "/sys/block/sda/size"]) == ["1 2 3", "4096"]
    assert descriptors() == before + 1
    files.close()
    assert descriptors() == before


def test_a_gauge_does_not_take_another_device_of_that_name_for_its_own(tmp_path: Path) -> None:
    """What sysfs does when a device goes: reading a file that was open fails with ENODEV."""

    home = tmp_path / "sda"
    home.mkdir()
    (home / "stat").write_text("1")
    files = HostFiles(tmp_path)
    assert files.read_cached(["/sda/stat"]) == ["1"]
    descriptor = next(fd for fd in range(3, 4096) if _leads_to(fd, home / "stat"))
    os.close(descriptor)  # reads of it fail from now on, as they do with ENODEV
    assert files.read_cached(["/sda/stat"]) == [None], (
        "not opened again silently: the caller must list the devices first"
    )
    assert files.read_cached(["/sda/stat"]) == ["1"]


def _leads_to(fd: int, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{fd}").readlink() == path
    except OSError:
        return False
