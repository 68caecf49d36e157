from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.disks.source.spin_up_causes import SpinUpCauseReader, SpinUpCauses, parse_swaps
from powerd.linux.files import HostFiles

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def row(path: str, used: int, kind: str = "partition") -> str:
    """A line of the kernel (mm/swapfile.c, swap_show())."""
    return f"{path:<40}{kind}\t1048572\t\t{used}\t\t-2\n"


@pytest.mark.parametrize(
    ("rows", "used"),
    [
        ("", set()),
        (row("/dev/sda2", 0), set()),
        (row("/dev/sda2", 4) + row("/dev/zram0", 0) + row("/dev/dm-1", 1048572), {"/dev/sda2", "/dev/dm-1"}),
        (row("/srv/my\\040swap", 12, "file"), {"/srv/my swap"}),
        (row("/srv/swap\\040(deleted)", 12, "file"), {"/srv/swap"}),
        ("/dev/sda2 partition 1048572\n/dev/sda3 partition 12 many -2\n\n", set()),
    ],
)
def test_swap_space_is_in_use_if_the_kernel_reports_it(rows: str, used: set[str]) -> None:
    assert parse_swaps(HEAD + rows) == used


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    assert parse_swaps(None) == frozenset()
    parse_swaps(text)


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    return Hardware(tmp_path)


def find_causes(hardware: Hardware) -> SpinUpCauses:
    return SpinUpCauseReader(HostFiles(hardware.root)).read("")


def test_swap_space_is_read_where_the_service_has_it(hardware: Hardware) -> None:
    assert find_causes(hardware) == SpinUpCauses()
    hardware.put("/run/powerd/swaps", HEAD + row("/dev/sda2", 4))
    assert find_causes(hardware).swap_paths == {"/dev/sda2"}
    hardware.put("/proc/swaps", HEAD + row("/dev/sda2", 0))
    assert find_causes(hardware).swap_paths == frozenset()


def test_both_are_reported_together(hardware: Hardware) -> None:
    hardware.put("/proc/swaps", HEAD + row("/dev/sda2", 4))
    hardware.put("/run/systemd/journal/flushed", "")
    hardware.at("/var/log/journal").mkdir(parents=True)
    assert find_causes(hardware) == SpinUpCauses("/var/log/journal", frozenset({"/dev/sda2"}))


def test_this_kernel_s_own_table_is_understood() -> None:
    """Whatever there is: each row names a path, and what is in use is among them."""
    text = Path("/proc/swaps").read_text()
    head, *rows = text.splitlines()
    assert head.split() == HEAD.split()
    assert parse_swaps(text) <= {row.split()[0] for row in rows}
    assert stat.S_IMODE(Path("/proc/swaps").stat().st_mode) & stat.S_IROTH
