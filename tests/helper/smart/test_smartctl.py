"""Reading health and starting self-tests: what is sent to whom, and what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from helper.fake_drives import FakeDrives, serve
from helper.smart.smartctl_documents import nothing
from helper.smart.smartctl_drives import DRIVES

from powerd.disks.model import DiskId, PowerMode, PowerStatus
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.codec import encode_response, parse_response
from powerd.helper.protocol.messages import DiskRequest
from powerd.smart.actions import CheckHealth, HealthReading, StartTest

pytestmark = pytest.mark.process

SDA: Final = DiskId("ata-SDA")
ASK: Final = "hdparm --verbose -C sda"
CHECK: Final = CheckHealth(SDA, may_wake=False, device_type="")
_SMARTCTL: Final = r"""#!/bin/sh
here=${0%/*}
echo "smartctl $*" >> "$here/log"
for device; do name=${device##*/}; done
case "$*" in
*-t\ *)
    if [ -e "$here/$name.testing" ]; then
        message="Can't start self-test without aborting current test (90% remaining)"
        printf '{"smartctl":{"exit_status":4,"output":[],"messages":[{"string":"%s"}]}}\n' "$message"
        exit 4
    fi
    touch "$here/$name.testing"; cat "$here/begun"; exit 0 ;;
esac
case "$*:$(cat "$here/$name.state")" in
*-n\ standby,3*:standby) cat "$here/asleep"; exit 3 ;;
esac
echo active > "$here/$name.state"
for kind in $(cat "$here/$name.kinds"); do
    case "$*" in *"-d $kind "*) cat "$here/$name.answer"; exit "$(cat "$here/$name.status")" ;; esac
done
cat "$here/bridge-unknown"; exit 1
"""


@pytest.fixture
def drives(tmp_path: Path) -> FakeDrives:
    drives = FakeDrives(tmp_path, "sda")
    with_health(drives)
    set_document(drives, "sda", "red", "sat")
    return drives


def with_health(drives: FakeDrives) -> None:
    """Install a smartctl that reports health."""
    tool = drives.tools / "smartctl"
    tool.unlink()
    tool.write_text(_SMARTCTL)
    tool.chmod(0o755)
    (drives.tools / "begun").write_text('{"smartctl":{"exit_status":0}}\n')
    for name in ("asleep", "bridge-unknown"):
        (drives.tools / name).write_bytes(DRIVES[name].document())


def set_document(drives: FakeDrives, device: str, answer: str, *kinds: str) -> None:
    """Have a drive answer like another, to those who ask in the right way."""
    drive = DRIVES[answer]
    (drives.tools / f"{device}.answer").write_bytes(drive.document())
    (drives.tools / f"{device}.status").write_text(f"{drive.exit_status}\n")
    (drives.tools / f"{device}.kinds").write_text(" ".join(kinds))


def refusal(drives: FakeDrives, request: DiskRequest) -> tuple[str, str]:
    with pytest.raises(RefusalError) as caught:
        serve(drives, request)
    return caught.value.cause, str(caught.value)


@pytest.mark.parametrize("reported", ["red", "seagate", "smr-testing", "ssd", "old-failing", "no-log"])
def test_the_health_of_a_spinning_drive(drives: FakeDrives, reported: str) -> None:
    set_document(drives, "sda", reported, "sat")
    answer = serve(drives, CHECK)
    assert isinstance(answer, HealthReading)
    assert (answer.device_type, answer.commands) == ("sat", 13)
    assert drives.tool_calls() == [ASK, "smartctl --json=co --all -n standby,3 -d sat sda"]
    health = answer.health
    assert int(health.faults) == DRIVES[reported].exit_status
    assert parse_response(encode_response(answer)) == answer, "it fits into a line"


def test_a_sleeping_drive_is_left_asleep(drives: FakeDrives) -> None:
    drives.set_state("sda", "standby")
    cause, why = refusal(drives, CHECK)
    assert cause == "asleep"
    assert "would wake it" in why
    assert drives.tool_calls() == [ASK]
    assert drives.state("sda") == "standby"


def test_a_drive_that_falls_asleep_meanwhile_is_left_asleep_by_smartctl(drives: FakeDrives) -> None:
    drives.set_state("sda", "standby")
    (drives.tools / "hdparm").write_text("#!/bin/sh\nprintf ' drive state is:  active/idle\\n'\n")
    with pytest.raises(RefusalError) as caught:
        serve(drives, CHECK)
    assert (caught.value.cause, caught.value.commands) == ("asleep", 2), "and smartctl's own question"
    assert drives.state("sda") == "standby"


def test_a_sleeping_drive_is_woken_when_that_is_meant(drives: FakeDrives) -> None:
    drives.set_state("sda", "standby")
    answer = serve(drives, CheckHealth(SDA, may_wake=True, device_type="sat"))
    assert isinstance(answer, HealthReading)
    assert drives.tool_calls() == ["smartctl --json=co --all -d sat sda"]


def test_a_suspended_drive_is_not_opened(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/device/power/runtime_status", "suspended\n")
    for request in (
        CHECK,
        CheckHealth(SDA, may_wake=True, device_type="sat"),
        StartTest(SDA, "short", ""),
    ):
        assert refusal(drives, request)[0] == "asleep"
    assert drives.tool_calls() == []


def test_a_drive_with_unknown_power_mode_is_left_alone(drives: FakeDrives) -> None:
    drives.set_state("sda", "odd")
    cause, why = refusal(drives, CHECK)
    assert cause == "failed"
    assert "whether it spins" in why
    assert drives.tool_calls() == [ASK]


def test_a_drive_without_a_spindle_is_not_asked_whether_it_spins(drives: FakeDrives) -> None:
    drives.write("sys/block/sda/queue/rotational", "0\n")
    serve(drives, CHECK)
    assert drives.tool_calls() == ["smartctl --json=co --all -n standby,3 -l ssd -d sat sda"]


def test_nvme_and_sas(drives: FakeDrives) -> None:
    drives.add("nvme0n1")
    set_document(drives, "nvme0n1", "nvme", "nvme")
    answer = serve(drives, CheckHealth(DiskId("ata-NVME0N1"), may_wake=False, device_type=""))
    assert isinstance(answer, HealthReading)
    assert (answer.device_type, answer.health.protocol) == ("nvme", "nvme")
    drives.add("sdb")
    drives.write("sys/block/sdb/device/vendor", "HGST    \n")
    drives.write("sys/block/sdb/queue/rotational", "0\n")
    set_document(drives, "sdb", "sas", "scsi")
    answer = serve(drives, CheckHealth(DiskId("ata-SDB"), may_wake=False, device_type=""))
    assert isinstance(answer, HealthReading)
    assert answer.device_type == "scsi"


@pytest.mark.parametrize(
    ("works", "known", "asked"),
    [
        ("auto", "", ["auto"]),
        ("sat,12", "", ["auto", "sat", "sat,12"]),
        ("usbjmicron", "usbjmicron", ["usbjmicron"]),
        ("sat", "usbjmicron", ["usbjmicron", "auto", "sat"]),
    ],
)
def test_a_usb_bridge_is_read_with_the_device_type_that_worked_before(
    drives: FakeDrives, works: str, known: str, asked: list[str]
) -> None:
    drives.behind_usb("sda")
    set_document(drives, "sda", "usb", works)
    answer = serve(drives, CheckHealth(SDA, may_wake=False, device_type=known))
    assert isinstance(answer, HealthReading)
    assert answer.device_type == works
    reported = [line.removeprefix("smartctl --json=co --all -n standby,3 ") for line in drives.tool_calls()]
    assert reported == [ASK, *(f"-d {kind} sda" for kind in asked)]


def test_a_bridge_that_nothing_gets_through(drives: FakeDrives) -> None:
    drives.behind_usb("sda")
    set_document(drives, "sda", "usb", "none")
    cause, why = refusal(drives, CHECK)
    assert cause == "failed"
    assert "Unknown USB bridge [0x152d:0x0579" in why


@pytest.mark.parametrize(
    "document", [b"", b"garbage", b'{"smartctl"', b"[" * 9999, DRIVES["red"].document()[:3000]]
)
def test_garbage_is_refused(drives: FakeDrives, document: bytes) -> None:
    (drives.tools / "sda.answer").write_bytes(document)
    cause, why = refusal(drives, CHECK)
    assert cause == "failed"
    assert "incomplete" in why


def test_a_drive_without_smart(drives: FakeDrives) -> None:
    set_document(drives, "sda", "unsupported", "sat")
    assert "has no SMART" in refusal(drives, CHECK)[1]


def test_a_crashed_child_is_reported(drives: FakeDrives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert "exit status 1" in refusal(drives, CHECK)[1]


def test_a_child_that_is_late_is_no_fault_of_the_disk(
    drives: FakeDrives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(slow))
    monkeypatch.setattr("powerd.helper.smart.smartctl.READER_RUN", 0.3)
    cause, why = refusal(drives, CHECK)
    assert cause == "failed"
    assert "within 0.3 s" in why


def test_no_smartctl(drives: FakeDrives) -> None:
    (drives.tools / "smartctl").unlink()
    assert "smartctl is not installed" in refusal(drives, CHECK)[1]


def test_a_self_test_is_started_once(drives: FakeDrives) -> None:
    assert serve(drives, StartTest(SDA, "long", "sat")) == PowerStatus(PowerMode.ACTIVE, 3)
    assert drives.tool_calls() == [ASK, "smartctl --json=co -t long -d sat sda"]
    _, why = refusal(drives, StartTest(SDA, "short", ""))
    assert "Can't start self-test" in why


@pytest.mark.parametrize(
    ("reported", "begins"),
    [
        ("Self-test has begun (NSID 0x1)", True),
        ("Self-test has begun", True),
        ("Self-tests not supported", False),
        ("", False),
    ],
)
def test_a_self_test_of_nvme_has_started_if_smartctl_confirms_it(
    drives: FakeDrives, reported: str, *, begins: bool
) -> None:
    """Its exit status is 0 in any case, and before 7.4 it does nothing at all."""
    drives.add("nvme0n1")
    answer = {"smartctl": {"exit_status": 0, "output": [reported, ""]}, "device": {"protocol": "NVMe"}}
    (drives.tools / "begun").write_text(json.dumps(answer))
    request = StartTest(DiskId("ata-NVME0N1"), "short", "nvme")
    if begins:
        assert isinstance(serve(drives, request), PowerStatus)
    else:
        assert "7.4" in refusal(drives, request)[1]


@pytest.mark.parametrize("answer", ["[" * 9999, '{"smartctl":{"messages":' + "[" * 9999])
def test_an_answer_that_is_nested_too_deeply_is_none(drives: FakeDrives, answer: str) -> None:
    (drives.tools / "begun").write_text(answer)
    assert isinstance(serve(drives, StartTest(SDA, "short", "")), PowerStatus)
    (drives.tools / "smartctl").write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\nexit 2\n")
    assert "exit status 2" in refusal(drives, StartTest(SDA, "short", ""))[1]
    assert "exit status 2" in refusal(drives, CHECK)[1]


def test_no_self_test_on_a_sleeping_drive(drives: FakeDrives) -> None:
    drives.set_state("sda", "standby")
    assert refusal(drives, StartTest(SDA, "short", ""))[0] == "asleep"
    assert drives.state("sda") == "standby"


def test_a_tool_without_json_is_quoted(drives: FakeDrives) -> None:
    (drives.tools / "smartctl").write_text("#!/bin/sh\necho 'no such option' >&2\nexit 1\n")
    assert "no such option" in refusal(drives, StartTest(SDA, "short", ""))[1]


@pytest.mark.parametrize(
    "answer",
    [
        "Smartctl open device: /dev/nvme0n1 failed: Operation not permitted",
        "Read NVMe Identify Controller failed: NVME_IOCTL_ADMIN_CMD: Permission denied",
    ],
)
def test_nvme_without_the_capability_names_it(drives: FakeDrives, answer: str) -> None:
    drives.add("nvme0n1", 1)
    set_document(drives, "nvme0n1", "nvme", "nvme")
    (drives.tools / "nvme0n1.answer").write_bytes(nothing(2, answer).document())
    (drives.tools / "nvme0n1.status").write_text("2\n")
    with pytest.raises(RefusalError, match=r"CAP_SYS_ADMIN.*; see contrib/systemd/powerd-helper-nvme.conf"):
        serve(drives, CheckHealth(DiskId("ata-NVME0N1"), may_wake=True, device_type=""))


def test_an_answer_may_report_a_missing_permission(drives: FakeDrives) -> None:
    drives.add("nvme0n1", 1)
    set_document(drives, "nvme0n1", "nvme", "nvme")
    answer = json.loads(DRIVES["nvme"].document())
    answer["smartctl"]["messages"] = [{"string": "Read Self-test Log failed: Operation not permitted"}]
    (drives.tools / "nvme0n1.answer").write_text(json.dumps(answer))
    assert isinstance(
        serve(drives, CheckHealth(DiskId("ata-NVME0N1"), may_wake=True, device_type="")), HealthReading
    )
