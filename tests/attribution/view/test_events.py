"""Journal entries of who has woken a disk."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ui.statuses import HOSTILE_NAME
from ui.wake_statuses import CONTAINER, CRON, LONG_PATH, SDA, access, wake, watched

from powerd.attribution.model import Access, AttributionReport, Culprit, Wake
from powerd.attribution.view.events import wake_events
from powerd.core.snapshot import Status
from powerd.ui.events import TransitionDetector
from powerd.ui.journal import JournalEntry


def reported(*wakes: Wake) -> Status:
    return watched(AttributionReport({SDA: wakes}))


def entries(before: Status | None, after: Status) -> list[JournalEntry]:
    return list(wake_events(before, after))


READ = wake(60.0, access(path="/var/spool/cron/crontabs"))


@pytest.mark.parametrize(
    ("given", "terms"),
    [
        (READ, ["sda", "cron.service", "50 min", "cron 812", "read", "/var/spool/cron/crontabs"]),
        (
            wake(60.0, access(CONTAINER, operation="write", certainty="likely"), "joined", None),
            ["container web", "postgres 99", "write", "likely", "joined"],
        ),
        (
            wake(60.0, access(Culprit("smbd.service"), operation="", certainty="likely")),
            ["smbd.service", "likely"],
        ),
        (wake(60.0, access(CRON, operation="command", own=True)), ["powerd itself", "command"]),
        (
            wake(60.0, access(Culprit(), "/srv/photos/1.jpg", certainty="likely")),
            ["unknown", "/srv/photos/1.jpg"],
        ),
    ],
)
def test_messages(given: Wake, terms: list[str]) -> None:
    """Their wording is in tests/ui/golden/transitions.txt."""
    (entry,) = entries(reported(), reported(given))
    assert all(term in entry.message for term in terms)
    assert ("after" in entry.message) is (given.slept_for is not None)
    assert "certain" not in entry.message


def test_fields() -> None:
    (entry,) = entries(reported(), reported(READ))
    fields = dict(entry.fields)
    assert fields.pop("MESSAGE_ID")
    assert fields == {
        "POWERD_EVENT": "disk-wake",
        "POWERD_DISK": SDA,
        "POWERD_SUBJECT": "sda",
        "POWERD_REASON": "cron.service",
        "POWERD_UNIT": "cron.service",
        "POWERD_PROCESS": "cron 812",
        "POWERD_PATH": "/var/spool/cron/crontabs",
    }


def test_a_wake_is_reported_once_and_only_when_its_culprit_is_known() -> None:
    unknown = replace(READ, access=None)
    assert entries(None, reported(READ)) == [], "the record of an earlier run"
    assert entries(reported(), reported(unknown)) == []
    nobody = wake(60.0, Access(SDA, Culprit()))
    assert entries(reported(), reported(nobody)) == []
    assert len(entries(reported(unknown), reported(READ))) == 1
    assert entries(reported(READ), reported(READ)) == []
    later = wake(0.0, access())
    assert len(entries(reported(READ), reported(later, READ))) == 1
    assert entries(reported(later, READ), reported(later)) == [], "the oldest are dropped"


def test_the_journal_has_them() -> None:
    detector = TransitionDetector()
    detector.entries(reported())
    assert "disk-wake" in [entry.fields["POWERD_EVENT"] for entry in detector.entries(reported(READ))]


def test_several_are_reported_in_the_order_of_time() -> None:
    later = wake(0.0, access(CONTAINER))
    reasons = [entry.fields["POWERD_REASON"] for entry in entries(reported(), reported(later, READ))]
    assert reasons == [CRON.unit, CONTAINER.owner]


@pytest.mark.parametrize("path", [HOSTILE_NAME, LONG_PATH, "/\u202e/\ud800\x1b[2J"])
def test_hostile_texts_stay_on_a_line_of_bounded_length(path: str) -> None:
    culprit = Culprit(HOSTILE_NAME, HOSTILE_NAME, 1)
    given = wake(1.0, access(culprit, path), HOSTILE_NAME)
    (entry,) = entries(reported(), reported(given))
    for text in (entry.message, *entry.fields.values()):
        assert text.isprintable()
        assert len(text) < 500
