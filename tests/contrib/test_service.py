"""The unit, its user and its rights, as systemd's own tools judge them; no systemd needs to run."""

from __future__ import annotations

import os
import pty
import re
import shutil
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest
from contrib.systemd_analyze import exposure, needs_systemd, startable_text, verify

from powerd.helper.disks.trace_recorder import INSTANCE_NAMES
from powerd.helper.protocol.codec import MAX_LINE, MAX_RESPONSE
from powerd.helper.server import MAX_REQUESTS
from powerd.linux.files import MAX_OPEN_FILES
from powerd.power import clear_alarm
from powerd.ui.http.connections import MAX_REQUEST_SIZE, MAX_TCP_CONNECTIONS, MAX_UNIX_CONNECTIONS

pytestmark = pytest.mark.process

CONTRIB = Path(__file__).parents[2] / "contrib" / "systemd"
UNIT = CONTRIB / "powerd.service"

SOMEBODY = 12345
"""A user id that nobody has."""
USER_PROCESS = 7


@needs_systemd
def test_exposure_is_at_most_1_5() -> None:
    exposure(UNIT, 1.5)


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(startable_text(UNIT))
    verify(unit)


def test_after_a_kill_the_unit_runs_a_module_that_exists() -> None:
    command = re.search(r"^ExecStopPost=-(\S+) -I -m (\S+)$", UNIT.read_text(), re.MULTILINE)
    start = re.search(r"^ExecStart=(\S+)", UNIT.read_text(), re.MULTILINE)
    assert command is not None
    assert start is not None
    assert Path(command[1]).parent == Path(start[1]).parent
    assert command[2] == clear_alarm.__name__


def test_the_unit_stops_every_trace() -> None:
    command = re.search(r"^ExecStopPost=-\+.* rmdir ([a-z -]+) 2>", UNIT.read_text(), re.MULTILINE)
    assert command is not None
    assert command[1].split() == list(INSTANCE_NAMES)


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_sysusers_makes_the_user_that_the_unit_names(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", CONTRIB / "powerd.sysusers"],
        check=True,
        capture_output=True,
    )
    users = (tmp_path / "etc" / "passwd").read_text()
    user = re.search(r"^User=(\S+)$", UNIT.read_text(), re.MULTILINE)
    assert user is not None
    assert re.search(rf"^{user[1]}:.*:/usr/sbin/nologin$", users, re.MULTILINE)


@pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None or os.geteuid() != 0,
    reason="gives files away: needs root and systemd-tmpfiles",
)
def test_tmpfiles_keeps_to_the_daemon_what_is_its_own(tmp_path: Path) -> None:
    """A token that was written for everybody to read is the daemon's alone after a boot."""
    token = tmp_path / "etc" / "powerd" / "token"
    token.parent.mkdir(parents=True)
    token.write_text("secret")
    for tool, file in (("systemd-sysusers", "powerd.sysusers"), ("systemd-tmpfiles", "powerd.tmpfiles")):
        make = ["--create"] if tool == "systemd-tmpfiles" else []
        subprocess.run([tool, *make, f"--root={tmp_path}", CONTRIB / file], check=True, capture_output=True)
    users = (tmp_path / "etc" / "passwd").read_text()
    powerd = re.search(r"^powerd:x:(\d+):(\d+):", users, re.MULTILINE)
    assert powerd is not None
    user, group = map(int, powerd.groups())
    stored, state = token.stat(), (tmp_path / "var" / "lib" / "powerd").stat()
    assert (stored.st_uid, stored.st_gid, stat.S_IMODE(stored.st_mode)) == (0, group, 0o640)
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (user, group, 0o700)


@pytest.mark.lan
@pytest.mark.parametrize("events", [True, False])
def test_a_warning_reaches_terminals_by_the_groups_of_sysusers(tmp_path: Path, *, events: bool) -> None:
    """The real wall(1), without more rights than the unit leaves it; without those groups nobody reads it."""
    groups = re.findall(r"^m powerd (\S+)$", (CONTRIB / "powerd.sysusers").read_text(), re.MULTILINE)
    ours, theirs = pty.openpty()
    terminal = os.ttyname(theirs)
    shutil.chown(terminal, SOMEBODY, "tty")
    Path(terminal).chmod(0o620)  # mesg(1): y
    utmp = tmp_path / "utmp"
    utmp.write_bytes(_session(terminal.removeprefix("/dev/")))
    rights = f"--groups={','.join(groups)}" if events else "--clear-groups"
    become = f"setpriv --reuid=nobody --regid=nogroup {rights} --no-new-privs"
    script = f"mount -t tmpfs none /run && cp {utmp} /run && exec {become} wall 'good night'"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, check=False)
    os.set_blocking(ours, False)
    try:
        output = os.read(ours, 4096)
    except BlockingIOError:
        output = b""
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"good night" in output) is events


def _session(line: str) -> bytes:
    """Somebody who is logged in on ``line``, as utmp(5) has it."""
    who = (line.encode(), line[-4:].encode(), b"alice")
    record = struct.pack("=hxxi32s4s32s", USER_PROCESS, os.getpid(), *who)
    return record + bytes(264) + struct.pack("=i", int(time.time())) + bytes(40)


def _limit(unit: Path, name: str) -> int:
    """The value of a limit, e.g. ``MemoryMax=512M``, in descriptors, tasks or bytes."""
    found = re.search(rf"^{name}=(\d+)(M?)$", unit.read_text(), re.MULTILINE)
    assert found is not None, f"{unit.name} has no {name}="
    return int(found[1]) * (1 << 20 if found[2] else 1)


def test_the_limits_of_the_daemon_exceed_what_its_own_limits_permit() -> None:
    """A response of 1 MB is that of a household of 2,000 clients."""
    connections = MAX_UNIX_CONNECTIONS + MAX_TCP_CONNECTIONS
    assert _limit(UNIT, "LimitNOFILE") >= 2 * (MAX_OPEN_FILES + connections)
    assert _limit(UNIT, "MemoryMax") >= 100 * (1 << 20) + connections * (MAX_REQUEST_SIZE + (1 << 20))
    assert _limit(UNIT, "TasksMax") >= 64
    assert _limit(UNIT, "LimitMEMLOCK") >= _limit(UNIT, "MemoryMax"), "all of its memory can be locked"


def test_the_limits_of_the_helper_exceed_what_its_own_limits_permit() -> None:
    """Of a request: its connection, its device, and the three pipes of a child; a thread and a child."""
    unit = CONTRIB / "powerd-helper.service"
    assert _limit(unit, "LimitNOFILE") >= 5 * MAX_REQUESTS
    assert _limit(unit, "TasksMax") >= 2 * MAX_REQUESTS + 64
    lines = 2 * MAX_REQUESTS * MAX_LINE + 2 * MAX_RESPONSE  # the trace is read by one request at a time
    assert _limit(unit, "MemoryMax") >= lines + 24 * 14 * (1 << 20), "24 drives at once"


def test_polkit_rule_leaves_inhibitors_in_force() -> None:
    """Granted are exactly power-off, suspend and hibernate, alone or not, and own locks."""
    granted = set(re.findall(r'"(org\.freedesktop\.[^"]+)"', (CONTRIB / "powerd.rules").read_text()))
    acts = ("power-off", "suspend", "hibernate")
    locks = ("block-sleep", "block-shutdown", "block-idle", "delay-sleep", "delay-shutdown")
    assert granted == {
        *(f"org.freedesktop.login1.{act}{more}" for act in acts for more in ("", "-multiple-sessions")),
        *(f"org.freedesktop.login1.inhibit-{lock}" for lock in locks),
    }
