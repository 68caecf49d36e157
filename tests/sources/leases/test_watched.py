from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sources.leases.trees import TreeEyes

from powerd.sources.leases import named
from powerd.sources.leases.found import Lead
from powerd.sources.leases.kept import GRACE, Batch
from powerd.sources.leases.watched import VANISHED_MAX, Wanted, Watched

PATH = "/srv/leases"
A, B = "0 02:00:00:00:00:01 10.0.0.1 a *\n", "0 02:00:00:00:00:02 10.0.0.2 b *\n"
LEAD_A, LEAD_B = Lead("10.0.0.1", "02:00:00:00:00:01", "a"), Lead("10.0.0.2", "02:00:00:00:00:02", "b")


class File:
    """One file under watch, and what is seen of it."""

    def __init__(self, root: Path, form: str | None = "dnsmasq", wanted: Wanted = Wanted.USUAL) -> None:
        self.eyes = TreeEyes(root)
        self.file = Watched(PATH, wanted, named(form) if form else None)
        self.now = 0.0

    def look(self, after: float = 60) -> list[Batch]:
        """What there is after some more seconds."""
        self.now += after
        asyncio.run(self.file.look(self.eyes, self.now))
        return list(self.file.batches("x"))

    def put(self, *texts: str) -> list[Batch]:
        """Replace the file, and look."""
        self.eyes.put(PATH, *texts)
        return self.look()


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def test_unchanged_it_costs_one_stat(file: File) -> None:
    assert file.put(A) == [Batch("x", (LEAD_A,))]
    version = file.file.version
    file.eyes.forget()
    for _ in range(10):
        assert file.look() == [Batch("x", (LEAD_A,))]
    assert file.eyes.marked == {PATH: 10}
    assert not file.eyes.opened
    assert file.file.version == version


def test_replaced_appended_truncated(file: File) -> None:
    file.put(A)
    assert file.put(B) == [Batch("x", (LEAD_B,)), Batch("x", (LEAD_A,), stale=True)]
    file.eyes.add(PATH, A)
    assert file.look() == [Batch("x", (LEAD_B, LEAD_A))]
    (file.eyes.root / PATH[1:]).write_text("")
    assert file.look() == [Batch("x", (LEAD_B, LEAD_A), stale=True)]
    assert file.look(GRACE + 1) == []
    assert file.file.trouble is None


def test_half_written_it_is_read_again(file: File) -> None:
    file.put(A, B)
    assert file.put(A, B[:20]) == [Batch("x", (LEAD_A,)), Batch("x", (LEAD_B,), stale=True)]
    assert file.file.found.skipped == 0
    file.eyes.add(PATH, B[20:])
    assert file.look() == [Batch("x", (LEAD_A, LEAD_B))]


def test_a_loss_is_looked_at_twice_for_a_clock_ticks_slowly(file: File) -> None:
    """Written over in place, at the same size and within the same tick of the kernel's clock."""
    file.put(A, B)
    place = file.eyes.root / PATH[1:]
    with place.open("r+") as stream:
        stream.write(A + A)
    mark = file.eyes.mark(PATH)
    assert mark
    assert file.look()[0] == Batch("x", (LEAD_A,))
    with place.open("r+") as stream:
        stream.write(A + B)
    file.eyes.set_time(PATH, mark)
    assert file.eyes.mark(PATH) == mark
    assert file.look() == [Batch("x", (LEAD_A, LEAD_B))]
    file.eyes.forget()
    file.look()
    assert not file.eyes.opened


def test_garbled_entries_are_looked_at_twice_not_for_ever(file: File) -> None:
    file.put(A, "garbled\n")
    assert file.file.found.skipped == 1
    for _ in range(5):
        file.look()
    assert file.eyes.opened == {PATH: 2}


def test_vanished_it_is_remembered_for_an_hour(file: File) -> None:
    file.put(A)
    file.eyes.remove(PATH)
    assert file.look() == [Batch("x", (LEAD_A,), stale=True)]
    assert file.look(VANISHED_MAX) == [Batch("x", (LEAD_A,), stale=True)]
    assert not file.file.trouble
    assert file.look(1) == [Batch("x", (LEAD_A,), stale=True)]
    assert file.file.grave
    assert (
        file.file.trouble
        == f"{PATH}: has vanished; bring it back, or correct clients.leases and restart powerd"
    )
    assert file.put(A) == [Batch("x", (LEAD_A,))]
    assert not file.file.trouble
    assert not file.file.grave


def test_vanished_while_an_entry_had_gone_both_are_remembered(file: File) -> None:
    file.put(A, B)
    file.put(A)
    file.eyes.remove(PATH)
    file.look()
    assert file.look(GRACE * 2) == [Batch("x", (LEAD_A,), stale=True), Batch("x", (LEAD_B,), stale=True)]


def test_what_hides_nobody_is_forgotten_when_it_has_vanished(tmp_path: Path) -> None:
    file = File(tmp_path, "dnsmasq.conf")
    file.put("dhcp-host=02:00:00:00:00:01,10.0.0.1\n")
    file.eyes.remove(PATH)
    file.look()
    file.look(VANISHED_MAX + 1)
    assert file.look(GRACE + 1) == []
    assert not file.file.trouble


def test_a_file_that_comes_and_goes(tmp_path: Path) -> None:
    """systemd-networkd removes its file with the last lease."""
    file = File(tmp_path, "systemd-networkd")
    assert file.put('{"Leases": [{"Address": [10, 0, 0, 1]}]}')
    file.eyes.remove(PATH)
    assert file.look() == [Batch("x", (Lead("10.0.0.1"),), stale=True)]
    assert file.look(GRACE + 1) == []
    file.look(VANISHED_MAX * 2)
    assert not file.file.trouble


def test_unreadable_its_clients_are_unknown_at_once(file: File) -> None:
    file.put(A)
    file.eyes.barred.add(PATH)
    assert file.put(B) == [Batch("x", (LEAD_A,), stale=True)]
    assert file.file.grave
    assert file.file.trouble == f"cannot read {PATH}: Permission denied; be somebody else"
    version = file.file.version
    file.look()
    assert file.file.version == version
    file.eyes.barred.clear()
    assert file.look()[0] == Batch("x", (LEAD_B,))
    assert not file.file.trouble


def test_unreadable_what_hides_nobody_is_no_grave_trouble(tmp_path: Path) -> None:
    usual, by_name = File(tmp_path, "pihole.toml"), File(tmp_path, "pihole.toml", Wanted.NAMED)
    for file in (usual, by_name):
        file.eyes.barred.add(PATH)
        file.put("[dhcp]\n")
        assert file.file.trouble
    assert not usual.file.grave
    assert by_name.file.grave


def test_what_makes_no_sense_keeps_the_last_clients(file: File) -> None:
    file.put(A)
    assert file.put("\0" * 100, "\n") == [Batch("x", (LEAD_A,), stale=True)]
    assert file.file.grave
    assert file.file.trouble
    assert file.file.trouble.startswith(f"{PATH}: nothing in it makes sense: line 1: ")
    assert file.put(A) == [Batch("x", (LEAD_A,))]
    assert not file.file.trouble


@pytest.mark.parametrize(
    ("wanted", "trouble"),
    [
        (Wanted.USUAL, None),
        (Wanted.NAMED, f"{PATH}: there is no such lease file; correct clients.leases, or start"),
        (Wanted.INCLUDED, f"{PATH}: another file includes it, but it does not exist"),
    ],
)
def test_what_never_existed(tmp_path: Path, wanted: Wanted, trouble: str | None) -> None:
    file = File(tmp_path, "dhcpd.conf", wanted)
    assert file.look() == []
    assert (file.file.trouble or "").startswith(trouble or "")
    assert bool(file.file.trouble) == bool(trouble)
    assert file.file.grave == (wanted is Wanted.NAMED)
    file.put("")
    assert not file.file.trouble


def test_the_format_is_recognised(tmp_path: Path) -> None:
    file = File(tmp_path, None, Wanted.NAMED)
    assert file.put("") == []
    assert not file.file.trouble
    assert file.put(A) == [Batch("x", (LEAD_A,))]
    assert file.file.form == named("dnsmasq")


def test_an_unknown_format_is_grave_and_keeps_whom_it_knew(tmp_path: Path) -> None:
    file = File(tmp_path, None, Wanted.NAMED)
    assert file.put("Dear diary,\n") == []
    assert file.file.grave
    assert file.file.trouble == f"{PATH}: is of no known format of lease files; take it out of clients.leases"
    assert file.put(A)
    assert file.put("Dear diary,\n") == [Batch("x", (LEAD_A,), stale=True)]
    assert file.put("lease 10.0.0.9 {\n ends never;\n}\n")[0] == Batch("x", (Lead("10.0.0.9"),))


HEADER = "address,hwaddr,valid_lifetime,expire,hostname,state\n"
ROWS = {
    name: f"10.0.0.1,02:00:00:00:00:01,60,1795262400,{name},0\n" for name in ("main", "one", "two", "done")
}


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("main", "one", "two", "done"), "main"),
        (("one", "two", "done"), "done"),
        (("one", "two"), "one"),
        (("two",), "two"),
    ],
)
def test_companions_in_their_order(tmp_path: Path, parts: tuple[str, ...], name: str) -> None:
    file = File(tmp_path, None, Wanted.NAMED)
    for suffix, part in ((".1", "one"), (".2", "two"), (".completed", "done")):
        if part in parts:
            file.eyes.put(PATH + suffix, HEADER, ROWS[part].rstrip())  # its last line has no end
    batches = file.put(HEADER, ROWS["main"] if "main" in parts else "")
    assert [lead.name for batch in batches for lead in batch.leads] == [name]
    assert file.file.found.skipped == 0


def test_the_clean_up_of_a_running_server_loses_nobody(tmp_path: Path) -> None:
    """Step by step as "The LFC Process" of Kea's manual has it."""
    file = File(tmp_path, "kea")
    file.put(HEADER, ROWS["main"])
    main, one, two, done = PATH, f"{PATH}.1", f"{PATH}.2", f"{PATH}.completed"
    steps: list[dict[str, tuple[str, ...] | None]] = [
        {one: (HEADER, ROWS["main"]), main: (HEADER,)},
        {done: (HEADER, ROWS["main"])},
        {one: None},
        {two: (HEADER, ROWS["main"]), done: None},
    ]
    for step in steps:
        for path, texts in step.items():
            if texts is None:
                file.eyes.remove(path)
            else:
                file.eyes.put(path, *texts)
        assert [(batch.stale, len(batch.leads)) for batch in file.look()] == [(False, 1)]


def test_reading_what_changes_meanwhile_is_done_anew(tmp_path: Path) -> None:
    """The marks are from before the reading."""
    file = File(tmp_path)
    file.eyes.put(PATH, A)

    class Late(TreeEyes):
        async def chunks(self, path: str) -> AsyncIterator[str]:
            async for text in super().chunks(path):
                yield text
            if self.opened[path] == 1:
                self.put(PATH, A, B)

    late = Late(tmp_path)
    asyncio.run(file.file.look(late, 1))
    asyncio.run(file.file.look(late, 2))
    assert list(file.file.batches("x")) == [Batch("x", (LEAD_A, LEAD_B))]
