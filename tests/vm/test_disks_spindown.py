"""Idle drives are spun down by each method, on time, as their own logs show; powerd never spins one up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest
from rig.daemon import NO_CHECKS
from rig.wait import stays, until
from vm.drives import PLAIN, Drive, Drives, Event, State
from vm.drives_data import mounted, read
from vm.drives_watch import EVERY, bounces, config, disks, journalled, states, written
from vm.lab import Lab
from vm.server import STALL, Server
from vm.service import Powerd

pytestmark = pytest.mark.vm

AFTER: Final = 15
SLACK: Final = 2 * EVERY + 10 + STALL
"""Seconds within which a due spin-down happens: a round until powerd sees an access, one until it acts, the
time for which it watches for dirty data before it stops a disk, and the delays of a slow machine."""
ASKED: Final = 30
"""Seconds after the expiry of its timer at which powerd queries a drive; it acts on the reply one round
later."""
REASK: Final = 300
"""Seconds for which powerd does not query a drive in standby again, whatever commands others send."""
LOOK: Final = 2.0
"""Seconds from the first poll to the first decision, which is the first line in the journal."""
ROUND: Final = 1.0
"""Seconds from the poll of the counters to the line in the journal, on an emulated processor."""
PUT_BACK: Final = 30
"""Seconds without an access after which powerd spins down a drive that the resume has spun up."""
LONG: Final = 600
SECRET: Final = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of the server of this test
HOOK: Final = "apm 254"
"""What the hook of Debian's hdparm sets after each sleep."""
NIGHT: Final = 3.0
"""Seconds; the server cannot measure less than one, because its RTC has whole seconds only."""
READS_AFTER_THE_NIGHT: Final = """\
nights=/sys/power/suspend_stats/success
before=$(cat $nights)
until [ $(cat $nights) -gt $before ]; do sleep 0.2; done
while dd if={path} of=/dev/null bs=4096 count=1 iflag=direct status=none; do sleep 5; done
"""
"""Reads from the drive after the resume; on a slow machine the test itself might read too late."""
PAGE: Final = """\
import html, http.client, re, sys
from urllib.parse import urlencode

sent = {"Origin": "http://localhost:8787", "Content-Type": "application/x-www-form-urlencoded"}
def send(method, path, fields=()):
    connection = http.client.HTTPConnection("localhost", 8787, timeout=300)
    connection.request(method, path, urlencode(fields), sent)
    answer = connection.getresponse()
    if cookie := answer.headers["Set-Cookie"]:
        sent["Cookie"] = cookie.partition(";")[0]
    return answer.status, answer.read().decode()

assert send("POST", "/login", {"secret": sys.argv[1]})[0] == 303
for path, button in zip(sys.argv[2::2], sys.argv[3::2]):
    forms = re.findall(f'<form method="post" action="{path}">(.*?)</form>', send("GET", "/")[1])
    (form,) = [each for each in forms if f">{button}<" in each]
    hidden = re.findall('name="(.*?)" value="(.*?)"', form)
    status, _ = send("POST", path, [(name, html.unescape(value)) for name, value in hidden])
    print(status, re.search('<p id="message" role="status">(.*?)</p>', send("GET", "/")[1])[1])
"""
"""A browser without scripts that presents a token, and clicks on buttons of the page, by path and label;
prints the status of each response, and the message of the page that follows."""
QUIET: Final = int(os.environ.get("POWERD_VM_QUIET", "300"))
"""Seconds without anybody. 300 s have as many rounds here as an hour has at the default of a minute each;
POWERD_VM_QUIET=3600 makes it a real hour."""


class DriveBays(NamedTuple):
    """A drive for each method; the third one ignores its timer."""

    by_command: Drive
    by_timer: Drive
    stubborn: Drive


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    """The server, on which one daemon runs during all tests of this file."""
    yield lab.server()
    lab.tidy()


@pytest.fixture(scope="module")
def powerd(server: Server) -> Powerd:
    return Powerd(server)


@pytest.fixture(scope="module")
def drive_set(drives: Drives) -> DriveBays:
    return DriveBays(*drives.plug_in(commanded={}, timed={}, stubborn={"heeds_timer": False}))


@pytest.fixture(scope="module")
def films(server: Server, drive_set: DriveBays) -> Iterator[list[str]]:
    with (
        mounted(server, drive_set.by_command.path, "/mnt/commanded") as entries,
        mounted(server, drive_set.by_timer.path, "/mnt/timed") as timed,
        mounted(server, drive_set.stubborn.path, "/mnt/stubborn") as stubborn,
    ):
        server.run("sync")  # Linux 6.12 reports dirty data again, which may stay for half a minute
        yield [entries, timed, stubborn]


def household(lab: Lab, drive_set: DriveBays, after: int) -> str:
    """A configuration with a method for each drive and one client, which is absent; no sleep rule."""
    text = config(
        after,
        rules={drive_set.by_timer: 'method = "timer"\napm = 200', drive_set.stubborn: 'method = "both"'},
        clients=f'hosts = ["{lab.laptop.address}"]\nabsent_after = "5s"',
    )
    # Without activity checks: on a busy host tasks of the emulated machine wait for its CPU.
    return f"{text}\n{NO_CHECKS}"


@pytest.fixture(scope="module")
def started(lab: Lab, powerd: Powerd, drive_set: DriveBays, films: list[str]) -> float:
    """Start powerd and wait until it sees the drives; returns the server's CLOCK_MONOTONIC before that."""
    del films
    powerd.start(household(lab, drive_set, AFTER))
    return powerd.journal()[0].at - LOOK


def down(drive: Drive) -> Event:
    """The time and the cause of the drive's last spin-down."""
    until(drive.rests, f"{drive.name} is in standby", within=AFTER + 180, every=0.5)
    return drive.log("spun down")[-1]


def asleep(server: Server, drive_set: DriveBays) -> None:
    """Wait until powerd reports all drives in standby."""
    until(
        lambda: states(server, *drive_set) == ["standby"] * 3,
        "all are in standby",
        within=AFTER + 240,
        every=0.5,
    )


def test_spun_down_by_command(server: Server, started: float, drive_set: DriveBays) -> None:
    event = down(drive_set.by_command)
    assert event.what == "spun down: standby-immediate"
    assert AFTER <= event.at - started <= LOOK + AFTER + SLACK
    until(lambda: states(server, drive_set.by_command) == ["standby"], "powerd reports it", every=0.5)
    asked = [asked.at for asked in drive_set.by_command.log("check-power: standby") if asked.at > event.at]
    # Only the drive's own report counts.
    assert 0 < asked[0] - event.at <= 30 + EVERY + STALL
    assert not drive_set.by_command.log("idle", "standby timer")


def test_put_to_sleep_by_its_own_timer(server: Server, started: float, drive_set: DriveBays) -> None:
    del started
    event = down(drive_set.by_timer)
    assert event.what == "spun down: timer"
    (set_at,) = drive_set.by_timer.log("idle timer=")
    assert set_at.what == f"idle timer={AFTER // 5}"
    assert AFTER <= event.at - set_at.at <= AFTER + 1 + STALL
    until(lambda: states(server, drive_set.by_timer) == ["standby"], "powerd reports it", every=0.5)
    assert not drive_set.by_timer.log("standby", "start-stop")


def test_both_methods_for_a_drive_that_ignores_its_timer(
    server: Server, started: float, drive_set: DriveBays
) -> None:
    event = down(drive_set.stubborn)
    assert [each.what for each in drive_set.stubborn.log("idle timer=")] == [f"idle timer={AFTER // 5}"]
    assert event.what == "spun down: standby-immediate"
    assert AFTER <= event.at - started <= LOOK + AFTER + ASKED + EVERY + SLACK
    until(lambda: states(server, drive_set.stubborn) == ["standby"], "powerd reports it", every=0.5)


class Quiet(NamedTuple):
    """What does not change on an idle server: the drives, the disks' counters, what powerd writes and logs.

    The root disk's counters are not compared: it holds the journal, where the guest agent logs each command
    of this test, and journald writes minutes later. So the counters of powerd's processes show what
    they write, and the lines of the journal what journald writes for them.
    """

    states: list[State]
    counters: str
    written: int
    journal: list[str]


def take_readings(server: Server, drive_set: DriveBays) -> Quiet:
    names = [*(drive.kernel() for drive in drive_set), server.run("udevadm", "info", "--query=name", PLAIN)]
    return Quiet(
        [drive.state() for drive in drive_set],
        server.run("cat", *(f"/sys/block/{name}/stat" for name in names)),
        written(server, "powerd", "powerd-helper"),
        journalled(server, "powerd", "powerd-helper"),
    )


def test_idle_server(server: Server, powerd: Powerd, started: float, drive_set: DriveBays) -> None:
    """No spin-up, no command to a drive in standby, and powerd writes nothing to a disk or log."""
    del started
    asleep(server, drive_set)
    until(lambda: powerd.state() == "idle", "its only client is absent")
    spun_up = [entry.event for entry in powerd.journal() if entry.event.startswith("spin-")]
    assert spun_up == ["spin-down"] * 3
    before = take_readings(server, drive_set)
    assert before.journal, "powerd writes to the journal"
    time.sleep(QUIET)
    assert take_readings(server, drive_set) == before
    assert states(server, *drive_set) == ["standby"] * 3


def test_woken_by_somebody_s_command(server: Server, started: float, drive_set: DriveBays) -> None:
    """No I/O counter shows a read of SMART, but powerd detects it and spins the drive down again.

    A drive is asked at most every five minutes, which have passed during the idle test.
    """
    del started
    asleep(server, drive_set)
    before = drive_set.by_command.state()
    server.run("smartctl", "--attributes", drive_set.by_command.path)
    after = drive_set.by_command.state()
    assert (after.starts, after.reads, after.writes) == (before.starts + 1, before.reads, before.writes)
    (up,) = drive_set.by_command.log("spun up")[-1:]
    until(
        lambda: states(server, drive_set.by_command) == ["active"],
        "powerd reports it",
        within=REASK + 180,
        every=0.5,
    )
    event = down(drive_set.by_command)
    assert event.what == "spun down: standby-immediate"
    assert AFTER <= event.at - up.at <= REASK + EVERY + AFTER + SLACK
    asleep(server, drive_set)
    assert drive_set.by_command.state().starts == after.starts


def test_reading_a_file(
    server: Server, powerd: Powerd, started: float, drive_set: DriveBays, films: list[str]
) -> None:
    """Reading spins up the one disk; powerd detects it, and spins the disk down after the full idle time."""
    del started
    asleep(server, drive_set)
    entries = len(powerd.journal())
    before = [drive.state().starts for drive in drive_set]
    read(server, films[0])
    (first,), (up,) = (
        drive_set.by_command.log("spins up: read")[-1:],
        drive_set.by_command.log("spun up: read")[-1:],
    )
    until(lambda: states(server, drive_set.by_command) == ["active"], "powerd reports it", every=0.3)
    (noticed,) = (entry for entry in powerd.journal()[entries:] if entry.event == "spin-up")
    assert 0 <= noticed.at - first.at <= EVERY + ROUND + STALL, "soon; the API shows it from then on"
    event = down(drive_set.by_command)
    assert AFTER <= event.at - up.at <= AFTER + SLACK
    assert [drive.state().starts for drive in drive_set] == [before[0] + 1, *before[1:]]
    events = [entry.event for entry in powerd.journal()[entries:]]
    assert sorted(events) == ["disk-wake", "spin-up"], "who has woken it is named, and nothing else happens"


@pytest.mark.usefixtures("started")
def test_sleep_of_the_server(server: Server, powerd: Powerd, lab: Lab, drive_set: DriveBays) -> None:
    """Drives spin up at the resume, and are spun down again soon, except for one that was used.

    They have lost their settings, which powerd sets again. These spin-ups do not count as early ones.
    """
    asleep(server, drive_set)
    powerd.take(household(lab, drive_set, LONG))
    before = bounces(server)
    reads = READS_AFTER_THE_NIGHT.format(path=drive_set.stubborn.path)
    server.run("systemd-run", "--quiet", "--collect", "--unit=reader", "sh", "-c", reads)
    server.suspend()
    time.sleep(NIGHT)
    server.wake()
    until(lambda: states(server, drive_set.stubborn) == ["active"], "powerd has seen it spin", every=0.3)
    ups = [powered_up(drive) for drive in drive_set]
    for drive, up in zip(drive_set[:2], ups, strict=False):
        event = down(drive)
        assert event.what == "spun down: standby-immediate"
        assert PUT_BACK - ROUND <= event.at - up.at <= PUT_BACK + SLACK
    made = [event for event in drive_set.by_timer.log("idle timer", "apm") if event.at > ups[1].at]
    own = [event for event in made if event.what != HOOK]
    assert [event.what for event in own] == [f"idle timer={LONG // 5}", "apm 200"]
    assert own[0].at - ups[1].at >= PUT_BACK - ROUND, "Debian's own hook has had time until then"
    assert made[-1] is own[-1], "and overrides its settings"
    stays(lambda: not drive_set.stubborn.rests(), "a drive that was used stays up", EVERY + ROUND)
    assert bounces(server) == before
    server.run("systemctl", "stop", "reader")


def powered_up(drive: Drive) -> Event:
    """The time at which the drive had power again."""
    return until(lambda: drive.log("spun up: power-on"), f"{drive.name} has power")[-1]


def test_disk_without_a_spindle(server: Server, started: float) -> None:
    """The disk of a virtual machine is not managed, and powerd reports why."""
    del started
    (plain,) = (disk for name, disk in disks(server).items() if PLAIN.endswith(name))
    assert plain["state"] == "excluded"


@pytest.mark.usefixtures("films")
def test_buttons_of_the_page(server: Server, powerd: Powerd, drive_set: DriveBays) -> None:
    """They check a drive and spin it down, and start a self-test of another one."""
    server.lay("/etc/powerd/token", SECRET)
    server.run("chgrp", "powerd", "/etc/powerd/token")
    server.run("chmod", "640", "/etc/powerd/token")
    first, second, _ = drive_set
    for drive in (first, second):
        read(server, drive.path)
    powerd.start(f'{config(LONG)}\n{NO_CHECKS}\n[http]\ntoken_file = "/etc/powerd/token"\n')
    until(lambda: states(server, first, second) == ["active"] * 2, "powerd sees them spin", every=0.5)
    start = server.monotonic()
    clicks = (
        *(f"/api/smart/{first.id}/check", "Check health"),
        *(f"/api/disks/{first.id}/standby", "Spin down"),
        *(f"/api/smart/{second.id}/test", "Start short self-test"),
    )
    answers = server.run("python3", "-c", PAGE, SECRET, *clicks).splitlines()
    assert [answer.split()[0] for answer in answers] == ["303"] * 3, answers
    until(lambda: first.powers() == "standby", "the drive is spun down", every=0.5)
    assert second.powers() == "active/idle"
    assert [event.what for event in first.log("smart-status", "spun down") if event.at > start] == [
        "smart-status",
        "spun down: standby-immediate",
    ]
    assert [event.what for event in second.log("self-test", "spun down") if event.at > start] == [
        "self-test 1"
    ]
    until(lambda: states(server, first) == ["standby"], "powerd reports it", every=0.5)
