"""For every kind of state file: one that cannot be read is never the same as one that says nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from fakes.unused_ports import UnusedPorts
from hypothesis import given
from hypothesis import strategies as st
from test_daemon import NIGHTLY, DaemonScenario, run_daemon

from powerd.core.actions import RequestRefusedError
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.disks.policy import history
from powerd.power.rtc_alarm import AlarmOwnership, RtcAlarm
from powerd.power.service import load_wake_storm
from powerd.power.transition import InterruptedSleep
from powerd.presence.neighbours import load_learned_hosts
from powerd.requests.keep_awake import KeepAwakeRequests
from powerd.requests.model import UNREADABLE, KeepAwake, KeepAwakeFacts
from powerd.smart.history import SmartHistory

RECORDED: Final = Path(__file__).parent / "guards/fixtures/state"
"""State files without a checksum, as an older version has written them."""
BOOT: Final = "5f1d7a84-db2e-4f0f-9a2a-1b7c3d4e5f60"
NOW: Final = Moment(400_400.5, 100_000.0, datetime.fromtimestamp(1_780_000_400.5, UTC))
SERIAL: Final = "WD-WCC7K0"


class FixedClock:
    """Shows NOW."""

    def now(self) -> Moment:
        return NOW


def load_keeps(storage: Storage) -> dict[str, KeepAwake]:
    state = StateStore()
    KeepAwakeRequests(state, FixedClock(), storage, BOOT)
    return {str(name): each for name, each in state.snapshot().part(KeepAwakeFacts).keep_awake.items()}


def load_alarm(storage: Storage) -> object:
    RtcAlarm(UnusedPorts(), FixedClock(), storage)
    return storage.load("alarm", AlarmOwnership).value


LOADERS: Final[dict[str, Callable[[Storage], object]]] = {
    "keeps": load_keeps,
    "alarm": load_alarm,
    "learned": lambda storage: load_learned_hosts(storage, NOW.wall.timestamp()),
    "disks": lambda storage: history.restore(storage.load("disks", history.DisksDocument).value, BOOT, NOW),
    f"health-{SERIAL}": lambda storage: SmartHistory(storage, lambda: True).record_of(SERIAL, 1.0),
    "sleep": lambda storage: storage.load("sleep", InterruptedSleep).value,
    "unrest": lambda storage: load_wake_storm(
        storage, "the next", Moment(20.0, 0.0, datetime(2026, 6, 2, tzinfo=UTC))
    ),
}
"""What reads each kind of document, and returns what it makes of it."""


def test_every_kind_is_here() -> None:
    kinds = {path.stem.partition("-")[0] for path in RECORDED.glob("*.json")}
    assert kinds == {name.partition("-")[0] for name in LOADERS}


class Reader:
    """Reads documents in one directory, with what is reported."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.json"
        self.errors: list[str] = []
        self._name = name

    def read(self, content: bytes) -> object:
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self.path.parent.mkdir()
        self.path.write_bytes(content)
        self.errors.clear()
        return LOADERS[self._name](Storage(self.path.parent, self.errors.append))

    def stored_by_this_version(self) -> bytes:
        """The recorded document with a checksum."""
        document = json.loads((RECORDED / self.path.name).read_bytes())
        shutil.rmtree(self.path.parent, ignore_errors=True)
        assert Storage(self.path.parent).save(self._name, document) is None
        return self.path.read_bytes()


@pytest.fixture(scope="module", params=LOADERS)
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("state") / "state", request.param)


def check(reader: Reader, expected: object, content: bytes) -> None:
    """All of a damaged document is read, or a problem is reported; a keep that is missing is a blocker."""
    found = reader.read(content)
    assert found == expected or reader.errors
    if reader.path.stem == "keeps":
        assert isinstance(found, dict)
        assert (UNREADABLE in found) == bool(reader.errors)
    assert all("\n" not in error for error in reader.errors)


@given(st.data())
def test_a_byte_that_was_changed(reader: Reader, data: st.DataObject) -> None:
    content = reader.stored_by_this_version()
    expected = reader.read(content)
    assert reader.errors == []
    damaged = bytearray(content)
    position = data.draw(st.integers(0, len(content) - 1))
    damaged[position] ^= data.draw(st.integers(1, 255))
    check(reader, expected, bytes(damaged))


@pytest.mark.long
@pytest.mark.parametrize("with_checksum", [True, False])
@given(st.data())
def test_a_document_that_was_cut(reader: Reader, with_checksum: bool, data: st.DataObject) -> None:  # noqa: FBT001 - by pytest
    recorded = (RECORDED / reader.path.name).read_bytes()
    content = reader.stored_by_this_version() if with_checksum else recorded
    expected = reader.read(content)
    assert reader.errors == []
    check(reader, expected, content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.data())
def test_a_page_that_was_never_written(reader: Reader, data: st.DataObject) -> None:
    """As after a power cut: a part of the file is zeros."""
    content = reader.stored_by_this_version()
    expected = reader.read(content)
    first, last = sorted(data.draw(st.integers(0, len(content))) for _ in range(2))
    check(reader, expected, content[:first] + bytes(last - first) + content[last:])


# --- Keeps that cannot be read keep the server awake ---


def damage_cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def damage_random(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def damage_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damage_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def damage_spaces(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b" " * (1 << 20))


DAMAGES: Final = [
    damage_cut,
    lambda path: path.write_bytes(b""),
    damage_directory,
    damage_random,
    damage_loop,
    damage_spaces,
]


@pytest.mark.long
@pytest.mark.parametrize("damage", DAMAGES)
def test_unreadable_keeps_keep_the_server_awake_over_restarts_until_a_user_drops_them(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    async def keep(h: DaemonScenario) -> None:
        assert h.daemon.requests.keep_awake.add(5 * 3600, "backup").not_stored == ""
        await asyncio.sleep(0)

    async def stays_awake(h: DaemonScenario) -> None:
        await asyncio.sleep(3600)
        assert h.done() == []
        (reason,) = [each for each in h.status.decision.reasons if each.subject == "keep"]
        assert reason.blocks_sleep
        assert f"--drop {UNREADABLE}" in reason.text

    async def dropped(h: DaemonScenario) -> None:
        await asyncio.sleep(1)
        assert h.daemon.requests.keep_awake.drop("unreadable").not_stored == ""
        with pytest.raises(RequestRefusedError):
            h.daemon.requests.keep_awake.drop("unreadable")
        await asyncio.sleep(3600)
        assert "logind" in h.done()

    run_daemon(keep, NIGHTLY, tmp_path)
    damage(tmp_path / "keeps.json")
    run_daemon(stays_awake, NIGHTLY, tmp_path)
    assert (tmp_path / "keeps.bad").lstat()
    run_daemon(stays_awake, NIGHTLY, tmp_path)
    run_daemon(dropped, NIGHTLY, tmp_path)

    async def starts(h: DaemonScenario) -> None:
        await asyncio.sleep(1)
        assert h.errors == []
        assert not h.status.snapshot.part(KeepAwakeFacts).keep_awake

    run_daemon(starts, NIGHTLY, tmp_path)


@pytest.mark.parametrize("previous", [None, "", "["], ids=["complete", "empty", "cut"])
def test_missing_keeps_of_which_a_previous_version_exists_are_unreadable_until_a_user_drops_them(
    tmp_path: Path, previous: str | None
) -> None:
    storage = Storage(tmp_path)
    keep = {"since": 1.78e9, "until": 1.7800072e9, "boottime": 507_500.5, "id": "1"}
    assert storage.save("keeps", {"boot": BOOT, "keeps": [keep]}) is None
    old = (tmp_path / "keeps.json").rename(tmp_path / "keeps.old")
    if previous is not None:
        old.write_text(previous)
    expected = [UNREADABLE, "1"] if previous is None else [UNREADABLE]
    for _ in range(2):
        state = StateStore()
        keeps = KeepAwakeRequests(state, FixedClock(), Storage(tmp_path), BOOT)
        assert list(state.snapshot().part(KeepAwakeFacts).keep_awake) == expected
    assert keeps.drop(UNREADABLE).not_stored == ""
    assert load_keeps(Storage(tmp_path)).keys() == set(expected[1:])


def test_the_newest_keep_of_a_document_with_a_wrong_checksum_goes_on(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    keep = {"since": 1.78e9, "until": 1.7800072e9, "boottime": 507_500.5}
    for ids in (["1"], ["1", "2"]):
        rows = [{**keep, "id": each} for each in ids]
        assert storage.save("keeps", {"boot": BOOT, "keeps": rows}) is None
        if len(ids) == 1:
            (tmp_path / "keeps.json").rename(tmp_path / "keeps.old")
    path = tmp_path / "keeps.json"
    path.write_text(path.read_text().replace("507500.5", "507501.5", 1))
    assert list(load_keeps(Storage(tmp_path))) == [UNREADABLE, "1", "2"]


def test_keeps_that_can_be_read_go_on_beside_those_that_cannot(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    keep = {"since": 1.78e9, "until": 1.7800072e9, "boottime": 507_500.5, "because": "b"}
    rows = [{**keep, "id": "1"}, {**keep, "id": "2", "boottime": "soon"}, {**keep, "id": "3", "because": 3}]
    assert storage.save("keeps", {"boot": BOOT, "last": "7", "keeps": rows}) is None
    found = load_keeps(storage)
    assert isinstance(found, dict)
    assert [(name, each.reason) for name, each in found.items()][1:] == [("1", "b"), ("3", "")]
    assert next(iter(found)) == UNREADABLE


# --- Keeps that cannot be stored ---


def fill(directory: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (directory / "filler").write_bytes(b"x" * (1 << 20))


def make_read_only(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", directory], check=True)


@pytest.mark.process
@pytest.mark.parametrize(("obstruct", "reason"), [(fill, "No space left"), (make_read_only, "Read-only")])
def test_a_keep_that_cannot_be_stored_says_so(
    small_filesystem: Path, obstruct: Callable[[Path], None], reason: str
) -> None:
    state = StateStore()
    keeps = KeepAwakeRequests(state, FixedClock(), Storage(small_filesystem), BOOT)
    assert keeps.add(60.0, "a").not_stored == ""
    obstruct(small_filesystem)
    assert reason in keeps.add(60.0, "b").not_stored
    assert list(state.snapshot().part(KeepAwakeFacts).keep_awake) == ["1", "2"], "it counts nevertheless"
    assert reason in keeps.drop("1").not_stored


@pytest.mark.process
def test_unreadable_keeps_on_a_read_only_filesystem_are_dropped_until_the_next_start(
    small_filesystem: Path,
) -> None:
    (small_filesystem / "keeps.json").write_text("{")
    make_read_only(small_filesystem)
    for _ in range(2):
        state = StateStore()
        keeps = KeepAwakeRequests(state, FixedClock(), Storage(small_filesystem), BOOT)
        assert list(state.snapshot().part(KeepAwakeFacts).keep_awake) == [UNREADABLE]
        assert "Read-only" in keeps.drop("unreadable").not_stored
        assert not state.snapshot().part(KeepAwakeFacts).keep_awake
