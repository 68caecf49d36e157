"""The commands that ask, end to end: real processes ask a real daemon that shows a hand-made Status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ui.cli.command_line import RunCommand, error_of, output_of, powerd, run_command
from ui.disk_statuses import usual_server
from ui.status_server_process import status_server
from ui.statuses import NOW, family, working
from ui.wake_statuses import woken

from powerd.activity.view import activity_text, poll_time_text
from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.attribution.view.table import busy_text, disk_users_text, users_text, wakes_text
from powerd.config.sample import check_manual
from powerd.disks.view.detail import disk_text
from powerd.disks.view.table import disks_text
from powerd.presence.view import clients_text
from powerd.requests.view import (
    keep_created_text,
    keep_dropped_text,
    keep_list_text,
    sleep_accepted_text,
    sleep_cancelled_text,
    wake_on_lan_text,
)
from powerd.ui.api import activity_json, clients_json, disks_json, status_json
from powerd.ui.status import status_text, why_text

pytestmark = pytest.mark.process

__all__ = ("run_command",)  # a fixture

STATUS, CLIENTS = status_json(family(), NOW), clients_json(family(), NOW)


def test_text(socket_path: str) -> None:
    assert output_of(powerd("status", "--socket", socket_path)) == status_text(STATUS)
    assert output_of(powerd("why", "--socket", socket_path)) == why_text(STATUS)
    assert output_of(powerd("clients", "--socket", socket_path)) == clients_text(CLIENTS, STATUS)


def test_text_here(socket_path: str, run_command: RunCommand) -> None:
    assert output_of(run_command("status", "--socket", socket_path)) == status_text(STATUS)
    assert output_of(run_command("why", "--socket", socket_path)) == why_text(STATUS)
    assert output_of(run_command("clients", "--socket", socket_path)) == clients_text(CLIENTS, STATUS)


def test_json(run_command: RunCommand, socket_path: str) -> None:
    assert json.loads(output_of(run_command("status", "--json", "--socket", socket_path))) == STATUS
    assert json.loads(output_of(run_command("why", "--json", "--socket", socket_path))) == STATUS
    assert json.loads(output_of(run_command("clients", "--json", "--socket", socket_path))) == CLIENTS


def test_disks(run_command: RunCommand, tmp_path: Path) -> None:
    status = status_json(usual_server(), NOW)
    with status_server("shelf", tmp_path / "s"):
        assert output_of(run_command("disks", "--socket", str(tmp_path / "s"))) == disks_text(status)
        rows = json.loads(output_of(run_command("disks", "--json", "--socket", str(tmp_path / "s"))))
    assert rows == status["disks"] == disks_json(usual_server(), NOW)


def test_wakes(run_command: RunCommand, tmp_path: Path) -> None:
    status, path = status_json(woken(), NOW), str(tmp_path / "s")
    wakes, accesses = wakes_json(woken(), NOW) or [], accesses_json(woken(), NOW) or []
    of_sdb = wakes_json(woken(), NOW, "sdb") or []

    def output(*argv: str) -> str:
        return output_of(run_command(*argv, "--socket", path))

    with status_server("woken", tmp_path / "s"):
        assert output("wakes") == wakes_text(wakes, status)
        assert output("wakes", "sdb") == output("wakes", "WCC-SDB") == wakes_text(of_sdb, status)
        assert output("wakes", "--busy") == busy_text(accesses, status)
        assert json.loads(output("wakes", "--json")) == wakes
        assert json.loads(output("wakes", "--busy", "--json", "sdb")) == accesses_json(woken(), NOW, "sdb")
        assert output("disks") == disks_text(status) + users_text(accesses, status)
        of_disk = (of_sdb, accesses_json(woken(), NOW, "sdb") or [])
        disk = next(each for each in status["disks"] if each["device"] == "sdb")
        assert output("disks", "sdb") == disk_text(disk, status) + disk_users_text(*of_disk, status)
        assert json.loads(output("disks", "WCC-SDB", "--json")) == {
            **disk,
            "wakes": of_disk[0],
            "accesses": of_disk[1],
        }
        for arguments in (["sd/z?disk=sda"], ["sd\udcff", "--json"]):
            error_of(run_command("wakes", *arguments, "--socket", path), code=1)
        error_of(run_command("wakes", "", "--busy", "--socket", path), code=2)


def test_history(run_command: RunCommand, socket_path: str) -> None:
    assert "no sleep is recorded" in output_of(run_command("history", "--socket", socket_path))
    document = json.loads(
        output_of(run_command("history", "--json", "--since", "30d", "--socket", socket_path))
    )
    assert (document["sleeps"], document["trial"]) == ([], None)
    assert "since:" in error_of(
        run_command("history", "--since", "<script>", "--socket", socket_path), code=2
    )


def test_activity(run_command: RunCommand, tmp_path: Path) -> None:
    status, path = status_json(working(), NOW), str(tmp_path / "s")
    with status_server("working", tmp_path / "s"):
        text = output_of(run_command("activity", "--socket", path))
        assert text == activity_text(status["activity"], status)
        time_text = poll_time_text(status["activity"])
        assert output_of(run_command("activity", "--now", "--socket", path)) == text + time_text
        rows = json.loads(output_of(run_command("activity", "--json", "--socket", path)))
    assert rows == status["activity"] == activity_json(working(), NOW)


def test_the_manual_of_a_check_needs_no_daemon(run_command: RunCommand) -> None:
    assert output_of(run_command("activity", "load")) == check_manual("load")
    assert output_of(run_command("activity", "load", COLUMNS="120")) == check_manual("load", 120)
    assert max(map(len, check_manual("log", 40).partition("\n#")[0].splitlines())) <= 40
    assert '"load"' in error_of(run_command("activity", "lod"), code=2)


def test_a_daemon_that_makes_no_decisions_is_a_no(run_command: RunCommand, tmp_path: Path) -> None:
    with status_server("blind", tmp_path / "s"):
        assert "error" in output_of(run_command("status", "--socket", str(tmp_path / "s")), code=1)
        assert "Error" in output_of(run_command("why", "--socket", str(tmp_path / "s")), code=1)
    with status_server("none", tmp_path / "s"):
        assert "starting" in output_of(run_command("status", "--socket", str(tmp_path / "s")), code=1)


@pytest.mark.parametrize(
    "command", ["status", "why", "clients", "wakes", "keep 2h", "keep --list", "keep --drop 1", "wake tv"]
)
def test_no_daemon(run_command: RunCommand, command: str, tmp_path: Path) -> None:
    text = error_of(run_command(*command.split(), "--socket", str(tmp_path / "s")), code=3)
    assert text.startswith("powerd: ")
    assert str(tmp_path / "s") in text
    assert text.count("\n") == 1


def test_keep(socket_path: str, run_command: RunCommand) -> None:
    def answer(*argv: str, view: Callable[[Any], str]) -> Any:  # noqa: ANN401 - any JSON
        """What --json prints; without it the view of it is printed."""
        document = json.loads(output_of(run_command(*argv, "--json", "--socket", socket_path)))
        assert output_of(run_command(*argv, "--socket", socket_path)) == view(document)
        return document

    created = answer("keep", "2h", "--because", "backup", view=keep_created_text)
    assert (created["id"], created["because"]) == ("3", "backup")
    for words in (("2", "hours"), ("120minutes",), ("1h", "60", "min"), ("7200", "seconds")):
        assert answer("keep", *words, view=keep_created_text)["until"] == created["until"]
    assert answer("keep", "until", "18:00", view=keep_created_text)["until"].endswith("18:00:00+01:00")
    assert answer("keep", "until", "Mon", "06:30", view=keep_created_text)["until"].endswith("06:30:00+01:00")
    assert answer("keep", "--drop", "3", view=keep_dropped_text)["id"] == "3"
    assert answer("keep", "--list", view=lambda rows: keep_list_text(rows, STATUS["now"])) == []


def test_a_disk_is_spun_down(socket_path: str, run_command: RunCommand) -> None:
    for_programs = run_command("disks", "standby", "sdb", "--json", "--socket", socket_path)
    assert json.loads(output_of(for_programs)) == {"disks": ["sdb", "its-mirror"]}
    assert "sdb, its-mirror" in output_of(run_command("disks", "standby", "sdb", "--socket", socket_path))
    for words in (["standby"], ["standby", "sdb", "sdc"], ["sdb", "sdc"], ["standby", "sdb", "--watch"]):
        assert "usage" in error_of(run_command("disks", *words, "--socket", socket_path), code=2)
    error_of(run_command("disks", "sdz", "--socket", socket_path), code=1)


def test_sleep(socket_path: str, run_command: RunCommand) -> None:
    for argv, view in ((["sleep"], sleep_accepted_text), (["sleep", "--cancel"], sleep_cancelled_text)):
        document = json.loads(output_of(run_command(*argv, "--json", "--socket", socket_path)))
        assert document["now"] is False
        assert output_of(run_command(*argv, "--socket", socket_path)) == view(document)
    accepted = json.loads(output_of(run_command("sleep", "--now", "--json", "--socket", socket_path)))
    assert accepted["now"] is True
    assert "usage" in error_of(run_command("sleep", "--now", "--cancel", "--socket", socket_path), code=2)


def test_wake(socket_path: str, run_command: RunCommand) -> None:
    document = json.loads(output_of(run_command("wake", "tv", "--json", "--socket", socket_path)))
    assert document["host"] == "tv"
    assert output_of(run_command("wake", "tv", "--socket", socket_path)) == wake_on_lan_text(document)


@pytest.mark.parametrize(
    ("command", "code", "term"),
    [
        ("keep --drop 9", 1, '"9"'),
        ("keep --drop ../status", 1, '"../status"'),
        ("keep 366d", 1, "too long"),
        ("keep soon", 2, '"soon"'),
        ("keep until soon", 2, '"soon"'),
        ("keep until", 2, "time of day"),
        ("disks standby nothing", 1, '"nothing"'),
        ("disks standby ssd", 1, "solid state"),
        ("wake nobody", 1, '"nobody"'),
    ],
)
def test_a_no_is_one_sentence(
    socket_path: str, run_command: RunCommand, command: str, code: int, term: str
) -> None:
    text = error_of(run_command(*command.split(), "--socket", socket_path), code)
    assert text.startswith("powerd: ")
    assert term in text
    assert text.count("\n") == 1
