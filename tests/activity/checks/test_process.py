from __future__ import annotations

import asyncio

import pytest
from fakes.checks import check_ports
from fakes.unused_ports import UnusedPorts
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.process import Options, ProcessCheck, parse, program_names
from powerd.core.poller import PollDepth
from powerd.linux.dbus import NotRunningError
from powerd.linux.ports import Ports
from powerd.linux.values import HostError, UnitProcess
from powerd.power.model import WakeupState

BORG = UnitProcess("/system.slice/backup.service", 812, "/usr/bin/python3 /usr/bin/borg create ::now /home")
RSYNC = UnitProcess(
    "/user.slice/user-1000.slice/session-9.scope", 911, "rsync --server -logDtpre.iLsfxCIvu . /srv"
)
SHELL = UnitProcess("/user.slice/user-1000.slice/session-9.scope", 900, "-bash")
ALL = (BORG, RSYNC, SHELL)


@pytest.mark.parametrize(
    ("pattern", "pids"),
    [
        ("borg", [812]),
        ("borg*", [812]),
        ("python*", [812]),
        ("rsync", [911]),
        ("rsync --server *", [911]),
        ("*/borg create *", [812]),
        ("bor", []),
        ("create", []),
        ("*", [812, 900, 911]),
        ("bash", [900]),
    ],
)
def test_patterns(pattern: str, pids: list[int]) -> None:
    found = parse(ALL, Options((pattern,)))
    assert sorted(int(each.text.rpartition(" ")[2]) for each in found) == sorted(pids)
    assert all(each.keeps_awake for each in found)


def test_what_is_ignored_does_not_count() -> None:
    daemon = UnitProcess("/system.slice/rsync.service", 1, "/usr/bin/rsync --daemon --no-detach")
    options = Options(("rsync",), ("*/rsync --daemon*",))
    assert not parse([daemon], options)
    assert parse([daemon, RSYNC], options)


def test_a_title_is_matched_without_the_quotes_that_systemd_adds() -> None:
    title = "task UPID:pve:0001F2A4:00A7B3C1:6740E1F0:vzdump:101:root@pam:"
    processes = [UnitProcess("/system.slice/pvescheduler.service", 1, f'"{title}"')]
    assert parse(processes, Options(("task UPID:*",)))
    assert not parse(processes, Options(("task",), (title,)))
    quoted = [UnitProcess("/a.service", 1, r'sh -c "echo \"\$HOME\"; sleep 9"')]
    assert parse(quoted, Options(('sh -c echo "$HOME"; sleep 9',)))


def test_the_unit_is_named() -> None:
    assert "backup.service, process 812" in parse(ALL, Options(("borg",)))[0].text


def test_at_most_five_are_shown() -> None:
    many = [UnitProcess("/a.service", pid, "cc1 x.c") for pid in range(100)]
    assert len(parse(many, Options(("cc1",)))) == 5


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ('/bin/sh -c "rsync -a /a /b"', ["sh", "rsync"]),
        ("/usr/bin/env -S python3.11 -u /opt/job.py x", ["env", "python3.11", "job.py"]),
        ("[kworker/0:1]", ["0:1]"]),
        ("it's cut", ["it's"]),
        ("", []),
    ],
)
def test_program_names(command: str, names: list[str]) -> None:
    assert list(program_names(command)) == names


@given(st.text(), st.text(min_size=1))
def test_any_command_line_can_be_matched(command: str, pattern: str) -> None:
    parse([UnitProcess("/a", 1, command)], Options((pattern,)))


def test_services_and_sessions_are_listed_if_the_root_slice_cannot_be() -> None:
    class ThreadedGroups(UnusedPorts):
        async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
            if unit == "-.slice":
                raise HostError("systemd refused: Input/output error")
            return tuple(each for each in ALL if each.cgroup.startswith(f"/{unit}/"))

    fake = ThreadedGroups()
    ports = check_ports(Ports(fake, fake, fake, fake, fake, WakeupState))
    found = asyncio.run(ProcessCheck(Options(("borg", "rsync", "bash")), ports).poll(PollDepth.FULL))
    assert {each.subject for each in found} == {"borg", "rsync", "bash"}


def test_without_systemd_it_is_not_applicable() -> None:
    class NoSystemd(UnusedPorts):
        async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
            raise NotRunningError(f"systemd is not running here: {unit}")

    fake = NoSystemd()
    ports = check_ports(Ports(fake, fake, fake, fake, fake, WakeupState))
    with pytest.raises(NotApplicableError):
        asyncio.run(ProcessCheck(Options(("rsync",)), ports).poll(PollDepth.FULL))
