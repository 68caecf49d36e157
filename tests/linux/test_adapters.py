from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import get_args

import pytest
from linux.private_bus import PrivateBus

from powerd.core.actions import SleepAction
from powerd.linux import subprocess
from powerd.linux.helper_client import HelperClient
from powerd.linux.subprocess import HostProcesses
from powerd.linux.values import HostError, LogindEvent
from powerd.power.logind import LogindClient

pytestmark = pytest.mark.process


def test_a_command_is_run_without_a_shell() -> None:
    end = asyncio.run(HostProcesses().run(["/bin/echo", "$HOME;", "*"], timeout=10))
    assert (end.status, end.stdout) == (0, "$HOME; *\n")


def test_a_command_out_of_time_is_ended() -> None:
    with pytest.raises(HostError, match=r"^/bin/sleep .* 0\.1 s"):
        asyncio.run(HostProcesses().run(["/bin/sleep", "60"], timeout=0.1))


def test_a_command_is_given_what_it_reads_and_its_environment() -> None:
    shown = ["/bin/sh", "-c", 'read line; echo "$line $CAUSE $LC_ALL"']
    end = asyncio.run(HostProcesses().run(shown, timeout=10, stdin=b"woke\n", env={"CAUSE": "alarm"}))
    assert end.stdout == "woke alarm C\n"


@pytest.mark.parametrize("action", get_args(SleepAction))
def test_logind_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: str) -> None:
    """Every action but the command is one of logind's."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    if action != "command":
        for method in (LogindClient().check_sleep, LogindClient().request_sleep):
            with pytest.raises(HostError, match=rf"D-Bus.*{re.escape(str(tmp_path))}.*; .* command$"):
                asyncio.run(method(action))
        with pytest.raises(HostError, match=rf"D-Bus.*{re.escape(str(tmp_path))}"):
            asyncio.run(LogindClient().inhibit("sleep", "x", "block"))


def test_one_connection_serves_every_method(bus: PrivateBus) -> None:
    bus.logind()

    async def main() -> None:
        logind = LogindClient()
        lock = await logind.inhibit("sleep", "a test", "delay")
        assert [row.who for row in await logind.list_inhibitors()] == ["powerd"], (
            "the mock does not know whose it is"
        )
        os.close(lock)
        assert await logind.can_sleep("suspend") == "yes"
        assert await logind.last_key_press() is None
        assert await logind.list_timers(["auto"]) == ()
        assert await logind.inhibit_delay() == 5.0
        assert await anext(logind.events()) == LogindEvent("found")
        assert bus.clients() == 1
        await logind.request_sleep("suspend")
        logind.close()

    asyncio.run(main())
    assert bus.calls() == ["Suspend False"]


def test_without_a_helper_every_request_says_so(tmp_path: Path) -> None:
    """No process listens on the socket; the responses are in tests/linux/test_helper_client.py."""

    async def main() -> None:
        helper = HelperClient(tmp_path / "nothing")
        for request in (
            helper.set_alarm(60, None),
            helper.clear_alarm(5),
            helper.arm_card("eth0"),
            helper.read_card("eth0"),
            helper.read_alarm(),
        ):
            with pytest.raises(HostError, match=r"^no helper listens on "):
                await request

    asyncio.run(main())


def wall(tmp_path: Path, code: str) -> tuple[str, ...]:
    """Replaces wall(1), which would write to the terminals of this machine's users."""
    script = tmp_path / "wall"
    script.write_text(f"#!{sys.executable}\nimport os, sys\n{code}\n")
    script.chmod(0o755)
    return (str(script), *subprocess._WALL[1:])  # noqa: SLF001 - the rest of the command stays as it is


def test_an_announcement_is_one_argument_of_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "said"
    monkeypatch.setattr(
        subprocess, "_WALL", wall(tmp_path, f"open({str(out)!r}, 'w').write(repr(sys.argv[1:]))")
    )
    asyncio.run(HostProcesses().broadcast("two  words"))
    assert out.read_text() == "['--timeout', '10', 'powerd: two  words']"


def test_an_announcement_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "_WALL", wall(tmp_path, "sys.exit('no terminal')"))
    with pytest.raises(HostError, match=r"^wall [^\n]*1: no terminal$"):
        asyncio.run(HostProcesses().broadcast("x"))


def test_a_missing_wall_command_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "_WALL", (str(tmp_path / "wall"),))
    with pytest.raises(HostError, match=r"no such program; [^\n]*install"):
        asyncio.run(HostProcesses().broadcast("x"))


def test_the_wall_of_this_machine_knows_its_options() -> None:
    assert os.access(subprocess._WALL[0], os.X_OK)  # noqa: SLF001 - the very program
    end = asyncio.run(HostProcesses().run([subprocess._WALL[0], "--help"], timeout=10))  # noqa: SLF001 - the very program
    assert "--timeout" in end.stdout
