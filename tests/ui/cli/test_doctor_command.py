"""``powerd doctor``: what is printed, the exit codes, and who may change something."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doctor.server import Server
from ui.cli.command_line import must_not_run
from ui.statuses import NOW
from ui.wake_statuses import woken

from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.doctor.model import DoctorRequest
from powerd.history.model import Blocker, BlockerTimes, hour_of
from powerd.linux.subprocess import ForegroundProcess
from powerd.ui.api import blockers_json, status_json
from powerd.ui.cli import doctor_command, main
from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_OK, EXIT_USAGE, UnreachableError

Doctor = Callable[..., tuple[int, str, str]]
DISK = {"id": "ata-WD-1", "device": "sda", "state": "active"}
STATUS = {"now": NOW.wall.isoformat(), "disks": [DISK]}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    server = Server(tmp_path)
    server.at("/var/log/journal").mkdir(parents=True)
    server.put("/etc/powerd/enforce.toml", 'mode = "enforce"\n')
    server.put("/etc/powerd/observe.toml", "")
    return server


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The responses of the daemon by path; a path without one is not reachable."""
    responses: dict[str, Any] = {}

    def request(_method: str, path: str, **_options: object) -> object:
        if path not in responses:
            raise UnreachableError("no daemon answers")
        return responses[path]

    monkeypatch.setattr(doctor_command, "request", request)
    return responses


@pytest.fixture
def doctor(
    server: Server,
    daemon: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Doctor:
    del daemon
    monkeypatch.delenv("POWERD_CONFIG", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(*argv: str, mode: str = "enforce") -> tuple[int, str, str]:
        config = str(server.at(f"/etc/powerd/{mode}.toml"))
        machine = main.MachineFunctions(run_doctor=server.request)
        try:
            code = main.main(["doctor", "--config", config, *argv], must_not_run, ForegroundProcess, machine)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_without_the_daemon(doctor: Doctor) -> None:
    code, out, _ = doctor()
    assert code == EXIT_NEGATIVE, "something applies"
    assert "sudo powerd doctor --fix journald\n" in out
    assert "note: without evidence" in out
    assert max(map(len, out.splitlines())) <= 80


def test_with_the_record_of_the_daemon(doctor: Doctor, server: Server, daemon: dict[str, Any]) -> None:
    server.install("cron-daemon-common")
    server.start("cron.service")
    smbd = Blocker("smbd", "10.0.0.44 has a file open"), Blocker("cron", "a minute is not worth a line")
    times = BlockerTimes({smbd[0]: {hour_of(NOW): 50400.0}, smbd[1]: {hour_of(NOW): 60.0}})
    daemon |= {
        "/api/status": {**status_json(woken(), NOW), "disks": []},
        "/api/wakes": wakes_json(woken(), NOW),
        "/api/accesses": accesses_json(woken(), NOW),
        "/api/blockers": blockers_json(times, NOW),
    }
    _, out, _ = doctor()
    assert out.startswith("cron_hourly: ")
    assert out.count("sda 24 times") == 2
    assert re.search(r"\n +rsync \(1 time\), unknown \(1 time\).* powerd wakes", out)
    assert re.search(r"^ +14 h +smbd: 10\.0\.0\.44 has a file open$", out, re.MULTILINE)
    assert "not worth a line" not in out
    document = json.loads(doctor("--json")[1])
    first = document["findings"][0]
    assert (first["id"], first["wakes"], first["accesses"]) == ("cron_hourly", {"sda": 24}, {"sda": 24})
    assert document["other_wakes"] == {"rsync": 1, "unknown": 1}
    assert len(document["kept_awake"]) == 2


def test_a_daemon_without_a_record(doctor: Doctor, daemon: dict[str, Any]) -> None:
    daemon["/api/status"] = STATUS
    assert "note: without evidence" in doctor()[1]


def test_a_disk_in_standby_is_not_read(doctor: Doctor, daemon: dict[str, Any]) -> None:
    daemon["/api/status"] = {**STATUS, "disks": [{**DISK, "state": "standby"}]}
    code, out, _ = doctor()
    assert code == EXIT_NEGATIVE, "it is not known whether anything applies"
    assert re.match(r"note: .*/etc .*sda.* in standby", " ".join(out.split()))


def test_nothing_applies(doctor: Doctor, server: Server) -> None:
    server.at("/var/log/journal").rmdir()
    server.remount("/", "noatime")
    code, out, _ = doctor()
    assert (code, out.count("\n")) == (EXIT_OK, 1)
    assert "Nothing was found" in out
    server.sysfs("sda", "queue/rotational", "0")
    code, out, _ = doctor()
    assert code == EXIT_OK
    assert "no hard disk" in out


def test_a_fix_and_its_undo(doctor: Doctor, server: Server) -> None:
    before = server.tree()
    code, out, _ = doctor("--fix", "journald")
    assert code == EXIT_OK
    assert out.startswith("wrote /etc/systemd/journald.conf.d/zz-powerd.conf\nexecuted systemctl")
    assert re.search(r"applied: journald;.* powerd doctor --undo journald", " ".join(doctor()[1].split()))
    code, out, _ = doctor("--undo", "journald", "--json")
    assert code == EXIT_OK
    assert json.loads(out)["applied"] == []
    assert json.loads(out)["not_changed_because"] is None
    assert server.tree() == before


@pytest.mark.parametrize(("mode", "option"), [("enforce", ["--dry-run"]), ("observe", [])])
def test_only_the_diff(doctor: Doctor, server: Server, mode: str, option: list[str]) -> None:
    before = server.tree()
    code, out, _ = doctor("--fix", "journald", *option, mode=mode)
    assert code == EXIT_OK
    assert "+Storage=volatile\n" in out
    assert "Nothing was changed" in out
    document = json.loads(doctor("--fix", "journald", "--json", *option, mode=mode)[1])
    assert document["not_changed_because"]
    assert document["applied"] == []
    assert server.tree() == before


@pytest.mark.parametrize(("running", "file"), [("observe", "enforce"), ("enforce", "observe")])
def test_the_mode_is_that_of_the_running_daemon(
    doctor: Doctor, server: Server, daemon: dict[str, Any], running: str, file: str
) -> None:
    daemon["/api/status"] = {**STATUS, "mode": running}
    before = server.tree()
    code, out, _ = doctor("--fix", "journald", mode=file)
    assert code == EXIT_OK
    assert (server.tree() == before) is (running == "observe")
    assert f"mode of the running daemon is {running}" in " ".join(out.split())
    assert ("systemctl reload powerd" in " ".join(out.split())) is (running == "observe")


@pytest.mark.parametrize("mode", ["observe", "enforce"])
@pytest.mark.parametrize("status", [{}, {"/api/status": {**STATUS, "mode": None}}])
def test_the_mode_is_that_of_the_file_if_no_daemon_answers(
    doctor: Doctor, daemon: dict[str, Any], mode: str, status: dict[str, Any]
) -> None:
    daemon |= status
    assert json.loads(doctor("--fix", "journald", "--dry-run", "--json")[1])["mode_from"] is None
    document = json.loads(doctor("--fix", "journald", "--json", mode=mode)[1])
    assert document["mode"] == mode
    assert f"{mode}.toml" in document["mode_from"]
    assert bool(document["not_changed_because"]) is (mode == "observe")


def test_an_ordinary_user_may_look_and_not_change(
    doctor: Doctor, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = server.tree()
    code, _, error = doctor("--fix", "journald")
    assert code == EXIT_NEGATIVE
    assert "sudo powerd doctor --fix journald" in error
    assert doctor("--fix", "journald", "--dry-run")[0] == EXIT_OK
    assert server.tree() == before


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--fix", "jurnald"], EXIT_USAGE),
        (["--undo", "journald"], EXIT_NEGATIVE),
        (["--fix", "a", "--undo", "b"], EXIT_USAGE),
        (["--dry-run"], EXIT_USAGE),
        (["--fix"], EXIT_USAGE),
    ],
)
def test_what_cannot_be_done(doctor: Doctor, argv: list[str], expected: int) -> None:
    code, out, error = doctor(*argv)
    assert (code, out) == (expected, "")
    assert error.splitlines()[-1].startswith("powerd")


def test_the_machine_of_a_test_is_empty() -> None:
    assert main.MachineFunctions().run_doctor(DoctorRequest()).diagnoses == ()


@pytest.mark.parametrize("config", ["", "mode = \n"])
def test_an_undo_does_not_depend_on_the_configuration(doctor: Doctor, server: Server, config: str) -> None:
    """The removal of powerd undoes all fixes, in each mode and with a configuration that is not valid."""
    before = server.tree()
    doctor("--fix", "journald")
    server.put("/etc/powerd/odd.toml", config)
    assert doctor("--undo", "journald", mode="odd")[0] == EXIT_OK
    server.at("/etc/powerd/odd.toml").unlink()
    assert server.tree() == before


def test_the_records_of_root_are_not_called_untrusted(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor("--fix", "journald")
    real = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: os.stat_result((*real(path)[:4], 0, 0, *real(path)[6:])))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "not trusted" not in doctor("--undo", "journald", "--dry-run")[2]
