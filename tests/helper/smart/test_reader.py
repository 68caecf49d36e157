from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from helper.smart.smartctl_documents import Row, ata
from helper.smart.smartctl_drives import DRIVES
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.helper.smart.pysmart_tables import UnreadableReportError
from powerd.helper.smart.reader import read_health
from powerd.helper.smart.report import left_asleep
from powerd.smart.model import Counter, Fault, Health, SelfTest

WHEN = 1_790_000_000.0


def health(name: str) -> Health:
    return read_health(DRIVES[name].document(), WHEN)


def changed(name: str, **answer: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps({**json.loads(DRIVES[name].document()), **answer}).encode()


def test_a_drive_that_is_well() -> None:
    red = health("red")
    assert (red.checked_at, red.protocol, red.passed, red.faults) == (WHEN, "ata", True, Fault(0))
    assert (red.temperature, red.power_on_hours, red.test_minutes, red.test_remaining_percent) == (
        31,
        35392,
        (2, 265),
        None,
    )
    assert red.counters[Counter.STARTS] == 1480
    assert red.counters[Counter.LOADS] == 6513
    assert red.counters[Counter.ERRORS] == 0
    assert [each.number for each in red.attributes][:4] == [1, 3, 4, 5]
    assert red.attributes[3].prefail
    assert red.attributes[3].threshold == 140
    assert red.self_tests == (
        SelfTest("Short offline", "Completed without error", passed=True, hours=35300),
        SelfTest("Extended offline", "Aborted by host", passed=None, hours=35200),
    )
    assert red.incomplete_reason == ""


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [({"short": 2}, (2, 0)), ({"extended": 265}, (0, 265)), ({}, (0, 0))],
)
def test_a_drive_may_have_one_self_test_only(minutes: dict[str, int], expected: tuple[int, int]) -> None:
    document = changed("red", ata_smart_data={"self_test": {"polling_minutes": minutes}})
    assert read_health(document, WHEN).test_minutes == expected


def test_raw_values_that_hold_several_numbers() -> None:
    seagate = health("seagate")
    assert (seagate.temperature, seagate.power_on_hours) == (31, 10742)
    assert seagate.attributes[6].raw == "31 (Min/Max 24/36)"
    assert seagate.counters[Counter.REPORTED] == 2
    assert seagate.counters[Counter.PENDING] == 8
    assert seagate.faults == Fault.ERROR_LOG
    assert seagate.counters[Counter.ERRORS] == 12


def test_a_running_self_test() -> None:
    assert health("smr-testing").test_remaining_percent == 70
    assert health("smr-testing").self_tests == ()


def test_a_drive_that_fails() -> None:
    old = health("old-failing")
    assert old.passed is False
    assert Fault.FAILING in old.faults
    assert [(each.number, each.failed) for each in old.attributes if each.failed] == [
        (5, "now"),
        (190, "past"),
    ]
    assert old.self_tests == (
        SelfTest("Extended offline", "Completed: read failure", passed=False, hours=61700),
    )


def test_unreadable_values_are_reported() -> None:
    assert "Self-test Log" in health("no-log").incomplete_reason


def test_nvme() -> None:
    well, worn = health("nvme"), health("nvme-worn")
    assert (well.protocol, well.passed, well.temperature, well.power_on_hours) == ("nvme", True, 42, 9001)
    assert well.spare == (100, 10)
    assert well.counters == {Counter.MEDIA: 0, Counter.WORN: 3}
    assert well.critical_warnings == ()
    assert worn.critical_warnings == ("it has become unreliable", "the media are read-only")
    assert (worn.spare, worn.counters[Counter.WORN]) == ((4, 10), 104)


def test_self_tests_of_nvme() -> None:
    tested, testing, bare = health("nvme-tested"), health("nvme-testing"), health("nvme")
    assert tested.self_tests == (
        SelfTest("Short", "Completed without error", passed=True, hours=8990),
        SelfTest("Extended", "Completed: failed segments", passed=False, hours=8400),
        SelfTest("Short", "Aborted: Controller Reset", passed=None, hours=8200),
    )
    assert (tested.test_remaining_percent, tested.test_minutes) == (None, (2, 0))
    assert (testing.self_tests, testing.test_remaining_percent, testing.test_minutes) == ((), 70, (2, 0))
    assert bare.test_minutes == (0, 0), "it has none, or smartctl is older"


def test_a_log_of_nvme_with_gaps_and_garbage_in_it() -> None:
    """smartctl puts entries where the drive has them, so that those that were never used are null."""
    good = {"self_test_code": {"string": "Short"}, "self_test_result": {"value": 0, "string": "Completed"}}
    answer = read_health(changed("nvme", nvme_self_test_log={"table": [None, good, 7, {}]}), WHEN)
    assert answer.self_tests == (
        SelfTest("Short", "Completed", passed=True, hours=None),
        SelfTest("unknown", "unknown", passed=None, hours=None),
    )


def test_sas() -> None:
    well, failing = health("sas"), health("sas-failing")
    assert (well.protocol, well.passed, well.temperature, well.temperature_limit) == ("scsi", True, 35, 85)
    assert well.counters == {
        Counter.REALLOCATED: 4,
        Counter.STARTS: 41,
        Counter.LOADS: 1710,
        Counter.UNCORRECTABLE: 0,
    }
    assert [(test.passed, test.hours) for test in well.self_tests] == [(True, 31100), (None, 30100)]
    assert well.test_minutes == (2, 760)
    assert (failing.passed, failing.counters[Counter.UNCORRECTABLE]) == (False, 7)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("asleep", "Device is in STANDBY mode"),
        ("unsupported", "has no SMART"),
        ("bridge-unknown", "Unknown USB bridge"),
        ("gone", "No such device"),
    ],
)
def test_unreadable_health_has_a_reason(name: str, why: str) -> None:
    with pytest.raises(UnreadableReportError, match=why):
        health(name)


def test_standby_is_distinguished_from_faults_by_the_messages_of_smartctl() -> None:
    assert [name for name, drive in DRIVES.items() if left_asleep(json.loads(drive.document()))] == ["asleep"]
    assert not left_asleep({})


@pytest.mark.parametrize("status", range(256))
def test_every_exit_status_is_decoded_bit_by_bit(status: int) -> None:
    document = json.loads(DRIVES["red"].document())
    document["smartctl"]["exit_status"] = status
    if status & 3:
        with pytest.raises(UnreadableReportError, match="could not query"):
            read_health(json.dumps(document).encode(), WHEN)
        return
    answer = read_health(json.dumps(document).encode(), WHEN)
    assert int(answer.faults) == status
    assert bool(answer.incomplete_reason) is bool(status & 4)


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b'{"smartctl": {"output": "text"}}', b"\xff\xfe", b"[" * 9999]
)
def test_what_is_no_answer_is_refused(document: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        read_health(document, WHEN)


def test_a_drive_without_health_data_is_not_called_healthy() -> None:
    with pytest.raises(UnreadableReportError, match="no health data"):
        read_health(changed("asleep", smartctl={"output": [], "exit_status": 0}), WHEN)


def test_lines_that_end_within_the_table_are_torn() -> None:
    document = json.loads(DRIVES["red"].document())
    lines = document["smartctl"]["output"]
    document["smartctl"]["output"] = lines[
        : lines.index("Vendor Specific SMART Attributes with Thresholds:") + 4
    ]
    with pytest.raises(UnreadableReportError, match="incomplete"):
        read_health(json.dumps(document).encode(), WHEN)


@settings(deadline=None)
@given(st.sampled_from(sorted(DRIVES)), st.integers(0, 100), st.integers(0, 100), st.text(max_size=12))
def test_cut_and_mutated_answers_are_read_or_refused(name: str, cut: int, where: int, text: str) -> None:
    document = json.loads(DRIVES[name].document())
    lines = document["smartctl"]["output"]
    log = lines[: len(lines) * cut // 100 + 1]
    n = (len(log) - 1) * where // 100
    middle = len(log[n]) * where // 100
    log[n] = log[n][:middle] + text + log[n][middle + len(text) :]
    document["smartctl"]["output"] = log
    for candidate in (json.dumps(document).encode(), json.dumps(document).encode()[: -1 - where]):
        with contextlib.suppress(UnreadableReportError):
            assert read_health(candidate, WHEN).checked_at == WHEN


def ssd_with(*rows: Row, celsius: int = 34, **answer: Any) -> Health:  # noqa: ANN401 - JSON
    drive = json.loads(ata("an SSD", rows, rpm=0, celsius=celsius).document())
    return read_health(json.dumps({**drive, **answer}).encode(), WHEN)


def test_wear_of_sata_and_sas_ssds() -> None:
    worn: Row = (177, "Wear_Leveling_Count", 1, 1, 0, "Pre-fail", "-", "2981")
    assert ssd_with(worn).counters[Counter.WORN] == 99
    assert ssd_with(endurance_used={"current_percent": 97}).counters[Counter.WORN] == 97
    assert health("ssd").counters[Counter.WORN] == 7
    for used in (
        {"endurance_used": {"current_percent": 97}},
        {"scsi_percentage_used_endurance_indicator": 97},
    ):
        sas = read_health(changed("sas", rotation_rate=0, **used), WHEN)
        assert (sas.counters[Counter.WORN], sas.solid_state) == (97, True)
    assert (
        Counter.WORN not in read_health(changed("red", endurance_used={"current_percent": 97}), WHEN).counters
    )
    for absurd in (-1, 256):
        sas = read_health(changed("sas", rotation_rate=0, endurance_used={"current_percent": absurd}), WHEN)
        assert Counter.WORN not in sas.counters


@pytest.mark.parametrize(("value", "used"), [("117", 117), ("  0", 7), ("255", 7), ("  -", 7)])
def test_wear_by_the_device_statistics(value: str, used: int) -> None:
    document = json.loads(DRIVES["ssd"].document())
    document["smartctl"]["output"] += [
        "Device Statistics (GP Log 0x04)",
        "Page  Offset Size        Value Flags Description",
        "0x07  =====  =               =  ===  == Solid State Device Statistics (rev 1) ==",
        f"0x07  0x008  1             {value}  N--  Percentage Used Endurance Indicator",
        "",
    ]
    assert read_health(json.dumps(document).encode(), WHEN).counters[Counter.WORN] == used


@pytest.mark.parametrize(
    ("name", "answer", "solid"),
    [
        ("red", {}, False),
        ("red", {"rotation_rate": None}, False),
        ("red", {"rotation_rate": 0}, True),
        ("ssd", {}, True),
        ("ssd", {"rotation_rate": None}, True),
        ("nvme", {}, True),
        ("sas", {}, False),
    ],
)
def test_whether_a_drive_has_a_spindle(name: str, answer: dict[str, object], *, solid: bool) -> None:
    assert read_health(changed(name, **answer), WHEN).solid_state is solid


@pytest.mark.parametrize(
    ("name", "loads"), [("red", 600_000), ("smr-testing", 300_000), ("sas", 600_000), ("ssd", 0)]
)
def test_head_loads_that_the_drive_is_rated_for(name: str, loads: int) -> None:
    assert health(name).rated_loads == loads


@pytest.mark.parametrize(
    ("name", "answer", "celsius"),
    [
        ("seagate", {"temperature": {}}, 31),
        ("seagate", {"temperature": {"current": 128}}, 31),
        ("seagate", {"temperature": {"current": 0}}, 31),
        ("sas", {"temperature": {"current": 0, "drive_trip": 0}}, 35),
        ("nvme", {"temperature": {"current": -273}}, 42),
    ],
)
def test_a_temperature_that_no_drive_has_is_replaced_by_that_of_the_lines(
    name: str, answer: dict[str, object], celsius: int
) -> None:
    assert read_health(changed(name, **answer), WHEN).temperature == celsius


def test_values_that_no_drive_has_are_unknown() -> None:
    odd = ssd_with(
        (194, "Temperature_Celsius", 100, 100, 0, "Old_age", "-", "128 (0 127 0 129 0)"),
        celsius=128,
        power_on_time={"hours": 7561256},
    )
    assert (odd.temperature, odd.power_on_hours, odd.temperature_limit) == (None, None, None)


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        ({"temperature": {"op_limit_max": 70}}, 70),
        ({"temperature": {"drive_trip": 65}}, 65),
        ({"temperature": {"drive_trip": 0}}, None),
        ({"temperature": {"op_limit_max": -128, "drive_trip": 68}}, 68),
    ],
)
def test_the_drive_s_own_temperature_limit(answer: dict[str, object], limit: int | None) -> None:
    assert read_health(changed("red", **answer), WHEN).temperature_limit == limit


def test_the_temperature_limit_of_nvme_is_in_the_lines() -> None:
    document = json.loads(DRIVES["nvme"].document())
    document["smartctl"]["output"].insert(8, "Warning  Comp. Temp. Threshold:     84 Celsius")
    assert read_health(json.dumps(document).encode(), WHEN).temperature_limit == 84


@pytest.mark.parametrize(
    ("kind", "status", "passed"),
    [
        ("Short offline", "Unknown status (0xb)", None),
        ("Short offline", "Unknown status (0xe)", None),
        ("Vendor (0x50)", "Fatal or unknown error", None),
        ("Vendor (0xff)", "Completed without error", None),
        ("Reserved (0x06)", "Completed: read failure", None),
        ("Extended offline", "Fatal or unknown error", False),
        ("Extended offline", "Completed: unknown failure", False),
        ("Extended offline", "Completed: electrical failure", False),
        ("Conveyance offline", "Completed: servo/seek failure", False),
        ("Selective offline", "Completed: handling damage??", False),
        ("Short captive", "Completed without error", True),
        ("Short offline", "Interrupted (host reset)", None),
    ],
)
def test_reserved_results_of_self_tests_say_nothing(kind: str, status: str, passed: bool | None) -> None:  # noqa: FBT001 - a table's column
    drive = ata("a drive", (), log=((kind, status, "00%", 100, "-"),))
    (test,) = read_health(drive.document(), WHEN).self_tests
    assert (test.kind, test.status, test.passed) == (kind, status, passed)


def test_the_hours_of_the_self_test_log_begin_again_after_65536() -> None:
    rows: tuple[Row, ...] = ((9, "Power_On_Hours", 1, 1, 0, "Old_age", "-", "70000"),)
    failed = ("Extended offline", "Completed: read failure", "90%", 4400, "1953514584")
    (test,) = read_health(ata("a drive", rows, log=(failed,)).document(), WHEN).self_tests
    assert (test.passed, test.hours) == (False, 69936)


@pytest.mark.parametrize("threshold", [100, 255])
def test_a_spare_threshold_that_warns_from_the_beginning_is_none(threshold: int) -> None:
    document = json.loads(DRIVES["nvme"].document())
    output = document["smartctl"]["output"]
    n = next(n for n, line in enumerate(output) if line.startswith("Available Spare Threshold"))
    output[n] = f"Available Spare Threshold:          {threshold}%"
    assert read_health(json.dumps(document).encode(), WHEN).spare is None


@pytest.mark.parametrize(
    ("severities", "reason"),
    [
        (("error", "warning"), "first"),
        (("warning", "error"), "second"),
        (("error", "error"), "second"),
        (("warning", "information"), "second"),
    ],
)
def test_the_error_is_the_reason_and_not_a_warning(severities: tuple[str, str], reason: str) -> None:
    messages = [
        {"string": text, "severity": severity}
        for text, severity in zip(("first", "second"), severities, strict=True)
    ]
    report = {"output": [], "exit_status": 2, "messages": messages}
    with pytest.raises(UnreadableReportError, match=reason):
        read_health(changed("gone", smartctl=report), WHEN)


def test_smart_that_is_switched_off_says_how_to_switch_it_on() -> None:
    off = {"available": True, "enabled": False}
    silent = {**json.loads(DRIVES["asleep"].document()), "smart_support": off}
    silent["smartctl"] = {"output": ["SMART support is: Disabled"], "exit_status": 4}
    with pytest.raises(UnreadableReportError, match=r"switched off.*smartctl --smart=on"):
        read_health(json.dumps(silent).encode(), WHEN)
    assert read_health(changed("sas", smart_support=off), WHEN).passed is True, "it reports nevertheless"
