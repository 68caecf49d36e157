"""Lines of a trace, as kernels from 5.10 to 6.18 write them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.attribution.model import MERGE_WITHIN, TraceEvent
from powerd.helper.disks.trace_events import (
    ACCESS_EVENTS,
    CHANGE_EVENTS,
    OTHER,
    event_filters,
    merge_events,
    parse_event,
    parse_lines,
)

UUID = "60533fe0-2b91-4686-be62-c3a7a307477b"
BTRFS = {UUID: "btrfs-35"}


def parse(text: str) -> list[TraceEvent]:
    return [event for line in parse_lines(text) if (event := parse_event(line, BTRFS)) is not None]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "            sync-8354    [001] ..... 135.433576: block_bio_queue: 7,0 WSM 592 + 2 [sync]",
            TraceEvent("io", "7:0", 8354, "sync", "write", size=1024),
        ),
        (
            "            sh-1 [001] .... 1.5: block_bio_queue: 8,17 RA 18452 + 18 [sh]",
            TraceEvent("io", "8:17", 1, "sh", "read", size=9216),
        ),
        (
            "  sh-1   (    1) [001] d..1. 1.5: block_bio_queue: 7,0 FWS 0 + 0 [sh]",
            TraceEvent("io", "7:0", 1, "sh", "flush"),
        ),
        (
            "  sh-1   (-------) [001] d..1. 1.5: block_bio_queue: 7,0 DS 0 + 8 [sh]",
            TraceEvent("io", "7:0", 1, "sh", "discard", size=4096),
        ),
        (
            "  <...>-77 [001] d..1. 1.5: block_bio_queue: 253,0 W 8 + 8 [dead one]",
            TraceEvent("io", "253:0", 77, "dead one", "write", size=4096),
        ),
        (
            "  jbd2/sda1-8-69 [000] ..... 1.5: block_bio_queue: 7,0 FWFSM 8 + 2 [jbd2/sda1-8]",
            TraceEvent("io", "7:0", 69, "jbd2/sda1-8", "write", size=1024),
        ),
        (
            "  <...>-20 [000] d.... 1.5: block_rq_issue: 8,16 N 512 () 0 + 0 none,0,0 [hdparm]",
            TraceEvent("passthrough", "8:16", 20, "hdparm", "command"),
        ),
        (
            "  a b-c-20 [000] d.... 1.5: block_rq_issue: 8,16 N 0 (85 06) 0 + 0 [a b-c]",
            TraceEvent("passthrough", "8:16", 20, "a b-c", "command"),
        ),
        (
            (
                "  kworker/u8:1-2 [001] ..... 1.5: writeback_single_inode_start: bdi 7:0: ino=12 state= "
                "dirtied_when=4304426089 age=0 index=3 to_write=5120 wrote=0 cgroup_ino=1"
            ),
            TraceEvent("writeback", "7:0", 2, "kworker/u8:1", "write", 12),
        ),
        (
            "  dd-9 [001] ..... 1.5: writeback_dirty_inode: bdi 8:16: ino=12 state= flags=I_DIRTY_SYNC",
            TraceEvent("dirty", "8:16", 9, "dd", "write", 12),
        ),
        (
            (
                "  a-9 [001] ..... 1.5: writeback_dirty_inode: bdi 8:16: ino=12 state= "
                "flags=I_DIRTY_SYNC|I_DIRTY_DATASYNC|I_DIRTY_PAGES"
            ),
            TraceEvent("dirty", "8:16", 9, "a", "attributes", 12),
        ),
        (
            "  dd-9 [001] d..1. 1.5: writeback_dirty_folio: bdi 8:16: ino=12 index=0",
            TraceEvent("dirty", "8:16", 9, "dd", "write", 12),
        ),
        (
            (
                "  dd-9 [001] ..... 1.5: ext4_journal_start_inode: dev 8,17 blocks 2, rsv_blocks 0, "
                "revoke_creds 8, type 1, ino 12, caller ext4_dirty_inode+0x34/0x90"
            ),
            TraceEvent("journal", "8:17", 9, "dd", "attributes", 12),
        ),
        (
            (
                "  dd-9 [001] ..... 1.5: ext4_journal_start_sb: dev 8,17 blocks 46, rsv_blocks 0, "
                "revoke_creds 8, type 4, caller __ext4_new_inode+0xdd7/0x1a20"
            ),
            TraceEvent("journal", "8:17", 9, "dd", "create"),
        ),
        (  # Linux 5.10
            (
                "  mv-9 [001] .... 1.5: ext4_journal_start: dev 8,17 blocks 46, rsv_blocks 0, "
                "revoke_creds 8, caller ext4_rename+0xdd7/0x1a20 [ext4]"
            ),
            TraceEvent("journal", "8:17", 9, "mv", "rename"),
        ),
        (
            (
                "  rm-9 [001] ..... 1.5: ext4_journal_start_inode: dev 8,17 blocks 2, rsv_blocks 0, "
                "revoke_creds 8, type 4, ino 2, caller __ext4_unlink+0xf1/0x320"
            ),
            TraceEvent("journal", "8:17", 9, "rm", "delete", 2),
        ),
        (
            "  dd-9 [001] ..... 1.5: ext4_sync_file_enter: dev 8,17 ino 12 parent 2 datasync 0 ",
            TraceEvent("journal", "8:17", 9, "dd", "sync", 12),
        ),
        (
            "  dd-9 [001] ..... 1.5: ext4_allocate_inode: dev 8,17 ino 14 dir 2 mode 0100644",
            TraceEvent("journal", "8:17", 9, "dd", "create", 14),
        ),
        (
            "  sync-9 [001] ..... 1.5: ext4_sync_fs: dev 8,17 wait 1",
            TraceEvent("journal", "8:17", 9, "sync", "sync"),
        ),
        (
            "  dd-9 [001] ..... 1.5: xfs_create: dev 7:1 dp ino 0x80 name a name.txt",
            TraceEvent("dirty", "7:1", 9, "dd", "create", 128, "a name.txt"),
        ),
        (
            (
                "  mv-9 [001] ..... 1.5: xfs_rename: dev 7:1 src dp ino 0x80 target dp ino 0x81 src name new "
                "target name ne\tw2"
            ),
            TraceEvent("dirty", "7:1", 9, "mv", "rename", 128, "ne?w2"),
        ),
        (
            (
                "  dd-9 [001] ..... 1.5: xfs_file_buffered_write: dev 7:1 ino 0x83 disize 0x0 pos 0x0 "
                "bytecount 0x2328"
            ),
            TraceEvent("dirty", "7:1", 9, "dd", "write", 131, size=9000),
        ),
        (
            "  dd-9 [001] ..... 1.5: xfs_file_fsync: dev 7:1 ino 0x83 iflags 0x40",
            TraceEvent("journal", "7:1", 9, "dd", "sync", 131),
        ),
        (
            f"  dd-9 [001] ..... 1.5: btrfs_space_reservation: {UUID}: delayed_inode: 257 reserve 131072",
            TraceEvent("dirty", "btrfs-35", 9, "dd", "attributes", 257),
        ),
        (
            f"  dd-9 [001] ..... 1.5: btrfs_space_reservation: {UUID}: delalloc: 258 reserve 655360",
            TraceEvent("dirty", "btrfs-35", 9, "dd", "write", 258),
        ),
        (
            f"  dd-9 [001] ..... 1.5: btrfs_space_reservation: {UUID}: delayed_item: 256 reserve 262144",
            TraceEvent("dirty", "btrfs-35", 9, "dd", "write", 256),
        ),
        (
            f"  dd-9 [001] ..... 1.5: btrfs_space_reservation: {UUID}: transaction: 8 reserve 1310720",
            TraceEvent("journal", "btrfs-35", 9, "dd", "write"),
        ),
        (
            f"  dd-9 [001] ..... 1.5: btrfs_sync_file: {UUID}: root=5(FS_TREE) ino=257 parent=256 datasync=0",
            TraceEvent("journal", "btrfs-35", 9, "dd", "sync", 257),
        ),
    ],
)
def test_lines_of_the_kernel(line: str, expected: TraceEvent) -> None:
    (event,) = parse(f"# tracer: nop\n{line}\n")
    assert event == replace(expected, first_at=event.first_at, last_at=event.first_at)
    assert event.first_at > 1


@pytest.mark.parametrize(
    "line",
    [
        "CPU:1 [LOST 120 EVENTS]",
        "  dd-9 [001] ..... 1.5: sched_switch: prev_comm=dd",
        "  dd-9 [001] ..... 1.5: tracing_mark_write: powerd traces since 5",
        "  dd-9 [001] ..... 1.5: block_bio_queue: garbage",
        "  dd-9 [001] ..... 1.5: btrfs_sync_fs: 9faba4f2-b349-4a06-8539-3b50070192e8: wait=0",
        "",
    ],
)
def test_other_lines_are_no_events(line: str) -> None:
    assert parse(f"{line}\n") == []


PREFIX = "  cron-812 [000] ..... 100.0: xfs_create: dev 8:17 dp ino 0x80 name "


@pytest.mark.parametrize(
    "name",
    [
        "x-77  [000] ..... 50.0: block_bio_queue: 8,17 R 0 + 8 [innocent]",
        "-77 [0] . 50.0: block_bio_queue: 8,17 R 0 + 8 [innocent]",
        "x-99999999999 [0] . 50.0: block_bio_queue: 8,17 R 0 + 8 [e]",
        f"x-7 [0] . {'9' * 120}.0: block_bio_queue: 8,17 R 0 + 8 [e]",
        f"bytecount 0x{'f' * 40}",
        "dev 8:16 ino 0x99 name b",
    ],
)
def test_a_file_name_that_looks_like_an_event_is_none(name: str) -> None:
    (found,) = parse(f"{PREFIX}{name}\n")
    assert (found.kind, found.device, found.pid, found.comm) == ("dirty", "8:17", 812, "cron")
    assert (found.first_at, found.inode, found.name, found.size) == (100.0, 128, name, 0)


@pytest.mark.parametrize(
    "comm",
    [
        "a-1 [0] . 1.5: ",
        "-1 [0] . 1.5: b",
        "a-1 (1) [0] . 1",
        "-1 [0] . 1.1: e",
        "a-5",
        "a b-c",
        "x\ny",
        "y\n",
    ],
)
def test_a_process_name_that_looks_like_an_event_is_none(comm: str) -> None:
    text = f"{comm:>16}-812     [000] ..... 100.0: block_bio_queue: 8,17 R 0 + 8 [{comm}]\n"
    (found,) = parse(text)
    assert (found.pid, found.first_at, found.device) == (812, 100.0, "8:17")
    assert found.comm in {comm.strip(), comm.rpartition("\n")[2]}


@pytest.mark.parametrize("inode", ["012", "0x", "9" * 80, "0x" + "f" * 80])
def test_an_odd_inode_is_no_error(inode: str) -> None:
    parse(f"  dd-9 [001] ..... 1.5: ext4_allocate_inode: dev 8,17 ino {inode} dir 2\n")


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    parse(f"  dd-9 [001] ..... 1.5: xfs_create: {text}\n{text}")


def event(at: float, *, inode: int = 1, size: int = 10) -> TraceEvent:
    return TraceEvent("dirty", "8:0", 1, "dd", "write", inode, first_at=at, last_at=at, size=size)


def test_equal_events_are_one_in_the_order_of_the_first() -> None:
    later, earlier = event(5.0, inode=2), event(1.0)
    assert merge_events([later, event(7.0), earlier, event(3.0)]) == [
        TraceEvent("dirty", "8:0", 1, "dd", "write", 1, "", 1.0, 7.0, 3, 30),
        later,
    ]


def test_events_that_are_far_apart_stay_apart() -> None:
    """Otherwise an access before a standby would hide the one that has ended it."""
    apart = [event(1.0), event(2.0 + MERGE_WITHIN)]
    assert merge_events(apart) == apart
    chain = merge_events([event(MERGE_WITHIN * n) for n in range(4)])
    assert [(each.first_at, each.last_at, each.count) for each in chain] == [(0.0, 3 * MERGE_WITHIN, 4)]


def test_filters_name_the_devices_and_no_other() -> None:
    numbers = frozenset({(8, 16), (8, 17), (8, 18), (253, 0)})
    filters = event_filters(ACCESS_EVENTS, numbers, {"8:16", "253:0"}, {"xfs"})
    assert filters["block/block_bio_queue"] == "((dev >= 8388624 && dev <= 8388626) || dev == 265289728)"
    assert filters["block/block_rq_issue"].endswith('&& (rwbs ~ "N*")')
    assert filters["writeback/writeback_single_inode_start"] == '(name == "253:0" || name == "8:16")'
    assert {name.partition("/")[0] for name in filters} == {"block", "writeback", "xfs"}
    assert "writeback/writeback_dirty_folio" in event_filters(CHANGE_EVENTS, numbers, {"8:16"}, {OTHER})


def test_events_of_btrfs_are_recorded_only_for_a_btrfs() -> None:
    """No filter of the kernel accepts a UUID, so they cost something on each btrfs of the machine."""
    filters = event_filters(CHANGE_EVENTS, frozenset({(8, 16)}), {"btrfs-1"}, {"btrfs"})
    assert filters["btrfs/btrfs_sync_file"] == ""
    assert "delayed_i*" in filters["btrfs/btrfs_space_reservation"]
