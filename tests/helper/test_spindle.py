"""One request at one disk: what is sent, what is answered, and what is never sent to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from helper.drives import Drives
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerd import model
from powerd.helper import scsi, spindle
from powerd.helper.bay import Bay
from powerd.helper.disks import Disk
from powerd.helper.errors import RefusalError
from powerd.helper.protocol import (
    DiskAnswer,
    DiskRequest,
    Drive,
    Power,
    ReadDrive,
    ReadPower,
    SetApm,
    SetTimer,
    StandBy,
)
from powerd.helper.tool import Tools

SDA: Final = "ata-SDA"
ASK: Final = "hdparm --verbose -C sda"
SETTINGS: Final = (SetTimer(SDA, 120), SetApm(SDA, 128, spin_down=False), ReadDrive(SDA))


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    return Drives(tmp_path, "sda", "sdb")


def serve(drives: Drives, request: DiskRequest) -> DiskAnswer:
    async def main() -> DiskAnswer:
        return await Bay(drives.root, Tools([drives.tools])).serve(request)

    return asyncio.run(main())


def refusal(drives: Drives, request: DiskRequest) -> str:
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
def test_read_power(drives: Drives, state: str, says: str) -> None:
    drives.let("sda", state)
    assert serve(drives, ReadPower(SDA)) == Power(SDA, says, 1)
    assert drives.asked() == [ASK]
    assert drives.state("sda") == state


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_bridge_that_gives_no_registers_is_not_believed(drives: Drives, mode: str) -> None:
    """hdparm itself calls such a disk asleep."""
    drives.let("sda", "active", mode)
    assert serve(drives, ReadPower(SDA)) == Power(SDA, "unknown", 1)


def test_a_suspended_disk_is_never_opened(drives: Drives) -> None:
    drives.write("sys/block/sda/device/power/runtime_status", "suspended\n")
    questions: list[DiskRequest] = [ReadPower(SDA), StandBy(SDA, "ata"), StandBy(SDA, "scsi")]
    for request in questions:
        assert serve(drives, request) == Power(SDA, "suspended", 0)
    for request in SETTINGS:
        assert "ata-SDA is asleep (suspended), and" in refusal(drives, request)
    assert drives.asked() == []


@pytest.mark.parametrize("state", ["standby", "standby_y", "sleeping"])
def test_nothing_but_the_question_goes_to_a_sleeping_disk(drives: Drives, state: str) -> None:
    requests: list[DiskRequest] = [*SETTINGS, StandBy(SDA, "ata"), StandBy(SDA, "scsi"), ReadPower(SDA)]
    for request in requests:
        drives.let("sda", state)
        if isinstance(request, StandBy | ReadPower):
            answer = serve(drives, request)
            assert isinstance(answer, Power)
            assert answer.state in {"standby", "sleeping"}
            assert not answer.stopped
        else:
            assert "would wake it; ask again later" in refusal(drives, request)
        assert drives.asked() == [ASK]
        assert drives.state("sda") == state


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_disk_that_does_not_say_is_left_alone(drives: Drives, mode: str) -> None:
    drives.let("sda", "standby", mode)
    for request in SETTINGS:
        assert "does not say whether it spins" in refusal(drives, request)
    assert drives.asked() == [ASK] * 3


def test_stand_by(drives: Drives) -> None:
    assert serve(drives, StandBy(SDA, "ata")) == Power(SDA, "standby", 4, stopped=True)
    assert drives.asked() == [ASK, "smartctl --json=c -d sat -c sda", "hdparm -y sda"]
    assert drives.state("sda") == "standby"


def test_stand_by_of_a_drive_that_refuses(drives: Drives) -> None:
    drives.let("sda", "active", "refuses")
    said = refusal(drives, StandBy(SDA, "ata"))
    assert said == "hdparm -y failed: HDIO_DRIVE_CMD(standby) failed: Input/output error"


def test_stand_by_by_scsi_of_what_takes_no_command(drives: Drives) -> None:
    """The fake's device is a mere file, and the real kernel says so."""
    for mode in ("well", "deaf"):
        drives.let("sda", "active", mode)
        assert "is no longer ata-SDA" in refusal(drives, StandBy(SDA, "scsi"))


def test_stand_by_by_scsi(drives: Drives, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's part is in test_scsi.py; a drive that cannot say what it does is stopped all the same."""
    stopped: list[str] = []
    monkeypatch.setattr(scsi, "stand_by", lambda disk: stopped.append(disk.name))
    assert serve(drives, StandBy(SDA, "scsi")) == Power(SDA, "standby", 4, stopped=True)
    drives.let("sda", "active", "deaf")
    assert serve(drives, StandBy(SDA, "scsi")) == Power(SDA, "standby", 2, stopped=True)
    assert stopped == [SDA, SDA]


def test_a_self_test_is_not_cut_off(drives: Drives) -> None:
    drives.let("sda", "active", "testing")
    assert refusal(drives, StandBy(SDA, "ata")) == (
        "ata-SDA is not stopped: a SMART self-test runs; wait until it is done"
    )
    assert drives.state("sda") == "active"


BRIDGE = r"""#!/bin/sh
echo "smartctl $*" >> "${{0%/*}}/log"
case "$*" in *"-d {0} "*) ;; *) echo '{{"smartctl": {{"exit_status": 1}}}}'; exit 1 ;; esac
echo '{{"ata_smart_data": {{"self_test": {{"status": {{"value": 249}}}}}}}}'
"""


@pytest.mark.parametrize(("works", "asked"), [("auto", 1), ("sat", 2), ("sat,12", 3)])
def test_a_self_test_behind_a_usb_bridge_is_not_cut_off(drives: Drives, works: str, asked: int) -> None:
    drives.behind_usb("sda")
    (drives.tools / "smartctl").write_text(BRIDGE.format(works))
    assert "a SMART self-test runs" in refusal(drives, StandBy(SDA, "ata"))
    assert len(drives.asked()) == 1 + asked
    assert drives.state("sda") == "active"


@pytest.mark.parametrize("does", ["echo torn {", "echo [1]", "exit 0", "kill -SEGV $$", "exit 4"])
def test_a_smartctl_whose_answer_cannot_be_read_proves_no_end_of_a_self_test(
    drives: Drives, does: str
) -> None:
    (drives.tools / "smartctl").write_text(f"#!/bin/sh\n{does}\n")
    said = refusal(drives, StandBy(SDA, "ata"))
    assert said == (
        "ata-SDA is not stopped: smartctl does not say whether a self-test runs; see: smartctl -a"
    )
    assert drives.state("sda") == "active"


@pytest.fixture
def sas(drives: Drives, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """sda is a SAS disk; its commands up to now. The kernel's part is in test_scsi.py."""
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    sent: list[str] = []

    def say(word: str, answer: object) -> Callable[[Disk], object]:
        def said(_disk: Disk) -> object:
            sent.append(word)
            return answer

        return said

    monkeypatch.setattr(scsi, "read_power", say("power", model.Power.ACTIVE))
    monkeypatch.setattr(scsi, "tests_itself", say("test", answer=False))
    monkeypatch.setattr(scsi, "stand_by", say("stop", None))
    return sent


LOGGED: Final = "smartctl --json=co -d scsi -l selftest sda"


def scsi_log(drives: Drives, name: str, status: int = 0) -> None:
    """Let smartctl say what one has said."""
    report = Path(__file__).parent / "recorded" / name
    (drives.tools / "smartctl").write_text(
        f'#!/bin/sh\necho "smartctl $*" >> "${{0%/*}}/log"\ncat {report}\nexit {status}\n'
    )


def test_a_self_test_of_a_sas_disk_is_not_cut_off(drives: Drives, sas: list[str]) -> None:
    scsi_log(drives, "smartctl-scsi-testing.json")
    assert "a SMART self-test runs" in refusal(drives, StandBy(SDA, "scsi"))
    assert (sas, drives.asked()) == (["power", "test"], [LOGGED])


def test_a_self_test_that_a_sas_disk_tells_of_itself_takes_no_smartctl(
    drives: Drives, sas: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scsi, "tests_itself", lambda _disk: True)
    (drives.tools / "smartctl").unlink()
    assert "a SMART self-test runs" in refusal(drives, StandBy(SDA, "scsi"))
    assert sas == ["power"]


@pytest.mark.parametrize(
    ("log", "status"), [("smartctl-scsi-tested.json", 0), ("smartctl-scsi-no-log.json", 4), ("", 2)]
)
def test_a_sas_disk_that_runs_none_or_cannot_say_is_stopped(
    drives: Drives, sas: list[str], log: str, status: int
) -> None:
    scsi_log(drives, log or "smartctl-scsi-testing.json", status)
    assert serve(drives, StandBy(SDA, "scsi")) == Power(SDA, "standby", 12, stopped=True)
    assert (sas, drives.asked()) == (["power", "test", "stop"], [LOGGED])


def test_without_smartctl_a_sas_disk_is_stopped(drives: Drives, sas: list[str]) -> None:
    (drives.tools / "smartctl").unlink()
    assert serve(drives, StandBy(SDA, "scsi")) == Power(SDA, "standby", 3, stopped=True)
    assert sas == ["power", "test", "stop"]


@pytest.mark.parametrize("mode", ["nosmart", "well"])
def test_no_smart_is_no_hindrance(drives: Drives, mode: str) -> None:
    drives.let("sda", "active", mode)
    if mode == "well":
        (drives.tools / "smartctl").unlink()
    serve(drives, StandBy(SDA, "ata"))
    assert drives.state("sda") == "standby"


@pytest.mark.parametrize("mode", ["nosense", "badsense"])
def test_a_disk_that_does_not_say_is_stopped_but_not_asked_for_a_self_test(drives: Drives, mode: str) -> None:
    """It may be asleep, and SMART would wake it; STANDBY IMMEDIATE would not."""
    drives.let("sda", "active", mode)
    assert serve(drives, StandBy(SDA, "ata")) == Power(SDA, "standby", 2, stopped=True)
    assert drives.asked() == [ASK, "hdparm -y sda"]


def test_dirty_data_and_arrays_are_waited_for(drives: Drives) -> None:
    stats = drives.write("sys/kernel/debug/bdi/8:0/stats", "b_dirty:                     2\n")
    assert "ata-SDA is not stopped: data waits to be written" in refusal(drives, StandBy(SDA, "ata"))
    stats.write_text("b_dirty:                     0\n")
    serve(drives, StandBy(SDA, "ata"))
    assert drives.state("sda") == "standby"


def test_set_timer(drives: Drives) -> None:
    assert serve(drives, SetTimer(SDA, 242)) == Power(SDA, "active", 2)
    assert drives.asked() == [ASK, "hdparm -S 242 sda"]
    drives.let("sda", "active", "refuses")
    assert refusal(drives, SetTimer(SDA, 0)) == (
        "hdparm -S failed: HDIO_DRIVE_CMD(setidle) failed: Input/output error"
    )


def test_read_drive(drives: Drives) -> None:
    assert serve(drives, ReadDrive(SDA)) == Drive(SDA, 254, apm_supported=True, epc=False, commands=2)
    assert drives.asked() == [ASK, "hdparm --Istdout sda"]


def test_set_apm_is_read_back(drives: Drives) -> None:
    answer = serve(drives, SetApm(SDA, 128, spin_down=False))
    assert answer == Drive(SDA, 128, apm_supported=True, epc=False, commands=3)
    assert drives.asked() == [ASK, "hdparm -B 128 --Istdout sda"]
    drives.let("sda", "active", "refuses")
    assert refusal(drives, SetApm(SDA, 254, spin_down=False)) == (
        "ata-SDA took APM level 254 and shows 128; leave its APM as it is"
    )
    drives.let("sda", "active", "noapm")
    assert refusal(drives, SetApm(SDA, 254, spin_down=False)) == (
        "hdparm -B failed: HDIO_DRIVE_CMD failed: Input/output error"
    )


def test_a_low_apm_level_has_to_be_meant(drives: Drives) -> None:
    assert "APM level 100 lets ata-SDA stop when it likes to" in refusal(
        drives, SetApm(SDA, 100, spin_down=False)
    )
    assert drives.asked() == []
    answer = serve(drives, SetApm(SDA, 100, spin_down=True))
    assert isinstance(answer, Drive)
    assert answer.apm == 100


def test_a_sas_disk_has_none_of_ata(drives: Drives) -> None:
    drives.write("sys/block/sda/device/vendor", "SEAGATE \n")
    for request in SETTINGS:
        assert "ata-SDA is no ATA disk, and" in refusal(drives, request)
    assert "is no longer ata-SDA" in refusal(drives, ReadPower(SDA))  # asked by SG_IO, not by hdparm
    assert drives.asked() == []


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("garbage", "hdparm -C names no drive state; look at what it prints"),
        ("gone", "hdparm -C failed: No such device or address"),
        ("deaf", "hdparm -C failed: Invalid argument"),
    ],
)
def test_what_is_no_answer_is_refused(drives: Drives, mode: str, says: str) -> None:
    drives.let("sda", "active", mode)
    requests: list[DiskRequest] = [ReadPower(SDA), *SETTINGS, StandBy(SDA, "ata")]
    for request in requests:
        assert refusal(drives, request) == says


@pytest.mark.parametrize(
    ("request_", "mode", "commands"),
    [
        (ReadPower(SDA), "deaf", 1),
        (SetTimer(SDA, 120), "refuses", 2),
        (SetApm(SDA, 254, spin_down=False), "noapm", 3),
        (SetApm(SDA, 100, spin_down=False), "well", 0),
        (StandBy(SDA, "ata"), "testing", 3),
        (StandBy(SDA, "ata"), "refuses", 4),
        (StandBy(SDA, "scsi"), "well", 4),
    ],
)
def test_a_refusal_tells_how_many_commands_were_sent(
    drives: Drives, request_: DiskRequest, mode: str, commands: int
) -> None:
    """Else, on kernels that count them, they look like somebody else's access."""
    drives.let("sda", "active", mode)
    with pytest.raises(RefusalError) as caught:
        serve(drives, request_)
    assert caught.value.commands == commands


def test_what_was_never_begun_has_sent_nothing(drives: Drives) -> None:
    (drives.tools / "hdparm").write_bytes(b"\x7fELF")
    for request in (ReadPower(SDA), StandBy(SDA, "ata")):
        with pytest.raises(RefusalError, match="cannot be started") as caught:
            serve(drives, request)
        assert (caught.value.cause, caught.value.commands) == ("unreached", 0)


def test_a_drive_whose_answer_the_kernel_waited_for_in_vain_has_not_refused_it(
    drives: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hdparm then fails as it does with a drive that refuses, only later."""
    monkeypatch.setattr(spindle, "QUICK", 0.2)
    words = "HDIO_DRIVE_CMD(powermode) failed: Input/output error"
    (drives.tools / "hdparm").write_text(f"#!/bin/sh\nsleep 0.3; echo '{words}' >&2; exit 5\n")
    with pytest.raises(RefusalError) as caught:
        serve(drives, ReadPower(SDA))
    assert (caught.value.cause, caught.value.commands) == ("hung", 1)
    assert str(caught.value) == (
        f"ata-SDA did not answer within 0.2 s, and the kernel gave it up ({words}); see dmesg"
    )


def test_a_drive_that_answers_only_when_it_has_started_is_waited_for(
    drives: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spindle, "QUICK", 0.2)
    tool = drives.tools / "hdparm"
    tool.write_text(tool.read_text().replace("\n", "\nsleep 0.3\n", 1))
    assert serve(drives, ReadPower(SDA)) == Power(SDA, "active", 1)


def test_without_hdparm_there_is_a_remedy(drives: Drives) -> None:
    (drives.tools / "hdparm").unlink()
    with pytest.raises(RefusalError, match=r"^hdparm is not installed; apt-get install hdparm$") as caught:
        serve(drives, ReadPower(SDA))
    assert caught.value.cause == "unreached", "no disk is to be blamed, and given up, for that"


REQUESTS: Final = st.one_of(
    st.builds(ReadPower, st.just(SDA)),
    st.builds(StandBy, st.just(SDA), st.just("ata")),
    st.builds(SetTimer, st.just(SDA), st.integers(0, 252)),
    st.builds(SetApm, st.just(SDA), st.sampled_from([100, 128, 254]), st.booleans()),
    st.builds(ReadDrive, st.just(SDA)),
)


@given(
    REQUESTS,
    st.sampled_from(["standby", "standby_y", "sleeping"]),
    st.sampled_from(["well", "noapm", "refuses", "testing", "nosense", "badsense"]),
)
@settings(
    max_examples=40,
    deadline=None,
    # The drives are put into a state each time; how long that takes is no matter.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_request_wakes_a_sleeping_disk(
    drives: Drives, request: DiskRequest, state: str, mode: str
) -> None:
    drives.let("sda", state, mode)
    try:
        serve(drives, request)
    except RefusalError as error:
        assert str(error).isprintable()  # noqa: PT017 - a refusal is one outcome of two
    assert drives.state("sda") in {state, "standby"}
