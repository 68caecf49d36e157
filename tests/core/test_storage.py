from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.storage import Storage
from powerd.presence.neighbours import from_json

BOOK = {"02:00:00:00:00:09": {"address": "10.0.0.9", "seen": 1_780_000_000}}


def test_a_stored_document_is_loaded_again(tmp_path: Path) -> None:
    directory = tmp_path / "lib" / "powerd"
    assert Storage(directory).save("learned", BOOK) is None
    assert Storage(directory).load("learned") == BOOK
    assert [path.name for path in directory.iterdir()] == ["learned.json"]
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_document_never_stored_is_none(tmp_path: Path) -> None:
    assert Storage(tmp_path / "none").load("learned") is None


@pytest.mark.parametrize(
    "garbage", [b"", b'{"02:00', b"\xff\xfe\x00", b"[" * 100_000], ids=["empty", "cut", "binary", "brackets"]
)
def test_a_garbled_document_is_none(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "learned.json").write_bytes(garbage)
    assert Storage(tmp_path).load("learned") is None


@given(st.binary(max_size=200))
def test_no_bytes_hurt(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.getbasetemp()
    (directory / "learned.json").write_bytes(content)
    from_json(Storage(directory).load("learned"))


@pytest.mark.parametrize("seen", ["Infinity", "-Infinity", "NaN", "1e300", "-1", "1" + "0" * 400])
def test_times_that_are_none_are_not_learned(tmp_path: Path, seen: str) -> None:
    (tmp_path / "learned.json").write_text(
        f'{{"02:00:00:00:00:09": {{"address": "10.0.0.9", "seen": {seen}}}}}'
    )
    assert from_json(Storage(tmp_path).load("learned")) == {}


def test_a_reader_gets_the_old_document_or_the_new_one(tmp_path: Path) -> None:
    """Replaced, not rewritten: a reader who has it open goes on to see all of the old one."""
    store = Storage(tmp_path)
    store.save("learned", BOOK)
    with (tmp_path / "learned.json").open() as reader:
        store.save("learned", {})
        assert "10.0.0.9" in reader.read()
    assert store.load("learned") == {}


def test_a_failed_write_is_one_error_and_loses_nothing(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.save("learned", BOOK)
    (tmp_path / "learned.new").mkdir()  # for root, whom no mode bits stop
    assert store.save("learned", {}) == (
        f"{tmp_path}/learned.json: cannot be written: Is a directory; it is lost at a restart"
    )
    assert store.load("learned") == BOOK


def test_a_full_disk_is_one_sentence_and_loses_nothing() -> None:
    """/dev/full refuses every write with ENOSPC (full(4))."""
    store = Storage(Path("/dev"))
    link = Path("/dev/powerd-test.new")
    link.symlink_to("/dev/full")
    try:
        trouble = store.save("powerd-test", BOOK)
    finally:
        link.unlink()
    assert trouble is not None
    assert "No space left on device" in trouble
    assert not Path("/dev/powerd-test.json").exists()


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trouble = Storage(tmp_path / "file" / "powerd").save("learned", BOOK)
    assert trouble is not None
    assert "Not a directory" in trouble
    assert os.linesep not in trouble


def test_what_is_taken_is_there_or_not(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    assert store.load_or_set_aside("health") == (None, None)
    store.save("health", [1])
    assert store.load_or_set_aside("health") == ([1], None)


def test_a_torn_document_is_set_aside_and_reported(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text('{"kno')
    document, trouble = Storage(tmp_path).load_or_set_aside("health")
    assert document is None
    why = "cannot be used (it is torn)"
    assert trouble == f"{tmp_path}/health.json: {why}; it was set aside as health.torn, and begins anew"
    assert (tmp_path / "health.torn").read_text() == '{"kno'
    assert Storage(tmp_path).load_or_set_aside("health") == (None, None)


def aged(path: Path, hours: float) -> None:
    """As if it had been written so long ago."""
    then = path.stat().st_mtime - hours * 3600
    os.utime(path, (then, then))


def test_an_irreplaceable_document_keeps_its_previous_version(tmp_path: Path) -> None:
    store, path = Storage(tmp_path), tmp_path / "health.json"
    store.save("health", 1, irreplaceable=True)
    store.save("health", 2, irreplaceable=True)
    assert [each.name for each in tmp_path.iterdir()] == ["health.json"], "it may be in memory alone"
    for n in (3, 5):
        aged(path, 2)
        store.save("health", n, irreplaceable=True)
        store.save("health", n + 1, irreplaceable=True)
        assert json.loads((tmp_path / "health.old").read_text()) == n - 1
    assert store.load_or_set_aside("health") == (6, None)
    aged(path, 2)
    store.save("health", 7)
    assert json.loads((tmp_path / "health.old").read_text()) == 4


def test_an_irreplaceable_document_is_stored_without_hard_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on vfat, which is not to be had here."""

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    store = Storage(tmp_path)
    store.save("health", 1, irreplaceable=True)
    aged(tmp_path / "health.json", 2)
    assert store.save("health", 2, irreplaceable=True) is None
    assert store.load_or_set_aside("health") == (2, None)


@pytest.mark.parametrize("torn", ["", "[1, 2"], ids=["empty", "cut"])
def test_after_a_power_cut_the_document_before_counts(tmp_path: Path, torn: str) -> None:
    store, path = Storage(tmp_path), tmp_path / "health.json"
    store.save("health", [1], irreplaceable=True)
    aged(path, 2)
    store.save("health", [1, 2], irreplaceable=True)
    path.write_text(torn)
    text = "it was set aside as health.torn, and what was kept before it is used"
    assert store.load_or_set_aside("health") == ([1], f"{path}: cannot be used (it is torn); {text}")
    assert Storage(tmp_path).load_or_set_aside("health") == ([1], None), "also the next time"


def test_if_both_are_torn_it_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text("{")
    (tmp_path / "health.old").write_text("[")
    document, trouble = Storage(tmp_path).load_or_set_aside("health")
    assert document is None
    assert str(trouble).endswith("begins anew")
    assert [each.name for each in tmp_path.iterdir()] == ["health.torn"]


def test_a_document_that_cannot_be_read_or_set_aside_is_reported(tmp_path: Path) -> None:
    (tmp_path / "health.json").mkdir()
    document, trouble = Storage(tmp_path).load_or_set_aside("health")
    assert document is None
    assert "cannot be read: Is a directory" in str(trouble)
    (tmp_path / "other.torn").mkdir()
    (tmp_path / "other.json").write_text("{")
    _, trouble = Storage(tmp_path).load_or_set_aside("other")
    assert "nor set aside: Is a directory" in str(trouble)
