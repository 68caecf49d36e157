"""``powerd setup`` as people run it: on a terminal, interrupted, and by a script."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ui.cli.command_line import ENVIRON, powerd
from ui.status_server_process import status_server

from powerd.config.load import load
from powerd.config.sample import sample_toml
from powerd.setup.command import setup, write_file
from powerd.ui.cli.main import MachineFunctions
from powerd.ui.cli.parser import build_parser

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("setup") / "s"
    with status_server("new home", path):
        yield str(path)


class Terminal:
    """``powerd setup`` in a directory, on a terminal of its own, which is its controlling one."""

    def __init__(self, directory: Path, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        self.text = ""
        shell = ["setsid", "--ctty", "--wait", sys.executable, "-W", "error", "-m", "powerd", "setup", *argv]
        environ = ENVIRON | {"TERM": "dumb"}
        self.process = subprocess.Popen(
            shell, cwd=directory, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def expect(self, words: str) -> None:
        """Read until these words have been printed."""
        while words not in self.text:
            assert select.select([self._ours], [], [], 300)[0], f"{words!r} is not in {self.text!r}"
            piece = os.read(self._ours, 65536)
            assert piece, self.text
            self.text += piece.decode().replace("\r\n", "\n")
        self.text = self.text.partition(words)[2]

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self, key: str = "") -> tuple[int, str]:
        """The exit status, and the rest of what is printed after ``key``.

        A Ctrl-C between the prompt and the read of the answer does not end the read, so it is typed again.
        """
        try:
            self.type(key)
            while True:
                while not select.select([self._ours], [], [], 5)[0]:
                    self.type(key)
                self.text += os.read(self._ours, 65536).decode().replace("\r\n", "\n")
        except OSError:  # a terminal that its last user has left
            pass
        os.close(self._ours)
        return self.process.wait(), self.text


def test_a_conversation(tmp_path: Path, socket_path: str) -> None:
    config = tmp_path / "powerd.toml"
    terminal = Terminal(tmp_path, "--config", config.name, "--socket", socket_path)
    for question, answer in (
        ("What does the server do at night", "2"),
        ("When is night", "01:00-07:00"),
        ("be up again", ""),
        ("may spin down", "1-2"),
        ("After how long", ""),
        ("show that somebody is home", "2"),
        ("A name for one of them", "1 Anna"),
        ("A name for one of them", ""),
        ("messages about failing drives", ""),
        ("from the beginning", ""),
    ):
        terminal.expect(question)
        terminal.expect("\n[")
        terminal.expect("] ")
        terminal.type(f"{answer}\n")
    terminal.expect("This is the configuration")
    assert not config.exists()
    terminal.expect(f"Write {config.name}? (y/n)\n[y] ")
    terminal.type("\n")
    terminal.expect(f"{config.name}: ok")
    terminal.expect("read it now? (y/n)\n[y] ")
    terminal.type("y\n")
    status, rest = terminal.end()
    assert (status, "powerd has read it" in rest) == (0, True)
    options = load(config)
    assert (options.mode, options.sleep[0].action) == ("observe", "poweroff")
    assert [row.name for row in options.clients.name] == ["Anna"]
    assert len(options.disks.rule[0].match) == 2
    assert list(tmp_path.iterdir()) == [config]


def test_an_interrupt_before_the_reload_leaves_the_file(tmp_path: Path, socket_path: str) -> None:
    config = tmp_path / "powerd.toml"
    terminal = Terminal(tmp_path, "--config", config.name, "--socket", socket_path)
    terminal.expect("[1] ")
    terminal.type("\n" * 10)
    terminal.expect("read it now? (y/n)\n[y] ")
    status, rest = terminal.end("\x03")
    assert (status, "has been written" in rest) == (130, True)
    assert load(config).sleep


@pytest.mark.parametrize(("lines", "key"), [(0, "\x04"), (9, "\x03")])
def test_an_interrupted_conversation_leaves_nothing(
    tmp_path: Path, socket_path: str, lines: int, key: str
) -> None:
    """By the end of the input at the first question, and by Ctrl-C at the last one."""
    terminal = Terminal(tmp_path, "--output", "f", "--socket", socket_path)
    terminal.expect("[1] ")
    terminal.type("\n" * lines)
    if lines:
        terminal.expect("? (y/n)\n[y] ")
    status, rest = terminal.end(key)
    assert (status, "Nothing was written" in rest) == (130, True)
    assert list(tmp_path.iterdir()) == []


def test_a_script_takes_all_defaults(tmp_path: Path, socket_path: str) -> None:
    done = powerd("setup", "--yes", "--output", str(tmp_path / "f"), "--socket", socket_path)
    assert (done.returncode, done.stderr) == (0, "")
    options = load(tmp_path / "f")
    assert (options.mode, options.sleep[0].action) == ("observe", "suspend")


def run(*argv: str) -> int:
    """As powerd(), in this process."""
    arguments = build_parser().parse_args(["setup", *argv])
    arguments.machine = MachineFunctions()
    return setup(arguments)


def test_a_configuration_that_somebody_has_written_stays(
    tmp_path: Path, socket_path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "powerd.toml"
    config.write_text('[clients]\nlearn = "7d"\n')
    for _ in range(2):
        assert run("--yes", "--config", str(config), "--socket", socket_path) == 0
        assert '-learn = "7d"' in capsys.readouterr().out
    beside = tmp_path / "powerd.toml.new"
    assert load(beside).sleep
    beside.write_text("# mine")
    assert run("--yes", "--config", str(config), "--socket", socket_path) == 1
    assert (config.read_text(), beside.read_text()) == ('[clients]\nlearn = "7d"\n', "# mine")
    assert set(tmp_path.iterdir()) == {config, beside}


def test_a_file_with_this_configuration_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "f"
    for _ in range(2):
        assert run("--yes", "--output", str(written), "--socket", str(tmp_path / "s")) == 0
    assert "already" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [written]


def test_a_default_configuration_is_replaced_through_a_link(tmp_path: Path) -> None:
    file, config = tmp_path / "elsewhere.toml", tmp_path / "powerd.toml"
    file.write_text(sample_toml())
    config.symlink_to(file)
    assert run("--yes", "--config", str(config), "--socket", str(tmp_path / "s")) == 1  # no daemon to reload
    assert config.is_symlink()
    assert load(file).sleep


def test_an_obstacle_is_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--output", str(tmp_path / "f"))
    assert caught.value.code == 2
    assert "--yes" in capsys.readouterr().err
    assert run("--yes", "--output", str(tmp_path / "no" / "f")) == 2
    assert "cannot be written to" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_a_secret_is_closed_to_others(tmp_path: Path) -> None:
    write_file(tmp_path / "f", "x", secret=True)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640
    write_file(tmp_path / "f", "y", secret=False)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644
