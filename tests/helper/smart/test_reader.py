from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from helper.smart.smartctl_drives import DRIVES
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.helper.smart.pysmart_tables import UnreadableReportError
from powerd.helper.smart.reader import left_asleep, read_health
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
    assert health("no-log").incomplete_reason.endswith(
        "Read SMART Self-test Log failed: scsi error aborted command"
    )


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
        with pytest.raises(UnreadableReportError, match="could not ask"):
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
    with pytest.raises(UnreadableReportError, match="tells nothing"):
        read_health(changed("asleep", smartctl={"output": [], "exit_status": 0}), WHEN)


def test_lines_that_end_within_the_table_are_torn() -> None:
    document = json.loads(DRIVES["red"].document())
    lines = document["smartctl"]["output"]
    document["smartctl"]["output"] = lines[
        : lines.index("Vendor Specific SMART Attributes with Thresholds:") + 4
    ]
    with pytest.raises(UnreadableReportError, match="torn"):
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
