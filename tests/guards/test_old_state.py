"""State files that version 0.1.0 has written are read with all that they hold."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from simulation.household import BERLIN, HOUR, daily, person

from powerd.config.load import parse
from powerd.core.actions import RequestRefusedError
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.daemon import Daemon
from powerd.disks.model import DiskId
from powerd.disks.policy import history
from powerd.disks.state import DisksMemory, DiskState
from powerd.power.model import WakeStormState, WakeupCause
from powerd.power.rtc_alarm import AlarmOwnership, RtcAlarm
from powerd.power.service import load_wake_storm
from powerd.presence.model import PresenceFacts
from powerd.presence.neighbours import load_learned_hosts
from powerd.requests.keep_awake import KeepAwakeRequests
from powerd.requests.model import KeepAwakeFacts
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.machine import SimulatedMachine
from powerd.simulation.virtual_loop import VirtualLoop, run
from powerd.simulation.world import Household
from powerd.smart.history import SmartHistory
from powerd.smart.model import (
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
    SmartRecord,
)

STATE = next(
    found for parent in Path(__file__).resolve().parents if (found := parent / "fixtures" / "state").is_dir()
)
BOOT, OTHER_BOOT = "5f1d7a84-db2e-4f0f-9a2a-1b7c3d4e5f60", "00000000-0000-0000-0000-000000000000"
WRITTEN = 1_780_000_300.5
"""POSIX time at which the keeps and disks were written, at 500300.5 s of CLOCK_BOOTTIME."""
WD0, WD1, WD2 = (f"ata-WDC_WD40EFRX-68N32N0_WD-WCC7K{n}" for n in range(3))


@dataclass(slots=True)
class Clock:
    """``after`` seconds after WRITTEN, in the same boot unless ``boottime`` differs."""

    after: float = 0.0
    boottime: float = 500_300.5

    def now(self) -> Moment:
        mono = self.boottime - 100_000.0 + self.after
        return Moment(mono, 100_000.0, datetime.fromtimestamp(WRITTEN + self.after, UTC))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A copy of the files, for loading may write."""
    return Path(shutil.copytree(STATE, tmp_path / "state"))


def storage(directory: Path) -> Storage:
    return Storage(directory, pytest.fail)


def stored_disks(directory: Path) -> history.DisksDocument | None:
    return storage(directory).load("disks", history.DisksDocument).value


def revived(state: Path, clock: Clock, boot: str) -> tuple[StateStore, KeepAwakeRequests]:
    store = StateStore()
    return store, KeepAwakeRequests(store, clock, storage(state), boot)


# --- Keeps ---


@pytest.mark.parametrize(("boot", "boottime"), [(BOOT, 500_300.5), (OTHER_BOOT, 30.0)])
def test_keeps(state: Path, boot: str, boottime: float) -> None:
    """In the same boot by CLOCK_BOOTTIME, in another one by civil time."""
    clock = Clock(after=100.0, boottime=boottime)
    store, keeps = revived(state, clock, boot)
    found = store.snapshot().part(KeepAwakeFacts).keep_awake
    assert [(keep.id, keep.reason) for keep in found.values()] == [
        ("1", "backup to the other house"),
        ("3", ""),
        ("4", "Jürgens “film” — bis nachher"),
    ]
    left = [keep.seconds_left(clock.now()) for keep in found.values()]
    assert left == pytest.approx([3600.0 - 300.5 - 100.0, 30 * 86_400.0 - 100.0, 7200.0 - 100.0])
    assert [keep.until.wall.timestamp() for keep in found.values() if keep.until] == pytest.approx(
        [1_780_003_600.0, 1_782_592_300.5, 1_780_007_500.5]
    )
    assert [keep.since.wall.timestamp() for keep in found.values()] == pytest.approx(
        [1_780_000_000.0, WRITTEN, WRITTEN]
    )
    assert keeps.add(60.0, "new").id == "5", "no number is given twice"


def test_a_keep_that_has_ended_since(state: Path) -> None:
    store, keeps = revived(state, Clock(after=3400.0), BOOT)
    assert list(store.snapshot().part(KeepAwakeFacts).keep_awake) == ["3", "4"]
    with pytest.raises(RequestRefusedError):
        keeps.drop("1")
    assert keeps.drop("4").id == "4"


# --- The alarm ---


def alarm_cleared(directory: Path, stands: int | None) -> tuple[bool, int | None, object]:
    """Whether the RTC was written, its alarm afterwards, and the stored document."""
    machine, clock = SimulatedMachine(SimulatedClock(started_at=1_780_001_000.0)), Clock()
    machine.rtc.alarm = stands
    store = storage(directory)

    async def clear() -> None:
        alarm = RtcAlarm(machine, clock, store)
        assert alarm.is_set_for(None) is (store.load("alarm", AlarmOwnership).value is None)
        await alarm.clear()

    run(clear())
    return bool(machine.rtc.log), machine.rtc.alarm, store.load("alarm", AlarmOwnership).value


@pytest.mark.parametrize("at", [1_780_020_000, 1_780_086_100, 1_780_090_000, 1_780_090_025])
def test_an_alarm_that_was_set_or_asked_for_is_owned_and_the_one_that_it_replaced_is_given_back(
    state: Path, at: int
) -> None:
    assert alarm_cleared(state, at) == (True, 1_780_050_000, None)


def test_an_alarm_of_others_is_not_owned(state: Path) -> None:
    assert alarm_cleared(state, 1_780_030_000) == (False, 1_780_030_000, None)


def test_an_alarm_that_was_confirmed_is_owned(state: Path) -> None:
    confirmed = state / "confirmed"
    assert alarm_cleared(confirmed, 1_780_020_000) == (True, 1_780_050_000, None)


def test_of_two_alarms_only_the_one_that_was_set_is_owned(state: Path) -> None:
    assert alarm_cleared(state / "confirmed", 1_780_090_000) == (False, 1_780_090_000, None)


def test_no_alarm(state: Path) -> None:
    assert alarm_cleared(state / "cleared", 1_780_020_000) == (False, 1_780_020_000, None)


# --- Hosts that were learned ---


def test_learned_hosts(state: Path) -> None:
    assert load_learned_hosts(storage(state), 1_779_999_988.0) == {
        ("02:00:00:00:00:0b", "192.168.1.11"): 1_779_999_988.0,
        ("02:00:00:00:00:0c", "192.168.1.12"): 1_779_913_600.0,
        ("7c:2e:bd:00:11:22", "10.0.0.7"): 1_777_000_000.0,
    }


# --- Disks ---


def test_disks_in_the_same_boot(state: Path) -> None:
    now = Clock(after=200.0).now()
    disks = history.restore(stored_disks(state), BOOT, now)
    assert list(disks) == [WD0, WD1, WD2]
    first, second, third = disks.values()
    assert first.state is DiskState.UNKNOWN
    assert first.attached_at is None
    assert first.cycles.spin_downs == (420_300.25, 493_100.5, 500_240.0)
    assert first.cycles.spin_ups == (493_200.5, 500_270.5)
    assert first.cycles.early_spin_ups == (493_200.5, 500_270.5)
    assert (first.cycles.backoff_level, first.cycles.backoff_changed_at) == (2, 493_200.5)
    assert (first.spin_down.verified_method, first.settings.timer_set_by_us, first.excluded_reason) == (
        "scsi",
        True,
        "",
    )
    assert (
        second.cycles.spin_downs,
        second.cycles.spin_ups,
        second.cycles.early_spin_ups,
        second.cycles.backoff_level,
    ) == ((), (), (), 0)
    assert (second.spin_down.verified_method, second.settings.timer_set_by_us) == (None, False)
    assert second.excluded_reason == "its bridge wakes it at each question"
    assert (third.cycles.spin_downs, third.cycles.spin_ups, third.spin_down.verified_method) == (
        (),
        (500_200.5,),
        "ata",
    )
    document = stored_disks(state)
    assert document is not None
    assert history.stored_disks(disks) == document.disks


def test_disks_in_another_boot(state: Path) -> None:
    """Times move by what CLOCK_BOOTTIME differs, and a timer has gone with the power."""
    clock = Clock(after=900.0, boottime=100_000.0)
    first = history.restore(stored_disks(state), OTHER_BOOT, clock.now())[DiskId(WD0)]
    off = 100_000.0 - 500_300.5
    assert first.cycles.spin_downs == pytest.approx((420_300.25 + off, 493_100.5 + off, 500_240.0 + off))
    assert (
        first.cycles.spin_ups
        == first.cycles.early_spin_ups
        == pytest.approx((493_200.5 + off, 500_270.5 + off))
    )
    assert (first.cycles.backoff_level, first.spin_down.verified_method, first.settings.timer_set_by_us) == (
        2,
        "scsi",
        False,
    )
    assert first.cycles.backoff_changed_at == pytest.approx(493_200.5 + off)


def test_a_timer_of_powerd_has_gone_after_a_sleep_of_the_machine(state: Path) -> None:
    now = replace(Clock(after=900.0).now(), slept=100_500.0)
    assert not history.restore(stored_disks(state), BOOT, now)[DiskId(WD0)].settings.timer_set_by_us


# --- Health ---

_COUNTERS = {
    Counter.REALLOCATED: 8,
    Counter.PENDING: 0,
    Counter.UNCORRECTABLE: 1,
    Counter.REPORTED: 2,
    Counter.CRC: 3,
    Counter.ERRORS: 4,
    Counter.STARTS: 5678,
    Counter.LOADS: 91_011,
}
_MORE = {**_COUNTERS, Counter.PENDING: 16}
_BEFORE = Health(
    checked_at=WRITTEN,
    protocol="ata",
    passed=True,
    faults=Fault.ERROR_LOG | Fault.PAST,
    temperature=31,
    temperature_limit=60,
    power_on_hours=12_345,
    counters=_COUNTERS,
    attributes=(
        Attribute(5, "Reallocated_Sector_Ct", 200, 199, 140, "8", prefail=True, failed="past"),
        Attribute(194, "Temperature_Celsius", 119, 100, 0, "31 (Min/Max 20/45)", prefail=False),
        Attribute(9, "Power_On_Hours", None, None, None, "12345", prefail=False, failed="now"),
    ),
    self_tests=(
        SelfTest("Extended offline", "Completed: read failure", passed=False, hours=12_000),
        SelfTest("Short offline", "Aborted by host", passed=None, hours=None),
        SelfTest("Short offline", "Completed without error", passed=True, hours=11_000),
    ),
    test_minutes=(2, 480),
)
_LAST = replace(
    _BEFORE,
    checked_at=WRITTEN + 86_400.0,
    passed=False,
    temperature=None,
    counters=_MORE,
    test_remaining_percent=90,
    incomplete_reason="the error log could not be read",
)
ATA = SmartRecord(
    known_since=WRITTEN,
    last=_LAST,
    previous=_BEFORE,
    samples=(
        Sample(WRITTEN, passed=True, temperature=31, counters=_COUNTERS),
        Sample(WRITTEN + 86_400.0, passed=False, temperature=None, counters=_MORE),
    ),
    test_started_at={"short": WRITTEN + 86_400.0, "long": WRITTEN + 86_410.0},
    notified_findings=(
        Finding("verdict", Severity.ALARM, "says itself that it fails", "copy its data and replace it"),
        Finding("pending", Severity.WARNING, "16 sectors cannot be read", "read all of it"),
        Finding("attribute 5", Severity.NOTE, "was below its threshold", "watch it"),
    ),
    device_type="sat,12",
    woken_at=WRITTEN + 86_410.0,
)
_WEAR = {Counter.MEDIA: 1, Counter.WORN: 101}
NVME = SmartRecord(
    known_since=WRITTEN,
    last=Health(
        checked_at=WRITTEN + 86_410.0,
        protocol="nvme",
        passed=None,
        temperature=44,
        temperature_limit=85,
        power_on_hours=3,
        counters=_WEAR,
        critical_warnings=("available spare is low", "temperature is out of range"),
        spare=(4, 10),
    ),
    samples=(Sample(WRITTEN + 86_410.0, passed=None, temperature=44, counters=_WEAR),),
    device_type="nvme",
)
_STARTS = {Counter.STARTS: 3}
SCSI = SmartRecord(
    known_since=WRITTEN + 86_410.0,
    last=Health(checked_at=WRITTEN + 86_410.0, protocol="scsi", passed=True, counters=_STARTS),
    samples=(Sample(WRITTEN + 86_410.0, passed=True, temperature=None, counters=_STARTS),),
    device_type="scsi",
)


@pytest.mark.parametrize(
    ("serial", "record"), [("WD-WCC7K0", ATA), ("WD-WCC7K1", NVME), ("S/N 0012:é", SCSI)]
)
def test_health(state: Path, serial: str, record: SmartRecord) -> None:
    records = SmartHistory(storage(state), lambda: True)
    found = records.record_of(serial, 9e9)
    assert found == record
    assert records.mark_notified(serial, record.notified_findings, 9e9) == record, (
        "no finding is reported twice"
    )


# --- The storm guard ---


def test_wake_ups_in_vain_before_a_power_off(state: Path) -> None:
    """A boot at which no alarm was due; the wake-up before it also counts as one without a client."""
    written = 1_780_086_710.5
    clock = Clock(after=written - WRITTEN + 60.0, boottime=20.0 - (written - WRITTEN + 60.0))
    now = clock.now()
    epoch = now.wall.timestamp() - now.mono - now.slept
    storm = load_wake_storm(storage(state), OTHER_BOOT, clock.now())
    assert storm.last_wakeup_at == pytest.approx(20.0)
    assert (storm.cause, storm.needed) == (WakeupCause.UNKNOWN, False)
    assert [cause for _, cause in storm.unneeded_wakeups] == [
        WakeupCause.NETWORK,
        WakeupCause.UNKNOWN,
        WakeupCause.NETWORK,
    ]
    assert [at + epoch for at, _ in storm.unneeded_wakeups] == pytest.approx(
        [1_779_998_300.5, 1_779_999_300.5, 1_780_000_200.5]
    )
    assert storm.storm_count == 2
    assert load_wake_storm(storage(state), OTHER_BOOT, clock.now()) == WakeStormState(), "it counts once"


def test_a_boot_by_the_alarm_after_a_power_off(state: Path) -> None:
    at = 1_780_116_710.5
    clock = Clock(after=at - WRITTEN + 60.0, boottime=60.0 - (at - WRITTEN + 60.0))
    assert load_wake_storm(storage(state), OTHER_BOOT, clock.now()).cause is WakeupCause.ALARM


def test_the_boot_that_powered_off_itself(state: Path) -> None:
    assert load_wake_storm(storage(state), BOOT, Clock().now()) == WakeStormState()


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT])
def test_no_wake_ups_in_vain(state: Path, boot: str) -> None:
    assert load_wake_storm(storage(state / "cleared"), boot, Clock(after=100_000.0).now()) == WakeStormState()


# --- All at once ---

CONFIG = b"""
mode = "enforce"
[[sleep]]
idle_for = "30min"
[awake]
after_start = "0s"
"""


def test_a_daemon_that_starts_on_old_files(state: Path) -> None:
    """It stays awake for the keeps, takes its alarm away and gives the other back, and knows all else."""
    loop = VirtualLoop()
    clock = SimulatedClock(500_900.5, 0.0, WRITTEN + 600.0 - 500_900.5, BERLIN, loop.time)
    household = Household(clock, people=[person("anna", 11, daily(0, 0))])
    household.rtc.alarm = 1_780_086_100
    statuses: list[Status] = []

    async def main() -> None:
        daemon = Daemon(
            parse(CONFIG, "test"),
            household.ports(),
            clock,
            storage=Storage(state, pytest.fail),
            on_status=statuses.append,
            on_error=pytest.fail,
            boot_id=BOOT,
        )
        task = asyncio.create_task(daemon.run())
        await asyncio.sleep(2.5 * HOUR)
        assert not task.done()
        task.cancel()

    run(main(), loop=loop)
    assert household.performed == [], "a keep is for 30 days"
    first, last = statuses[0], statuses[-1]
    assert list(first.snapshot.part(KeepAwakeFacts).keep_awake) == ["1", "3", "4"]
    assert list(last.snapshot.part(KeepAwakeFacts).keep_awake) == ["3"]
    assert first.decision.phase != "idle"
    assert last.decision.phase == "awake"
    assert household.rtc.alarm == 1_780_050_000
    assert list(first.decision.memory.part(DisksMemory).disks) == [WD0, WD1, WD2]
    assert (
        first.decision.memory.part(DisksMemory).disks[DiskId(WD1)].excluded_reason
        == "its bridge wakes it at each question"
    )
    learned = {
        client.mac
        for client in last.snapshot.part(PresenceFacts).clients.values()
        if "learned" in client.sources
    }
    assert learned == {"02:00:00:00:00:0b", "02:00:00:00:00:0c"}, "the third was met too long ago"
