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


LONG = KeepAwakeJson(
    id="12", because="moving " * 20, since=NOW, until="2026-01-15T08:00:00+01:00", not_stored=None
)


def test_keeps_are_a_table() -> None:
    text = keep_list_text([BACKUP, RSYNC, LONG], NOW)
    assert text.splitlines()[:3] == [
        "ID  UNTIL         LEFT       BECAUSE",
        "3   23:17         2 h 1 min  backup",
        "h1  command ends  -          rsync",
    ]
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["3", "h1", "12"]


def test_the_table_of_keeps_fits(columns: int) -> None:
    text = keep_list_text([BACKUP, RSYNC, LONG], NOW)
    assert all(width(line) <= columns for line in text.splitlines())
    assert "moving moving" in text, "the reason is below its row where there is no space beside it"


def test_an_empty_list_is_shown_as_none() -> None:
    assert "no keep-awake requests" in keep_list_text([], NOW)


def test_a_keep_shows_how_to_drop_it() -> None:
    first, second = keep_created_text(BACKUP).splitlines()
    assert first.endswith(" 23:17: backup.")
    assert second.endswith(": powerd keep --drop 3")
    assert keep_created_text({**BACKUP, "because": ""}).splitlines()[0].endswith(" 23:17.")
    assert "3: backup" in keep_dropped_text(BACKUP)


def test_what_is_forgotten_at_a_restart_is_shown_with_the_reason() -> None:
    keep: KeepAwakeJson = {**BACKUP, "not_stored": "keeps.json: ENOSPC"}
    for text in (keep_created_text(keep), keep_dropped_text(keep)):
        assert any(line.startswith("Warning: ") for line in text.splitlines())
        assert "ENOSPC" in text


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
    outlook, blocker, end, cancel = text.splitlines()
    assert "sleep" in outlook
    assert blocker == "  tv: home, answers ping"
    assert "Tue 09:16" in end
    assert cancel.endswith(": powerd sleep --cancel")


def test_what_a_sleep_waits_for_fits(columns: int) -> None:
    long: ReasonJson = {**CLIENT, "text": "home, " * 40}
    assert all(
        width(line) <= columns for line in sleep_accepted_text({**ACCEPTED, "waits_for": [long]}).splitlines()
    )


@pytest.mark.parametrize(
    ("at", "mode", "terms"),
    [
        ("2026-01-12T21:17:00+01:00", "enforce", ["Will", "power off", "21:17", "1 min"]),
        ("2026-01-12T21:16:00+01:00", "enforce", ["Will", "power off", "now"]),
        ("2026-01-12T21:17:00+01:00", "observe", ["observe mode", "would", "power off", "21:17", "1 min"]),
        (None, "observe", ["observe mode", "would", "sleep"]),
        (None, None, ["Will", "sleep"]),
    ],
)
def test_a_sleep_shows_its_time(at: str | None, mode: str | None, terms: list[str]) -> None:
    accepted: AcceptedSleepJson = {**ACCEPTED, "at_earliest": at, "mode": mode, "action": at and "poweroff"}
    first_line = sleep_accepted_text(accepted).splitlines()[0]
    assert all(term in first_line for term in terms)


def test_a_mac_address_is_not_printed_twice() -> None:
    mac = "02:00:00:00:00:09"
    woken: WakeOnLanJson = {"host": mac, "mac": mac, "sent": [{"link": "eth0", "to": "10.0.0.255"}]}
    text = wake_on_lan_text(woken)
    assert text.count(mac) == 1
    assert "10.0.0.255 (eth0)" in text


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
