"""One request at one disk: what is sent, what is answered, and what is never sent to whom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import FakeDrives, serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.examples import examples

from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.disks import drive, sg_io
from powerd.helper.disks.device import DiskDevice
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import DiskRequest

pytestmark = pytest.mark.process

SDA: Final = DiskId("ata-SDA")
ASK: Final = "hdparm --verbose -C sda"
SETTINGS: Final = (SetStandbyTimer(SDA, 120), SetApmLevel(SDA, 128), ReadPowerFeatures(SDA))


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    return FakeDrives(tmp_path, "sda", "sdb")


def refusal(drives: FakeDrives, request: DiskRequest) -> str:
    with pytest.raises(RefusalError) as caught:
        serve(drives, request)
    return str(caught.value)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("active", "active"),
        ("standby", "standby"),
        ("standby_y", "standby"),
        ("idle_b", "active"),
        ("sleeping", "sleeping"),
        ("odd", "unknown"),
    ],
)
def test_read_power(drives: FakeDrives, state: str, says: str) -> None:
    drives.set_state("sda", state)
    assert serve(drives, CheckPowerMode(SDA)) == PowerStatus(PowerMode(says), 1)
    assert drives.tool_calls() == [ASK]
    assert drives.state("sda") == state


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_bridge_that_gives_no_registers_is_not_believed(drives: FakeDrives, mode: str) -> None:
    """hdparm itself calls such a disk asleep."""
    drives.set_state("sda", "active", mode)
    assert serve(drives, CheckPowerMode(SDA)) == PowerStatus(PowerMode.UNKNOWN, 1)


def test_a_suspended_disk_is_never_opened(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/device/power/runtime_status", "suspended\n")
    questions: list[DiskRequest] = [
        CheckPowerMode(SDA),
        SpinDown(SDA, "ata"),
        SpinDown(SDA, "scsi"),
    ]
    for request in questions:
        assert serve(drives, request) == PowerStatus(PowerMode.SUSPENDED, 0)
    for request in SETTINGS:
        assert "in standby (suspended)" in refusal(drives, request)
    assert drives.tool_calls() == []


@pytest.mark.parametrize("state", ["standby", "standby_y", "sleeping"])
def test_nothing_but_the_question_goes_to_a_sleeping_disk(drives: FakeDrives, state: str) -> None:
    requests: list[DiskRequest] = [
        *SETTINGS,
        SpinDown(SDA, "ata"),
        SpinDown(SDA, "scsi"),
        CheckPowerMode(SDA),
    ]
    for request in requests:
        drives.set_state("sda", state)
        if isinstance(request, SpinDown | CheckPowerMode):
            answer = serve(drives, request)
            assert isinstance(answer, PowerStatus)
            assert answer.mode in {"standby", "sleeping"}
            assert not answer.spin_down_sent
        else:
            assert "would wake it" in refusal(drives, request)
        assert drives.tool_calls() == [ASK]
        assert drives.state("sda") == state


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_disk_with_unknown_power_mode_is_left_alone(drives: FakeDrives, mode: str) -> None:
    drives.set_state("sda", "standby", mode)
    for request in SETTINGS:
        assert "whether it spins" in refusal(drives, request)
    assert drives.tool_calls() == [ASK] * 3


def test_spin_down(drives: FakeDrives) -> None:
    assert serve(drives, SpinDown(SDA, "ata")) == PowerStatus(PowerMode.STANDBY, 4, spin_down_sent=True)
    assert drives.tool_calls() == [ASK, "smartctl --json=c -d sat -c sda", "hdparm -y sda"]
    assert drives.state("sda") == "standby"


def test_spin_down_of_a_drive_that_refuses(drives: FakeDrives) -> None:
    drives.set_state("sda", "active", "refuses")
    answer = refusal(drives, SpinDown(SDA, "ata"))
    assert "HDIO_DRIVE_CMD(standby) failed" in answer


def test_spin_down_by_scsi_of_a_device_without_commands(drives: FakeDrives) -> None:
    """The device of the fake is a regular file, and the real kernel reports that."""
    for mode in ("well", "deaf"):
        drives.set_state("sda", "active", mode)
        assert "is no longer ata-SDA" in refusal(drives, SpinDown(SDA, "scsi"))


def test_spin_down_by_scsi(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    """test_sg_io.py tests the kernel; a drive that does not report its state is spun down nevertheless."""
    stopped: list[str] = []
    monkeypatch.setattr(sg_io, "spin_down", lambda disk: stopped.append(disk.name))
    assert serve(drives, SpinDown(SDA, "scsi")) == PowerStatus(PowerMode.STANDBY, 4, spin_down_sent=True)
    drives.set_state("sda", "active", "deaf")
    assert serve(drives, SpinDown(SDA, "scsi")) == PowerStatus(PowerMode.STANDBY, 2, spin_down_sent=True)
    assert stopped == [SDA, SDA]


def test_a_self_test_is_not_cut_off(drives: FakeDrives) -> None:
    drives.set_state("sda", "active", "testing")
    assert "self-test runs" in refusal(drives, SpinDown(SDA, "ata"))
    assert drives.state("sda") == "active"


BRIDGE = r"""#!/bin/sh
echo "smartctl $*" >> "${{0%/*}}/log"
case "$*" in *"-d {0} "*) ;; *) echo '{{"smartctl": {{"exit_status": 1}}}}'; exit 1 ;; esac
echo '{{"ata_smart_data": {{"self_test": {{"status": {{"value": 249}}}}}}}}'
"""


@pytest.mark.parametrize(("works", "asked"), [("auto", 1), ("sat", 2), ("sat,12", 3)])
def test_a_self_test_behind_a_usb_bridge_is_not_cut_off(drives: FakeDrives, works: str, asked: int) -> None:
    drives.behind_usb("sda")
    (drives.tools / "smartctl").write_text(BRIDGE.format(works))
    assert "a SMART self-test runs" in refusal(drives, SpinDown(SDA, "ata"))
    assert len(drives.tool_calls()) == 1 + asked
    assert drives.state("sda") == "active"


@pytest.mark.parametrize("does", ["echo {", "echo [1]", "exit 0", "kill -SEGV $$", "exit 4"])
def test_a_smartctl_whose_answer_cannot_be_read_proves_no_end_of_a_self_test(
    drives: FakeDrives, does: str
) -> None:
    (drives.tools / "smartctl").write_text(f"#!/bin/sh\n{does}\n")
    answer = refusal(drives, SpinDown(SDA, "ata"))
    assert "smartctl -a" in answer
    assert drives.state("sda") == "active"


@pytest.fixture
def sas(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """sda is a SAS disk; its commands up to now. The kernel's part is in test_scsi.py."""
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    sent: list[str] = []

    def say(value: str, answer: object) -> Callable[[DiskDevice], object]:
        def reported(_disk: DiskDevice) -> object:
            sent.append(value)
            return answer

        return reported

    monkeypatch.setattr(sg_io, "read_power", say("power", PowerMode.ACTIVE))
    monkeypatch.setattr(sg_io, "self_test_in_progress", say("test", answer=False))
    monkeypatch.setattr(sg_io, "spin_down", say("stop", None))
    return sent


LOGGED: Final = "smartctl --json=co -d scsi -l selftest sda"


def scsi_log(drives: FakeDrives, name: str, status: int = 0) -> None:
    """Let smartctl say what one has said."""
    report = Path(__file__).parents[1] / "recorded" / name
    (drives.tools / "smartctl").write_text(
        f'#!/bin/sh\necho "smartctl $*" >> "${{0%/*}}/log"\ncat {report}\nexit {status}\n'
    )


def test_a_self_test_of_a_sas_disk_is_not_cut_off(drives: FakeDrives, sas: list[str]) -> None:
    scsi_log(drives, "smartctl-scsi-testing.json")
    assert "a SMART self-test runs" in refusal(drives, SpinDown(SDA, "scsi"))
    assert (sas, drives.tool_calls()) == (["power", "test"], [LOGGED])


def test_a_self_test_reported_by_a_sas_disk_needs_no_smartctl(
    drives: FakeDrives, sas: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sg_io, "self_test_in_progress", lambda _disk: True)
    (drives.tools / "smartctl").unlink()
    assert "a SMART self-test runs" in refusal(drives, SpinDown(SDA, "scsi"))
    assert sas == ["power"]


@pytest.mark.parametrize(
    ("log", "status"), [("smartctl-scsi-tested.json", 0), ("smartctl-scsi-no-log.json", 4), ("", 2)]
)
def test_a_sas_disk_without_or_with_an_unknown_self_test_is_stopped(
    drives: FakeDrives, sas: list[str], log: str, status: int
) -> None:
    scsi_log(drives, log or "smartctl-scsi-testing.json", status)
    assert serve(drives, SpinDown(SDA, "scsi")) == PowerStatus(PowerMode.STANDBY, 12, spin_down_sent=True)
    assert (sas, drives.tool_calls()) == (["power", "test", "stop"], [LOGGED])


@pytest.mark.parametrize("hangs", [True, False])
def test_a_sas_disk_that_does_not_report_its_state_is_stopped_unless_it_hangs(
    drives: FakeDrives, sas: list[str], monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    ends = threading.Event()

    def read_power(_disk: DiskDevice) -> PowerMode:
        if hangs:
            ends.wait(60)
        raise RefusalError("it reports no power mode")

    monkeypatch.setattr(sg_io, "read_power", read_power)
    monkeypatch.setattr(drive, "MOTOR_COMMAND", 0.2)
    monkeypatch.setattr(drive, "THREAD_MARGIN", 0.0)
    try:
        if hangs:
            assert "did not respond" in refusal(drives, SpinDown(SDA, "scsi"))
        else:
            assert serve(drives, SpinDown(SDA, "scsi")) == PowerStatus(
                PowerMode.STANDBY, 2, spin_down_sent=True
            )
    finally:
        ends.set()
    assert sas == ([] if hangs else ["stop"])


def test_without_smartctl_a_sas_disk_is_stopped(drives: FakeDrives, sas: list[str]) -> None:
    (drives.tools / "smartctl").unlink()
    assert serve(drives, SpinDown(SDA, "scsi")) == PowerStatus(PowerMode.STANDBY, 3, spin_down_sent=True)
    assert sas == ["power", "test", "stop"]


@pytest.mark.parametrize("mode", ["nosmart", "well"])
def test_missing_smart_is_no_busy_reason(drives: FakeDrives, mode: str) -> None:
    drives.set_state("sda", "active", mode)
    if mode == "well":
        (drives.tools / "smartctl").unlink()
    serve(drives, SpinDown(SDA, "ata"))
    assert drives.state("sda") == "standby"


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_disk_with_unknown_power_mode_is_stopped_but_not_queried_for_a_self_test(
    drives: FakeDrives, mode: str
) -> None:
    """It may be asleep, and SMART would wake it; STANDBY IMMEDIATE would not."""
    drives.set_state("sda", "active", mode)
    assert serve(drives, SpinDown(SDA, "ata")) == PowerStatus(PowerMode.STANDBY, 2, spin_down_sent=True)
    assert drives.tool_calls() == [ASK, "hdparm -y sda"]


def test_dirty_data_and_arrays_are_waited_for(drives: FakeDrives) -> None:
    stats = drives.write("sys/kernel/debug/bdi/8:0/stats", "b_dirty:                     2\n")
    assert "data waits" in refusal(drives, SpinDown(SDA, "ata"))
    stats.write_text("b_dirty:                     0\n")
    serve(drives, SpinDown(SDA, "ata"))
    assert drives.state("sda") == "standby"


def test_set_timer(drives: FakeDrives) -> None:
    assert serve(drives, SetStandbyTimer(SDA, 3600)) == PowerStatus(PowerMode.ACTIVE, 2)
    assert drives.tool_calls() == [ASK, "hdparm -S 242 sda"]
    drives.set_state("sda", "active", "refuses")
    assert "HDIO_DRIVE_CMD(setidle) failed" in refusal(drives, SetStandbyTimer(SDA, 0))


def test_read_drive(drives: FakeDrives) -> None:
    assert serve(drives, ReadPowerFeatures(SDA)) == PowerFeatures(
        254, apm_supported=True, epc_enabled=False, commands=2
    )
    assert drives.tool_calls() == [ASK, "hdparm --Istdout sda"]


def test_set_apm_is_read_back(drives: FakeDrives) -> None:
    answer = serve(drives, SetApmLevel(SDA, 128))
    assert answer == PowerFeatures(128, apm_supported=True, epc_enabled=False, commands=3)
    assert drives.tool_calls() == [ASK, "hdparm -B 128 --Istdout sda"]
    drives.set_state("sda", "active", "refuses")
    assert "254 but reports 128" in refusal(drives, SetApmLevel(SDA, 254))
    drives.set_state("sda", "active", "noapm")
    assert "hdparm -B failed: HDIO_DRIVE_CMD" in refusal(drives, SetApmLevel(SDA, 254))


def test_a_low_apm_level_has_to_be_meant(drives: FakeDrives) -> None:
    assert "APM level 100" in refusal(drives, SetApmLevel(SDA, 100))
    assert drives.tool_calls() == []
    answer = serve(drives, SetApmLevel(SDA, 100, allow_spin_down=True))
    assert isinstance(answer, PowerFeatures)
    assert answer.apm == 100


def test_a_sas_disk_has_none_of_ata(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    for request in SETTINGS:
        assert "not an ATA disk" in refusal(drives, request)
    assert "is no longer ata-SDA" in refusal(drives, CheckPowerMode(SDA))  # asked by SG_IO, not by hdparm
    assert drives.tool_calls() == []


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("garbage", "hdparm -C reports no drive state; check its output"),
        ("gone", "hdparm -C failed: No such device or address"),
        ("deaf", "hdparm -C failed: Invalid argument"),
    ],
)
def test_what_is_no_answer_is_refused(drives: FakeDrives, mode: str, says: str) -> None:
    drives.set_state("sda", "active", mode)
    requests: list[DiskRequest] = [CheckPowerMode(SDA), *SETTINGS, SpinDown(SDA, "ata")]
    for request in requests:
        assert refusal(drives, request) == says


@pytest.mark.parametrize(
    ("request_", "mode", "commands"),
    [
        (CheckPowerMode(SDA), "deaf", 1),
        (SetStandbyTimer(SDA, 120), "refuses", 2),
        (SetApmLevel(SDA, 254), "noapm", 3),
        (SetApmLevel(SDA, 100), "well", 0),
        (SpinDown(SDA, "ata"), "testing", 3),
        (SpinDown(SDA, "ata"), "refuses", 4),
        (SpinDown(SDA, "scsi"), "well", 4),
    ],
)
def test_a_refusal_reports_how_many_commands_were_sent(
    drives: FakeDrives, request_: DiskRequest, mode: str, commands: int
) -> None:
    """Otherwise they would look like accesses of another program on kernels that count them."""
    drives.set_state("sda", "active", mode)
    with pytest.raises(RefusalError) as caught:
        serve(drives, request_)
    assert caught.value.commands == commands


def test_a_request_that_never_started_has_sent_nothing(drives: FakeDrives) -> None:
    (drives.tools / "hdparm").write_bytes(b"\x7fELF")
    for request in (CheckPowerMode(SDA), SpinDown(SDA, "ata")):
        with pytest.raises(RefusalError, match="cannot be started") as caught:
            serve(drives, request)
        assert (caught.value.cause, caught.value.commands) == ("unreached", 0)


def test_a_drive_that_timed_out_has_not_refused_the_command(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hdparm then fails as it does with a drive that refuses, only later."""
    monkeypatch.setattr(drive, "QUICK_COMMAND", 0.2)
    words = "HDIO_DRIVE_CMD(powermode) failed: Input/output error"
    (drives.tools / "hdparm").write_text(f"#!/bin/sh\nsleep 0.3; echo '{words}' >&2; exit 5\n")
    with pytest.raises(RefusalError) as caught:
        serve(drives, CheckPowerMode(SDA))
    assert (caught.value.cause, caught.value.commands) == ("hung", 1)
    assert words in str(caught.value)


def test_a_drive_that_answers_only_when_it_has_started_is_waited_for(
    drives: FakeDrives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "QUICK_COMMAND", 0.2)
    tool = drives.tools / "hdparm"
    tool.write_text(tool.read_text().replace("\n", "\nsleep 0.3\n", 1))
    assert serve(drives, CheckPowerMode(SDA)) == PowerStatus(PowerMode.ACTIVE, 1)


def test_without_hdparm_there_is_a_remedy(drives: FakeDrives) -> None:
    (drives.tools / "hdparm").unlink()
    with pytest.raises(RefusalError, match="apt-get install hdparm") as caught:
        serve(drives, CheckPowerMode(SDA))
    assert caught.value.cause == "unreached", "no disk is to be blamed, and given up, for that"


DRIVE_REQUESTS: Final = st.one_of(
    st.builds(CheckPowerMode, st.just(SDA)),
    st.builds(SpinDown, st.just(SDA), st.just("ata")),
    st.builds(SetStandbyTimer, st.just(SDA), st.integers(0, 19_800)),
    st.builds(SetApmLevel, st.just(SDA), st.sampled_from([100, 128, 254]), st.booleans()),
    st.builds(ReadPowerFeatures, st.just(SDA)),
)


@given(
    DRIVE_REQUESTS,
    st.sampled_from(["standby", "standby_y", "sleeping"]),
    st.sampled_from(["well", "noapm", "refuses", "testing", "nosense", "badsense"]),
)
@settings(
    max_examples=examples(40),
    deadline=None,
    # The drives are put into a state each time; the time that this takes does not matter.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_request_wakes_a_sleeping_disk(
    drives: FakeDrives, request: DiskRequest, state: str, mode: str
) -> None:
    drives.set_state("sda", state, mode)
    try:
        serve(drives, request)
    except RefusalError as error:
        assert str(error).isprintable()  # noqa: PT017 - a refusal is one outcome of two
    assert drives.state("sda") in {state, "standby"}
