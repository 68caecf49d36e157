"""Recording accesses with the real tracefs: what is recorded, and what becomes of other instances."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helper.fake_drives import FakeDrives
from helper.loop_devices import INSTANCES, needs_tracefs
from helper.traced_filesystems import TracedFilesystems, control_group, needs_cgroups, run_python

from powerd.attribution.model import TraceReading
from powerd.disks.model import DiskId
from powerd.helper.disks import trace_recorder
from powerd.helper.disks.trace_recorder import INSTANCE_NAMES, execute, read_trace, stop_trace
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.codec import encode_response, parse_response
from powerd.helper.protocol.messages import ReadTrace, StopTrace

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("trace")]

WRITE = "open(sys.argv[1], 'w').write('x')"
ONE_CPU = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"  # each has a buffer of its own
THREAD = f"import threading; t = threading.Thread(target=lambda: {WRITE}); t.start(); t.join()"


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedFilesystems]:
    with TracedFilesystems(tmp_path_factory.mktemp("traced")) as disks:
        yield disks


@pytest.fixture
def traced(disks: TracedFilesystems) -> TracedFilesystems:
    """All three are traced from now on."""
    stop_trace(disks.root)
    disks.read()
    return disks


def instances() -> set[str]:
    return {path.name for path in INSTANCES.iterdir()} & set(INSTANCE_NAMES)


def changed_by(reading: TraceReading, disk: str) -> dict[int, str]:
    """The processes that changed something on the disk."""
    return {
        event.pid: event.comm
        for event in reading.events
        if event.kind == "dirty" and disk in reading.devices[event.device]
    }


@needs_tracefs
@needs_cgroups
def test_a_process_that_has_ended_is_named_with_its_group(traced: TracedFilesystems) -> None:
    with control_group("powerd-test.slice/backup.service") as group:
        pid = run_python(WRITE, traced.path("ext4") / "a", group=group, name="backup")
    started = time.monotonic()
    reading = traced.read()
    assert changed_by(reading, "loop-0") == {pid: "backup"}
    (process,) = (process for process in reading.processes if process.pid == pid)
    assert process.cgroup == "/powerd-test.slice/backup.service"
    assert started - 60 < reading.since <= min(event.first_at for event in reading.events) <= started
    assert reading.lost == 0
    assert parse_response(encode_response(reading)) == reading


@needs_tracefs
def test_reading_empties_the_trace(traced: TracedFilesystems) -> None:
    run_python(WRITE, traced.path("xfs") / "a")
    first, second = traced.read(), traced.read()
    assert first.events
    assert not second.events
    assert second.since == first.since


@needs_tracefs
def test_a_thread_is_named_as_its_process(traced: TracedFilesystems) -> None:
    pid = run_python(THREAD, traced.path("ext4") / "a")
    assert set(changed_by(traced.read(), "loop-0")) == {pid}


@needs_tracefs
def test_a_disk_that_is_left_out_is_not_recorded(traced: TracedFilesystems) -> None:
    since = traced.read("ext4").since
    run_python(WRITE, traced.path("xfs") / "b")
    run_python(WRITE, traced.path("btrfs") / "b")
    pid = run_python(WRITE, traced.path("ext4") / "b")
    reading = traced.read("ext4")
    assert set(changed_by(reading, "loop-0")) == {pid}
    assert set(reading.devices) == {":".join(map(str, traced.disk("ext4").device_number))}
    assert {event.device for event in reading.events} == set(reading.devices)
    assert reading.since == since


@needs_tracefs
def test_a_file_name_of_two_lines_is_no_event(traced: TracedFilesystems) -> None:
    """Users choose names; XFS reports them as they are."""
    major, minor = traced.disk("xfs").device_number
    forged = f"a\nx-77 [0] . 50.0: block_bio_queue: {major},{minor} R 0 + 8 [x]"
    uses = (
        "os.chdir(sys.argv[1]); open('new', 'w'); os.rename('new', f := sys.argv[2]); os.link(f, 'c' + f); "
        "os.rename(f, 'd' + f); os.unlink('d' + f); os.symlink('x', f); os.rename(f, 'plain')"
    )
    pid = run_python(uses, traced.path("xfs"), forged)
    named = [event for event in traced.read().events if event.name]
    assert [(event.pid, event.operation, event.name) for event in named] == [(pid, "create", "new")]


@needs_tracefs
def test_what_was_recorded_of_a_disk_until_it_is_left_out_is_returned(traced: TracedFilesystems) -> None:
    """A disk that has become busy is left out of the next request, or the trace is stopped."""
    pid = run_python(WRITE, traced.path("btrfs") / "busy")
    assert pid in changed_by(traced.read("ext4"), "loop-2")
    pid = run_python(WRITE, traced.path("ext4") / "busy")
    assert pid in changed_by(execute(StopTrace(), traced.root, allow_loops=True), "loop-0")


@needs_tracefs
def test_since_is_when_the_last_disk_was_added(traced: TracedFilesystems) -> None:
    before = traced.read().since
    assert traced.read("xfs").since == before
    assert traced.read("xfs", "btrfs").since > before


@needs_tracefs
@pytest.mark.parametrize(
    ("file", "text"),
    [("trace_clock", "local"), ("options/overwrite", "1"), ("tracing_on", "0")],
)
def test_an_instance_with_other_settings_is_replaced(traced: TracedFilesystems, file: str, text: str) -> None:
    before = traced.read().since
    (INSTANCES / INSTANCE_NAMES[0] / file).write_text(text)
    assert traced.read().since > before
    pid = run_python(WRITE, traced.path("ext4") / "c")
    assert pid in changed_by(traced.read(), "loop-0")


@needs_tracefs
def test_another_program_s_events_and_reading_are_noticed(traced: TracedFilesystems) -> None:
    before = traced.read().since
    (INSTANCES / INSTANCE_NAMES[0] / "trace").write_text("")
    (INSTANCES / INSTANCE_NAMES[0] / "events/sched/enable").write_text("1")
    assert traced.read().since > before
    assert "sched" not in (INSTANCES / INSTANCE_NAMES[0] / "set_event").read_text()


@needs_tracefs
def test_the_first_events_stay_and_the_rest_is_counted(traced: TracedFilesystems) -> None:
    """More files than the buffer holds events; the next reading starts with an empty buffer."""
    first = run_python(ONE_CPU + WRITE, traced.path("xfs") / "first", name="first")
    many = "for n in range(6000): os.utime(sys.argv[1], (n, n))"
    run_python(ONE_CPU + many, traced.path("xfs") / "first", name="many")
    last = run_python(ONE_CPU + WRITE, traced.path("xfs") / "last", name="last")
    reading = traced.read()
    assert first in changed_by(reading, "loop-1")
    assert last not in changed_by(reading, "loop-1")
    assert sum(event.count for event in reading.events) >= 1000
    assert reading.lost > 1000
    again = run_python(WRITE, traced.path("xfs") / "last")
    reading = traced.read()
    assert again in changed_by(reading, "loop-1")
    assert reading.lost == 0


@needs_tracefs
def test_as_many_different_events_as_fit_into_a_response(
    traced: TracedFilesystems, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = "[os.fork() or (open(f'{sys.argv[1]}/{chr(0x1f600)}{n}', 'w'), os._exit(0)) for n in range(100)]"
    run_python(many, traced.path("xfs"))
    monkeypatch.setattr(trace_recorder, "MAX_RESPONSE", 10_000)
    reading = traced.read()
    assert len({process.pid for process in reading.processes}) > 10
    assert 0 < len(reading.events) < 100
    assert reading.lost > 0
    assert 9_000 < len(encode_response(reading)) <= 10_000


@needs_tracefs
@needs_cgroups
def test_a_process_that_the_log_may_have_forgotten_is_of_no_group(traced: TracedFilesystems) -> None:
    """Its fork, or a move of it, may be overwritten."""
    (INSTANCES / INSTANCE_NAMES[2] / "buffer_size_kb").write_text("8")
    with control_group("powerd-test.slice/backup.service") as group:
        pid = run_python(WRITE, traced.path("ext4") / "forgotten", group=group, name="backup")
        run_python(ONE_CPU + "[os.fork() or os._exit(0) for n in range(600)]")
        later = run_python(WRITE, traced.path("ext4") / "known", group=group, name="backup")
    groups = {process.pid: process.cgroup for process in traced.read().processes}
    assert groups[pid] == ""
    assert groups[later] == "/powerd-test.slice/backup.service"


@needs_tracefs
def test_another_reader_of_the_trace_is_a_refusal(traced: TracedFilesystems) -> None:
    with (
        (INSTANCES / INSTANCE_NAMES[0] / "trace_pipe").open("rb"),
        pytest.raises(RefusalError, match="another program"),
    ):
        traced.read()
    traced.read()


@needs_tracefs
def test_stopping_leaves_nothing(traced: TracedFilesystems) -> None:
    assert instances() == set(INSTANCE_NAMES)
    assert not execute(StopTrace(), traced.root).events
    assert execute(StopTrace(), traced.root) == TraceReading()
    assert instances() == set()


@needs_tracefs
def test_disks_that_are_not_there_are_left_out(traced: TracedFilesystems) -> None:
    stop_trace(traced.root)
    one = execute(ReadTrace((DiskId("ata-GONE"), DiskId("loop-0"))), traced.root, allow_loops=True)
    assert {name for names in one.devices.values() for name in names} == {"loop-0"}
    assert not execute(ReadTrace((DiskId("ata-GONE"),)), traced.root).devices
    assert instances() == set()


@needs_tracefs
def test_a_read_only_tracefs_is_a_refusal(traced: TracedFilesystems, tmp_path: Path) -> None:
    stop_trace(traced.root)
    place = tmp_path / "sys/kernel/tracing"
    place.mkdir(parents=True)
    subprocess.run(["mount", "--bind", "/sys/kernel/tracing", place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        with pytest.raises(RefusalError, match="is read-only"):
            read_trace([traced.disk("ext4").name], tmp_path)
    finally:
        subprocess.run(["umount", place], check=True)


def test_without_tracefs_the_remedy_is_named(tmp_path: Path) -> None:
    drives = FakeDrives(tmp_path, "sda")
    with pytest.raises(RefusalError, match="mount -t tracefs"):
        read_trace(["ata-SDA"], drives.root)
    assert stop_trace(drives.root) == TraceReading()


def test_a_kernel_that_is_locked_down_is_named(tmp_path: Path) -> None:
    drives = FakeDrives(tmp_path, "sda")
    drives.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    with pytest.raises(RefusalError, match="locked down"):
        read_trace(["ata-SDA"], drives.root)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_a_tracefs_that_permits_no_access_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    drives = FakeDrives(tmp_path, "sda")
    (drives.root / "sys/kernel/tracing/instances").mkdir(parents=True)

    def refuse(_path: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RefusalError, match="permits no access"):
        read_trace(["ata-SDA"], drives.root)


def stack(drives: FakeDrives, holder: str, number: str, *below: str) -> None:
    """Build an array or a mapping on devices."""
    drives.write(f"sys/block/{holder}/dev", f"{number}\n")
    for path in below:
        holders = drives.root / "sys/block" / path / "holders"
        holders.mkdir(parents=True, exist_ok=True)
        (holders / holder).symlink_to(drives.root / "sys/block" / holder)


@needs_tracefs
def test_what_is_built_on_disks_is_traced_with_them(disks: TracedFilesystems, tmp_path: Path) -> None:
    """A partition, an array of two disks, and an encrypted volume on it; the fixture has the instances."""
    stop_trace(disks.root)
    drives = FakeDrives(tmp_path, "sda", "sdb", "sdc")
    for part, number in (("sda/sda1", "8:1"), ("sdb/sdb1", "8:17")):
        drives.write(f"sys/block/{part}/partition", "1\n")
        drives.write(f"sys/block/{part}/dev", f"{number}\n")
    stack(drives, "md0", "9:0", "sda/sda1", "sdb/sdb1")
    stack(drives, "dm-0", "253:0", "md0")
    (drives.root / "sys/kernel").mkdir(parents=True, exist_ok=True)
    (drives.root / "sys/kernel/tracing").symlink_to("/sys/kernel/tracing")
    both, one = (DiskId("ata-SDA"), DiskId("ata-SDB")), (DiskId("ata-SDC"),)
    reading = execute(ReadTrace((*both, *one)), drives.root)
    assert dict(reading.devices) == {
        "8:0": both[:1],
        "8:1": both[:1],
        "8:16": both[1:],
        "8:17": both[1:],
        "8:32": one,
        "9:0": both,
        "253:0": both,
    }
    submitted = (INSTANCES / "powerd-disks/events/block/block_bio_queue/filter").read_text()
    assert all(str(major << 20) in submitted for major in (8, 9, 253))
    dirty = (INSTANCES / "powerd-changes/events/writeback/writeback_dirty_inode/filter").read_text()
    assert all(f'"{name}"' in dirty for name in ("8:0", "9:0", "253:0"))
    assert '"8:1"' not in dirty, "a backing device is a whole one"


@needs_tracefs
def test_more_disks_than_fit_into_a_filter_are_refused(
    traced: TracedFilesystems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_recorder, "_MAX_FILTER", 10)
    with pytest.raises(RefusalError, match="3 devices"):
        traced.read()
