"""``powerd password``: what is typed, what is stored, and what is refused."""

from __future__ import annotations

import grp
import io
import os
import stat
from pathlib import Path

import pytest
from ui.cli.command_line import RunCommand, error_of, output_of, run_command

from powerd.config.load import load
from powerd.config.password import is_password, read_password_hash

__all__ = ("run_command",)  # a fixture

PASSWORD = "öpen sesame, please"  # noqa: S105 - of these tests alone


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("powerd.config.password._LOG2_N", 4)  # 0.3 s less for each hash
    file = tmp_path / "powerd.toml"
    file.write_text(f'[http]\nlogin = "password"\npassword_file = "{tmp_path}/password"\n')
    return file


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    answers = iter(lines)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))


def test_it_is_typed_twice_and_its_hash_is_stored(
    config: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Exception, match="run: powerd password"):
        load(config)
    type_in(monkeypatch, PASSWORD, PASSWORD)
    file = config.with_name("password")
    assert output_of(run_command("password", "--config", str(config))).startswith(f"{file}: ")
    assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0
    assert PASSWORD not in file.read_text()
    assert is_password(PASSWORD, read_password_hash(str(file)))
    assert load(config).http.login == "password"
    assert sorted(path.name for path in config.parent.iterdir()) == ["password", "powerd.toml"]


@pytest.mark.parametrize(
    "lines", [("short", "short"), (PASSWORD, PASSWORD[1:]), ("", ""), ("x" * 2000, "x" * 2000)]
)
def test_what_is_refused_changes_nothing(
    config: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, str]
) -> None:
    config.with_name("password").write_text("as it was")
    type_in(monkeypatch, *lines)
    assert "no password is set" in error_of(run_command("password", "--config", str(config)), code=1)
    assert config.with_name("password").read_text() == "as it was"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another group")
def test_the_daemon_may_read_it(
    config: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = grp.struct_group(("powerd", "x", 12345, []))
    monkeypatch.setattr("grp.getgrnam", lambda _: group)
    file = config.with_name("password")
    file.write_text("an older one, of another user")
    os.chown(file, 4242, 4242)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    output_of(run_command("password", "--config", str(config)))
    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 12345, 0o640)


def test_a_program_gives_it_on_standard_input(
    config: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\r\n"))
    output_of(run_command("password", "--config", str(config)))
    assert is_password(PASSWORD, read_password_hash(str(config.with_name("password"))))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    error_of(run_command("password", "--config", str(config)), code=1)


def test_a_file_that_cannot_be_written_is_one_line(
    config: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (f"{config.parent}/none/password", str(config.parent), ""):
        config.write_text(f'[http]\npassword_file = "{file}"\n')
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
        assert len(error_of(run_command("password", "--config", str(config)), code=2).splitlines()) == 1
