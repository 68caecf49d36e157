"""What reaches a terminal, or a pipe: real processes ask a real daemon."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from ui.cli.command_line import ENVIRON, output_of, powerd
from ui.status_server_process import status_server

pytestmark = pytest.mark.process


def on_a_terminal(*argv: str, **environ: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "powerd", *argv], env=ENVIRON | {"TERM": "xterm"} | environ, stdout=theirs
    ) as child:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 65536):
                text += piece
        except OSError:  # a terminal that its last user has left
            pass
    os.close(ours)
    assert child.returncode == 0
    return text.decode()


def test_colour_is_for_terminals_that_want_it(socket_path: str) -> None:
    assert "\033[1m" in on_a_terminal("status", "--socket", socket_path)
    assert "\033[1m" in on_a_terminal("status", "--socket", socket_path, NO_COLOR="")
    assert "\033" not in on_a_terminal("status", "--socket", socket_path, NO_COLOR="1")
    assert "\033" not in on_a_terminal("status", "--socket", socket_path, TERM="dumb")


def test_hostile_names_steer_no_terminal(tmp_path: Path) -> None:
    with status_server("evil", tmp_path / "s"):
        for command in ("status", "why", "clients"):
            text = output_of(powerd(command, "--socket", str(tmp_path / "s")))
            assert all(line.isprintable() for line in text.split("\n"))
            assert output_of(powerd(command, "--json", "--socket", str(tmp_path / "s"))).isascii()
            assert output_of(
                powerd(command, "--socket", str(tmp_path / "s"), PYTHONIOENCODING="ascii")
            ).isascii()


def test_a_closed_standard_output_causes_no_error(socket_path: str) -> None:
    command = f"exec {sys.executable} -W error -m powerd status --socket {socket_path} >&-"
    done = subprocess.run(
        ["sh", "-c", command], env=ENVIRON, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["status", "check", "config"])
def test_a_full_disk_is_one_sentence(socket_path: str, command: str, tmp_path: Path) -> None:
    config = tmp_path / "powerd.toml"
    config.touch()
    argv = ["--socket", socket_path] if command == "status" else ["--config", str(config)]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "powerd", command, *argv],
            env=ENVIRON,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    shown = "powerd: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, shown)


def test_the_configuration_is_shown_on_a_terminal_of_few_letters(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('[clients]\nhosts = ["küche"]\n', encoding="utf-8")
    shown = output_of(powerd("config", "--config", str(file), PYTHONIOENCODING="ascii"))
    assert 'hosts = ["k?che"]' in shown
