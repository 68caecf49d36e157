"""The service on a booted Debian: real systemd, logind and polkit, the unit as it ships, a client on its LAN.

The tests share one boot and run in the order they stand in: the last one powers the machine off.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from doctor.server import PACKAGES
from rig.boot import CannotBootError
from rig.hardware import Hardware
from rig.namespace import inside
from rig.sleeping_server import POWERD, SleepingServer, installed_server
from rig.wait import until

from powerd.activity.registry import DEFAULT_ON

pytestmark = pytest.mark.lan


@pytest.fixture(scope="module")
def sleeping_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SleepingServer]:
    try:
        with installed_server(tmp_path_factory.mktemp("boot")) as server_with_laptop:
            server_with_laptop.configure("observe")
            server_with_laptop.server.boot()
            yield server_with_laptop
    except CannotBootError as error:
        pytest.skip(str(error))


def test_a_start_with_a_faulty_configuration_fails_with_the_words_of_check(
    sleeping_server: SleepingServer,
) -> None:
    file = "/etc/powerd/powerd.toml"
    script = f"""cp {file} /root/valid
printf 'mode = enforce\\n[clients]\\nevry = 1\\n' > {file}
{POWERD} check 2>&1
for command in 'start powerd' 'status --full powerd' 'show --property=Result,NRestarts powerd'; do
    echo ---; systemctl $command 2>&1
done
echo ---; journalctl --unit=powerd
cp /root/valid {file}
systemctl reset-failed powerd"""
    words, started, status, shown, journal = sleeping_server.server.run("sh", "-c", script).split("---\n")
    lines = words.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{file}:1", f"{file}:3"]
    assert "systemctl status powerd.service" in started
    assert all(line in status and line in journal for line in lines)
    assert sorted(shown.split()) == ["NRestarts=0", "Result=exit-code"], "a restart does not repair it"


def test_unit_starts_and_is_ready(sleeping_server: SleepingServer) -> None:
    """With Type=notify ``systemctl start`` ends only after READY=1; and it sees the client in its sandbox."""
    sleeping_server.server.run("systemctl", "start", "powerd")
    assert sleeping_server.shown("ActiveState") == "active"
    until(lambda: sleeping_server.status().get("state") == "awake", "the client is seen")
    until(lambda: "10.77.1.9" in sleeping_server.shown("StatusText"), "systemd is notified")
    pid = sleeping_server.shown("MainPID")
    assert sleeping_server.server.run("stat", "--format=%U", f"/proc/{pid}") == "powerd"
    held = sleeping_server.server.run("grep", "CapEff", f"/proc/{pid}/status").split()[1]
    assert int(held, 16) == 1 << 13, "CAP_NET_RAW (capabilities(7)) and nothing else"


def test_journal_holds_the_fields(sleeping_server: SleepingServer) -> None:
    lines = sleeping_server.server.run("journalctl", "--unit=powerd", "--output=json").splitlines()
    entries = [entry for line in lines if "POWERD_EVENT" in (entry := json.loads(line))]
    assert entries
    assert all(len(entry["MESSAGE_ID"]) == 32 for entry in entries)


SEEN = """\
from pathlib import Path
from powerd.linux.files import HostFiles
from powerd.disks.source.spin_up_causes import SpinUpCauseReader
files = HostFiles()
swaps = (files.read_text(path) for path in ("/proc/swaps", "/run/powerd/swaps"))
print(SpinUpCauseReader(files).read("").journal_directory, *swaps, sep="\\n")
"""


def run_in_sandbox(sleeping_server: SleepingServer, code: str) -> list[str]:
    """What a program prints that runs as the service's user in its sandbox."""
    into = ["nsenter", f"--target={sleeping_server.shown('MainPID')}", "--mount", "--root"]
    become = ["setpriv", "--reuid=powerd", "--regid=powerd", "--clear-groups"]
    return sleeping_server.server.run(*into, *become, "/opt/powerd/bin/python3", "-c", code).splitlines()


def seen(sleeping_server: SleepingServer) -> list[str]:
    """Where the journal lies, and what is known of swap space."""
    return run_in_sandbox(sleeping_server, SEEN)


def test_the_service_sees_which_swap_space_is_in_use(sleeping_server: SleepingServer) -> None:
    """Its own /proc hides that, and is not to show more for it."""
    _, hidden, *table = seen(sleeping_server)
    assert hidden == "None"
    assert table == Path("/proc/swaps").read_text().splitlines()


def test_the_service_sees_whether_journald_writes_to_disk(sleeping_server: SleepingServer) -> None:
    for storage, place in (("volatile", "None"), ("persistent", "/var/log/journal"), ("volatile", "None")):
        sleeping_server.server.lay("etc/systemd/journald.conf.d/rig.conf", f"[Journal]\nStorage={storage}\n")
        sleeping_server.server.run("systemctl", "restart", "systemd-journald")
        sleeping_server.server.run("journalctl", "--flush")
        assert seen(sleeping_server)[0] == place
        assert sleeping_server.server.run("journalctl", "--unit=powerd", "--lines=1"), (
            "it is journald's, whose"
        )


WATCHED = """\
from powerd.linux.files import HostFiles
directories = ("/var/log", "/home/alice", "/etc/ssl/private")
print(*HostFiles().read_directories(directories, directories).unwatched, sep="\\n")
"""


def test_the_service_names_directories_that_it_cannot_watch(sleeping_server: SleepingServer) -> None:
    """One is hidden by its unit, another is not for its user."""
    sleeping_server.server.run("mkdir", "-p", "/home/alice", "/etc/ssl/private")
    sleeping_server.server.run("chmod", "700", "/etc/ssl/private")
    sleeping_server.server.run("chmod", "755", "/var/log")
    hidden, forbidden = run_in_sandbox(sleeping_server, WATCHED)
    assert hidden.startswith("cannot watch /home/alice: ")
    assert "ProtectHome=read-only" in hidden
    assert forbidden.startswith("cannot watch /etc/ssl/private: ")
    assert "setfacl" in forbidden or "usermod" in forbidden


def test_only_root_and_its_group_may_ask(sleeping_server: SleepingServer) -> None:
    asked = sleeping_server.server.run("stat", "--format=%A %U %G", "/run/powerd/powerd.sock")
    assert asked == "srw-rw---- powerd powerd"


FILM = """\
import socket
connection = socket.create_server(("10.77.1.1", 8096)).accept()[0]
while True:
    connection.sendall(bytes(100_000))
"""


def test_each_default_check_works_in_the_sandbox(sleeping_server: SleepingServer) -> None:
    """None fails, and ``traffic`` sees a film that this server sends to the client."""
    server = sleeping_server.server

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(server.run(POWERD, "activity", "--now", "--json"))
        return found

    sleeping_server.configure("observe", checks="")
    server.run("systemctl", "reload", "powerd")
    found = until(
        rows, "the checks run", accept=lambda rows: {row["check"] for row in rows} == set(DEFAULT_ON)
    )
    assert [row for row in found if row["state"] == "failed"] == []
    server.run("systemd-run", "--unit=film", "/opt/powerd/bin/python3", "-c", FILM)
    with inside(sleeping_server.laptop.inside.name):
        client = until(lambda: socket.create_connection(("10.77.1.1", 8096), 60), "the film is sent")
    with client, client.makefile("rb") as film:

        def flows_that_count() -> set[str]:
            film.read(1_000_000)
            return {row["subject"] for row in rows() if row["check"] == "traffic" and row["keeps_awake"]}

        until(flows_that_count, "the film counts", accept=lambda found: "10.77.1.9" in found)
    sleeping_server.configure("observe")
    server.run("systemctl", "reload", "powerd")


REFUSED: Final = """
import os
try:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
except PermissionError:
    print("refused")
"""


def test_a_command_is_refused_a_system_call_and_not_killed(sleeping_server: SleepingServer) -> None:
    """Node.js tries pkey_alloc(2), which the filter of the unit does not permit either, and does without."""
    table = f"""
[[activity.command]]
name = "node"
command = ["/opt/powerd/bin/python3", "-c", {json.dumps(REFUSED)}]
regex = "refused"
"""
    sleeping_server.configure("observe", table)
    sleeping_server.server.run("systemctl", "reload", "powerd")
    found = until(
        lambda: json.loads(sleeping_server.server.run(POWERD, "activity", "--now", "--json")),
        "the command has run",
        accept=lambda rows: [row["check"] for row in rows if row["took"]] == ["command:node"],
    )
    assert [(row["state"], row["keeps_awake"]) for row in found] == [("measured", True)]
    sleeping_server.configure("observe")
    sleeping_server.server.run("systemctl", "reload", "powerd")


def journal_of(sleeping_server: SleepingServer) -> str:
    """All that powerd has written to the journal."""
    return sleeping_server.server.run("journalctl", "--unit=powerd", "--output=cat")


def test_bad_configuration_is_refused_on_reload(sleeping_server: SleepingServer) -> None:
    sleeping_server.server.lay("etc/powerd/powerd.toml", 'mode = "enforce"\n[clients]\nevry = "5s"\n')
    with pytest.raises(AssertionError, match=r"systemctl reload powerd: exit 1"):
        sleeping_server.server.run("systemctl", "reload", "powerd")
    assert "clients.evry: unknown key" in journal_of(sleeping_server)
    assert sleeping_server.shown("ActiveState") == "active"
    status = sleeping_server.status()
    assert status["mode"] == "observe"
    assert "clients.evry" in status["reload_error"]
    for command in ("status", "why"):
        assert "clients.evry" in sleeping_server.server.run(POWERD, command)
    sleeping_server.configure("observe")
    sleeping_server.server.run("systemctl", "reload", "powerd")
    assert sleeping_server.status()["reload_error"] is None


def test_hanging_daemon_is_killed_and_started_again(sleeping_server: SleepingServer) -> None:
    sleeping_server.configure("observe")
    sleeping_server.server.lay(
        "etc/systemd/system/powerd.service.d/short.conf", "[Service]\nWatchdogSec=12s\nRestartSec=0\n"
    )
    sleeping_server.server.run("systemctl", "daemon-reload")
    sleeping_server.server.run("systemctl", "restart", "powerd")
    assert sleeping_server.shown("NRestarts") == "0"
    sleeping_server.server.run("kill", "-STOP", sleeping_server.shown("MainPID"))
    until(
        lambda: sleeping_server.shown("NRestarts") == "1",
        "the watchdog has started it again",
        within=180,
        every=0.5,
    )
    until(lambda: sleeping_server.status().get("state") == "awake", "it sees the client again", within=180)


def test_good_configuration_is_taken_on_reload(sleeping_server: SleepingServer) -> None:
    sleeping_server.configure("enforce")
    sleeping_server.server.run("systemctl", "reload", "powerd")
    until(lambda: sleeping_server.status().get("mode") == "enforce", "the new mode is in force")


ON_A_HARD_DISK: Final = """\
set -e
mountpoint --fs-devno / >/opt/hardware/sys/block/sda/sda1/dev
mkdir -p /run/udev/data
cp /opt/hardware/run/udev/data/* /run/udev/data
mount --bind /opt/hardware/sys/block /sys/block
mount --bind /opt/hardware/sys/devices /sys/devices
exec "$@"
"""
"""Runs a command that sees the root on the hard disk of /opt/hardware: no machine of the tests has one."""


def test_a_fix_of_the_doctor_and_its_undo(sleeping_server: SleepingServer) -> None:
    """A drop-in of the journal, one of a timer, and a masked service; and each as it was before."""
    server = sleeping_server.server
    timer = PACKAGES / "php-common/lib/systemd/system/phpsessionclean.timer"
    server.lay("etc/systemd/journald.conf.d/rig.conf", "[Journal]\nStorage=persistent\n")
    server.lay("lib/systemd/system/phpsessionclean.timer", timer.read_text())
    server.lay("lib/systemd/system/phpsessionclean.service", "[Service]\nExecStart=/bin/true\n")
    hardware = Hardware(server.root / "opt/hardware")
    hardware.sata(0, "WD-1")
    hardware.partition(0, 1)
    server.lay("lib/systemd/system/hd-idle.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "start", "hd-idle.service")
    server.run("systemctl", "enable", "--now", "phpsessionclean.timer")
    server.run("systemctl", "restart", "systemd-journald")
    server.run("journalctl", "--flush")

    def doctor(*arguments: str, check: bool = True) -> str:
        return server.run(
            "unshare", "--mount", "sh", "-c", ON_A_HARD_DISK, "sh", POWERD, "doctor", *arguments, check=check
        )

    def elapses() -> str:
        return server.run(
            "systemctl", "show", "--value", "--property=TimersCalendar", "phpsessionclean.timer"
        )

    def journal() -> str:
        journald = server.run("systemctl", "show", "--value", "--property=MainPID", "systemd-journald")
        return server.run(
            "find", f"/proc/{journald}/fd", "-lname", "*/log/journal/*/system.journal", "-printf", "%l"
        )

    def found() -> set[str]:
        return {each["id"] for each in json.loads(doctor("--json", check=False))["findings"]}

    def hd_idle() -> str:
        return server.run("systemctl", "is-active", "hd-idle.service", check=False)

    fixes = ("journald", "timers:phpsessionclean", "hd_idle")
    half_hourly, before = elapses(), found()
    assert "*:09,39:00" in half_hourly
    until(journal, "it is on the disk", accept=lambda path: path.startswith("/var/log"))
    assert before >= {*fixes}
    for id_ in fixes:
        doctor("--fix", id_)
    until(journal, "it is in memory", accept=lambda path: path.startswith("/run/log"))
    assert "*-*-* 00:00:00" in elapses()
    assert hd_idle() == "inactive"
    assert found() == before - {*fixes}
    for id_ in fixes:
        doctor("--undo", id_)
    assert elapses().partition(" ;")[0] == half_hourly.partition(" ;")[0]
    assert hd_idle() == "active"
    assert found() == before
    assert server.run("find", "/etc", "-name", "*zz-powerd*", "-o", "-name", "hd-idle.service") == ""


def test_inhibitor_lock_of_somebody_else_keeps_it_awake_and_is_named(sleeping_server: SleepingServer) -> None:
    """Another program holds a block lock while no client is present; powerd notices its release at once."""
    lock = ["systemd-inhibit", "--what=shutdown", "--who=backup", "--why=night backup", "--mode=block"]
    sleeping_server.server.run("systemd-run", "--unit=backup", *lock, "sleep", "infinity")
    sleeping_server.awake_because("backup: forbids shutdown: night backup")
    sleeping_server.laptop.leave()
    until(
        lambda: sleeping_server.reasons() == ["backup: forbids shutdown: night backup"],
        "it is the last",
        within=180,
    )
    sleeping_server.laptop.come_back()
    sleeping_server.awake_because("10.77.1.9: home")
    sleeping_server.server.run("systemctl", "stop", "backup")
    until(lambda: not any("backup" in reason for reason in sleeping_server.reasons()), "the lock is gone")


def test_powers_off_after_the_last_has_left(sleeping_server: SleepingServer) -> None:
    """By its own right as user powerd, over D-Bus, logind and polkit, down to the end of the machine."""
    nspawn = sleeping_server.server.nspawn
    assert nspawn is not None
    assert nspawn.poll() is None
    sleeping_server.laptop.leave()
    until(lambda: nspawn.poll() is not None, "the machine is off", within=240)
    assert nspawn.returncode == 0
