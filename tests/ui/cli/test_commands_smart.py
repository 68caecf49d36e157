"""`powerd smart`, end to end: what it prints, asks for and exits with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui.cli.command_line import RunCommand, error_of, output_of, run_command
from ui.smart_statuses import smart_status
from ui.status_server_process import status_server
from ui.statuses import NOW

from powerd.smart.view.api import smart_of, smarts_json
from powerd.smart.view.table import self_test_started_text, smart_table_text, smart_text

pytestmark = pytest.mark.process

__all__ = ("run_command",)  # a fixture


@pytest.fixture(scope="module")
def smart_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("ward") / "powerd.sock"
    with status_server("drives", path):
        yield str(path)


def test_all_drives(smart_socket: str, run_command: RunCommand) -> None:
    assert output_of(run_command("smart", "--socket", smart_socket), 1) == smart_table_text(
        smarts_json(smart_status()), NOW.wall, observing=True
    )
    assert json.loads(output_of(run_command("smart", "--socket", smart_socket, "--json"), 1)) == smarts_json(
        smart_status()
    )


@pytest.mark.parametrize(("text", "code"), [("sda", 0), ("ST3500418AS_S2", 3), ("sdb", 1), ("nvme0n1", 0)])
def test_one_drive(smart_socket: str, run_command: RunCommand, text: str, code: int) -> None:
    """A drive with findings is a "no"; one that was never checked is not known to be ill."""
    detail = smart_of(smart_status(), text)
    if detail is None:
        shown = error_of(run_command("smart", text, "--socket", smart_socket), 1)
        assert "`powerd smart`" in shown
        return
    assert output_of(run_command("smart", text, "--socket", smart_socket), code) == smart_text(
        detail, NOW.wall
    )
    assert (
        json.loads(output_of(run_command("smart", text, "--socket", smart_socket, "--json"), code)) == detail
    )


def test_a_check_and_a_self_test_by_hand(smart_socket: str, run_command: RunCommand) -> None:
    assert output_of(run_command("smart", "sda", "--check", "--socket", smart_socket)).startswith(
        "sda WDC WD20EFRX"
    )
    start = output_of(run_command("smart", "sda", "--test", "long", "--socket", smart_socket))
    drive = smart_of(smart_status(), "sda")
    assert drive is not None
    assert start == self_test_started_text(drive, "long")


def test_findings_are_acknowledged(smart_socket: str, run_command: RunCommand) -> None:
    output = output_of(run_command("smart", "sda", "--acknowledge", "--socket", smart_socket))
    assert output.startswith("sda WDC WD20EFRX")
    assert "name a DISK" in error_of(run_command("smart", "--acknowledge", "--socket", smart_socket), 2)


@pytest.mark.parametrize(
    ("command", "term"),
    [
        ("smart asleep --test short", "asleep"),
        ("smart nothing --check", '"nothing"'),
        ("smart nothing --acknowledge", '"nothing"'),
    ],
)
def test_what_is_refused_is_one_sentence(
    smart_socket: str, run_command: RunCommand, command: str, term: str
) -> None:
    text = error_of(run_command(*command.split(), "--socket", smart_socket), 1)
    assert text.startswith("powerd: ")
    assert term in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("command", ["smart --check", "smart --test short", "smart sda --test odd"])
def test_a_wrong_use_is_2(smart_socket: str, run_command: RunCommand, command: str) -> None:
    assert error_of(run_command(*command.split(), "--socket", smart_socket), 2)


def test_no_drive_and_no_daemon(run_command: RunCommand, tmp_path: Path) -> None:
    with status_server("family", tmp_path / "family"):
        text = output_of(run_command("smart", "--socket", str(tmp_path / "family")))
        assert text == smart_table_text([], NOW.wall)
    assert "daemon" in error_of(run_command("smart", "--socket", str(tmp_path / "nobody")), 3)
