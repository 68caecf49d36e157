from __future__ import annotations

import pytest
from doctor.server import Server

TIMERS = {
    "apt": ["apt-daily.timer", "apt-daily-upgrade.timer"],
    "dpkg": ["dpkg-db-backup.timer"],
    "e2fsprogs": ["e2scrub_all.timer"],
    "logrotate": ["logrotate.timer"],
    "man-db": ["man-db.timer"],
    "util-linux": ["fstrim.timer"],
}


@pytest.fixture
def debian(server: Server) -> Server:
    server.put("/etc/machine-id", "3e0d9a0fbd8a4a9f9b0d1d6f6c2b7f55\n")
    for package, timers in TIMERS.items():
        server.install(package)
        for timer in timers:
            server.enable(timer, "timers.target")
    return server


def test_all_of_them_start_in_one_minute(debian: Server) -> None:
    diagnosis = debian.check_fix("daily_timers")
    texts = {file.path.split("/")[-2].removesuffix(".d"): file.text for file in diagnosis.files}
    assert len(texts) == 7
    starts = {timer: text.splitlines()[2].removeprefix("OnCalendar=") for timer, text in texts.items()}
    assert starts["fstrim.timer"] == f"Mon {starts['apt-daily.timer']}"
    upgrade = starts.pop("apt-daily-upgrade.timer")
    assert upgrade > starts["apt-daily.timer"]
    assert len({start[-8:] for start in starts.values()}) == 1
    assert "apt-daily.service" in diagnosis.accesses.units


def test_another_machine_starts_them_in_another_minute(debian: Server) -> None:
    texts = set()
    for machine_id in ("1", "2", "3"):
        debian.put("/etc/machine-id", machine_id)
        texts.add(debian.diagnose("daily_timers")[0].files[0].text)
    assert len(texts) > 1


def test_one_job_alone(server: Server) -> None:
    server.install("man-db")
    server.enable("man-db.timer", "timers.target")
    assert server.diagnose("daily_timers") == []


def test_only_jobs_that_use_a_hard_disk_count(debian: Server) -> None:
    for directory in ("/var", "/usr"):
        debian.move_to_ssd(directory)
    assert debian.diagnose("daily_timers") == []


def test_a_masked_timer_is_left_alone(debian: Server) -> None:
    debian.at("/etc/systemd/system/man-db.timer").symlink_to("/dev/null")
    (diagnosis,) = debian.diagnose("daily_timers")
    assert "man-db" not in diagnosis.subject


@pytest.mark.parametrize(
    ("last", "applies"),
    [("3:38", False), ("03:38:00", False), ("04:30", True), ("3:30\nOnCalendar=9:30", True)],
)
def test_times_that_the_owner_has_set(debian: Server, last: str, *, applies: bool) -> None:
    timers = [timer for each in TIMERS.values() for timer in each]
    for timer in timers:
        time = last if timer == timers[-1] else "3:30"
        debian.put(
            f"/etc/systemd/system/{timer}.d/mine.conf",
            f"[Timer]\nOnCalendar=\nOnCalendar=*-*-* {time}\nRandomizedDelaySec=0\n",
        )
    assert bool(debian.diagnose("daily_timers")) is applies
