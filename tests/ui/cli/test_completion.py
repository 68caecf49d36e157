"""The completions, as the shells execute them, and the names that they ask for."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ui.cli.command_line import RunCommand, output_of, run_command
from ui.statuses import NOW, family

from powerd.activity.registry import own_names
from powerd.doctor.model import DAEMON_RELOAD, AppliedFix, Diagnosis, DoctorReport
from powerd.ui.api import clients_json
from powerd.ui.cli.complete import complete
from powerd.ui.cli.main import MachineFunctions
from powerd.ui.cli.manual import commands_of, main
from powerd.ui.cli.parser import COMPLETED_ARGUMENTS, build_parser

__all__ = ("run_command",)  # a fixture

DOCTOR = ("doctor --fix ", "doctor --undo ")
HOSTILE = "$(touch executed)`touch executed`"
"""The name of a client that a shell must not expand."""


REPORT = DoctorReport(
    (
        Diagnosis("timers:fstrim", "", "", "", commands=(DAEMON_RELOAD,)),
        Diagnosis("noatime:/srv", "", "", "", commands=(DAEMON_RELOAD,)),
        Diagnosis("zfs", "", "", "", by_hand="a line"),
    ),
    applied=(AppliedFix("noatime:/srv", complete=True, paths=()),),
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completions, and a command ``powerd`` that lists names."""
    path = tmp_path_factory.mktemp("completion")
    assert main([str(path)]) == 0
    stub = path / "powerd"
    stub.write_text(
        "#!/bin/sh\n"
        'case "$2" in clients) printf "%s\\n" tv "living room" \'' + HOSTILE + "' ;; disks) echo sda ;; "
        "keeps) echo 3 ;; fixes) echo timers:fstrim ;; applied) echo noatime:/srv ;; checks) echo traffic ;; "
        "esac\n"
    )
    stub.chmod(0o755)
    return path


def run_shell(directory: Path, *argv: str) -> list[str]:
    environ = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "HOME": str(directory)}
    done = subprocess.run(argv, env=environ, cwd=directory, check=True, capture_output=True, text=True)
    assert not (directory / "executed").exists()
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ke", {"keep"}),
        ("keep --l", {"--list"}),
        ("keep --drop ''", {"3"}),
        ("smart --test sh", {"short"}),
        ("smart s", {"sda"}),
        ("disks ''", {"sda", "standby"}),
        ("disks standby s", {"sda", "standby"}),
        ("doctor --fix ''", {"timers:fstrim"}),
        ("doctor --undo n", {"noatime:/srv"}),
        ("activity t", {"traffic"}),
        ("wake t", {"tv"}),
        ("wake l", {r"living\ room"}),
        ("why x", set()),
        ("run --config ''", set()),
    ],
)
def test_bash(directory: Path, words: str, expected: set[str]) -> None:
    script = (
        f"source ./powerd.bash; COMP_WORDS=(powerd {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        "_powerd; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert set(run_shell(directory, "bash", "-c", script)) == expected


@pytest.mark.process
def test_bash_expands_no_name(directory: Path) -> None:
    script = (
        'source ./powerd.bash; COMP_WORDS=(powerd wake ""); COMP_CWORD=2; _powerd; echo "${#COMPREPLY[@]}"'
    )
    assert run_shell(directory, "bash", "-c", script) == ["3"]


@pytest.mark.process
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish(directory: Path) -> None:
    typed = " ".join(
        f"complete -C 'powerd {words}';" for words in ("ke", "wake ", "disks ", *DOCTOR, "activity ")
    )
    script = f"source ./powerd.fish; {typed}"
    found = {line.partition("\t")[0] for line in run_shell(directory, "fish", "--no-config", "-c", script)}
    assert {
        "keep",
        "tv",
        "living room",
        "sda",
        "standby",
        "timers:fstrim",
        "noatime:/srv",
        "traffic",
    } <= found
    assert any("touch" in line for line in found), "as it is"


@pytest.mark.process
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh(directory: Path) -> None:
    """With stand-ins for the functions of its completion system, which need a terminal."""
    script = (
        "_arguments() { local spec; for spec; do print -r -- $spec; done }; "
        "compadd() { print -r -- ${names[@]} }; "
        "compdef() { : }; words=(powerd wake x); CURRENT=3; source ./_powerd; _powerd_names clients"
    )
    found = run_shell(directory, "zsh", "-f", "-c", script)
    assert "*:HOST|MAC:_powerd_names clients" in found
    words = "words=(powerd doctor x); CURRENT=3; "
    found_more = run_shell(
        directory, "zsh", "-f", "-c", script.replace("words=(powerd wake x); CURRENT=3; ", words)
    )
    assert any(
        each.startswith("--undo") and each.endswith(":ID:_powerd_names applied") for each in found_more
    )
    assert found[-1] == f"tv living room {HOSTILE}"


def test_every_completed_argument_exists() -> None:
    commands = commands_of(build_parser())
    for command, argument in COMPLETED_ARGUMENTS:
        assert argument in {action.dest for action in commands[command]._actions}  # noqa: SLF001 - as completion.py


@pytest.mark.process
def test_names_come_from_the_daemon(
    socket_path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("powerd.ui.cli.complete._TIMEOUT", 60.0)
    labels = [each["name"] or each["address"] for each in clients_json(family(), NOW)]
    assert complete(argparse.Namespace(complete="clients"), socket_path) == 0
    assert capsys.readouterr().out.splitlines() == labels
    assert complete(argparse.Namespace(complete="keeps"), socket_path) == 0
    assert capsys.readouterr().out == ""


def test_without_a_daemon_it_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = MachineFunctions(run_doctor=lambda _: REPORT, list_checks=own_names)
    printed = dict[str, list[str]]()
    for kind in ("clients", "keeps", "disks", "fixes", "applied", "checks"):
        assert complete(argparse.Namespace(complete=kind, machine=machine), str(tmp_path / "s")) == 0
        printed[kind], error = (text.splitlines() for text in capsys.readouterr())
        assert error == []
    assert (printed["fixes"], printed["applied"]) == (["timers:fstrim"], ["noatime:/srv"])
    assert {"load", "traffic"} <= set(printed["checks"])


def test_the_option_is_hidden(run_command: RunCommand) -> None:
    assert "--complete" not in output_of(run_command("--help"))
