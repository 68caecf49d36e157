from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rig.hardware import QUIET, Hardware

from powerd.board import Facts
from powerd.host.machine import Machine
from powerd.host.values import HostError
from powerd.model import Activity, Blind, Disk, DiskId, Moment, Seen
from powerd.sources.disks import Disks
from powerd.sources.runner import Extent

NEVER = float("-inf")
OLD = "5.10.0-28-amd64"


def stat(ios: int, in_flight: int = 0) -> str:
    """A line of counters with so many reads."""
    return f"{ios} 0 0 0 0 0 0 0 {in_flight} 0 0 0 0 0 0 0 0"


class Eyes(Machine):
    """The real Eyes below a root, whose hotplug is the test's, and which count directories they look into.

    Attributes:
        heard: what hotplug calls; None = nobody has asked for it.
        kernel: the release of the kernel.
        refusal: what hotplug says instead.
        scans: how often a disk's own directory was listed.
    """

    heard: Callable[[], None] | None = None
    kernel: str = "6.1.0-18-amd64"
    refusal: str | None = None
    scans = 0

    def release(self) -> str:
        return self.kernel

    def hotplug(self, heard: Callable[[], None]) -> None:
        if self.refusal:
            raise HostError(self.refusal)
        self.heard = heard

    def entries(self, directory: str) -> tuple[str, ...]:
        self.scans += directory.endswith("/block/sda")
        return super().entries(directory)


@dataclass
class Bench:
    """A machine and its source; each look is a minute after the one before."""

    hardware: Hardware
    eyes: Eyes
    mono: float = 940.0
    hurried: int = 0
    source: Disks = field(init=False)

    def __post_init__(self) -> None:
        self.source = Disks(self.eyes, self)
        self.source.hurry = self._hurry

    def now(self) -> Moment:
        return Moment(self.mono, 0.0, datetime(2026, 3, 1, tzinfo=UTC))

    def look(self, after: float = 60.0) -> Facts:
        self.mono += after
        return asyncio.run(self.source.look(Extent.ROUND))

    def disk(self, serial: str = "WCC0", after: float = 60.0) -> Disk:
        return next(disk for disk in (self.look(after).disks or {}).values() if disk.serial == serial)

    def word(self, id_: str, after: float = 60.0) -> Seen[Activity] | Blind:
        return (self.look(after).activity or {})[DiskId(id_)]

    def activity(self, id_: str, after: float = 60.0) -> Activity:
        word = self.word(id_, after)
        assert isinstance(word, Seen)
        assert word.at == self.mono
        return word.value

    def blind(self, id_: str) -> str:
        word = self.word(id_)
        assert isinstance(word, Blind)
        return word.why

    def order(self, id_: str, commands: int) -> None:
        """Obey one of powerd's own between two looks."""
        self.source.begin(DiskId(id_))
        self.source.end(DiskId(id_), commands)

    def _hurry(self) -> None:
        self.hurried += 1


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Hardware(tmp_path), Eyes(tmp_path))


@pytest.fixture
def sda(bench: Bench) -> str:
    return bench.hardware.sata(0, "WCC0")


def test_the_first_look_counts_as_movement(bench: Bench, sda: str) -> None:
    assert bench.activity(sda) == Activity(1000.0, 153)
    assert bench.activity(sda) == Activity(1000.0, 153)


def test_movement_is_told_by_the_look_that_found_it(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(200))
    assert bench.activity(sda).moved == 1060.0
    assert bench.activity(sda).moved == 1060.0
    bench.hardware.sysfs("sda", "stat", stat(200, in_flight=1))
    assert bench.activity(sda) == Activity(1180.0, 200, 1)


def test_a_flush_moves(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", QUIET.replace(" 3 1", " 4 1"))
    assert bench.activity(sda).moved == 1060.0


def test_own_commands_move_nothing_on_kernels_that_count_them(bench: Bench) -> None:
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    ios = bench.activity(sda).ios
    bench.order(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(ios + 2))
    assert bench.activity(sda) == Activity(1000.0, ios)
    bench.hardware.sysfs("sda", "stat", stat(ios + 3))
    assert bench.activity(sda) == Activity(1120.0, ios + 1)


def test_others_do_not_count_them_so_nothing_is_taken_off(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.order(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(155))
    assert bench.activity(sda) == Activity(1060.0, 155)
    bench.hardware.sysfs("sda", "queue/iostats_passthrough", "1")
    bench.order(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(157))
    assert bench.activity(sda, after=600) == Activity(1060.0, 155), "a switch that was thrown is seen in time"


def test_while_an_order_is_under_way_nobody_can_tell_so_the_last_word_stands(bench: Bench) -> None:
    """Whatever others do meanwhile is seen when it is known how many of the requests were powerd's own."""
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    first = bench.word(sda)
    bench.source.begin(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160, in_flight=1))
    assert bench.word(sda) == first
    bench.source.begin(DiskId(sda))
    bench.source.end(DiskId(sda), 7)
    assert bench.word(sda) == first
    bench.hardware.sysfs("sda", "stat", stat(163))
    bench.source.end(DiskId(sda), 3)
    assert bench.activity(sda) == Activity(1000.0, 153), "ten were its own"
    bench.source.begin(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(168))
    bench.look()
    bench.source.end(DiskId(sda), 4)
    assert bench.activity(sda) == Activity(1300.0, 154), "one was not"


def test_an_order_that_came_to_nothing_hides_nothing_any_longer(bench: Bench) -> None:
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.look()
    bench.source.begin(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160))
    bench.look()
    bench.source.end(DiskId(sda), 0)
    assert bench.activity(sda) == Activity(1120.0, 160)


def test_where_they_are_not_counted_an_order_hides_nothing(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.source.begin(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160))
    assert bench.activity(sda) == Activity(1060.0, 160)


def test_others_commands_move_nothing_where_partitions_tell(bench: Bench) -> None:
    """On Linux 5.10, what smartd asks counts as reads of the disk, and of none of its partitions."""
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    for part in (1, 2):
        bench.hardware.partition(0, part)
        bench.hardware.sysfs("sda", f"sda{part}/stat", stat(50 * part))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    assert bench.activity(sda) == Activity(1000.0, 153), "three flushes, which are counted for the disk alone"
    bench.hardware.sysfs("sda", "stat", stat(900))
    bench.hardware.sysfs("sda", "sda2/stat", stat(101))
    bench.order(sda, 40)
    assert bench.activity(sda).moved == 1060.0
    before = bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(990))
    assert bench.activity(sda) == before
    bench.hardware.sysfs("sda", "stat", stat(990, in_flight=1))
    assert bench.activity(sda).moved == bench.mono, "somebody copies the whole disk"


def test_a_partition_more_is_no_movement_of_another_disk(bench: Bench) -> None:
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.hardware.partition(0, 1)
    bench.hardware.sysfs("sda", "sda1/stat", stat(50))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    seen = bench.disk().seen
    bench.hardware.partition(0, 2)
    bench.hardware.sysfs("sda", "sda2/stat", stat(7))
    bench.source._changed()  # noqa: SLF001 - as hotplug does
    assert bench.activity(sda).moved == bench.mono, "whoever partitions it uses it"
    bench.hardware.at("/sys/block/sda/sda2/stat").unlink()
    assert bench.disk().seen == seen, "it is the same drive all the time"


def prod(bench: Bench, count: int) -> None:
    """So many commands have been handed to sda since it was plugged in."""
    bench.hardware.sysfs("sda", "device/iorequest_cnt", hex(count))


def test_commands_without_any_io_are_told_by_the_look_that_found_them(bench: Bench, sda: str) -> None:
    assert bench.activity(sda).prodded == NEVER, "what was before the first look nobody knows"
    prod(bench, 200)
    assert bench.activity(sda) == Activity(1000.0, 153, prodded=1060.0)
    assert bench.activity(sda).prodded == 1060.0


def test_commands_that_come_with_io_are_its_own(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    prod(bench, 200)
    bench.hardware.sysfs("sda", "stat", stat(160))
    assert bench.activity(sda) == Activity(1060.0, 160)
    prod(bench, 201)
    bench.hardware.sysfs("sda", "stat", stat(160, in_flight=1))
    assert bench.activity(sda).prodded == NEVER
    assert bench.activity(sda).prodded == NEVER, (
        "and it is compared with the last look, not with an earlier one"
    )


def test_powerd_s_own_commands_prod_nobody_and_hide_none_but_those_meanwhile(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.source.begin(DiskId(sda))
    prod(bench, 160)
    bench.source.end(DiskId(sda), 0)
    assert bench.activity(sda).prodded == NEVER, "whatever it says that it has sent"
    bench.source.begin(DiskId(sda))
    prod(bench, 170)
    assert bench.activity(sda).prodded == NEVER, "it is still under way"
    prod(bench, 180)
    bench.source.end(DiskId(sda), 3)
    assert bench.activity(sda).prodded == NEVER
    bench.source.begin(DiskId(sda))
    prod(bench, 181)
    bench.source.end(DiskId(sda), 1)
    prod(bench, 182)
    assert bench.activity(sda).prodded == 1240.0, "one more, in the same minute"
    prod(bench, 183)
    bench.source.begin(DiskId(sda))
    prod(bench, 190)
    bench.source.end(DiskId(sda), 7)
    assert bench.activity(sda).prodded == 1300.0, "and before it"


def test_orders_that_overlap_are_one_time_of_powerd_s_own(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    bench.source.begin(DiskId(sda))
    prod(bench, 160)
    bench.source.begin(DiskId(sda))
    bench.source.end(DiskId(sda), 1)
    prod(bench, 170)
    bench.source.end(DiskId(sda), 1)
    assert bench.activity(sda).prodded == NEVER


def test_where_partitions_tell_the_io_commands_past_them_are_seen(bench: Bench) -> None:
    bench.eyes.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.hardware.partition(0, 1)
    bench.hardware.sysfs("sda", "sda1/stat", stat(50))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    bench.hardware.sysfs("sda", "stat", stat(153))
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(154))
    prod(bench, 200)
    assert bench.activity(sda) == Activity(1000.0, 50, prodded=1060.0)


def test_a_count_that_is_smaller_or_gone_is_begun_with_anew(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    for text in ("0x3", "garbage", "0x5", "0xffffffff80000000", "0x0"):
        bench.hardware.sysfs("sda", "device/iorequest_cnt", text)
        seen = bench.activity(sda).prodded
        assert seen == (bench.mono if text.startswith("0xf") else seen)
    assert bench.activity(sda).prodded == 1240.0, "the one time that it grew"
    bench.source.begin(DiskId(sda))
    bench.hardware.sysfs("sda", "device/iorequest_cnt", "")
    bench.source.end(DiskId(sda), 1)
    prod(bench, 5)
    assert bench.activity(sda).prodded == 1240.0


def test_a_disk_that_is_plugged_in_again_has_not_been_prodded(bench: Bench, sda: str) -> None:
    bench.activity(sda)
    prod(bench, 200)
    assert bench.activity(sda).prodded == 1060.0
    bench.hardware.unplug("sda")
    bench.hardware.sata(0, "WCC0")
    bench.source._changed()  # noqa: SLF001 - as hotplug does
    assert bench.activity(sda).prodded == NEVER


def test_disks_that_do_not_count_commands_are_not_asked_for_them(bench: Bench, sda: str) -> None:
    """NVMe and virtio: the file is looked for when they are plugged in, not in each round."""
    bench.hardware.at("/sys/block/sda/device/iorequest_cnt").unlink()
    assert bench.activity(sda) == Activity(1000.0, 153)
    bench.order(sda, 2)
    bench.source.end(DiskId("gone"), 0)
    prod(bench, 200)
    assert bench.activity(sda) == Activity(1000.0, 153)
    assert bench.activity(sda, after=600) == Activity(1000.0, 153)
    prod(bench, 201)
    assert bench.activity(sda).prodded == bench.mono


@pytest.mark.parametrize(
    ("status", "suspended"),
    [("suspended", True), ("suspending", True), ("active", False), ("unsupported", False)],
)
def test_a_suspended_disk(bench: Bench, sda: str, status: str, *, suspended: bool) -> None:
    bench.hardware.sysfs("sda", "device/power/runtime_status", status)
    assert bench.activity(sda).suspended is suspended


def test_excluded_disks_are_listed_and_not_counted(bench: Bench, sda: str) -> None:
    ssd = bench.hardware.sata(1, "SSD", rotational="0")
    facts = bench.look()
    assert set(facts.disks or {}) == {sda, ssd}
    assert set(facts.activity or {}) == {sda}


def test_uncounted_disks_are_blind_and_say_how_to_mend_it(bench: Bench, sda: str) -> None:
    bench.hardware.sysfs("sda", "queue/iostats", "0")
    assert bench.blind(sda) == "sda is not counted: echo 1 > /sys/block/sda/queue/iostats"


def test_counters_that_nobody_understands_are_blind(bench: Bench, sda: str) -> None:
    bench.hardware.sysfs("sda", "stat", "garbage")
    assert bench.blind(sda).endswith(
        "/block/sda/stat has no counters that powerd understands; report its content"
    )
    bench.hardware.sysfs("sda", "stat", QUIET)
    assert bench.activity(sda).moved == bench.mono, "what happened meanwhile nobody knows"


def test_counters_that_are_not_there_are_blind(bench: Bench, sda: str) -> None:
    bench.look()
    bench.hardware.at("/sys/block/sda/stat").unlink()
    bench.eyes.gauges(())
    assert "is gone, or its counters cannot be read" in bench.blind(sda)


def test_hotplug_hurries_a_look_that_sees_the_new_disk(bench: Bench, sda: str) -> None:
    bench.look()
    sdb = bench.hardware.sata(1, "WCC1")
    assert bench.eyes.heard is not None
    bench.eyes.heard()
    assert bench.hurried == 1
    facts = bench.look(after=1)
    assert set(facts.disks or {}) == {sda, sdb}
    assert {disk.serial: disk.seen for disk in (facts.disks or {}).values()} == {
        "WCC0": 1000.0,
        "WCC1": 1001.0,
    }


def test_without_hotplug_a_round_sees_it(bench: Bench, sda: str) -> None:
    bench.eyes.refusal = "cannot hear of disks"
    assert bench.look().word == Seen(1000.0, ("cannot hear of disks",))
    sdb = bench.hardware.sata(1, "WCC1")
    facts = bench.look()
    assert set(facts.disks or {}) == {sda, sdb}
    assert facts.word == Seen(1060.0, ("cannot hear of disks",)), "and it is not asked for again"


def test_a_disk_that_goes_is_forgotten_at_once(bench: Bench, sda: str) -> None:
    bench.hardware.sata(1, "WCC1")
    bench.look()
    bench.hardware.unplug("sdb")
    facts = bench.look()
    assert set(facts.disks or {}) == set(facts.activity or {}) == {sda}


def test_one_that_comes_back_is_a_new_one(bench: Bench, sda: str) -> None:
    assert bench.disk().seen == 1000.0
    bench.hardware.unplug("sda")
    assert bench.hardware.sata(0, "WCC0") == sda
    bench.eyes.gauges(())
    assert bench.disk().seen == 1000.0, "nobody has said that it was away"
    assert bench.eyes.heard is not None
    bench.eyes.heard()
    assert bench.disk().seen == 1120.0, "its number in the row of all disks is another"
    assert bench.activity(sda).moved == 1120.0


def test_counters_that_begin_anew_betray_a_new_attachment(bench: Bench, sda: str) -> None:
    bench.look()
    bench.hardware.sysfs("sda", "stat", stat(3))
    assert bench.activity(sda) == Activity(1060.0, 3)
    assert bench.disk().seen == 1060.0
    bench.source.hurry()
    assert bench.disk(after=600).seen == 1060.0


def test_names_that_are_swapped_keep_their_counters_apart(bench: Bench) -> None:
    """What was sda is sdb after a controller was reset, and the other way round."""
    a, b = bench.hardware.sata(0, "A"), bench.hardware.sata(1, "B")
    bench.hardware.sysfs("sdb", "stat", stat(900))
    assert bench.activity(a).ios == 153
    bench.hardware.unplug("sda")
    bench.hardware.unplug("sdb")
    bench.hardware.sata(0, "B")
    bench.hardware.sata(1, "A")
    assert bench.eyes.heard is not None
    bench.eyes.heard()
    facts = bench.look()
    assert {disk.id: disk.device for disk in (facts.disks or {}).values()} == {a: "sdb", b: "sda"}
    assert {disk.seen for disk in (facts.disks or {}).values()} == {1060.0}


def test_everything_is_read_anew_only_when_it_may_have_changed(bench: Bench, sda: str) -> None:
    del sda
    for _ in range(9):
        bench.look()
    assert bench.eyes.scans == 1
    bench.hardware.mount("8:0", "/srv", "ext4", "/dev/sda")
    assert bench.disk().mounts, "a mount needs no scan"
    assert bench.eyes.scans == 1
    bench.look()
    bench.look()
    assert bench.eyes.scans == 2, "and every ten minutes"


def test_the_journal_and_swap_space_in_use_are_seen_in_the_next_round(bench: Bench, sda: str) -> None:
    bench.hardware.partition(0, 1, ID_FS_TYPE="ext4")
    bench.hardware.partition(0, 2, ID_FS_TYPE="swap")
    bench.hardware.mount("8:1", "/", "ext4", "/dev/sda1")
    bench.hardware.at("/var/log/journal").mkdir(parents=True)
    swaps = "Filename Type Size Used Priority\n/dev/sda2 partition 1048572 {} -2\n"
    bench.hardware.put("/proc/swaps", swaps.format(0))
    assert (bench.disk().journal, bench.disk().swapping) == (False, False)
    bench.hardware.put("/proc/swaps", swaps.format(256))
    assert (bench.disk().journal, bench.disk().swapping) == (False, True)
    bench.hardware.put("/run/systemd/journal/flushed", "")
    disks = bench.look().disks
    assert disks is not None
    assert (disks[DiskId(sda)].journal, disks[DiskId(sda)].swapping) == (True, True)
    bench.hardware.put("/proc/swaps", swaps.format(4711))
    assert bench.look().disks is disks, "more of it in use is no news"
    bench.hardware.put("/proc/swaps", swaps.format(0))
    assert (bench.disk().journal, bench.disk().swapping) == (True, False)
    assert bench.eyes.scans == 1
    assert bench.activity(sda).moved == 1000.0


def test_an_array_at_work(bench: Bench, sda: str) -> None:
    bench.hardware.md("md0", 0, ["sda"])
    assert bench.disk().busy is None
    bench.hardware.sysfs("md0", "md/sync_action", "check")
    assert bench.disk().busy == "md0 check"
    assert bench.eyes.scans == 1
    assert bench.activity(sda).moved == 1000.0


UUID = "0870fdc3-dcc9-4c5c-85f4-e4df192866b6"
SCRUB = f"00000000e4f71913: 00000002 00000000 00010000 0001 01 1923570 /var/lib/btrfs/scrub.progress.{UUID}"


def test_a_btrfs_at_work(bench: Bench, sda: str) -> None:
    bench.hardware.partition(0, 1, ID_FS_TYPE="btrfs", ID_FS_UUID=UUID, ID_FS_LABEL="photos")
    assert bench.disk().busy is None
    bench.hardware.put("/proc/self/net/unix", f"Num       RefCount Protocol\n{SCRUB}\n")
    assert bench.disk().busy == "btrfs:photos scrub"
    bench.hardware.put("/proc/self/net/unix", "Num       RefCount Protocol\n")
    bench.hardware.put(f"/sys/fs/btrfs/{UUID}/exclusive_operation", "balance\n")
    assert bench.disk().busy == "btrfs:photos balance"
    bench.hardware.put(f"/sys/fs/btrfs/{UUID}/exclusive_operation", "none\n")
    assert bench.disk().busy is None
    assert bench.eyes.scans == 1
    assert bench.activity(sda).moved == 1000.0


def test_a_storm_of_hotplug_is_one_scan_a_look(bench: Bench, sda: str) -> None:
    del sda
    bench.look()
    assert bench.eyes.heard is not None
    for _ in range(10_000):
        bench.eyes.heard()
    bench.look(after=1)
    assert bench.eyes.scans == 2


def test_a_look_that_was_broken_off_is_made_up_for_by_the_next(
    bench: Bench, sda: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.look()
    sdb = bench.hardware.sata(1, "WCC1")
    with monkeypatch.context() as late:
        late.setattr(bench.eyes, "breathe", lambda: asyncio.Event().wait())
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(bench.source.look(Extent.ROUND), 0.01))
    assert set(bench.look().disks or {}) == {sda, sdb}


def test_sysfs_that_cannot_be_seen_is_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> tuple[str, ...]:
        raise HostError("cannot look into /sys/block: Permission denied; mount sysfs")

    monkeypatch.setattr(bench.eyes, "entries", refuse)
    with pytest.raises(HostError, match=r"^cannot look into /sys/block: "):
        bench.look()


def test_the_rhythm_can_be_set(bench: Bench) -> None:
    assert bench.source.every == 60.0
    bench.source.every = 5.0
    assert bench.source.name == "disks"
