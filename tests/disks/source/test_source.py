from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rig.hardware import QUIET, Hardware

from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Moment, Reading, Unavailable
from powerd.disks.model import Disk, DiskActivity, DiskFacts, DiskId, DiskTransfer
from powerd.disks.source import block_devices
from powerd.disks.source.source import DiskSource
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError

OLD = "5.10.0-28-amd64"


def stat(ios: int, in_flight: int = 0) -> str:
    """A line of counters with this number of reads."""
    return f"{ios} 0 0 0 0 0 0 0 {in_flight} 0 0 0 0 0 0 0 0"


class DiskFiles(HostFiles):
    """The real files below a root; the test triggers hotplug, and listed directories are counted.

    Attributes:
        events: what hotplug calls; None = nothing watches it.
        kernel: the release of the kernel.
        refusal: what hotplug says instead.
        scans: how often a disk's own directory was listed.
    """

    events: Callable[[], None] | None = None
    kernel: str = "6.1.0-18-amd64"
    refusal: str | None = None
    scans = 0

    def kernel_release(self) -> str:
        return self.kernel

    def watch_block_devices(self, events: Callable[[], None]) -> None:
        if self.refusal:
            raise HostError(self.refusal)
        self.events = events

    def listdir(self, directory: str) -> tuple[str, ...]:
        self.scans += directory.endswith("/block/sda")
        return super().listdir(directory)


@dataclass
class DiskSourceFixture:
    """A machine and its source; each look is a minute after the one before."""

    hardware: Hardware
    files: DiskFiles
    mono: float = 940.0
    rescheduled: int = 0
    source: DiskSource = field(init=False)

    def __post_init__(self) -> None:
        self.source = DiskSource(self.files, self)
        self.source.poll_soon = self._reschedule

    def now(self) -> Moment:
        return Moment(self.mono, 0.0, datetime(2026, 3, 1, tzinfo=UTC))

    def poll(self, after: float = 60.0) -> PollResult:
        self.mono += after
        return asyncio.run(self.source.poll(PollDepth.ROUTINE))

    def disk(self, serial: str = "WCC0", after: float = 60.0) -> Disk:
        return next(
            disk for disk in (self.poll(after).part(DiskFacts).disks or {}).values() if disk.serial == serial
        )

    def activity_reading(self, id_: str, after: float = 60.0) -> Reading[DiskActivity] | Unavailable:
        return (self.poll(after).part(DiskFacts).activity or {})[DiskId(id_)]

    def activity(self, id_: str, after: float = 60.0) -> DiskActivity:
        reading = self.activity_reading(id_, after)
        assert isinstance(reading, Reading)
        assert reading.at == self.mono
        return reading.value

    def unavailable_reason(self, id_: str) -> str:
        reading = self.activity_reading(id_)
        assert isinstance(reading, Unavailable)
        return reading.reason

    def start_action(self, id_: str, commands: int) -> None:
        """Obey one of powerd's own between two looks."""
        self.source.begin_action(DiskId(id_))
        self.source.end_action(DiskId(id_), commands)

    def _reschedule(self) -> None:
        self.rescheduled += 1


@pytest.fixture
def bench(tmp_path: Path) -> DiskSourceFixture:
    return DiskSourceFixture(Hardware(tmp_path), DiskFiles(tmp_path))


@pytest.fixture
def sda(bench: DiskSourceFixture) -> str:
    return bench.hardware.sata(0, "WCC0")


def test_the_first_poll_counts_as_activity(bench: DiskSourceFixture, sda: str) -> None:
    assert bench.activity(sda) == DiskActivity(1000.0, 153)
    assert bench.activity(sda) == DiskActivity(1000.0, 153)


def test_activity_is_dated_by_the_poll_that_found_it(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(200))
    assert bench.activity(sda).last_io_at == 1060.0
    assert bench.activity(sda).last_io_at == 1060.0
    bench.hardware.sysfs("sda", "stat", stat(200, in_flight=1))
    assert bench.activity(sda) == DiskActivity(1180.0, 200, 1)


def test_a_flush_moves(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", QUIET.replace(" 3 1", " 4 1"))
    assert bench.activity(sda).last_io_at == 1060.0


def test_own_commands_move_nothing_on_kernels_that_count_them(bench: DiskSourceFixture) -> None:
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    ios = bench.activity(sda).io_count
    bench.start_action(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(ios + 2))
    assert bench.activity(sda) == DiskActivity(1000.0, ios)
    bench.hardware.sysfs("sda", "stat", stat(ios + 3))
    assert bench.activity(sda) == DiskActivity(1120.0, ios + 1)


def test_others_do_not_count_them_so_nothing_is_taken_off(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    bench.start_action(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(155))
    assert bench.activity(sda) == DiskActivity(1060.0, 155)
    bench.hardware.sysfs("sda", "queue/iostats_passthrough", "1")
    bench.start_action(sda, 2)
    bench.hardware.sysfs("sda", "stat", stat(157))
    assert bench.activity(sda, after=600) == DiskActivity(1060.0, 155), (
        "a switch that was thrown is seen in time"
    )


def test_during_an_action_the_last_reading_holds(bench: DiskSourceFixture) -> None:
    """Whatever others do meanwhile is seen when it is known how many of the requests were powerd's own."""
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    first = bench.activity_reading(sda)
    bench.source.begin_action(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160, in_flight=1))
    assert bench.activity_reading(sda) == first
    bench.source.begin_action(DiskId(sda))
    bench.source.end_action(DiskId(sda), 7)
    assert bench.activity_reading(sda) == first
    bench.hardware.sysfs("sda", "stat", stat(163))
    bench.source.end_action(DiskId(sda), 3)
    assert bench.activity(sda) == DiskActivity(1000.0, 153), "ten were its own"
    bench.source.begin_action(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(168))
    bench.poll()
    bench.source.end_action(DiskId(sda), 4)
    assert bench.activity(sda) == DiskActivity(1300.0, 154), "one was not"


def test_a_failed_action_hides_no_later_command(bench: DiskSourceFixture) -> None:
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.poll()
    bench.source.begin_action(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160))
    bench.poll()
    bench.source.end_action(DiskId(sda), 0)
    assert bench.activity(sda) == DiskActivity(1120.0, 160)


def test_without_command_counters_an_action_hides_nothing(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    bench.source.begin_action(DiskId(sda))
    bench.hardware.sysfs("sda", "stat", stat(160))
    assert bench.activity(sda) == DiskActivity(1060.0, 160)


def test_foreign_commands_are_no_activity_with_partition_counters(bench: DiskSourceFixture) -> None:
    """On Linux 5.10, what smartd asks counts as reads of the disk, and of none of its partitions."""
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    for part in (1, 2):
        bench.hardware.partition(0, part)
        bench.hardware.sysfs("sda", f"sda{part}/stat", stat(50 * part))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    assert bench.activity(sda) == DiskActivity(1000.0, 153), (
        "three flushes, which are counted for the disk alone"
    )
    bench.hardware.sysfs("sda", "stat", stat(900))
    bench.hardware.sysfs("sda", "sda2/stat", stat(101))
    bench.start_action(sda, 40)
    assert bench.activity(sda).last_io_at == 1060.0
    before = bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(990))
    assert bench.activity(sda) == before
    bench.hardware.sysfs("sda", "stat", stat(990, in_flight=1))
    assert bench.activity(sda).last_io_at == bench.mono, "somebody copies the whole disk"


def test_a_partition_more_is_no_movement_of_another_disk(bench: DiskSourceFixture) -> None:
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.hardware.partition(0, 1)
    bench.hardware.sysfs("sda", "sda1/stat", stat(50))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    seen = bench.disk().attached_at
    bench.hardware.partition(0, 2)
    bench.hardware.sysfs("sda", "sda2/stat", stat(7))
    bench.source._on_hotplug()  # noqa: SLF001 - as hotplug does
    assert bench.activity(sda).last_io_at == bench.mono, "a program that partitions it uses it"
    bench.hardware.at("/sys/block/sda/sda2/stat").unlink()
    assert bench.disk().attached_at == seen, "it is the same drive all the time"


def passthrough_commands(bench: DiskSourceFixture, count: int) -> None:
    """The kernel has sent this number of commands to sda since it was attached."""
    bench.hardware.sysfs("sda", "device/iorequest_cnt", hex(count))


def test_commands_without_io_are_dated_by_the_poll_that_found_them(
    bench: DiskSourceFixture, sda: str
) -> None:
    assert bench.activity(sda).last_passthrough_at is None, "what was before the first look nobody knows"
    passthrough_commands(bench, 200)
    assert bench.activity(sda) == DiskActivity(1000.0, 153, last_passthrough_at=1060.0)
    assert bench.activity(sda).last_passthrough_at == 1060.0


def test_commands_that_come_with_io_are_its_own(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    passthrough_commands(bench, 200)
    bench.hardware.sysfs("sda", "stat", stat(160))
    assert bench.activity(sda) == DiskActivity(1060.0, 160)
    passthrough_commands(bench, 201)
    bench.hardware.sysfs("sda", "stat", stat(160, in_flight=1))
    assert bench.activity(sda).last_passthrough_at is None
    assert bench.activity(sda).last_passthrough_at is None, (
        "and it is compared with the last look, not with an earlier one"
    )


def test_own_commands_are_no_passthrough_commands_and_hide_only_concurrent_ones(
    bench: DiskSourceFixture, sda: str
) -> None:
    bench.activity(sda)
    bench.source.begin_action(DiskId(sda))
    passthrough_commands(bench, 160)
    bench.source.end_action(DiskId(sda), 0)
    assert bench.activity(sda).last_passthrough_at is None, "whatever it says that it has sent"
    bench.source.begin_action(DiskId(sda))
    passthrough_commands(bench, 170)
    assert bench.activity(sda).last_passthrough_at is None, "it is still under way"
    passthrough_commands(bench, 180)
    bench.source.end_action(DiskId(sda), 3)
    assert bench.activity(sda).last_passthrough_at is None
    bench.source.begin_action(DiskId(sda))
    passthrough_commands(bench, 181)
    bench.source.end_action(DiskId(sda), 1)
    passthrough_commands(bench, 182)
    assert bench.activity(sda).last_passthrough_at == 1240.0, "one more, in the same minute"
    passthrough_commands(bench, 183)
    bench.source.begin_action(DiskId(sda))
    passthrough_commands(bench, 190)
    bench.source.end_action(DiskId(sda), 7)
    assert bench.activity(sda).last_passthrough_at == 1300.0, "and before it"


def test_overlapping_actions_are_one_interval_of_own_commands(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    bench.source.begin_action(DiskId(sda))
    passthrough_commands(bench, 160)
    bench.source.begin_action(DiskId(sda))
    bench.source.end_action(DiskId(sda), 1)
    passthrough_commands(bench, 170)
    bench.source.end_action(DiskId(sda), 1)
    assert bench.activity(sda).last_passthrough_at is None


def test_with_partition_counters_commands_past_the_partitions_are_detected(bench: DiskSourceFixture) -> None:
    bench.files.kernel = OLD
    sda = bench.hardware.sata(0, "WCC0")
    bench.hardware.partition(0, 1)
    bench.hardware.sysfs("sda", "sda1/stat", stat(50))
    bench.hardware.mount("8:1", "/srv", "ext4", "/dev/sda1")
    bench.hardware.sysfs("sda", "stat", stat(153))
    bench.activity(sda)
    bench.hardware.sysfs("sda", "stat", stat(154))
    passthrough_commands(bench, 200)
    assert bench.activity(sda) == DiskActivity(1000.0, 50, last_passthrough_at=1060.0)


def test_a_smaller_or_missing_count_is_a_new_baseline(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    for text in ("0x3", "garbage", "0x5", "0xffffffff80000000", "0x0"):
        bench.hardware.sysfs("sda", "device/iorequest_cnt", text)
        seen = bench.activity(sda).last_passthrough_at
        assert seen == (bench.mono if text.startswith("0xf") else seen)
    assert bench.activity(sda).last_passthrough_at == 1240.0, "the one time that it grew"
    bench.source.begin_action(DiskId(sda))
    bench.hardware.sysfs("sda", "device/iorequest_cnt", "")
    bench.source.end_action(DiskId(sda), 1)
    passthrough_commands(bench, 5)
    assert bench.activity(sda).last_passthrough_at == 1240.0


def test_a_replugged_disk_has_no_passthrough_command(bench: DiskSourceFixture, sda: str) -> None:
    bench.activity(sda)
    passthrough_commands(bench, 200)
    assert bench.activity(sda).last_passthrough_at == 1060.0
    bench.hardware.unplug("sda")
    bench.hardware.sata(0, "WCC0")
    bench.source._on_hotplug()  # noqa: SLF001 - as hotplug does
    assert bench.activity(sda).last_passthrough_at is None


def test_disks_that_do_not_count_commands_are_not_asked_for_them(bench: DiskSourceFixture, sda: str) -> None:
    """NVMe and virtio: the file is looked for when they are plugged in, not in each round."""
    bench.hardware.at("/sys/block/sda/device/iorequest_cnt").unlink()
    assert bench.activity(sda) == DiskActivity(1000.0, 153)
    bench.start_action(sda, 2)
    bench.source.end_action(DiskId("gone"), 0)
    passthrough_commands(bench, 200)
    assert bench.activity(sda) == DiskActivity(1000.0, 153)
    assert bench.activity(sda, after=600) == DiskActivity(1000.0, 153)
    passthrough_commands(bench, 201)
    assert bench.activity(sda).last_passthrough_at == bench.mono


@pytest.mark.parametrize(
    ("status", "suspended"),
    [("suspended", True), ("suspending", True), ("active", False), ("unsupported", False)],
)
def test_a_suspended_disk(bench: DiskSourceFixture, sda: str, status: str, *, suspended: bool) -> None:
    bench.hardware.sysfs("sda", "device/power/runtime_status", status)
    assert bench.activity(sda).runtime_suspended is suspended


def test_excluded_disks_are_listed_and_not_counted(bench: DiskSourceFixture, sda: str) -> None:
    ssd = bench.hardware.sata(1, "SSD", rotational="0")
    facts = bench.poll()
    assert set(facts.part(DiskFacts).disks or {}) == {sda, ssd}
    assert set(facts.part(DiskFacts).activity or {}) == {sda}


def test_disks_without_counters_are_unavailable_with_a_remedy(bench: DiskSourceFixture, sda: str) -> None:
    bench.hardware.sysfs("sda", "queue/iostats", "0")
    assert bench.unavailable_reason(sda).endswith("echo 1 > /sys/block/sda/queue/iostats")


def test_unparsable_counters_are_unavailable(bench: DiskSourceFixture, sda: str) -> None:
    bench.hardware.sysfs("sda", "stat", "garbage")
    assert "/block/sda/stat" in bench.unavailable_reason(sda)
    bench.hardware.sysfs("sda", "stat", QUIET)
    assert bench.activity(sda).last_io_at == bench.mono, "what happened meanwhile nobody knows"


def test_missing_counters_are_unavailable(bench: DiskSourceFixture, sda: str) -> None:
    bench.poll()
    bench.hardware.at("/sys/block/sda/stat").unlink()
    bench.files.read_cached(())
    assert "gone" in bench.unavailable_reason(sda)


def test_hotplug_reschedules_a_poll_that_finds_the_new_disk(bench: DiskSourceFixture, sda: str) -> None:
    bench.poll()
    sdb = bench.hardware.sata(1, "WCC1")
    assert bench.files.events is not None
    bench.files.events()
    assert bench.rescheduled == 1
    facts = bench.poll(after=1)
    assert set(facts.part(DiskFacts).disks or {}) == {sda, sdb}
    assert {disk.serial: disk.attached_at for disk in (facts.part(DiskFacts).disks or {}).values()} == {
        "WCC0": 1000.0,
        "WCC1": 1001.0,
    }


def test_without_hotplug_a_round_sees_it(bench: DiskSourceFixture, sda: str) -> None:
    bench.files.refusal = "cannot watch block devices"
    assert bench.poll().status == Reading(1000.0, ("cannot watch block devices",))
    sdb = bench.hardware.sata(1, "WCC1")
    facts = bench.poll()
    assert set(facts.part(DiskFacts).disks or {}) == {sda, sdb}
    assert facts.status == Reading(1060.0, ("cannot watch block devices",)), "and it is not asked for again"


def test_a_disk_that_goes_is_forgotten_at_once(bench: DiskSourceFixture, sda: str) -> None:
    bench.hardware.sata(1, "WCC1")
    bench.poll()
    bench.hardware.unplug("sdb")
    facts = bench.poll()
    assert set(facts.part(DiskFacts).disks or {}) == set(facts.part(DiskFacts).activity or {}) == {sda}


def test_one_that_comes_back_is_a_new_one(bench: DiskSourceFixture, sda: str) -> None:
    assert bench.disk().attached_at == 1000.0
    bench.hardware.unplug("sda")
    assert bench.hardware.sata(0, "WCC0") == sda
    bench.files.read_cached(())
    assert bench.disk().attached_at == 1000.0, "nobody has said that it was away"
    assert bench.files.events is not None
    bench.files.events()
    assert bench.disk().attached_at == 1120.0, "its number in the row of all disks is another"
    assert bench.activity(sda).last_io_at == 1120.0


def test_counters_that_begin_anew_betray_a_new_attachment(bench: DiskSourceFixture, sda: str) -> None:
    bench.poll()
    bench.hardware.sysfs("sda", "stat", stat(3))
    assert bench.activity(sda) == DiskActivity(1060.0, 3)
    assert bench.disk().attached_at == 1060.0
    bench.source.poll_soon()
    assert bench.disk(after=600).attached_at == 1060.0


def test_names_that_are_swapped_keep_their_counters_apart(bench: DiskSourceFixture) -> None:
    """What was sda is sdb after a controller was reset, and the other way round."""
    a, b = bench.hardware.sata(0, "A"), bench.hardware.sata(1, "B")
    bench.hardware.sysfs("sdb", "stat", stat(900))
    assert bench.activity(a).io_count == 153
    bench.hardware.unplug("sda")
    bench.hardware.unplug("sdb")
    bench.hardware.sata(0, "B")
    bench.hardware.sata(1, "A")
    assert bench.files.events is not None
    bench.files.events()
    facts = bench.poll()
    assert {disk.id: disk.device for disk in (facts.part(DiskFacts).disks or {}).values()} == {
        a: "sdb",
        b: "sda",
    }
    assert {disk.attached_at for disk in (facts.part(DiskFacts).disks or {}).values()} == {1060.0}


def test_everything_is_read_anew_only_when_it_may_have_changed(bench: DiskSourceFixture, sda: str) -> None:
    del sda
    for _ in range(9):
        bench.poll()
    assert bench.files.scans == 1
    bench.hardware.mount("8:0", "/srv", "ext4", "/dev/sda")
    assert bench.disk().mounts, "a mount needs no scan"
    assert bench.files.scans == 1
    bench.poll()
    bench.poll()
    assert bench.files.scans == 2, "and every ten minutes"


def test_the_journal_and_swap_space_in_use_are_seen_in_the_next_round(
    bench: DiskSourceFixture, sda: str
) -> None:
    bench.hardware.partition(0, 1, ID_FS_TYPE="ext4")
    bench.hardware.partition(0, 2, ID_FS_TYPE="swap")
    bench.hardware.mount("8:1", "/", "ext4", "/dev/sda1")
    bench.hardware.at("/var/log/journal").mkdir(parents=True)
    swaps = "Filename Type Size Used Priority\n/dev/sda2 partition 1048572 {} -2\n"
    bench.hardware.put("/proc/swaps", swaps.format(0))
    assert (bench.disk().holds_journal, bench.disk().swap_in_use) == (False, False)
    bench.hardware.put("/proc/swaps", swaps.format(256))
    assert (bench.disk().holds_journal, bench.disk().swap_in_use) == (False, True)
    bench.hardware.put("/run/systemd/journal/flushed", "")
    disks = bench.poll().part(DiskFacts).disks
    assert disks is not None
    assert (disks[DiskId(sda)].holds_journal, disks[DiskId(sda)].swap_in_use) == (True, True)
    bench.hardware.put("/proc/swaps", swaps.format(4711))
    assert bench.poll().part(DiskFacts).disks is disks, "more of it in use is not news"
    bench.hardware.put("/proc/swaps", swaps.format(0))
    assert (bench.disk().holds_journal, bench.disk().swap_in_use) == (True, False)
    assert bench.files.scans == 1
    assert bench.activity(sda).last_io_at == 1000.0


def test_an_array_at_work(bench: DiskSourceFixture, sda: str) -> None:
    bench.hardware.md("md0", 0, ["sda"])
    assert bench.disk().busy_reason is None
    bench.hardware.sysfs("md0", "md/sync_action", "check")
    assert bench.disk().busy_reason == "md0 check"
    assert bench.files.scans == 1
    assert bench.activity(sda).last_io_at == 1000.0


UUID = "0870fdc3-dcc9-4c5c-85f4-e4df192866b6"
SCRUB = f"00000000e4f71913: 00000002 00000000 00010000 0001 01 1923570 /var/lib/btrfs/scrub.progress.{UUID}"


def test_a_btrfs_at_work(bench: DiskSourceFixture, sda: str) -> None:
    bench.hardware.partition(0, 1, ID_FS_TYPE="btrfs", ID_FS_UUID=UUID, ID_FS_LABEL="photos")
    assert bench.disk().busy_reason is None
    bench.hardware.put("/proc/self/net/unix", f"Num       RefCount Protocol\n{SCRUB}\n")
    assert bench.disk().busy_reason == "btrfs:photos scrub"
    bench.hardware.put("/proc/self/net/unix", "Num       RefCount Protocol\n")
    bench.hardware.put(f"/sys/fs/btrfs/{UUID}/exclusive_operation", "balance\n")
    assert bench.disk().busy_reason == "btrfs:photos balance"
    bench.hardware.put(f"/sys/fs/btrfs/{UUID}/exclusive_operation", "none\n")
    assert bench.disk().busy_reason is None
    assert bench.files.scans == 1
    assert bench.activity(sda).last_io_at == 1000.0


def test_a_burst_of_hotplug_events_is_one_scan_per_poll(bench: DiskSourceFixture, sda: str) -> None:
    del sda
    bench.poll()
    assert bench.files.events is not None
    for _ in range(10_000):
        bench.files.events()
    bench.poll(after=1)
    assert bench.files.scans == 2


def test_a_cancelled_poll_is_completed_by_the_next(
    bench: DiskSourceFixture, sda: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(names: Iterable[str], _: int) -> AsyncIterator[str]:
        for name in names:
            await asyncio.Event().wait()
            yield name

    bench.poll()
    sdb = bench.hardware.sata(1, "WCC1")
    with monkeypatch.context() as late:
        late.setattr(block_devices, "in_turns", interrupted)
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(bench.source.poll(PollDepth.ROUTINE), 0.01))
    assert set(bench.poll().part(DiskFacts).disks or {}) == {sda, sdb}


def test_sysfs_that_cannot_be_seen_is_one_sentence(
    bench: DiskSourceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> tuple[str, ...]:
        raise HostError("cannot list /sys/block: Permission denied; mount sysfs")

    monkeypatch.setattr(bench.files, "listdir", refuse)
    with pytest.raises(HostError, match=r"^cannot list /sys/block: "):
        bench.poll()


def test_the_rhythm_can_be_set(bench: DiskSourceFixture) -> None:
    assert bench.source.poll_interval == 60.0
    bench.source.poll_interval = 5.0
    assert bench.source.name == "disks"


def test_the_transfer_of_every_physical_disk_comes_from_the_same_read(bench: DiskSourceFixture) -> None:
    """Also of a solid state drive, which powerd does not manage; not of a volume or a loop device."""
    hdd = bench.hardware.sata(0, "WCC0")
    ssd = bench.hardware.sata(1, "SSD1", rpm=0, rotational="0")
    mute = bench.hardware.sata(2, "WCC2", files={"queue/iostats": "0"})
    bench.hardware.md("md0", 0, ("sda", "sdb"))
    bench.hardware.virtual("loop0", "7:0")
    facts = bench.poll().part(DiskFacts)
    before = Reading(bench.mono, DiskTransfer(800 * 512, 400 * 512, 0.02))
    no_counters = "sdc has no I/O counters; to enable them: echo 1 > /sys/block/sdc/queue/iostats"
    assert facts.transfers == {hdd: before, ssd: before, mute: Unavailable(bench.mono, no_counters)}
    assert facts.activity.keys() == {hdd, mute}
    bench.hardware.sysfs("sdb", "stat", "100 0 800 10 50 0 2448 10 0 1020 20")
    facts = bench.poll().part(DiskFacts)
    assert facts.transfers[DiskId(ssd)] == Reading(bench.mono, DiskTransfer(800 * 512, 2448 * 512, 1.02))
