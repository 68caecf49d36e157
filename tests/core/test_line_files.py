"""Append-only files: lines that were cut, files of others, and compression."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from powerd.core import line_files
from powerd.core.line_files import LineFiles

HOUR = 3600.0


def read(files: LineFiles, name: str = "a") -> list[str]:
    return files.read(name).splitlines()


def test_lines_are_appended_below_a_header(tmp_path: Path) -> None:
    files = LineFiles(tmp_path / "new")
    assert files.names() == []
    assert files.append("a", "one\n", header="h")
    assert files.append("a", "two\n", header="h")
    assert read(files) == ["h", "one", "two"]
    assert files.names() == ["a"]
    assert (tmp_path / "new" / "a.jsonl").stat().st_mode & 0o777 == 0o600


def test_after_every_cut_the_next_lines_can_be_read(tmp_path: Path) -> None:
    files, path = LineFiles(tmp_path), tmp_path / "a.jsonl"
    whole = b"h\none\ntwo\n"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        complete = whole[:length].decode().split("\n")[:-1]
        assert read(files) == complete
        files.append("a", "three\n", header="h")
        assert read(files)[-1] == "three"
        assert read(files)[: len(complete)] == complete


@pytest.mark.parametrize("kind", ["directory", "link", "fifo"])
def test_what_is_no_file_is_neither_read_nor_written(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "other")
    else:
        os.mkfifo(path)
    files = LineFiles(tmp_path)
    with pytest.raises(OSError):  # noqa: PT011 - its text depends on the kind
        files.append("a", "one\n", header="h")
    with pytest.raises(OSError):  # noqa: PT011 - its text depends on the kind
        read(files)
    assert not (tmp_path / "other").exists()


def test_a_file_is_removed_after_its_compressed_form_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LineFiles(tmp_path)
    files.append("a", "one\n" * 1000, header="h")
    files.compress("a", 0.0)
    written_at = (tmp_path / "a.jsonl.z").stat().st_mtime
    with monkeypatch.context() as patch:
        patch.setattr(line_files, "read_regular_file", None)  # neither form is read in this hour
        for seconds in (0.0, 1.0, HOUR - 1):
            assert not files.compress("a", written_at + seconds)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl.z"]
    files.compress("a", written_at + HOUR)
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl.z"]
    assert read(files) == ["h", *["one"] * 1000]
    assert files.names() == ["a"]
    assert files.size("a") < 100
    files.remove("a")
    assert files.names() == []


@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_grows_again_after_it_was_compressed_loses_nothing(
    tmp_path: Path,
    calls: int,
    exists: bool,  # noqa: FBT001 - a parameter of the test: the file itself has been removed
) -> None:
    files, path = LineFiles(tmp_path), tmp_path / "a.jsonl"
    files.append("a", "one\n", header="h")
    files.compress("a", path.stat().st_mtime)
    if not exists:
        path.unlink()
    files.append("a", "two\n", header="h")
    assert read(files) == ["h", "one", "two"]
    for n in range(calls):
        files.compress("a", path.stat().st_mtime + n * HOUR + n)
    assert path.exists() == (calls == 1)
    assert read(files) == ["h", "one", "two"]


def test_a_compressed_form_from_the_future_is_written_again(tmp_path: Path) -> None:
    """The clock was ahead, and has been set back: otherwise the file would remain until it is as late."""
    files, compressed = LineFiles(tmp_path), tmp_path / "a.jsonl.z"
    files.append("a", "one\n", header="h")
    files.compress("a", 0.0)
    written_at = compressed.stat().st_mtime
    os.utime(compressed, (written_at + 1000 * HOUR,) * 2)
    assert not files.compress("a", written_at)
    assert compressed.stat().st_mtime < written_at + HOUR
    assert files.compress("a", written_at + 2 * HOUR)
    assert read(files) == ["h", "one"]


def test_a_damaged_compressed_form_is_written_again(tmp_path: Path) -> None:
    files, compressed = LineFiles(tmp_path), tmp_path / "a.jsonl.z"
    files.append("a", "one\n" * 1000, header="h")
    files.compress("a", 0.0)
    whole = compressed.read_bytes()
    for content in (b"", whole[:-1], b"y" + whole[1:]):
        compressed.write_bytes(content)
        files.compress("a", compressed.stat().st_mtime + 2 * HOUR)
        assert compressed.read_bytes() == whole
        assert (tmp_path / "a.jsonl").exists()
    (tmp_path / "a.jsonl").unlink()
    compressed.write_bytes(whole[:-1])
    with pytest.raises(OSError):  # noqa: PT011 - one that says that it is incomplete
        read(files)


def test_a_file_grows_no_larger_than_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerd.core.line_files._MAX_SIZE", 12)
    files = LineFiles(tmp_path)
    files.append("a", "one\n", header="h")
    files.append("a", "three\n", header="h")
    assert read(files) == ["h", "one", "three"]
    with pytest.raises(OSError, match="12 bytes"):
        files.append("a", "\n", header="h")
    assert read(files) == ["h", "one", "three"]


def test_a_directory_that_cannot_be_read_is_not_the_same_as_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError):  # noqa: PT011 - its text depends on the kind
        LineFiles(tmp_path / "file").names()


def test_without_a_directory_nothing_is_stored() -> None:
    files = LineFiles(None)
    assert not files.append("a", "one\n", header="h")
    assert (files.names(), read(files), files.size("a")) == ([], [], 0)
    assert files.set_aside("a") == ""
