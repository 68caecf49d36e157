"""The command line, end to end: real processes ask a real daemon that shows a hand-made Status."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faces.bays import shelf
from faces.canned_daemon import canned
from faces.house import NOW, family

from powerd.config import load, parse
from powerd.faces import cli
from powerd.faces.disk_table import disks_text
from powerd.faces.render import clients_json, disks_json, status_json
from powerd.faces.table import clients_text
from powerd.faces.text import status_text, why_text
from powerd.host.foreground import Foreground

ENVIRON = {key: value for key, value in os.environ.items() if key not in {"POWERD_CONFIG", "NO_COLOR"}}


def powerd(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command as the shell does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "powerd", *argv],
        env=ENVIRON | environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


Here = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """As powerd(), in this process: for what does not need one of its own."""

    def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.delenv("POWERD_CONFIG", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        try:
            code = cli.main(argv, never, Foreground)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(argv, code, out, err)

    return run


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("door") / "powerd.sock"
    with canned("family", path):
        yield str(path)


AUTO = "clients from leases auto and what is learned on the LAN"
STATUS, CLIENTS = status_json(family(), NOW), clients_json(family(), NOW)


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


def test_colour_is_for_terminals_that_want_it(door: str) -> None:
    assert "\033[1m" in on_a_terminal("status", "--socket", door)
    assert "\033[1m" in on_a_terminal("status", "--socket", door, NO_COLOR="")
    assert "\033" not in on_a_terminal("status", "--socket", door, NO_COLOR="1")
    assert "\033" not in on_a_terminal("status", "--socket", door, TERM="dumb")


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


def test_strangers_names_steer_no_terminal(tmp_path: Path) -> None:
    with canned("evil", tmp_path / "s"):
        for command in ("status", "why", "clients"):
            text = said(powerd(command, "--socket", str(tmp_path / "s")))
            assert all(line.isprintable() for line in text.split("\n"))
            assert said(powerd(command, "--json", "--socket", str(tmp_path / "s"))).isascii()
            assert said(powerd(command, "--socket", str(tmp_path / "s"), PYTHONIOENCODING="ascii")).isascii()


def test_a_reader_that_leaves_early_hears_no_complaint(door: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with subprocess.Popen(
        [sys.executable, "-m", "powerd", "clients", "--socket", door],
        env=ENVIRON,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        os.close(theirs)
        _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (141, "")


def test_asking_the_daemon_imports_little(door: str) -> None:
    code = (
        "import sys\nfrom powerd.__main__ import main\n"
        f"for command in ('status', 'why', 'clients'): main([command, '--socket', {door!r}])\n"
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
    }
    assert "powerd.faces.text" in loaded


def test_help_and_version(here: Here) -> None:
    assert said(here()) == said(here("--help"))
    for command in ("run", "check", "config", "status", "why", "clients", "keep", "hold", "wake"):
        assert command in said(here())
        assert said(here(command, "--help")).startswith(f"usage: powerd {command}")
    assert said(here("--version")) == "powerd 0.1.0\n"


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
def test_a_wrong_use_is_2(here: Here, argv: list[str]) -> None:
    assert "usage: powerd" in refused(here(*argv), code=2)


def test_check(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "enforce"\n[[sleep]]\n[[sleep]]\naction = "poweroff"\n[clients]\nlearn = "0s"\n')
    meaning = "enforce mode, 2 sleep rules, clients from leases auto\n"
    assert said(here("check", "--config", str(file))) == f"{file}: ok\n{meaning}"
    assert said(here("check", POWERD_CONFIG=str(file))) == f"{file}: ok\n{meaning}"
    other = tmp_path / "other.toml"
    other.write_text("")
    assert said(here("check", "--config", str(other), POWERD_CONFIG=str(file))).startswith(f"{other}: ok\n")


def test_check_warns_of_secrets_that_everybody_may_read(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('[hooks]\nnotify = ["ntfy://secret"]\n')
    file.chmod(0o644)
    told = said(here("check", "--config", str(file)))
    assert f"warning: {file}: hooks.notify holds secrets" in told


def test_check_names_every_fault(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('mode = "observ"\n[clients]\nevry = "60s"\n')
    lines = refused(here("check", "--config", str(file)), code=2).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{file}: ") for line in lines)
    assert refused(here("config", "--config", str(file)), code=2).splitlines() == lines
    assert "no such file" in refused(here("check", "--config", str(tmp_path / "none")), code=2)


def test_config_prints_what_is_in_force(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('[[sleep]]\naction = "poweroff"\nidle_for = "10min"\n')
    text = said(here("config", "--config", str(file)))
    assert parse(text.encode(), "printed") == load(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            f"observe mode, no sleep rule, so it never sleeps, {AUTO}",
        ),
        (
            "[[sleep]]\n",
            f"observe mode, 1 sleep rule, {AUTO}",
        ),
        (
            '[clients]\nleases = []\nlearn = "0s"\nhosts = ["tv"]\n[[sleep]]',
            "observe mode, 1 sleep rule, clients from 1 named host",
        ),
        (
            '[clients]\nleases = []\nlearn = "0s"\n[[sleep]]',
            "observe mode, 1 sleep rule, clients from nowhere",
        ),
    ],
)
def test_meaning(text: str, said: str) -> None:
    assert cli.meaning(parse(text.encode(), "x")) == said


def test_check_without_a_file_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("POWERD_CONFIG", raising=False)
    monkeypatch.setattr(sys.modules["powerd.config.load"], "DEFAULT_PATH", Path("/nonexistent/powerd.toml"))
    assert cli.main(["check"], never, Foreground) == 0
    assert capsys.readouterr().out.startswith("/nonexistent/powerd.toml: not there, so the defaults hold\n")


def never(_config: Path | None, _observe: bool, _socket: Path) -> int:  # noqa: FBT001 - as main() calls it
    raise AssertionError


def test_run_is_handed_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path | None, bool, Path]] = []

    def run(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - as main() calls it
        asked.append((config, observe, socket))
        return 7

    monkeypatch.delenv("POWERD_CONFIG", raising=False)
    assert cli.main(["run"], run, Foreground) == 7
    assert cli.main(["run", "--observe", "--config", "/a", "--socket", "/b"], run, Foreground) == 7
    monkeypatch.setenv("POWERD_CONFIG", "/c")
    assert cli.main(["run"], run, Foreground) == 7
    default = Path("/run/powerd/powerd.sock")
    assert asked == [(None, False, default), (Path("/a"), True, Path("/b")), (Path("/c"), False, default)]


def test_an_interrupt_is_quiet() -> None:
    def run(*_: object) -> int:
        raise KeyboardInterrupt

    assert cli.main(["run"], run, Foreground) == 130


def test_check_tells_what_else_gives_disks_orders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text("")
    assert (
        cli.main(["check", "--config", str(file)], never, Foreground, lambda: ["hd-idle runs; stop it"]) == 0
    )
    assert "note: hd-idle runs; stop it\n" in capsys.readouterr().out
    file.write_text('[disks]\nspin_down_after = "0s"\n')
    assert (
        cli.main(["check", "--config", str(file)], never, Foreground, lambda: ["hd-idle runs; stop it"]) == 0
    )
    assert "hd-idle" not in capsys.readouterr().out
