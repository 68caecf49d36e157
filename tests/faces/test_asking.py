"""The commands that ask, end to end: real processes ask a real daemon that shows a hand-made Status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faces.bays import shelf
from faces.canned_daemon import canned
from faces.house import NOW, family
from faces.shell import Here, here, powerd, refused, said

from powerd.faces.disk_table import disks_text
from powerd.faces.render import clients_json, disks_json, status_json
from powerd.faces.table import clients_text
from powerd.faces.text import status_text, why_text

__all__ = ("here",)  # a fixture

STATUS, CLIENTS = status_json(family(), NOW), clients_json(family(), NOW)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("door") / "powerd.sock"
    with canned("family", path):
        yield str(path)


def test_text(door: str) -> None:
    assert said(powerd("status", "--socket", door)) == status_text(STATUS)
    assert said(powerd("why", "--socket", door)) == why_text(STATUS)
    assert said(powerd("clients", "--socket", door)) == clients_text(CLIENTS, STATUS)


def test_text_here(door: str, here: Here) -> None:
    assert said(here("status", "--socket", door)) == status_text(STATUS)
    assert said(here("why", "--socket", door)) == why_text(STATUS)
    assert said(here("clients", "--socket", door)) == clients_text(CLIENTS, STATUS)


def test_json(here: Here, door: str) -> None:
    assert json.loads(said(here("status", "--json", "--socket", door))) == STATUS
    assert json.loads(said(here("why", "--json", "--socket", door))) == STATUS
    assert json.loads(said(here("clients", "--json", "--socket", door))) == CLIENTS


def test_disks(here: Here, tmp_path: Path) -> None:
    status = status_json(shelf(), NOW)
    with canned("shelf", tmp_path / "s"):
        assert said(here("disks", "--socket", str(tmp_path / "s"))) == disks_text(status)
        rows = json.loads(said(here("disks", "--json", "--socket", str(tmp_path / "s"))))
    assert rows == status["disks"] == disks_json(shelf(), NOW)


def test_a_daemon_that_makes_no_decisions_is_a_no(here: Here, tmp_path: Path) -> None:
    with canned("blind", tmp_path / "s"):
        assert "trouble" in said(here("status", "--socket", str(tmp_path / "s")), code=1)
        assert "Trouble" in said(here("why", "--socket", str(tmp_path / "s")), code=1)
    with canned("none", tmp_path / "s"):
        assert "starting" in said(here("status", "--socket", str(tmp_path / "s")), code=1)


@pytest.mark.parametrize(
    "command", ["status", "why", "clients", "keep 2h", "keep --list", "keep --drop 1", "wake tv"]
)
def test_no_daemon(here: Here, command: str, tmp_path: Path) -> None:
    text = refused(here(*command.split(), "--socket", str(tmp_path / "s")), code=3)
    assert text.startswith("powerd: no daemon answers on ")
    assert text.count("\n") == 1


def test_keep(door: str, here: Here) -> None:
    text = "Kept awake until 23:16: backup.\nTo end it earlier: powerd keep --drop 3\n"
    assert said(here("keep", "2h", "--because", "backup", "--socket", door)) == text
    assert said(here("keep", "--drop", "3", "--socket", door)) == "Dropped keep 3: backup.\n"
    assert json.loads(said(here("keep", "2h", "--json", "--socket", door)))["id"] == "3"
    assert said(here("keep", "--list", "--socket", door)) == "Nothing keeps it awake on purpose.\n"
    assert json.loads(said(here("keep", "--list", "--json", "--socket", door))) == []


def test_wake(door: str, here: Here) -> None:
    text = "Sent three magic packets for tv (02:00:00:00:00:09) to 10.0.0.255 (eth0).\n"
    assert said(here("wake", "tv", "--socket", door)) == text
    assert json.loads(said(here("wake", "tv", "--json", "--socket", door)))["host"] == "tv"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("keep --drop 9", 1, 'there is no keep "9"'),
        ("keep --drop ../status", 1, 'there is no keep "../status"'),
        ("keep 366d", 1, "that is too long"),
        ("keep soon", 2, '"soon" is no duration'),
        ("wake nobody", 1, 'no client is known as "nobody"'),
    ],
)
def test_a_no_is_one_sentence(door: str, here: Here, command: str, code: int, words: str) -> None:
    text = refused(here(*command.split(), "--socket", door), code)
    assert text.startswith(f"powerd: {words}")
    assert text.count("\n") == 1
