"""The commands that need the configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ui.cli.command_line import RunCommand, error_of, must_not_run, output_of, run_command

from powerd.config.load import load, parse
from powerd.linux.subprocess import ForegroundProcess
from powerd.ui.cli import config_commands, main

__all__ = ("run_command",)  # a fixture

AUTO = "leases auto and hosts learned"


def test_check(run_command: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "enforce"\n[[sleep]]\n[[sleep]]\naction = "poweroff"\n[clients]\nlearn = "0s"\n')
    meaning = "enforce mode, 2 sleep rules, clients from leases auto\n"
    shown = output_of(run_command("check", "--config", str(file)))
    assert shown.startswith(f"{file}: ok\n{meaning}rule 1: suspends")
    assert "rule 2: powers off" in shown
    assert f"warning: {file}:3: sleep[2]: " in " ".join(shown.split())
    assert output_of(run_command("check", POWERD_CONFIG=str(file))) == shown
    other = tmp_path / "other.toml"
    other.write_text("")
    assert output_of(run_command("check", "--config", str(other), POWERD_CONFIG=str(file))).startswith(
        f"{other}: ok\n"
    )


def test_check_and_config_as_json(run_command: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "observe"\n\n[[sleep]]\nidle_for = "0s"\nwarn = "0s"\n')
    found = json.loads(output_of(run_command("check", "--json", "--config", str(file))))
    assert (found["file"], found["valid"], len(found["rules"])) == (str(file), True, 1)
    (problem,) = found["problems"]
    assert {key: problem[key] for key in ("file", "line", "key", "severity")} == {
        "file": str(file),
        "line": 3,
        "key": "sleep[1]",
        "severity": "warning",
    }
    assert problem["text"]
    assert problem["remedy"]
    shown = json.loads(output_of(run_command("config", "--json", "--config", str(file))))
    assert (shown["mode"], shown["sleep"][0]["warn"]) == ("observe", "0s")
    file.write_text("mode = enforce\n[clients]\nevery = 1")
    found = json.loads(output_of(run_command("check", "--json", "--config", str(file)), code=2))
    assert (found["valid"], found["summary"], found["rules"]) == (False, None, [])
    assert [(each["line"], each["key"], each["severity"]) for each in found["problems"]] == [
        (1, "mode", "error"),
        (3, "clients.every", "error"),
    ]


def test_check_names_every_fault(run_command: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "observ"\n[clients]\nevry = "60s"\n')
    lines = error_of(run_command("check", "--config", str(file)), code=2).splitlines()
    assert len(lines) == 2
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in lines] == ["1", "3"]
    assert error_of(run_command("config", "--config", str(file)), code=2).splitlines() == lines
    assert "no such file" in error_of(run_command("check", "--config", str(tmp_path / "none")), code=2)


def test_check_without_a_file_reports_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("POWERD_CONFIG", raising=False)
    nowhere = Path("/nonexistent/powerd.toml")
    monkeypatch.setattr(config_commands, "DEFAULT_PATH", nowhere)
    monkeypatch.setattr(sys.modules["powerd.config.load"], "DEFAULT_PATH", nowhere)
    assert main.main(["check"], must_not_run, ForegroundProcess) == 0
    assert capsys.readouterr().out.startswith("/nonexistent/powerd.toml: ")


def test_check_lists_other_programs_that_command_disks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text("")
    assert (
        main.main(
            ["check", "--config", str(file)],
            must_not_run,
            ForegroundProcess,
            main.MachineFunctions(lambda: ["hd-idle runs; stop it"]),
        )
        == 0
    )
    assert "note: hd-idle runs; stop it\n" in capsys.readouterr().out
    file.write_text('[disks]\nspin_down_after = "0s"\n')
    assert (
        main.main(
            ["check", "--config", str(file)],
            must_not_run,
            ForegroundProcess,
            main.MachineFunctions(lambda: ["hd-idle runs; stop it"]),
        )
        == 0
    )
    assert "hd-idle" not in capsys.readouterr().out


def test_a_note_fits_and_what_is_to_be_copied_stays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, columns: int
) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text("")
    rule = '[[disks.rule]]\nmatch = ["ata-WDC_WD20EFRX-68EUZN0_WD-WCC4M0123456"]  # was in /etc/hdparm.conf'
    note = f"{'words ' * 20}take it over:\n\n{rule}\n"
    assert (
        main.main(
            ["check", "--config", str(file)],
            must_not_run,
            ForegroundProcess,
            main.MachineFunctions(lambda: [note]),
        )
        == 0
    )
    shown = capsys.readouterr().out.partition("\nnote: ")[2]
    text, _, copied = shown.partition("\n\n")
    assert copied == f"{rule}\n\n"
    assert text.split() == ["words"] * 20 + ["take", "it", "over:"]
    assert all(len(line) <= columns for line in f"note: {text}".splitlines())


def test_config_prints_what_is_in_force(run_command: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('[[sleep]]\naction = "poweroff"\nidle_for = "10min"\n')
    text = output_of(run_command("config", "--config", str(file)))
    assert parse(text.encode(), "printed") == load(file)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ["observe", "no sleep rule", "never", AUTO]),
        ("[[sleep]]\n", ["observe", "1 sleep rule", AUTO]),
        (
            '[clients]\nleases = []\nlearn = "0s"\nhosts = ["tv"]\n[[sleep]]',
            ["1 sleep rule", "1 named host"],
        ),
        ('[clients]\nleases = []\nlearn = "0s"\n[[sleep]]', ["1 sleep rule", "no source"]),
    ],
)
def test_meaning(text: str, terms: list[str]) -> None:
    output = config_commands.summarize_options(parse(text.encode(), "x"))
    assert all(term in output for term in terms)
    assert ("never" in output) is ("never" in terms)


def test_run_is_handed_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path | None, bool, Path]] = []

    def run(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - as main() calls it
        asked.append((config, observe, socket))
        return 7

    monkeypatch.delenv("POWERD_CONFIG", raising=False)
    assert main.main(["run"], run, ForegroundProcess) == 7
    assert main.main(["run", "--observe", "--config", "/a", "--socket", "/b"], run, ForegroundProcess) == 7
    monkeypatch.setenv("POWERD_CONFIG", "/c")
    assert main.main(["run"], run, ForegroundProcess) == 7
    default = Path("/run/powerd/powerd.sock")
    assert asked == [(None, False, default), (Path("/a"), True, Path("/b")), (Path("/c"), False, default)]
