from __future__ import annotations

import pytest
from ui.statuses import HOSTILE_NAME

from powerd.requests.view import (
    keep_created_text,
    keep_dropped_text,
    keep_list_text,
    sleep_accepted_text,
    wake_on_lan_text,
)
from powerd.ui.layout import width
from powerd.ui.schema import AcceptedSleepJson, KeepAwakeJson, ReasonJson, WakeOnLanJson

NOW = "2026-01-12T21:16:00+01:00"
BACKUP: KeepAwakeJson = {
    "id": "3",
    "because": "backup",
    "since": NOW,
    "until": "2026-01-12T23:17:00+01:00",
    "not_stored": None,
}
RSYNC: KeepAwakeJson = {"id": "h1", "because": "rsync", "since": NOW, "until": None, "not_stored": None}


def test_keeps_are_a_table() -> None:
    long = KeepAwakeJson(
        id="12", because="moving " * 20, since=NOW, until="2026-01-15T08:00:00+01:00", not_stored=None
    )
    text = keep_list_text([BACKUP, RSYNC, long], NOW)
    assert text.splitlines()[:3] == [
        "ID  UNTIL         LEFT       BECAUSE",
        "3   23:17         2 h 1 min  backup",
        "h1  command ends  -          rsync",
    ]
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["3", "h1", "12"]
    assert all(width(line) <= 80 for line in text.splitlines())


def test_an_empty_list_is_shown_as_none() -> None:
    assert keep_list_text([], NOW) == "There are no keep-awake requests.\n"


def test_a_keep_shows_how_to_drop_it() -> None:
    assert (
        keep_created_text(BACKUP)
        == "Kept awake until 23:17: backup.\nTo end it earlier: powerd keep --drop 3\n"
    )
    assert keep_created_text({**BACKUP, "because": ""}).startswith("Kept awake until 23:17.\n")
    assert keep_dropped_text(BACKUP) == "Ended keep-awake request 3: backup.\n"


def test_what_is_forgotten_at_a_restart_is_shown_with_the_reason() -> None:
    keep: KeepAwakeJson = {**BACKUP, "not_stored": "keeps.json: cannot be written: No space left on device"}
    for text in (keep_created_text(keep), keep_dropped_text(keep)):
        assert any(line.startswith("Warning: ") for line in text.splitlines())
        assert "No space left on device" in " ".join(text.split())


def test_the_request_for_unreadable_keeps_lasts_until_it_is_dropped() -> None:
    keep: KeepAwakeJson = {**RSYNC, "id": "unreadable", "because": "stored requests cannot be read"}
    assert keep_list_text([keep], NOW).splitlines()[1].split()[:3] == ["unreadable", "dropped", "-"]


ACCEPTED: AcceptedSleepJson = {
    "now": False,
    "since": NOW,
    "until": "2026-01-13T09:16:00+01:00",
    "mode": "enforce",
    "action": None,
    "at_earliest": None,
    "waits_for": [],
}
CLIENT: ReasonJson = {"subject": "tv", "text": "home, answers ping", "since": NOW, "keeps_awake": True}


def test_a_sleep_shows_what_it_waits_for_and_how_to_call_it_off() -> None:
    text = sleep_accepted_text({**ACCEPTED, "waits_for": [CLIENT]})
    assert text.splitlines() == [
        "Will sleep as soon as none of this keeps it awake:",
        "  tv: home, answers ping",
        "The request ends at Tue 09:16 at the latest.",
        "To call it off: powerd sleep --cancel",
    ]
    long: ReasonJson = {**CLIENT, "text": "home, " * 40}
    assert all(
        width(line) <= 80 for line in sleep_accepted_text({**ACCEPTED, "waits_for": [long]}).splitlines()
    )


@pytest.mark.parametrize(
    ("at", "mode", "first_line"),
    [
        ("2026-01-12T21:17:00+01:00", "enforce", "Will power off at 21:17 (in 1 min)."),
        ("2026-01-12T21:16:00+01:00", "enforce", "Will power off now."),
        ("2026-01-12T21:17:00+01:00", "observe", "In observe mode: would power off at 21:17 (in 1 min)."),
        (None, "observe", "In observe mode: would sleep as soon as nothing keeps it awake."),
        (None, None, "Will sleep as soon as nothing keeps it awake."),
    ],
)
def test_a_sleep_shows_its_time(at: str | None, mode: str | None, first_line: str) -> None:
    accepted: AcceptedSleepJson = {**ACCEPTED, "at_earliest": at, "mode": mode, "action": at and "poweroff"}
    assert sleep_accepted_text(accepted).splitlines()[0] == first_line


def test_a_mac_address_is_not_printed_twice() -> None:
    mac = "02:00:00:00:00:09"
    woken: WakeOnLanJson = {"host": mac, "mac": mac, "sent": [{"link": "eth0", "to": "10.0.0.255"}]}
    assert wake_on_lan_text(woken) == f"Sent three magic packets for {mac} to 10.0.0.255 (eth0).\n"


def test_hostile_text_steers_no_terminal() -> None:
    evil: KeepAwakeJson = {**BACKUP, "because": HOSTILE_NAME, "id": HOSTILE_NAME}
    woken: WakeOnLanJson = {
        "host": HOSTILE_NAME,
        "mac": HOSTILE_NAME,
        "sent": [{"link": HOSTILE_NAME, "to": HOSTILE_NAME}],
    }
    for text in (
        keep_list_text([evil], NOW),
        keep_created_text(evil),
        keep_dropped_text(evil),
        wake_on_lan_text(woken),
    ):
        assert all(line.isprintable() for line in text.split("\n"))
