"""The API's JSON: the contract's keys, and times that survive a clock that was set."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from facts import new_snapshot
from ui.disk_statuses import active, disk_status, usual_server
from ui.statuses import (
    CLIENTS,
    HOSTILE_NAME,
    NOW,
    STATUSES,
    at,
    client,
    client_status,
    decision,
    family,
    idle,
    status,
)

from powerd.core.snapshot import Reason
from powerd.core.time import Reading, Unavailable
from powerd.power.model import LOGIND
from powerd.presence.model import ClientState, EvidenceKind
from powerd.presence.silences import Limit
from powerd.ui.api import clients_json, disks_json, status_json

STATUS_KEYS = {"mode", "state", "since", "decision", "clients", "disks", "next_wake", "version"}
DECISION_KEYS = {"action", "at_earliest", "reasons"}
REASON_KEYS = {"subject", "text", "since", "keeps_awake"}
CLIENT_KEYS = {
    "id",
    "address",
    "mac",
    "name",
    "source",
    "class",
    "state",
    "last_seen",
    "evidence",
    "rtt_ms",
    "keeps_awake",
}
STATUS_EXTRA = {
    "activity",
    "alarms",
    "error",
    "keep_awake",
    "next_wake_reason",
    "sleep_request",
    "now",
    "reload_error",
    "sources",
    "watch",
}
CLIENT_EXTRA = {
    "maker",
    "always_on",
    "on_link",
    "remark",
    "stale",
    "reason",
    "since",
    "absent_after",
    "limit",
}


def times(value: object) -> list[str]:
    """Every value anywhere in ``value`` whose key is a time's."""
    if isinstance(value, list):
        return [each for item in value for each in times(item)]
    if not isinstance(value, dict):
        return []
    own = [
        value[key]
        for key in ("since", "now", "at_earliest", "last_seen", "next_wake")
        if value.get(key) is not None
    ]
    return own + [each for item in value.values() for each in times(item)]


DISK_KEYS = {
    "id", "device", "model", "serial", "state", "since", "idle_for", "spin_down_after", "method", "group",
    "spin_ups_today", "last_wake", "smart",
}  # fmt: skip


def test_disks_have_the_promised_names_and_those_that_spin_down_come_first() -> None:
    rows = disks_json(usual_server(), NOW)
    assert all(row.keys() >= DISK_KEYS for row in rows)
    assert [row["device"] for row in rows][:6] == ["sda", "sdb", "sdc", "sdaa", "sdd", "loop0"]
    assert status_json(usual_server(), NOW)["disks"] == rows
    assert disks_json(None, NOW) == []


def test_a_disk_shows_times_and_unknown_values() -> None:
    (row,) = disks_json(disk_status(active()), NOW)
    assert (row["idle_for"], row["spin_down_at"]) == (720.0, "2026-01-12T21:24:00+01:00")
    assert (row["since"], row["last_wake"]) == ("2026-01-12T20:16:00+01:00",) * 2
    assert (row["verified_method"], row["standby_timer"], row["smart"], row["group"]) == (None,) * 4
    overdue = active()._replace(spin_down_at=NOW.mono - 9, idle_since=None, last_spin_up=None)
    (row,) = disks_json(disk_status(overdue._replace(disk=replace(overdue.disk, model="", serial=""))), NOW)
    assert (row["spin_down_at"], row["idle_for"]) == ("2026-01-12T21:16:00+01:00", None)
    assert (row["model"], row["serial"], row["last_wake"]) == (None,) * 3


@pytest.mark.parametrize("name", STATUSES)
def test_the_keys_are_the_contracts(name: str) -> None:
    output = status_json(STATUSES[name], NOW)
    assert set(output) == STATUS_KEYS | STATUS_EXTRA
    assert set(output["decision"]) == DECISION_KEYS
    assert all(set(reason) == REASON_KEYS for reason in output["decision"]["reasons"])
    assert output["state"] in {"starting", "awake", "idle", "warning", "going-down", "asleep"}
    assert {"present", "known"} <= set(output["clients"])
    for row in clients_json(STATUSES[name], NOW):
        assert set(row) == CLIENT_KEYS | CLIENT_EXTRA


@pytest.mark.parametrize("name", STATUSES)
def test_times_are_rfc_3339_with_offset_to_whole_seconds(name: str) -> None:
    found = times([status_json(STATUSES[name], NOW), clients_json(STATUSES[name], NOW)])
    assert found
    for text in found:
        parsed = datetime.fromisoformat(text)
        assert parsed.utcoffset() is not None
        assert parsed.isoformat(timespec="seconds") == text


@pytest.mark.parametrize("name", STATUSES)
def test_it_goes_through_json_unchanged(name: str) -> None:
    output = [status_json(STATUSES[name], NOW), clients_json(STATUSES[name], NOW)]
    assert json.loads(json.dumps(output)) == output


def test_the_next_wake_up_is_shown_with_its_purpose() -> None:
    output = status_json(STATUSES["alarmed"], NOW)
    assert output["next_wake"] == "2026-01-13T06:28:00+01:00"
    assert output["next_wake_reason"] == "backup.timer"
    assert status_json(family(), NOW)["next_wake_reason"] is None


def test_before_the_first_decision() -> None:
    output = status_json(None, NOW, "nothing is decided yet")
    assert (output["state"], output["mode"], output["since"]) == ("starting", None, None)
    assert output["error"] == "nothing is decided yet"
    assert clients_json(None, NOW) == []


def test_a_status() -> None:
    output = status_json(family(), NOW)
    assert output["since"] == "2026-01-12T19:02:00+01:00"
    assert output["clients"] == {"present": 2, "dozing": 0, "unknown": 1, "known": 5}, "one never counts"
    assert (output["disks"], output["next_wake"]) == ([], None)
    assert output["decision"]["reasons"][0] == {
        "subject": "anna-phone",
        "text": "is home: answers ping",
        "since": "2026-01-12T20:58:00+01:00",
        "keeps_awake": True,
    }


def test_a_plan() -> None:
    output = status_json(idle(), NOW)["decision"]
    assert (output["action"], output["at_earliest"]) == ("poweroff", "2026-01-13T02:14:00+01:00")


def test_a_client() -> None:
    row = client_status(replace(client(10, "anna-phone", ("dhcpd.leases", "learned")), stale=True))
    row = replace(row, absent_after=1020.0, limit=Limit(1020.0, "naps", 870.0, 1))
    output = clients_json(
        status(decision(client_statuses=(replace(row, class_name="phone", evidence=EvidenceKind.ARP),))), NOW
    )
    assert output == [
        {
            "id": "02:00:00:00:00:0a",
            "address": "10.0.0.10",
            "mac": "02:00:00:00:00:0a",
            "maker": None,
            "name": "anna-phone",
            "source": "dhcpd.leases, learned",
            "class": "phone",
            "state": "present",
            "last_seen": "2026-01-12T21:15:48+01:00",
            "evidence": "arp",
            "rtt_ms": 0.4,
            "keeps_awake": True,
            "always_on": False,
            "on_link": True,
            "remark": None,
            "stale": True,
            "reason": "answers ping",
            "since": "2026-01-12T20:58:00+01:00",
            "absent_after": 1020.0,
            "limit": {"basis": "naps", "longest_nap": 870.0, "surprises": 1},
        }
    ]


def test_what_is_unknown_is_null() -> None:
    bare = replace(client(1), addresses=(), mac=None, sources=())
    row = replace(client_status(bare, ClientState.UNKNOWN), last_seen=None, evidence=None, rtt=None)
    [output] = clients_json(status(decision(client_statuses=(row,))), NOW)
    for key in ("address", "mac", "name", "source", "class", "last_seen", "evidence", "rtt_ms"):
        assert output[key] is None, key


def test_who_is_present_comes_first_then_by_name() -> None:
    assert [(row["state"], row["name"]) for row in clients_json(family(), NOW)] == [
        ("present", "anna-phone"),
        ("present", "kitchen-bulb"),
        ("present", "printer"),
        ("unknown", "workshop.lan"),
        ("absent", None),
        ("absent", "laptop"),
    ]


def test_sources_show_warnings_and_failures() -> None:
    sources = {CLIENTS: Reading(NOW.mono, ("odd",)), LOGIND: Unavailable(NOW.mono, "no bus")}
    output = status_json(status(decision(), new_snapshot(sources=sources)), NOW)
    assert output["sources"] == [
        {"id": "clients", "error": None, "warnings": ["odd"]},
        {"id": "logind", "error": "no bus", "warnings": []},
    ]


def test_a_time_from_before_the_clock_was_set_is_counted_back() -> None:
    """A board without a battery starts in 1970; the time that it has been awake is known nevertheless."""
    then = at(-600)
    since = replace(then, wall=then.wall - timedelta(days=365 * 56))
    assert status_json(status(decision(), since=since), NOW)["since"] == "2026-01-12T21:06:00+01:00"


def test_time_asleep_counts_as_time() -> None:
    woken = at(0, slept=7200)
    output = status_json(status(decision("awake", (Reason("tv", "is home", at(-60)),)), since=at(-60)), woken)
    assert output["now"] == "2026-01-12T23:16:00+01:00"
    assert output["since"] == output["decision"]["reasons"][0]["since"] == "2026-01-12T21:15:00+01:00"


def test_json_keeps_a_hostile_name_unchanged() -> None:
    names = [row["name"] for row in clients_json(STATUSES["evil"], NOW)]
    assert names == [HOSTILE_NAME, HOSTILE_NAME]
    assert json.dumps(names).isascii()
