from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, cycle, islice, pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.smart.counters import RATED_LOADS
from powerd.smart.findings import findings_of, new_findings, standing_findings
from powerd.smart.model import (
    NVME_WARNINGS,
    Attribute,
    Counter,
    Fault,
    Finding,
    Health,
    Sample,
    SelfTest,
    Severity,
)

DAY = 86400.0
WELL = Health(checked_at=100 * DAY, protocol="ata", passed=True)
WELL_NVME = replace(WELL, protocol="nvme", spare=(100, 10))


def counting(health: Health = WELL, /, **counters: int) -> Health:
    return replace(health, counters={Counter(name): count for name, count in counters.items()})


def later(health: Health, days: float = 1) -> Health:
    return replace(health, checked_at=health.checked_at + days * DAY)


def attribute(failed: Literal["now", "past"] | None, *, prefail: bool = True) -> Attribute:
    return Attribute(
        5,
        "Reallocated_Sector_Ct",
        1,
        1,
        36,
        "4095",
        prefail,
        "now" if failed == "now" else "past" if failed else None,
    )


def test_a_drive_that_is_well_gives_nothing() -> None:
    assert findings_of(None, WELL) == ()
    assert findings_of(WELL, later(WELL)) == ()
    assert findings_of(None, WELL_NVME) == ()


@pytest.mark.parametrize("health", [replace(WELL, passed=False), replace(WELL, faults=Fault.FAILING)])
def test_a_failed_health_status_is_an_alarm_each_time(health: Health) -> None:
    (finding,) = findings_of(health, later(health))
    assert finding.kind == "verdict"
    assert finding.severity is Severity.ALARM
    assert "failing" in finding.text
    assert "replace it" in finding.advice


@pytest.mark.parametrize(
    ("counter", "severity", "text"),
    [
        ("reallocated", Severity.WARNING, "it has replaced 2 more bad sectors, 3 in all"),
        ("pending", Severity.ALARM, "2 more sectors cannot be read, 3 in all"),
        ("uncorrectable", Severity.ALARM, "its own scan could not read 2 more sectors, 3 in all"),
        ("reported", Severity.ALARM, "it could not read requested data 2 more times, 3 in all"),
        ("crc", Severity.WARNING, "2 more transfers arrived damaged, 3 in all"),
        ("media", Severity.ALARM, "it has found 2 more blocks damaged, 3 in all"),
        ("errors", Severity.NOTE, "its error log has 2 more entries, 3 in all"),
    ],
)
def test_growth_is_reported_with_its_weight(counter: str, severity: Severity, text: str) -> None:
    (finding,) = findings_of(counting(**{counter: 1}), later(counting(**{counter: 3})))
    assert (finding.kind, finding.severity, finding.text) == (counter, severity, text)
    assert finding.advice


def test_an_increment_of_one_is_worded_in_the_singular() -> None:
    (finding,) = findings_of(counting(pending=0), later(counting(pending=1)))
    assert "one more sector " in finding.text


def test_an_old_count_is_reported_once_and_is_no_alarm() -> None:
    old = counting(reallocated=8)
    (finding,) = findings_of(None, old)
    assert finding.severity is Severity.WARNING
    assert " 8 " in finding.text
    assert findings_of(old, later(old)) == ()


@pytest.mark.parametrize("counter", ["pending", "uncorrectable"])
def test_sectors_that_cannot_be_read_are_shown_while_there_are_any_and_reported_once(counter: str) -> None:
    """The drive is not well the day after, although nothing has grown."""
    old = counting(**{counter: 8})
    first, standing = findings_of(None, old), findings_of(old, later(old))
    assert standing == first
    assert [finding.severity for finding in standing] == [Severity.WARNING]
    more = later(counting(**{counter: 9}), 2)
    grown = findings_of(old, more)
    assert [finding.severity for finding in new_findings(standing, grown)] == [Severity.ALARM]
    assert new_findings(grown, findings_of(more, later(more))) == (), "less severe than the reported finding"


def test_a_count_that_falls_is_no_finding() -> None:
    assert findings_of(counting(pending=8), later(counting(pending=0))) == ()


def test_an_attribute_at_its_threshold_fails_now() -> None:
    failing = replace(WELL, attributes=(attribute("now"),))
    (finding,) = findings_of(failing, later(failing))
    assert finding.severity is Severity.ALARM
    assert finding.text.startswith("Reallocated Sector Ct (5)")
    assert " 36," in finding.text
    (aged,) = findings_of(None, replace(WELL, attributes=(attribute("now", prefail=False),)))
    assert aged.severity is Severity.WARNING


def test_a_failing_attribute_whose_value_drifts_is_reported_once() -> None:
    """Such as the temperature of the air around it, which is another one each day."""
    days = [
        replace(
            WELL, checked_at=n * DAY, attributes=(replace(attribute("now"), value=value, raw=str(value)),)
        )
        for n, value in enumerate((36, 35, 36, 20, 1))
    ]
    report: tuple[Finding, ...] = ()
    news_of_each_day = []
    for before, now in zip([None, *days], days, strict=False):
        found = findings_of(before, now)
        news_of_each_day.append(len(new_findings(report, found)))
        report = found
    assert news_of_each_day == [1, 0, 0, 0, 0]


def test_an_attribute_that_failed_in_the_past_is_reported_once() -> None:
    past = replace(WELL, attributes=(attribute("past"),))
    (finding,) = findings_of(replace(WELL, attributes=(attribute(None),)), past)
    assert finding.severity is Severity.NOTE
    assert findings_of(past, later(past)) == ()


def test_a_failed_self_test_is_reported_when_it_is_new() -> None:
    good = SelfTest("Short offline", "Completed without error", passed=True, hours=10)
    bad = SelfTest("Extended offline", "Completed: read failure", passed=False, hours=20)
    before, now = replace(WELL, self_tests=(good,)), replace(WELL, self_tests=(bad, good))
    (finding,) = findings_of(before, later(now))
    assert finding.severity is Severity.ALARM
    assert finding.text.endswith(f"{bad.kind}: {bad.status}")
    assert "at 20 hours" in finding.text
    assert findings_of(now, later(now)) == ()
    (first,) = findings_of(None, now)
    assert first.severity is Severity.WARNING


def test_a_full_self_test_log_that_has_moved_on_by_one_holds_one_new_entry() -> None:
    def entry(n: int, *, passed: bool = True) -> SelfTest:
        return SelfTest("Short offline", "read failure", passed=passed, hours=n)

    old = tuple(entry(n, passed=n != 5) for n in range(21, 0, -1))
    now = (entry(22), *old[:-1])
    assert findings_of(replace(WELL, self_tests=old), replace(WELL, self_tests=now)) == ()
    untimed = replace(entry(22, passed=False), hours=None)
    (finding,) = findings_of(replace(WELL, self_tests=old), replace(WELL, self_tests=(untimed, *old[:-1])))
    assert finding.text.endswith("failed: Short offline: read failure")


def test_a_self_test_log_that_was_cleared_and_has_new_entries() -> None:
    good = SelfTest("Short offline", "Completed without error", passed=True, hours=10)
    bad = SelfTest("Short offline", "Completed: read failure", passed=False, hours=99)
    (finding,) = findings_of(replace(WELL, self_tests=(good,)), replace(WELL, self_tests=(bad,)))
    assert finding.kind == "self-test"


@pytest.mark.parametrize(
    ("health", "warm"),
    [
        (replace(WELL, temperature=54), False),
        (replace(WELL, temperature=55), True),
        (replace(WELL, temperature=59, temperature_limit=60), False),
        (replace(WELL, temperature=61, temperature_limit=60), True),
        (replace(WELL, temperature=69, solid_state=True), False),
        (replace(WELL, temperature=70, solid_state=True), True),
        (replace(WELL, temperature=79, temperature_limit=85, solid_state=True), False),
        (replace(WELL, protocol="scsi", temperature=59), False),
        (replace(WELL, protocol="scsi", temperature=60), True),
        (replace(WELL, protocol="scsi", temperature=64, temperature_limit=65), False),
        (replace(WELL_NVME, temperature=70), False),
        (replace(WELL_NVME, temperature=80), True),
    ],
)
def test_temperature_is_compared_with_the_drive_s_own_limit_or_that_of_its_kind(
    health: Health,
    warm: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    assert [finding.kind for finding in findings_of(None, health)] == ["temperature"] * warm


def test_heat_is_one_finding_however_hot() -> None:
    assert findings_of(None, replace(WELL, temperature=56)) == findings_of(
        None, replace(WELL, temperature=57)
    )


@pytest.mark.parametrize(
    ("rated", "loads", "expected"),
    [(0, 300_000, True), (600_000, 310_000, False), (600_000, 600_000, True), (0, 299_999, False)],
)
def test_heads_loaded_more_often_than_they_are_rated_for(rated: int, loads: int, *, expected: bool) -> None:
    found = findings_of(None, replace(counting(loads=loads), rated_loads=rated))
    assert [finding.kind for finding in found] == ["loads"] * expected
    assert all(f"{rated or RATED_LOADS:,} times" in finding.text for finding in found)


def loading(*per_day: int, every: int = 1, start: int = 30_000) -> tuple[Sample, ...]:
    """Samples every ``step`` days, with this number of head loads a day since the one before."""
    totals = accumulate((loads * every for loads in per_day), initial=start)
    return tuple(
        Sample(n * every * DAY, True, None, {Counter.LOADS: total})  # noqa: FBT003 - a row
        for n, total in enumerate(totals)
    )


def loads_too_often(samples: tuple[Sample, ...]) -> bool:
    now = replace(WELL, checked_at=samples[-1].checked_at, counters=samples[-1].counters)
    return "loads" in {finding.kind for finding in findings_of(None, now, samples)}


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (loading(*[3000] * 7), True),  # 76 days and 234,000 loads: the drive of a well-known complaint
        (loading(3000, every=7), True),
        (loading(*[100] * 7), False),
        (loading(*[3000] * 6), False),  # too soon to tell a rate
        (loading(*[10] * 20, 2000, *[10] * 20), False),  # one day of much use
        (loading(*[300] * 20, start=200_000), True),  # fewer are left
        (loading(*[0] * 20, -29_000), False),
        (loading(*[3000] * 20, *[0] * 20), True),
        (loading(*[3000] * 20, *[0] * 61), False),  # it is over
    ],
)
def test_heads_that_are_loaded_too_often_are_reported_in_time(
    samples: tuple[Sample, ...], *, expected: bool
) -> None:
    assert loads_too_often(samples) is expected


@pytest.mark.parametrize("week", [(500, 0), (240, 251), (0, 0, 0, 0, 0, 860, 860), (2000, 0, 0, 0, 0, 0, 0)])
def test_a_rate_of_head_loads_about_the_limit_is_reported_once(week: tuple[int, ...]) -> None:
    """More on one day than on another: three years of 246 a day are left."""
    year = loading(*islice(cycle(week), 300))
    notes = [loads_too_often(year[: n + 1]) for n in range(len(year))]
    assert notes == sorted(notes)


@pytest.mark.parametrize(
    ("bit", "kind", "severity"),
    [
        (0, "spare", Severity.ALARM),
        (1, "temperature", Severity.WARNING),
        (2, "unreliable", Severity.ALARM),
        (3, "read-only", Severity.ALARM),
        (4, "power-loss", Severity.WARNING),
        (5, "persistent-memory", Severity.WARNING),
    ],
)
def test_each_bit_of_the_critical_warning_is_one_finding_of_its_own(
    bit: int, kind: str, severity: Severity
) -> None:
    """The drive calls itself failed for any of them, also for heat."""
    warned = replace(WELL_NVME, passed=False, faults=Fault.FAILING, critical_warnings=(NVME_WARNINGS[bit],))
    (finding,) = findings_of(None, replace(warned, temperature=83))[:1]
    assert (finding.kind, finding.severity) == (kind, severity)
    assert [each.kind for each in findings_of(None, warned)] == [kind]
    assert ("replace it" in finding.advice) is (severity is Severity.ALARM or bit == 5)


def test_heat_that_the_drive_warns_of_is_reported_once() -> None:
    hot = replace(
        WELL_NVME, passed=False, faults=Fault.FAILING, critical_warnings=(NVME_WARNINGS[1],), temperature=83
    )
    (finding,) = findings_of(None, hot)
    assert (finding.kind, finding.severity) == ("temperature", Severity.WARNING)
    assert "cooling" in finding.advice


def test_a_failed_nvme_drive_without_a_known_warning_is_an_alarm() -> None:
    (finding,) = findings_of(None, replace(WELL_NVME, passed=False))
    assert (finding.kind, finding.severity) == ("verdict", Severity.ALARM)


def test_few_spare_blocks_are_one_finding() -> None:
    warned = replace(WELL_NVME, spare=(9, 10), critical_warnings=(NVME_WARNINGS[0],))
    (spare,) = findings_of(None, warned)
    assert spare.text.startswith("9 %")
    assert spare.text.endswith("10 %")
    assert findings_of(None, replace(warned, critical_warnings=())) == (spare,)


@pytest.mark.parametrize(
    ("worn", "severity"),
    [(89, None), (90, Severity.NOTE), (98, Severity.NOTE), (99, Severity.WARNING), (255, Severity.WARNING)],
)
@pytest.mark.parametrize("protocol", ["ata", "scsi", "nvme"])
def test_wear_is_reported_for_every_kind_of_ssd(
    worn: int, severity: Severity | None, protocol: Literal["ata", "scsi", "nvme"]
) -> None:
    drive = replace(counting(worn=worn), protocol=protocol, solid_state=True)
    assert [each.severity for each in findings_of(None, drive)] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("name", "prefail", "word"),
    [
        ("Temperature_Celsius", False, "cooling"),
        ("Airflow_Temperature_Cel", True, "cooling"),
        ("UDMA_CRC_Error_Count", True, "cable"),
        ("Load_Cycle_Count", False, "APM"),
        ("Spin_Retry_Count", True, "power supply"),
        ("End-to-End_Error", False, "backup"),
        ("Wear_Leveling_Count", False, "worn"),
        ("Power_On_Hours", False, "old"),
        ("Reallocated_Sector_Ct", True, "replace it"),
        ("Unknown_Attribute", False, "maker"),
    ],
)
def test_the_advice_fits_the_attribute(name: str, word: str, *, prefail: bool) -> None:
    failing = replace(attribute("now", prefail=prefail), name=name)
    (finding,) = findings_of(None, replace(WELL, attributes=(failing,)))
    assert word in finding.advice
    (past,) = findings_of(None, replace(WELL, attributes=(replace(failing, failed="past"),)))
    assert past.severity is Severity.NOTE
    assert word in past.advice or word == "replace it"


def test_a_drive_that_is_hot_by_its_attribute_and_its_limit_is_reported_once() -> None:
    failing = Attribute(194, "Temperature_Celsius", 47, 21, 50, "53", prefail=False, failed="now")
    hot = replace(WELL, temperature=53, attributes=(failing,))
    assert [each.kind for each in findings_of(None, hot)] == ["temperature"]
    assert [each.kind for each in findings_of(None, replace(hot, temperature=57))] == ["temperature"]


def test_only_growth_of_a_scsi_drive_s_errors_is_reported() -> None:
    old = replace(counting(uncorrectable=536), protocol="scsi")
    assert findings_of(None, old) == findings_of(old, later(old)) == ()
    (grown,) = findings_of(old, later(replace(old, counters={Counter.UNCORRECTABLE: 538})))
    assert grown.severity is Severity.ALARM
    assert "2 more" in grown.text
    assert "538 in all" in grown.text


@pytest.mark.parametrize(
    ("counter", "severity"), [("reallocated", Severity.WARNING), ("uncorrectable", Severity.ALARM)]
)
def test_an_ssd_s_old_counts_are_notes_and_their_growth_is_not(counter: str, severity: Severity) -> None:
    old = replace(counting(**{counter: 3}), solid_state=True)
    assert [each.severity for each in findings_of(None, old)] == [Severity.NOTE]
    assert findings_of(old, later(old)) == ()
    grown = later(replace(old, counters={Counter(counter): 4}))
    assert [each.severity for each in findings_of(old, grown)] == [severity]


def test_old_transfer_errors_are_a_note() -> None:
    assert [each.severity for each in findings_of(None, counting(crc=700))] == [Severity.NOTE]


@pytest.mark.parametrize(
    ("kind", "expected"), [("Short offline", True), ("Conveyance offline", True), ("Extended offline", False)]
)
def test_a_failed_extended_self_test_is_outdated_by_one_that_has_passed_since(
    kind: str, *, expected: bool
) -> None:
    failed = SelfTest("Extended offline", "Completed: read failure", passed=False, hours=20)
    since = SelfTest(kind, "Completed without error", passed=True, hours=30)
    found = findings_of(None, replace(WELL, self_tests=(since, failed)))
    assert [each.kind for each in found] == ["self-test"] * expected
    short = replace(failed, kind="Short offline")
    assert bool(findings_of(None, replace(WELL, self_tests=(since, short)))) is (kind == "Conveyance offline")


def wearing(*worn: int, every: float = 1) -> tuple[Sample, ...]:
    """Samples of these percentages used up, at this interval of days."""
    return tuple(
        Sample(n * every * DAY, True, None, {Counter.WORN: percent})  # noqa: FBT003 - a row
        for n, percent in enumerate(worn)
    )


def worn_by(samples: tuple[Sample, ...]) -> bool:
    now = replace(WELL_NVME, checked_at=samples[-1].checked_at, counters=samples[-1].counters)
    return "wear" in {finding.kind for finding in findings_of(None, now, samples)}


@pytest.mark.parametrize(
    ("samples", "fast"),
    [
        (wearing(10), False),
        (wearing(10, 15), False),
        (wearing(10, 16), True),
        (wearing(10, 16, every=30), True),
        (wearing(10, 16, every=31), False),
        (wearing(16, 10), False),
        (wearing(10, 10, 16, 16, 16, every=15), True),
        (wearing(10, 16, 16, 16, 16, every=20), False),
    ],
)
def test_wear_that_goes_on_fast_is_reported(samples: tuple[Sample, ...], *, fast: bool) -> None:
    assert worn_by(samples) is fast


def test_wear_about_the_limit_is_reported_once() -> None:
    """A percent every 5.4 days: five or six within any month, by turns."""
    year = wearing(*(int(day / 5.4) for day in range(365)))
    report = [worn_by(year[: n + 1]) for n in range(len(year))]
    assert report == sorted(report)
    assert report[-1]
    assert not worn_by((*(replace(each, counters={}) for each in year), year[-1]))


def test_what_could_not_be_read_is_a_note() -> None:
    (finding,) = findings_of(None, replace(WELL, incomplete_reason="its self-test log cannot be read"))
    assert (finding.kind, finding.severity) == ("partial", Severity.NOTE)


def test_the_weightiest_comes_first() -> None:
    bad = replace(counting(crc=5, errors=3), passed=False)
    severities = [finding.severity for finding in findings_of(None, bad)]
    assert severities == sorted(severities, reverse=True)
    assert severities[0] is Severity.ALARM


def test_only_unreported_findings_are_new() -> None:
    old = Finding("worn", Severity.NOTE, "90 %", "")
    graver = replace(old, severity=Severity.WARNING)
    assert new_findings((old,), (old,)) == ()
    assert new_findings((old,), (graver,)) == (graver,)
    assert new_findings((), (old,)) == (old,)


REPLACED = Finding("reallocated", Severity.WARNING, "it has replaced 12 bad sectors so far", "check")
HOT = Finding("temperature", Severity.WARNING, "it is at 55 °C or more", "air")
LOGGED = Finding("errors", Severity.NOTE, "its error log has one entry", "look")


def test_a_finding_stands_until_it_is_acknowledged() -> None:
    first, _ = standing_findings((REPLACED, LOGGED), (), ())
    assert first == (REPLACED, LOGGED)
    next_day, acknowledged = standing_findings((), first, ())
    assert (next_day, acknowledged) == ((REPLACED,), frozenset()), "a note does not stand"
    assert new_findings(first, next_day) == ()
    assert standing_findings((), next_day, {"reallocated"}) == ((), frozenset())


def test_an_acknowledged_finding_that_the_drive_still_has_is_shown_and_quiet() -> None:
    stands, quiet = standing_findings((HOT,), (HOT,), {"temperature"})
    assert stands == (HOT,)
    assert quiet == {"temperature"}
    assert new_findings((HOT,), stands) == ()
    cool, _ = standing_findings((), stands, quiet)
    assert cool == ()
    again, quiet = standing_findings((HOT,), cool, ())
    assert (new_findings(cool, again), quiet) == ((HOT,), frozenset())


def test_an_acknowledged_finding_that_grows_is_a_new_one() -> None:
    more = replace(REPLACED, text="it has replaced 2 more bad sectors, 14 in all")
    graver = replace(REPLACED, severity=Severity.ALARM)
    for changed in (more, graver):
        stands, quiet = standing_findings((changed,), (REPLACED,), {"reallocated"})
        assert (stands, quiet) == ((changed,), frozenset())
        assert new_findings((REPLACED,), stands) == (changed,)


def test_growth_that_was_acknowledged_stays_so_while_its_count_stands() -> None:
    """The next check of unreadable sectors finds the same number, less gravely."""
    before, grown = counting(pending=8), later(counting(pending=9))
    alarm = findings_of(before, grown)
    warning = findings_of(grown, later(grown))
    assert (alarm[0].severity, warning[0].severity) == (Severity.ALARM, Severity.WARNING)
    assert standing_findings(warning, alarm, ())[0] == alarm, "without it the alarm stands"
    stands, quiet = standing_findings(warning, alarm, {"pending"})
    assert stands == warning
    assert quiet == {"pending"}
    assert new_findings(alarm, stands) == ()
    assert standing_findings(warning, stands, quiet) == (stands, quiet)
    worse = findings_of(grown, later(counting(pending=10), 2))
    assert standing_findings(worse, stands, quiet) == (worse, frozenset())


@pytest.mark.parametrize("counter", ["pending", "uncorrectable"])
@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("counts", [(8, 7, 6, 5), (2, 1), (12_000, 9_999), (2, 1, 1)])
def test_a_count_that_falls_is_no_news(
    counter: str,
    counts: tuple[int, ...],
    acknowledged: bool,  # noqa: FBT001 - a table's column
) -> None:
    days = [later(counting(**{counter: count}), day) for day, count in enumerate(counts)]
    stands, quiet = findings_of(None, days[0]), frozenset({counter} if acknowledged else ())
    for before, now in pairwise(days):
        known = stands
        stands, quiet = standing_findings(findings_of(before, now), known, quiet)
        assert new_findings(known, stands) == ()
        assert quiet == ({counter} if acknowledged else frozenset())
    assert stands == findings_of(None, days[-1]), "the present count is shown"
    more = later(counting(**{counter: counts[-1] + 1}), len(days))
    grown, quiet = standing_findings(findings_of(days[-1], more), stands, quiet)
    assert new_findings(stands, grown) == grown != ()
    assert quiet == frozenset()


def test_a_count_that_grew_while_no_check_was_known_is_news() -> None:
    stands, more = findings_of(None, counting(pending=8)), findings_of(None, counting(pending=12))
    assert standing_findings(more, stands, {"pending"}) == (more, frozenset())
    assert new_findings(stands, more) == more


counters = st.dictionaries(st.sampled_from(list(Counter)), st.integers(0, 1 << 40))
texts = st.text(max_size=10)
attributes = st.builds(
    Attribute,
    st.integers(0, 255),
    texts,
    st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 255),
    st.none() | st.integers(0, 255),
    texts,
    st.booleans(),
    st.sampled_from(["now", "past", None]),
)
tests = st.builds(SelfTest, texts, texts, st.none() | st.booleans(), st.none() | st.integers(0, 9))
healths = st.builds(
    Health,
    checked_at=st.floats(0, 1e10),
    protocol=st.sampled_from(["ata", "nvme", "scsi"]),
    passed=st.none() | st.booleans(),
    faults=st.integers(0, 255).map(Fault),
    temperature=st.none() | st.integers(-50, 200),
    temperature_limit=st.none() | st.integers(1, 100),
    counters=counters,
    attributes=st.lists(attributes, max_size=4).map(tuple),
    critical_warnings=st.lists(st.sampled_from(NVME_WARNINGS) | texts, max_size=2).map(tuple),
    solid_state=st.none() | st.booleans(),
    spare=st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    self_tests=st.lists(
        st.builds(SelfTest, texts, texts, st.none() | st.booleans(), st.none() | st.integers(0, 9)),
        max_size=5,
    ).map(tuple),
    incomplete_reason=texts,
)


@given(st.none() | healths, healths)
def test_any_two_checks_can_be_compared(before: Health | None, now: Health) -> None:
    findings = findings_of(before, now)
    assert all(finding.text and finding.advice for finding in findings)


@given(healths)
def test_what_is_past_is_not_reported_again_by_an_unchanged_drive(health: Health) -> None:
    standing = {
        *("verdict", "temperature", "spare", "worn", "loads", "partial", "pending", "uncorrectable"),
        *("unreliable", "read-only", "power-loss", "persistent-memory"),
    }
    for finding in findings_of(health, later(health)):
        assert finding.kind in standing or finding.kind.startswith(("attribute ", "critical "))


@given(st.none() | healths, healths)
def test_no_finding_is_news_twice(before: Health | None, now: Health) -> None:
    findings = findings_of(before, now)
    assert new_findings(findings, findings) == ()


some_findings = st.lists(
    st.builds(
        Finding, st.sampled_from("abc"), st.sampled_from(Severity), st.sampled_from("xy"), st.just("advice")
    ),
    max_size=3,
    unique_by=lambda finding: finding.kind,
).map(tuple)
kinds = st.frozensets(st.sampled_from("abc"))


@given(some_findings, some_findings, kinds)
def test_what_stands_is_stable_and_loses_no_warning(
    current: tuple[Finding, ...], known: tuple[Finding, ...], acknowledged: frozenset[str]
) -> None:
    stands, quiet = standing_findings(current, known, acknowledged)
    assert standing_findings(current, stands, quiet) == (stands, quiet)
    worst = {finding.kind: finding.severity for finding in stands}
    assert all(worst[finding.kind] >= finding.severity for finding in current)
    assert all(
        worst[finding.kind] >= finding.severity
        for finding in known
        if finding.severity >= Severity.WARNING and finding.kind not in acknowledged
    )
    assert quiet <= acknowledged & worst.keys()
