from __future__ import annotations

import pytest
from doctor.server import Server

from powerd.doctor.findings.timers import is_frequent, span_seconds

OWN = "/etc/systemd/system/backup.timer"


def with_timer(server: Server, settings: str) -> list[str]:
    server.put(OWN, f"[Timer]\n{settings}\n")
    return [each.id for each in server.diagnose("timers")]


@pytest.fixture
def backup(server: Server) -> Server:
    server.put("/etc/systemd/system/timers.target.wants/backup.timer", "")
    return server


def test_debian_s_timers(server: Server) -> None:
    for package, timer in (
        ("php-common", "phpsessionclean"),
        ("logrotate", "logrotate"),
        ("e2fsprogs", "e2scrub_all"),
    ):
        server.install(package)
        server.enable(f"{timer}.timer", "timers.target")
    diagnosis = server.check_fix("timers")
    assert diagnosis.id == "timers:phpsessionclean"
    assert diagnosis.accesses.units == ("phpsessionclean.service",)


@pytest.mark.parametrize(
    ("settings", "applies"),
    [
        ("OnUnitActiveSec=10min", True),
        ("OnUnitInactiveSec=1h 30min", True),
        ("OnBootSec=5min", False),
        ("OnBootSec=5min\nOnUnitActiveSec=1d", False),
        ("OnUnitActiveSec=2 weeks", False),
        ("OnUnitActiveSec=1month", False),
        ("OnCalendar=hourly\nOnCalendar=\nOnCalendar=weekly", False),
        ("OnCalendar=*:0/15\nUnit=x.service", True),
        ("OnUnitActiveSec=infinity", False),
    ],
)
def test_how_often(backup: Server, settings: str, *, applies: bool) -> None:
    assert with_timer(backup, settings) == (["timers:backup"] if applies else [])


def test_the_unit_that_a_timer_names_is_the_one_in_the_record(backup: Server) -> None:
    backup.put(OWN, "[Timer]\nOnCalendar=hourly\nUnit=rsnapshot@hourly.service\n")
    (diagnosis,) = backup.diagnose("timers")
    assert diagnosis.accesses.units == ("rsnapshot@hourly.service",)


def test_a_system_on_an_ssd(backup: Server) -> None:
    backup.move_to_ssd("/usr")
    assert with_timer(backup, "OnCalendar=hourly") == ["timers:backup"], "its log lines are on the disk"
    backup.move_to_ssd("/var")
    assert with_timer(backup, "OnCalendar=hourly") == []


@pytest.mark.parametrize(
    ("calendar", "frequent"),
    [
        ("minutely", True),
        ("hourly", True),
        ("daily", False),
        ("quarterly", False),
        ("*-*-* *:09,39:00", True),
        ("*-*-* 6,18:00", True),
        ("*-*-* 00/2:00", True),
        ("Mon..Fri 8..18:00", True),
        ("*:*:30", True),
        ("Sun *-*-* 03:10:00", False),
        ("Mon,Fri *-*-01 04:00 Europe/Berlin", False),
        ("2027-01-01", False),
    ],
)
def test_calendar_events(calendar: str, *, frequent: bool) -> None:
    assert is_frequent(calendar) is frequent


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("90", 90),
        ("1h30min", 5400),
        ("2 hours 5 s", 7205),
        ("0.5min", 30),
        ("500ms", 0.5),
        ("1d", 0),
        ("5M", 0),
        ("x", 0),
    ],
)
def test_time_spans(span: str, seconds: float) -> None:
    assert span_seconds(span) == seconds
