from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from powerd.host import hands, logind
from powerd.host.hands import RealHands
from powerd.host.values import HostError


def test_a_command_is_run_without_a_shell() -> None:
    end = asyncio.run(RealHands().run(["/bin/echo", "$HOME;", "*"], timeout=10))
    assert (end.status, end.out) == (0, "$HOME; *\n")


def test_a_command_out_of_time_is_ended() -> None:
    with pytest.raises(HostError, match=r"^/bin/sleep was still running after 0\.1 s and was ended$"):
        asyncio.run(RealHands().run(["/bin/sleep", "60"], timeout=0.1))


def test_logind_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    with pytest.raises(HostError, match="D-Bus"):
        asyncio.run(RealHands().logind("suspend"))
    assert set(logind._METHODS) == {  # noqa: SLF001 - every action but the command is one of logind's
        "suspend",
        "hibernate",
        "hybrid-sleep",
        "suspend-then-hibernate",
        "poweroff",
    }


def wall(tmp_path: Path, code: str) -> tuple[str, ...]:
    """A stand-in for wall(1): it would write to the terminals of whoever is logged in here."""
    script = tmp_path / "wall"
    script.write_text(f"#!{sys.executable}\nimport os, sys\n{code}\n")
    script.chmod(0o755)
    return (str(script), *hands._WALL[1:])  # noqa: SLF001 - the rest of the command stays as it is


def test_an_announcement_is_one_argument_of_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "said"
    monkeypatch.setattr(hands, "_WALL", wall(tmp_path, f"open({str(out)!r}, 'w').write(repr(sys.argv[1:]))"))
    asyncio.run(RealHands().broadcast("this server powers off in 1min"))
    assert out.read_text() == "['--timeout', '10', 'powerd: this server powers off in 1min']"


def test_an_announcement_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_WALL", wall(tmp_path, "sys.exit('no terminal')"))
    with pytest.raises(HostError, match=r"^wall ended with status 1: no terminal$"):
        asyncio.run(RealHands().broadcast("x"))


def test_a_missing_wall_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_WALL", (str(tmp_path / "wall"),))
    with pytest.raises(HostError, match=r"there is no such program; install it"):
        asyncio.run(RealHands().broadcast("x"))


def test_the_wall_of_this_machine_knows_its_options() -> None:
    assert os.access(hands._WALL[0], os.X_OK)  # noqa: SLF001 - the very program
    end = asyncio.run(RealHands().run([hands._WALL[0], "--help"], timeout=10))  # noqa: SLF001 - as above
    assert "--timeout" in end.out
