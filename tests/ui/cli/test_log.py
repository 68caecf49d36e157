"""``powerd log``, up to the command line of journalctl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ui.cli.command_line import must_not_run

from powerd.linux.subprocess import ForegroundProcess
from powerd.ui.cli import log, main


def command_line_of(*argv: str) -> Sequence[str]:
    executed: list[Sequence[str]] = []
    machine = main.MachineFunctions(replace_process=executed.append)
    main.main(["log", *argv], must_not_run, ForegroundProcess, machine)
    assert len(executed) == 1
    return executed[0]


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal that can be read."""
    file = tmp_path / "machine" / "system.journal"
    file.parent.mkdir()
    file.touch()
    monkeypatch.setattr(log, "_JOURNALS", (tmp_path,))
    return file


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ([], {"--lines=50", "--output=short"}),
        (["--since", "yesterday"], {"--since=yesterday"}),
        (["--since", "1h30min"], {"--since=-1h30min"}),
        (["--follow"], {"--lines=50", "--follow"}),
        (["--since", "2 hours"], {"--since=-2h"}),
        (["--since", "2h ago"], {"--since=-2h"}),
        (["--since", "1 h 30 min"], {"--since=-1h30min"}),
        (["--since=-2h"], {"--since=-2h"}),
        (["--since", "2026-06-01T18:00+02:00"], {"--since=@1780329600"}),
        (["--since", "@5"], {"--since=@5"}),
        (["--json", "--since", "18:00"], {"--output=json", "--since=18:00"}),
    ],
)
def test_the_options_of_journalctl(argv: list[str], options: set[str]) -> None:
    program, *given = command_line_of(*argv)
    assert program == "journalctl"
    assert options <= set(given)
    assert any("--since" in each for each in argv) != ("--lines=50" in given)
    assert {each for each in given if each.startswith("--unit=")} == {
        f"--unit={file.name}" for file in Path("contrib/systemd").glob("*.service")
    }


@pytest.mark.parametrize(
    "text", ["2x", "25:00", "2026-13-01", " ", "-", "1h30", "Mon", "9" * 400, "0001-01-01x", "18:00 --all"]
)
def test_a_since_that_is_no_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["log", f"--since={text}"], must_not_run, ForegroundProcess)
    assert end.value.code == 2
    assert f'"{text}" is not a time; ' in capsys.readouterr().err


def test_a_user_who_may_not_read_the_journal_gets_the_group(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del journal
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main.main(["log"], must_not_run, ForegroundProcess) == 1
    assert "adduser $USER systemd-journal" in capsys.readouterr().err


def test_without_journalctl_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(argv: Sequence[str]) -> None:
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    machine = main.MachineFunctions(replace_process=fail)
    assert main.main(["log"], must_not_run, ForegroundProcess, machine) == 2
    assert "journalctl" in capsys.readouterr().err
