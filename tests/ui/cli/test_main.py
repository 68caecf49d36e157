"""The command line: its grammar, what it loads, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from ui.cli.command_line import ENVIRON, RunCommand, error_of, must_not_run, output_of, run_command

from powerd.linux.subprocess import ForegroundProcess
from powerd.ui.cli import commands, main

pytestmark = pytest.mark.process

__all__ = ("run_command",)  # a fixture

COMMANDS = (
    "run",
    "check",
    "config",
    "status",
    "why",
    "clients",
    "disks",
    "wakes",
    "smart",
    "keep",
    "hold",
    "wake",
)


def test_help_and_version(run_command: RunCommand) -> None:
    assert output_of(run_command()) == output_of(run_command("--help"))
    for command in COMMANDS:
        assert f"\n    {command} " in output_of(run_command())
        shown = output_of(run_command(command, "--help", COLUMNS="80"))
        assert shown.startswith(f"usage: powerd {command}")
        assert max(map(len, shown.splitlines())) <= 80
    assert max(map(len, output_of(run_command(COLUMNS="80")).splitlines())) <= 80
    assert output_of(run_command("--version")) == "powerd 0.1.0\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["fly"],
        ["status", "--jsno"],
        ["status", "--js"],
        ["run", "--json"],
        ["check", "x"],
        ["keep"],
        ["keep", "2h", "--list"],
        ["keep", "2h", "--drop", "1"],
        ["hold"],
        ["hold", "--"],
        ["hold", "true"],
        ["status", "--", "true"],
        ["wake"],
    ],
)
def test_a_wrong_use_is_2(run_command: RunCommand, argv: list[str]) -> None:
    assert "usage: powerd" in error_of(run_command(*argv), code=2)


def test_a_usage_error_is_reported_by_the_command_itself(run_command: RunCommand) -> None:
    shown = error_of(run_command("status", "anna"), code=2)
    assert shown.startswith("usage: powerd status ")
    for text, program, argument in (
        (shown, "powerd status", "anna"),
        (error_of(run_command("hold", "--fast", "--", "true"), code=2), "powerd hold", "--fast"),
        (error_of(run_command("--fast"), code=2), "powerd", "--fast"),
    ):
        assert text.splitlines()[-1].startswith(f"{program}: error: ")
        assert text.endswith(f"{argument}\n")


def test_hold_separates_its_own_arguments_from_the_command(run_command: RunCommand) -> None:
    shown = error_of(run_command("hold", "rsync", "-a", "src", "dst"), code=2)
    assert shown.endswith("powerd hold -- rsync\n")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        ("sleep now", "--now?"),
        ("why --wach", "--watch?"),
        ("why xyzzy", "unrecognized arguments: xyzzy"),
        ("statsu", "did you mean status?"),
        ("restart", "use systemctl restart powerd"),
        ("stop", "use systemctl stop powerd"),
        ("help", "use powerd --help"),
        ("notify --tset", "did you mean --test?"),
        ("keep -1h", "unrecognized arguments: -1h"),
        ("keep --lsit", "did you mean --list?"),
        ("smart sda --test lnog", "did you mean long?"),
    ],
)
def test_what_is_mistyped_is_named(run_command: RunCommand, argv: str, hint: str) -> None:
    assert error_of(run_command(*argv.split()), code=2).strip().endswith(hint)


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "--config", ""],
        ["status", "--socket="],
        ["keep", "--drop", ""],
        ["keep", "1h", "", "--because", ""],
        ["disks", ""],
        ["log", "--since", ""],
        ["hold", "--", ""],
    ],
)
def test_an_empty_argument_is_a_mistake(run_command: RunCommand, argv: list[str]) -> None:
    shown = error_of(run_command(*argv), code=2)
    assert ("name the command" if argv[0] == "hold" else "is empty") in shown


@pytest.mark.parametrize("because", [["--because", ""], ["--because="], ["--because=a copy with x="]])
def test_a_reason_may_be_empty_or_any_text(tmp_path: Path, because: list[str]) -> None:
    socket = str(tmp_path / "none")
    argv = ["keep", "1h", "--socket", socket, *because]
    assert main.main(argv, must_not_run, ForegroundProcess) == 3


@pytest.mark.parametrize("argv", ["import /nosuch", "import /dev/null", "import /"])
def test_an_error_names_the_program(run_command: RunCommand, argv: str) -> None:
    assert error_of(run_command(*argv.split()), code=2).startswith("powerd: ")


@pytest.mark.parametrize("answer", [{}, [], 5, "x", None, [{}]])
def test_an_answer_that_a_command_does_not_understand_is_one_sentence(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(commands, "get", lambda *_: answer)
    monkeypatch.setattr(commands, "request", lambda *_, **__: answer)
    for argv in ("status", "why", "clients", "disks", "report", "keep 1h", "wake tv"):
        assert "systemctl restart powerd" in error_of(run_command(*argv.split()), code=3), argv


def test_help_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for argv in ("--help", "status --help", "--version", ""):
        with Path("/dev/full").open("w") as full:
            monkeypatch.setattr("sys.stdout", full)
            monkeypatch.setattr("powerd.ui.cli.main._discard_output", lambda: None)
            code = main.main(argv.split(), must_not_run, ForegroundProcess)
            with suppress(OSError):
                full.close()
        assert code == 1, argv


def test_asking_the_daemon_imports_little(socket_path: str) -> None:
    code = (
        "import sys\nfrom powerd.__main__ import main\n"
        f"for command in ('status', 'why', 'clients'): main([command, '--socket', {socket_path!r}])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    unmeasured = {key: value for key, value in ENVIRON.items() if not key.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=unmeasured, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert not loaded & {
        "asyncio",
        "aiohttp",
        "tomllib",
        "powerd.config",
        "powerd.model",
        "http.client",
        "dataclasses",
        "powerd.ui.schema",
        "shutil",
    }
    assert "powerd.ui.status" in loaded


def test_an_interrupt_is_quiet() -> None:
    def run(*_: object) -> int:
        raise KeyboardInterrupt

    assert main.main(["run"], run, ForegroundProcess) == 130


def test_a_reader_that_closes_the_pipe_early_causes_no_error(socket_path: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with subprocess.Popen(
        [sys.executable, "-m", "powerd", "clients", "--socket", socket_path],
        env=ENVIRON,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        os.close(theirs)
        _, errors = child.communicate(timeout=120)
    assert (child.returncode, errors) == (141, "")
