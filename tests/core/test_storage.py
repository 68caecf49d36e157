from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.core.codec import span
from powerd.core.storage import Storage, state_directory


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the document."""

    seen: Annotated[int, span(0, 100)]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document with entries that are independent of each other."""

    entries: tuple[Entry, ...]
    by_name: Mapping[str, Entry]
    note: str = ""


GOOD = Document((Entry(1, "a"), Entry(2, "b")), {"c": Entry(3)}, "note")
OTHER = Document((), {})


class Fixture:
    """A state directory, and what was reported."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.errors: list[str] = []
        self.storage = Storage(directory, self.errors.append)
        self.path = directory / "book.json"

    def save(self, document: Document = GOOD, *, irreplaceable: bool = False) -> str | None:
        return self.storage.save("book", document, irreplaceable=irreplaceable)

    def load(self) -> Document | None:
        return self.storage.load("book", Document).value

    def restarted(self) -> Fixture:
        return Fixture(self.directory)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path / "lib" / "powerd")


@pytest.fixture
def damaged(fixture: Fixture) -> Fixture:
    """With a document that the test replaces."""
    fixture.save()
    fixture.path.unlink()
    return fixture


def test_a_stored_document_is_loaded_again(fixture: Fixture) -> None:
    assert fixture.save() is None
    assert fixture.load() == GOOD
    assert fixture.files() == ["book.json"]
    assert fixture.directory.stat().st_mode & 0o777 == 0o700
    assert fixture.path.stat().st_mode & 0o777 == 0o600


def test_a_document_is_synced_while_the_loop_runs(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that spins up blocks fsync(2); only the loop ends it here."""
    spun_up, synced = threading.Event(), list[str]()

    def fsync(descriptor: int) -> None:
        assert spun_up.wait(60)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.removesuffix(" (deleted)"))

    monkeypatch.setattr("os.fsync", fsync)

    async def scene() -> None:
        assert fixture.save() is None
        before = threading.active_count()
        waiting = [asyncio.create_task(fixture.storage.sync("book")) for _ in range(20)]
        await asyncio.sleep(0)
        assert threading.active_count() <= before + 1
        assert fixture.save(OTHER) is None
        assert fixture.load() == OTHER
        spun_up.set()
        assert await asyncio.gather(*waiting) == [None] * 20

    asyncio.run(scene())
    assert synced == ["book.json", "powerd"] * 20
    assert fixture.load() == OTHER


def test_a_removal_is_synced_too_and_an_error_is_one_sentence(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture.save()
    fixture.storage.save("book", None)
    assert asyncio.run(fixture.storage.sync("book")) is None
    assert asyncio.run(Storage(None).sync("book")) is None

    for error in (OSError(5, "Input/output error"), RuntimeError("can't start new thread")):

        def fsync(_: int, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("os.fsync", fsync)
        problem = asyncio.run(fixture.storage.sync("book"))
        assert "Input/output error" in str(problem) or "new thread" in str(problem)
        assert fixture.errors.pop() == problem


def test_a_document_never_stored_is_none_and_no_error(fixture: Fixture) -> None:
    assert fixture.load() is None
    assert fixture.errors == []


def test_a_removed_document_is_none_and_no_error(fixture: Fixture) -> None:
    fixture.save()
    assert fixture.storage.save("book", None) is None
    assert fixture.load() is None
    assert fixture.storage.save("book", None) is None
    assert fixture.errors == []


def test_without_a_directory_nothing_is_stored() -> None:
    storage = Storage(None)
    assert storage.save("book", GOOD) is None
    assert storage.load("book", Document).value is None
    assert storage.damaged_file("book") is None


UNREADABLE = {
    "empty": b"",
    "spaces": b" \n",
    "cut": b'{"entries": [',
    "binary": b"\xff\xfe\x00\x80",
    "zeros": b"\0" * 4096,
    "brackets": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "long number": b'{"entries": ' + b"9" * 5000 + b"}",
    "another type": b"[1, 2]",
    "text": b'"text"',
    "a missing key": b'{"entries": []}',
    "wrong types": b'{"entries": 1, "by_name": {}}',
    "a later version": b'{"entries": [], "by_name": {}, "version": 2}',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_document_is_set_aside_and_reported(damaged: Fixture, content: bytes) -> None:
    damaged.path.write_bytes(content)
    assert damaged.load() is None
    (error,) = damaged.errors
    assert error.startswith(f"{damaged.path}: ")
    assert "\n" not in error
    assert "book.bad" in error
    assert damaged.files() == ["book.bad"]
    assert (damaged.directory / "book.bad").read_bytes() == content
    assert damaged.storage.damaged_file("book") == damaged.directory / "book.bad"


def test_a_directory_is_set_aside_and_reported(damaged: Fixture) -> None:
    damaged.path.mkdir()
    assert damaged.load() is None
    assert "Is a directory" in damaged.errors[0]
    assert damaged.files() == ["book.bad"]


def test_a_fifo_is_set_aside_without_waiting_for_a_writer(damaged: Fixture) -> None:
    os.mkfifo(damaged.path)
    assert damaged.load() is None
    assert "not a regular file" in damaged.errors[0]
    assert damaged.files() == ["book.bad"]


@pytest.mark.parametrize("target", ["book.json", "/dev/zero", "/nonexistent", "other"])
def test_a_symbolic_link_is_set_aside(damaged: Fixture, target: str) -> None:
    Path(damaged.directory, "other").write_text(json.dumps({"entries": [], "by_name": {}}))
    damaged.path.symlink_to(target)
    assert damaged.load() is None
    assert len(damaged.errors) == 1
    assert damaged.files() == ["book.bad", "other"]


@pytest.mark.parametrize("sparse", [True, False])
def test_a_huge_file_takes_little_memory(damaged: Fixture, sparse: bool) -> None:  # noqa: FBT001 - by pytest
    with damaged.path.open("wb") as file:
        if sparse:
            file.truncate(200 << 20)
        else:
            for _ in range(200):
                file.write(b" " * (1 << 20))
    tracemalloc.start()
    try:
        assert damaged.load() is None
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert "bytes" in damaged.errors[0]


def test_a_document_that_could_not_be_read_again_is_not_written(fixture: Fixture) -> None:
    fixture.save()
    assert "bytes" in str(fixture.save(Document((), {}, "x" * (9 << 20))))
    assert fixture.load() == GOOD


def test_the_rest_of_a_document_with_misfits_is_used(damaged: Fixture) -> None:
    rows = [{"seen": 1}, {"seen": "yesterday"}, 7, {"seen": 101}, {"seen": 4, "name": 5}]
    damaged.path.write_text(json.dumps({"entries": rows, "by_name": {"a": {}, "b": {"seen": 5}}, "note": []}))
    expected = Document((Entry(1), Entry(4)), {"b": Entry(5)})
    assert damaged.load() == expected
    assert "what can be read" in damaged.errors[0]
    assert damaged.files() == ["book.bad", "book.json"]
    again = damaged.restarted()
    assert again.load() == expected
    assert again.errors == []
    assert again.storage.damaged_file("book") is not None


def test_unknown_keys_of_a_newer_powerd_are_ignored(fixture: Fixture) -> None:
    fixture.save()
    document = json.loads(fixture.path.read_text())
    del document["checksum"]
    fixture.path.write_text(json.dumps(document | {"new": 1}))
    assert fixture.load() == GOOD
    assert fixture.errors == []


def test_a_changed_digit_is_noticed(fixture: Fixture) -> None:
    fixture.save()
    fixture.path.write_text(fixture.path.read_text().replace('"seen": 2', '"seen": 9'))
    assert fixture.load() == Document((Entry(1, "a"), Entry(9, "b")), GOOD.by_name, "note")
    assert "checksum" in fixture.errors[0]


@given(st.binary(max_size=200))
def test_no_bytes_hurt(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    fixture = Fixture(tmp_path_factory.getbasetemp() / "bytes")
    fixture.save()
    fixture.path.write_bytes(content)
    assert fixture.load() is None or content
    assert fixture.errors or content.strip() == b"null"


def test_a_reader_gets_the_old_document_or_the_new_one(fixture: Fixture) -> None:
    """Replaced, not rewritten: a reader who has it open goes on to see all of the old one."""
    fixture.save()
    with fixture.path.open() as reader:
        fixture.save(OTHER)
        assert "note" in reader.read()
    assert fixture.load() == OTHER


def test_a_failed_write_is_one_error_and_loses_nothing(fixture: Fixture) -> None:
    fixture.save()
    (fixture.directory / "book.new").mkdir()  # for root, whom no mode bits stop
    problem = fixture.save(OTHER)
    assert problem is not None
    assert ": Is a directory; " in problem
    assert fixture.errors == [problem]
    assert fixture.load() == GOOD


def test_a_value_that_does_not_fit_is_an_error_and_loses_nothing(fixture: Fixture) -> None:
    fixture.save()
    assert "entries" in str(fixture.save(Document((Entry(101),), {})))
    assert fixture.load() == GOOD


@pytest.mark.process
def test_a_full_filesystem_is_one_sentence_and_loses_nothing(small_filesystem: Path) -> None:
    fixture = Fixture(small_filesystem)
    fixture.save()
    with pytest.raises(OSError, match="No space"):
        (small_filesystem / "filler").write_bytes(b"x" * (1 << 20))
    assert "No space left" in str(fixture.save(OTHER))
    assert not list(small_filesystem.glob("*.new"))
    assert fixture.load() == GOOD
    (small_filesystem / "filler").unlink()
    assert fixture.save(OTHER) is None
    assert fixture.load() == OTHER


@pytest.mark.process
def test_a_read_only_filesystem_is_one_sentence(small_filesystem: Path) -> None:
    fixture = Fixture(small_filesystem)
    fixture.save()
    (small_filesystem / "torn.json").write_text("{")
    subprocess.run(["mount", "-o", "remount,ro", small_filesystem], check=True)
    assert "Read-only" in str(fixture.save(OTHER))
    assert fixture.load() == GOOD
    assert fixture.storage.load("torn", Document).value is None
    assert "set aside: Read-only" in fixture.errors[-1]
    assert fixture.storage.damaged_file("torn") == small_filesystem / "torn.json"
    assert "Read-only" in str(fixture.storage.dismiss_damaged_file("torn"))


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fixture = Fixture(tmp_path / "file" / "powerd")
    assert "Not a directory" in str(fixture.save())
    assert fixture.load() is None
    assert len(fixture.errors) == 2, "a directory that cannot be used is not an empty one"


def test_a_planted_link_is_not_followed(fixture: Fixture, tmp_path: Path) -> None:
    fixture.save()
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    for planted in ("book.new", "book.json"):
        (fixture.directory / planted).unlink(missing_ok=True)
        (fixture.directory / planted).symlink_to(victim)
        assert fixture.save() is None
        assert victim.read_text() == "theirs"
        assert not fixture.path.is_symlink()
    assert fixture.load() == GOOD


def test_what_a_killed_process_left_is_in_nobody_s_way(fixture: Fixture) -> None:
    fixture.save()
    (fixture.directory / "book.new").write_text("{")
    assert fixture.save(OTHER) is None
    assert fixture.load() == OTHER


def aged(path: Path, hours: float) -> None:
    """As if it had been written so long ago."""
    then = path.stat().st_mtime - hours * 3600
    os.utime(path, (then, then))


def numbered(n: int) -> Document:
    return Document((Entry(n),), {})


def test_an_irreplaceable_document_keeps_its_previous_version(fixture: Fixture) -> None:
    fixture.save(numbered(1), irreplaceable=True)
    fixture.save(numbered(2), irreplaceable=True)
    assert fixture.files() == ["book.json"], "it may be in memory alone"
    for n in (3, 5):
        aged(fixture.path, 2)
        fixture.save(numbered(n), irreplaceable=True)
        fixture.save(numbered(n + 1), irreplaceable=True)
        assert json.loads((fixture.directory / "book.old").read_text())["entries"][0]["seen"] == n - 1
    assert fixture.load() == numbered(6)
    aged(fixture.path, 2)
    fixture.save(numbered(7))
    assert json.loads((fixture.directory / "book.old").read_text())["entries"][0]["seen"] == 4


def test_an_irreplaceable_document_is_stored_without_hard_links_too(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on vfat, which is not to be had here."""

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    fixture.save(irreplaceable=True)
    aged(fixture.path, 2)
    assert fixture.save(OTHER, irreplaceable=True) is None
    assert fixture.load() == OTHER


@pytest.fixture
def with_previous(fixture: Fixture) -> Fixture:
    """With numbered(1) as the previous version of numbered(2)."""
    fixture.save(numbered(1), irreplaceable=True)
    aged(fixture.path, 2)
    fixture.save(numbered(2), irreplaceable=True)
    return fixture


@pytest.mark.parametrize(
    "content",
    ["", '{"entries": [', '{"entries": [{"seen": 2}, 7], "by_name": {}}'],
    ids=["empty", "cut", "an entry"],
)
def test_the_previous_version_of_a_damaged_document_is_used(with_previous: Fixture, content: str) -> None:
    with_previous.path.write_text(content)
    assert with_previous.load() == numbered(1)
    assert "previous version is used" in with_previous.errors[0]
    again = with_previous.restarted()
    assert again.load() == numbered(1), "also the next time"
    assert again.errors == []


def test_a_document_of_which_only_the_previous_version_is_left_is_reported(with_previous: Fixture) -> None:
    with_previous.path.unlink()
    assert with_previous.load() == numbered(1)
    assert "is missing" in with_previous.errors[0]
    again = with_previous.restarted()
    assert again.load() == numbered(1)
    assert again.errors == []
    assert again.storage.damaged_file("book") is not None, "the next start knows of the loss"
    assert again.storage.dismiss_damaged_file("book") is None
    assert again.restarted().storage.damaged_file("book") is None


@pytest.mark.parametrize(
    ("written", "changed"), [('"seen": 2', '"seen": 9'), ('"note": ""', '"note": "x"'), ("\n", "\n ")]
)
def test_a_complete_document_with_a_wrong_checksum_is_newer_than_the_previous_version(
    with_previous: Fixture, written: str, changed: str
) -> None:
    text = with_previous.path.read_text().replace(written, changed)
    document = json.loads(text)
    with_previous.path.write_text(json.dumps(document | {"checksum": "00000000"}))
    expected = Document((Entry(document["entries"][0]["seen"]),), {}, document["note"])
    assert with_previous.load() == expected
    assert "checksum" in with_previous.errors[0]
    assert with_previous.storage.damaged_file("book") is not None
    assert with_previous.restarted().load() == expected


def test_if_both_are_damaged_what_can_be_read_is_used(with_previous: Fixture) -> None:
    with_previous.path.write_text('{"entries": [{"seen": 3}, 1], "by_name": {}}')
    (with_previous.directory / "book.old").write_text("[")
    assert with_previous.load() == numbered(3)
    with_previous.path.write_text("{")
    assert with_previous.load() is None
    assert len(with_previous.errors) == 2


def test_a_damaged_document_that_cannot_be_set_aside_is_not_overwritten(damaged: Fixture) -> None:
    (damaged.directory / "book.bad").mkdir()
    damaged.path.write_text("{")
    assert damaged.load() is None
    assert "set aside: Is a" in damaged.errors[0]
    assert "in the way" in str(damaged.save())
    assert damaged.path.read_text() == "{"
    assert damaged.storage.damaged_file("book") == damaged.path
    assert damaged.storage.dismiss_damaged_file("book") is None
    assert damaged.save() is None
    assert damaged.load() == GOOD


def test_a_dismissed_document_remains_for_a_look(damaged: Fixture) -> None:
    damaged.path.write_text("{")
    damaged.load()
    assert damaged.restarted().storage.dismiss_damaged_file("book") is None
    assert damaged.files() == ["book.dismissed"]
    assert damaged.storage.damaged_file("book") is None
    assert damaged.storage.dismiss_damaged_file("book") is None


@pytest.mark.parametrize(
    ("environment", "uid", "directory"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, 1000, "/var/lib/a"),
        ({}, 0, "/var/lib/powerd"),
        ({"XDG_STATE_HOME": "/home/anna/.state"}, 0, "/var/lib/powerd"),
        ({"XDG_STATE_HOME": "/home/anna/.state"}, 1000, "/home/anna/.state/powerd"),
        ({"HOME": "/home/anna"}, 1000, "/home/anna/.local/state/powerd"),
    ],
)
def test_where_the_state_is(
    environment: dict[str, str], uid: int, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert state_directory() == Path(directory)
