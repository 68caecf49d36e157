"""Disks that transfer data for minutes keep the server awake; a quiet server's background does not."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.activity.checks.disk_io import DiskIoCheck, Options
from powerd.activity.model import Activity
from powerd.attribution.model import Access, Culprit
from powerd.config.disk_options import parse_disk_pattern
from powerd.core.poller import PollDepth
from powerd.core.time import Reading, Unavailable
from powerd.disks.model import Disk, DiskFacts, DiskId, DiskTransfer
from powerd.disks.source.source import DiskSource
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.drive import disk

MB = 1e6
GROUP = "system.slice"


@dataclass
class DiskIoScenario:
    """A server with disks, polled once a minute."""

    root: Path
    disks: dict[DiskId, Disk]
    options: Options = field(default=Options())
    now: float = 1000.0
    transfers: dict[DiskId, DiskTransfer] = field(default_factory=dict)
    unavailable: dict[DiskId, str] = field(default_factory=dict)
    unit_bytes: dict[str, int] = field(default_factory=dict)
    accesses: tuple[Access, ...] = ()

    def __post_init__(self) -> None:
        self.transfers = dict.fromkeys(self.disks, DiskTransfer(10**9, 10**9, 100.0))
        ports = replace(RecordingPorts().ports(), files=HostFiles(self.root))
        check = replace(check_ports(ports, disks=self.facts), accesses=lambda: self.accesses)
        self.check = DiskIoCheck(self.options, check)

    def facts(self) -> DiskFacts:
        readings = {id_: Reading(self.now, each) for id_, each in self.transfers.items()}
        failures = {id_: Unavailable(self.now, reason) for id_, reason in self.unavailable.items()}
        return DiskFacts(self.disks, {}, {**readings, **failures})

    def transfer(self, n: int = 0, *, read: float = 0, written: float = 0, busy: float = 0) -> None:
        id_ = list(self.disks)[n]
        before = self.transfers[id_]
        self.transfers[id_] = DiskTransfer(
            before.read + int(read), before.written + int(written), before.busy + busy
        )

    def poll(self, after: float = 60.0, depth: PollDepth = PollDepth.ROUTINE) -> tuple[Activity, ...]:
        self.now += after
        return asyncio.run(self.check.poll(depth))

    def minutes(self, count: int, **per_minute: float) -> list[bool]:
        """Whether the server is kept awake after each of these minutes of this transfer."""
        found = []
        for _ in range(count):
            self.transfer(0, **per_minute)
            found.append(any(each.keeps_awake for each in self.poll()))
        return found

    def unit(self, name: str, number: str, size: float) -> None:
        """A unit with IOAccounting=yes has transferred so much more."""
        group = self.root / "sys/fs/cgroup"
        self.unit_bytes[name] = self.unit_bytes.get(name, 0) + int(size)
        for directory in (group, group / GROUP):
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "cgroup.subtree_control").write_text("cpu io memory\n")
        (group / GROUP / name).mkdir(exist_ok=True)
        line = f"{number} rbytes=0 wbytes={self.unit_bytes[name]} rios=0 wios=7 dbytes=9 dios=0\n"
        (group / GROUP / name / "io.stat").write_text(line)


@pytest.fixture
def server(tmp_path: Path) -> DiskIoScenario:
    return DiskIoScenario(tmp_path, {each.id: each for each in (disk(0), disk(1))})


def configured(server: DiskIoScenario, **options: Any) -> DiskIoScenario:  # noqa: ANN401 - of the option's type
    return DiskIoScenario(server.root, server.disks, Options(**options))


def test_a_copy_keeps_awake_and_its_end_is_noticed_in_the_next_poll(server: DiskIoScenario) -> None:
    server.poll()
    assert server.minutes(5, written=6000 * MB) == [True] * 5
    (activity,) = server.poll(0.5)
    assert activity.subject == "ata-WDC_WD40EFRX_0"
    assert (activity.unit, activity.threshold) == ("B/s", 256_000)
    assert activity.value == pytest.approx(100 * MB, rel=0.01)
    assert activity.since == 1120.0
    assert "sda" in activity.text
    assert "written" in activity.text
    assert server.minutes(4) == [False] * 4
    assert server.poll() == ()


@pytest.mark.parametrize("per_minute", [{"read": 16 * MB}, {"written": 16 * MB}, {"busy": 16.0}])
def test_reads_writes_and_small_synchronous_requests_count(
    server: DiskIoScenario, per_minute: dict[str, float]
) -> None:
    """16 MB a minute are 267 kB/s, and 16 s of 60 s are 27 %."""
    server.poll()
    assert all(server.minutes(5, **per_minute))
    server.poll(600)
    half = {key: value / 2 for key, value in per_minute.items()}
    assert not any(server.minutes(5, **half))


def test_a_burst_that_the_window_averages_out_is_not_sustained(server: DiskIoScenario) -> None:
    """40 MB at once every ten minutes, such as a flush of rrdcached or a rotation of logs."""
    server.poll()
    server.minutes(3)
    for _ in range(3):
        assert server.minutes(1, written=40 * MB) == [False]
        assert server.minutes(9) == [False] * 9


def test_before_a_sleep_a_disk_that_was_polled_once_keeps_awake(server: DiskIoScenario) -> None:
    assert server.poll() == ()
    again = DiskIoScenario(server.root, server.disks)
    assert [each.keeps_awake for each in again.poll(depth=PollDepth.BEFORE_SLEEP)] == [True, True]
    assert again.poll(1.0, PollDepth.BEFORE_SLEEP) == ()


def test_a_poll_just_after_another_does_not_hide_a_writer_that_flushes_every_30_s(
    server: DiskIoScenario,
) -> None:
    server.poll()
    server.minutes(4, written=100 * MB)
    assert [each.keeps_awake for each in server.poll(1.0, PollDepth.BEFORE_SLEEP)] == [True]


def test_polls_at_other_intervals_measure_the_same(server: DiskIoScenario) -> None:
    for interval in (10.0, 60.0, 300.0):
        scenario = DiskIoScenario(server.root, server.disks)
        scenario.poll()
        for _ in range(int(900 / interval)):
            scenario.transfer(written=0.3 * MB * interval)
            found = scenario.poll(interval)
        assert [each.value for each in found] == [300_000]


def test_the_members_of_an_array_are_one_subject(tmp_path: Path) -> None:
    members = [disk(n, group="md0") for n in range(3)]
    server = DiskIoScenario(tmp_path, {each.id: each for each in members})
    server.poll()
    for n, written in enumerate((6000, 9000, 3000)):
        server.transfer(n, written=written * MB)
    (activity,) = server.poll()
    assert activity.subject == "md0"
    assert activity.value == 150 * MB


def test_a_counter_that_goes_back_is_a_new_drive(server: DiskIoScenario) -> None:
    server.poll()
    server.minutes(3, written=60 * MB)
    server.transfers[disk(0).id] = DiskTransfer(5, 5, 0.0)
    assert server.minutes(1) == [False]
    assert server.minutes(2, written=60 * MB) == [True, True]


def test_a_detached_disk_is_gone_and_one_without_counters_is_an_error(server: DiskIoScenario) -> None:
    server.poll()
    del server.disks[disk(1).id], server.transfers[disk(1).id]
    assert server.poll() == ()
    del server.transfers[disk(0).id]
    with pytest.raises(HostError, match="sda"):
        server.poll()


def test_a_virtual_device_has_no_counters_and_is_no_error(server: DiskIoScenario) -> None:
    server.disks[DiskId("md0")] = Disk(DiskId("md0"), "md0")
    assert server.poll() == ()


@pytest.mark.parametrize("pattern", ["ata-*_0", "S0", "WDC WD40EFRX"])
def test_an_ignored_disk_does_not_count(server: DiskIoScenario, pattern: str) -> None:
    server = configured(server, ignore=(parse_disk_pattern(pattern),))
    server.poll()
    assert not any(server.minutes(3, written=6000 * MB))


@pytest.mark.parametrize("unit", ["smbd.service", "systemd-journald.service", "powerd.service"])
def test_units_that_are_ignored_are_taken_off(server: DiskIoScenario, unit: str) -> None:
    server = configured(server, ignore=(parse_disk_pattern("smbd.*"),))
    server.unit(unit, "8:0", 0)
    server.poll()
    for written, by_unit, awake in ((60, 60, False), (60, 40, True), (60, 58, False)):
        for _ in range(4):
            server.unit(unit, "8:0", by_unit * MB)
            found = server.minutes(1, written=written * MB, busy=50)
        assert found == [awake]


def test_an_ignored_unit_without_counters_is_shown(server: DiskIoScenario) -> None:
    server = configured(server, ignore=(parse_disk_pattern("smbd.service"), parse_disk_pattern("ata-X*")))
    assert [(each.subject, each.keeps_awake) for each in server.poll()] == [("smbd.service", False)]
    server.unit("smbd.service", "8:0", 0)
    assert server.poll() == ()


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=2, max_size=8))
def test_more_io_never_leads_to_a_sleep(minutes: list[tuple[int, int, int, int]]) -> None:
    """Megabytes written and seconds busy in each minute, and what is added to them."""
    disks = {disk(0).id: disk(0)}
    less, more = DiskIoScenario(Path("/nonexistent"), disks), DiskIoScenario(Path("/nonexistent"), disks)
    for scenario in (less, more):
        scenario.poll()
    for written, busy, more_written, more_busy in minutes:
        (awake,) = less.minutes(1, written=written * MB, busy=busy)
        (still_awake,) = more.minutes(1, written=(written + more_written) * MB, busy=busy + more_busy)
        assert still_awake or not awake


def test_the_units_that_transfer_most_are_named(server: DiskIoScenario) -> None:
    for unit in ("borg.service", "media.scope", "idle.service", "other.service"):
        server.unit(unit, "8:16" if unit == "other.service" else "8:0", 1000 * MB)
    server.poll()
    for unit, size in (("borg.service", 40), ("media.scope", 60), ("idle.service", 1), ("other.service", 80)):
        server.unit(unit, "8:16" if unit == "other.service" else "8:0", size * MB)
    server.transfer(written=110 * MB, read=50 * MB)
    (activity,) = server.poll()
    assert "media.scope and borg.service" in activity.text


@pytest.mark.parametrize("depth", PollDepth)
def test_a_disk_without_counters_may_be_in_use(server: DiskIoScenario, depth: PollDepth) -> None:
    id_ = next(iter(server.disks))
    del server.transfers[id_]
    server.unavailable[id_] = "sda has no I/O counters; to enable them: echo 1 > x"
    server.poll(depth=depth)
    (activity,) = server.poll(depth=depth)
    assert (activity.subject, activity.text, activity.keeps_awake) == (id_, server.unavailable[id_], True)
    server.disks[id_] = replace(server.disks[id_], removable=True)
    assert [each.keeps_awake for each in server.poll(depth=depth)] == [False], "an empty card reader"
    server.disks[id_] = replace(server.disks[id_], size=10**9)
    assert [each.keeps_awake for each in server.poll(depth=depth)] == [True]
    del server.disks[id_], server.unavailable[id_]
    assert server.poll(depth=depth) == (), "it has been detached"


def test_an_ignored_disk_needs_no_counters(server: DiskIoScenario) -> None:
    ignoring = configured(server, ignore=(parse_disk_pattern("ata-*"),))
    ignoring.transfers.clear()
    ignoring.unavailable = dict.fromkeys(ignoring.disks, "no counters")
    assert [ignoring.poll() for _ in range(2)] == [(), ()]


def test_the_record_names_the_users_where_no_unit_is_counted(server: DiskIoScenario) -> None:
    first, second = server.disks
    server.accesses = tuple(
        Access(disk_id, Culprit(unit, comm), last_at=at, size=size, own=unit == "powerd.service")
        for disk_id, unit, comm, at, size in (
            (first, "rsync.service", "rsync", 1000.0, 900),
            (first, "", "vi", 1000.0, 1),
            (first, "powerd.service", "powerd", 1000.0, 900),
            (first, "old.service", "old", -1000.0, 900),
            (second, "other.service", "other", 1000.0, 900),
        )
    )
    server.poll()
    server.transfer(0, written=6000 * MB)
    (activity,) = server.poll()
    assert activity.text.endswith(" by rsync.service")
    server.unit("tar.service", "8:0", 0)
    server.poll()
    server.unit("tar.service", "8:0", 6000 * MB)
    server.transfer(0, written=6000 * MB)
    (activity,) = server.poll()
    assert activity.text.endswith(" by tar.service"), "the counters of units are of this minute"


def test_in_the_first_round_the_disks_may_not_have_been_read() -> None:
    check = DiskIoCheck(Options(), check_ports(disks=lambda: None))
    assert asyncio.run(check.poll(PollDepth.ROUTINE)) == ()
    with pytest.raises(HostError, match="not been polled"):
        asyncio.run(check.poll(PollDepth.BEFORE_SLEEP))


@pytest.fixture
def real_disk(tmp_path: Path) -> Iterator[tuple[Hardware, Path]]:
    """A drive whose counters are those of a real loop device, and a path on its ext4."""
    image, mount_point = tmp_path / "image", tmp_path / "mnt"
    mount_point.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", image], check=True)
    done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        subprocess.run(["mount", device, mount_point], check=True)
        hardware = Hardware(tmp_path / "root")
        hardware.sata(0, "LOOP")
        counters = hardware.at("/sys/block/sda/stat")
        counters.unlink()
        counters.symlink_to(f"/sys/block/{Path(device).name}/stat")
        try:
            yield hardware, mount_point / "file"
        finally:
            subprocess.run(["umount", mount_point], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a loop device")
def test_a_real_dd_with_fsync(real_disk: tuple[Hardware, Path]) -> None:
    """32 MiB in each minute of virtual time are 560 kB/s."""
    hardware, file = real_disk
    files, clock = HostFiles(hardware.root), SimulatedClock(mono=lambda: now)
    now = 0.0
    source = DiskSource(files, clock)
    facts: list[DiskFacts] = []
    check = DiskIoCheck(
        Options(),
        check_ports(replace(RecordingPorts().ports(), files=files), clock, disks=lambda: facts[-1]),
    )

    async def poll() -> bool:
        facts.append((await source.poll(PollDepth.ROUTINE)).part(DiskFacts))
        return any(each.keeps_awake for each in await check.poll(PollDepth.ROUTINE))

    awake = []
    for minute in range(8):
        now = 60.0 * minute
        awake.append(asyncio.run(poll()))
        if 1 <= minute <= 4:
            dd = ["dd", "if=/dev/zero", f"of={file}", "bs=1M", "count=32", "conv=fsync", "status=none"]
            subprocess.run(dd, check=True)
    files.close()
    assert awake == [False, False, True, True, True, True, False, False]
