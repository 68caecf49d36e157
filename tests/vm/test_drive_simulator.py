"""The drive simulator implements its standards; tested without a server."""

from __future__ import annotations

import struct
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vm.drive_simulator import ata, identify, sat, scsi, smart
from vm.drive_simulator.ata import Taskfile, execute
from vm.drive_simulator.drive import Drive, Power, Traits, timer_seconds

STANDBY_IMMEDIATE, CHECK_POWER, IDLE, STANDBY, SLEEP = 0xE0, 0xE5, 0xE3, 0xE2, 0xE6
READ_10: Final = bytes([0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0])


class DriveFixture:
    """A simulated drive with a manual clock."""

    def __init__(self, traits: Traits | None = None) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        self.drive = Drive(traits or Traits(), lambda: self.now, self.wait, self.log.append)
        self.disk = scsi.Disk(self.drive)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.drive.tick()

    def spins(self) -> bool:
        return self.drive.power is Power.ACTIVE

    def ata(self, command: int, feature: int = 0, count: int = 0, lba: int = 0) -> ata.Result:
        return execute(self.drive, Taskfile(command, feature, count, lba))


@pytest.fixture
def bench() -> DriveFixture:
    return DriveFixture()


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        *((0, 0), (1, 5), (240, 1200), (241, 1800), (251, 19_800)),
        *((252, 1260), (253, 28_800), (254, 0), (255, 1275)),
    ],
)
def test_standby_timer_codes(code: int, seconds: int) -> None:
    assert timer_seconds(code) == seconds


def test_timer_runs_from_the_last_access(bench: DriveFixture) -> None:
    bench.ata(IDLE, count=2)
    bench.wait(9)
    bench.disk.answer(READ_10, b"")
    bench.wait(9.9)
    assert bench.spins()
    bench.wait(0.2)
    assert not bench.spins()
    assert bench.log == ["idle timer=2", "spun down: timer"]


def test_spin_up_takes_its_time_and_is_counted(bench: DriveFixture) -> None:
    bench.ata(STANDBY_IMMEDIATE)
    start = bench.now
    assert bench.disk.answer(READ_10, b"") == scsi.Answer(data=bytes(512))
    assert bench.now - start == bench.drive.traits.spin_up
    assert (bench.drive.counts.starts, bench.drive.counts.reads) == (101, 1)
    bench.disk.answer(READ_10, b"")
    assert bench.drive.counts.starts == 101
    assert bench.log == [
        *("standby-immediate", "spun down: standby-immediate"),
        *("spins up: read 8+1", "spun up: read 8+1"),
    ]


def test_polling_wakes_nothing_but_a_timer_does(bench: DriveFixture) -> None:
    """IDLE (hdparm -S) and IDLE IMMEDIATE end in a spindle that turns; so does reading SMART."""
    for waking in ((IDLE,), (0xE1,), (0xB0, 0xD0), (0xB0, 0xDA)):
        bench.ata(STANDBY_IMMEDIATE)
        for looking in ((CHECK_POWER,), (0xEC,), (0xEF, 0x05, 127), (0xE7,)):
            assert not bench.ata(*looking).failed
            assert bench.drive.power is Power.STANDBY
        bench.ata(*waking)
        assert bench.drive.power is Power.ACTIVE


def test_check_power_mode(bench: DriveFixture) -> None:
    assert bench.ata(CHECK_POWER).count == 0xFF
    bench.ata(STANDBY, count=12)
    assert bench.ata(CHECK_POWER).count == 0x00
    assert bench.drive.timer == 12


def test_sleep_ends_with_a_reset(bench: DriveFixture) -> None:
    bench.ata(SLEEP)
    assert bench.drive.power is Power.SLEEP
    assert bench.ata(CHECK_POWER).count == 0xFF
    assert bench.log[-2:] == ["spun up: reset for command e5h", "check-power: active"]


def test_drives_that_lack_something() -> None:
    stubborn = DriveFixture(Traits(heeds_timer=False, apm=False))
    assert stubborn.ata(0xEF, 0x05, 127).failed
    stubborn.ata(IDLE, count=1)
    stubborn.wait(3600)
    assert stubborn.drive.power is Power.ACTIVE
    bridge = DriveFixture(Traits(sat=False))
    assert bridge.disk.answer(bytes([0x85] + [0] * 15), b"").status == scsi.CHECK_CONDITION
    assert bridge.disk.answer(bytes([0x12, 1, 0x89, 2, 0, 0]), b"").status == scsi.CHECK_CONDITION


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFFFF))
def test_any_command_is_answered(command: int, feature: int, count: int, lba: int) -> None:
    """... and none makes a drive spin that has not started for it."""
    bench = DriveFixture()
    bench.ata(STANDBY_IMMEDIATE)
    result = bench.ata(command, feature, count, lba)
    assert len(result.data) % 512 == 0
    assert (bench.drive.counts.starts > 100) == (bench.drive.power is Power.ACTIVE)


def test_pass_through_of_12_and_16_bytes_mean_the_same() -> None:
    twelve = bytes([0xA1, 3 << 1, 0x20, 0xD0, 0x11, 0x22, 0x4F, 0xC2, 0xA0, 0xB0, 0, 0])
    sixteen = bytes([0x85, 3 << 1, 0x20, 0, 0xD0, 0, 0x11, 0, 0x22, 0, 0x4F, 0, 0xC2, 0xA0, 0xB0, 0])
    assert sat.taskfile(twelve) == sat.taskfile(sixteen) == Taskfile(0xB0, 0xD0, 0x11, 0xC24F22, 0xA0)


def test_registers_come_back_in_the_sense_data(bench: DriveFixture) -> None:
    """SAT-3, 12.2.5: descriptor format, recovered error, ATA PASS THROUGH INFORMATION AVAILABLE."""
    check_power = bytes([0x85, 3 << 1, 0x20] + [0] * 11 + [CHECK_POWER, 0])
    answer = bench.disk.answer(check_power, b"")
    assert answer.status == scsi.CHECK_CONDITION
    assert answer.sense == bytes.fromhex("7201001d0000000e 090c000000ff00000000000000 50".replace(" ", ""))
    unasked = bytes([0x85, 3 << 1, 0, *check_power[3:]])
    assert bench.disk.answer(unasked, b"") == scsi.Answer()
    unknown = bench.disk.answer(bytes([0x85, 3 << 1] + [0] * 12 + [0x77, 0]), b"")
    assert unknown.sense[1] == 0xB
    assert unknown.sense[11] == 0x04


@pytest.mark.parametrize(
    ("cdb", "extent"),
    [
        (bytes([0x08, 0xE1, 2, 3, 0, 0]), (0x10203, 256)),
        (bytes([0x2A, 0, 0, 1, 2, 3, 0, 4, 5, 0]), (0x10203, 0x405)),
        (bytes([0xA8, 0, 0, 1, 2, 3, 0, 0, 4, 5, 0, 0]), (0x10203, 0x405)),
        (bytes([0x8A, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 0, 0]), (0x10203, 0x405)),
    ],
)
def test_extents(cdb: bytes, extent: tuple[int, int]) -> None:
    assert scsi.extent(cdb) == extent


def test_what_is_written_is_read_back(bench: DriveFixture) -> None:
    words = b"powerd".ljust(512, b".")
    assert bench.disk.answer(bytes([0x2A, *READ_10[1:]]), words).status == scsi.GOOD
    assert bench.disk.answer(READ_10, b"").data == words
    beyond = struct.pack(">BBIBHB", 0x28, 0, bench.drive.traits.size // 512, 0, 1, 0)
    assert bench.disk.answer(beyond, b"").sense[12] == 0x21


@pytest.mark.parametrize(
    ("control", "power"),
    [(0x00, Power.STANDBY), (0x30, Power.STANDBY), (0x01, Power.ACTIVE), (0x20, Power.ACTIVE)],
)
def test_start_stop_unit(bench: DriveFixture, control: int, power: Power) -> None:
    bench.disk.answer(bytes([0x1B, 0, 0, 0, control, 0]), b"")
    assert bench.drive.power is power
    bench.disk.answer(bytes([0x1B, 0, 0, 0, 1, 0]), b"")
    assert bench.drive.power is Power.ACTIVE


def test_pages_have_their_checksums(bench: DriveFixture) -> None:
    pages = (identify.page(bench.drive), smart.values(bench.drive), smart.thresholds(bench.drive))
    for page in pages:
        assert len(page) == 512
        assert sum(page) % 256 == 0


def test_self_test_takes_its_time(bench: DriveFixture) -> None:
    bench.ata(0xB0, 0xD4, lba=1)
    assert smart.values(bench.drive)[363] == 0xF9
    bench.wait(61)
    assert smart.values(bench.drive)[363] == 0
