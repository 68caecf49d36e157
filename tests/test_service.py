"""What the service does besides the daemon: findings for journal and hook, reloads, and its own memory."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from functools import reduce
from io import StringIO
from pathlib import Path

import pytest
from ui.statuses import NOW, decision, status

from powerd.config.load import load, parse
from powerd.config.options import Options
from powerd.core.actions import RequestRefusedError
from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.linux.journald import JournalWriter
from powerd.linux.values import HostError
from powerd.messages.alarms import NOBODY
from powerd.service import Service
from powerd.smart.model import Finding, Severity

DISK = Disk(DiskId("ata-A_1"), "sda", model="Old", serial="S1")
FINDING = Finding("verdict", Severity.ALARM, "the drive reports that it is failing", "copy it")


def service(options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Service, StringIO]:
    """A service that does not run yet, and its output."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    shown = StringIO()
    monkeypatch.setattr("powerd.service.JournalWriter", lambda: JournalWriter({}, shown))
    return Service(options, lambda: options, tmp_path / "powerd.toml", tmp_path / "powerd.sock", []), shown


@pytest.mark.parametrize(
    ("config", "remark"),
    [
        ('mode = "enforce"\n[hooks]\nalert = ["/bin/true"]\n', ""),
        ('mode = "enforce"', f"; {NOBODY}"),
        ("", ""),
    ],
)
def test_a_finding_reaches_the_journal_with_a_word_if_nobody_is_notified(
    config: str, remark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> str:
        daemon_service, shown = service(parse(config.encode(), "test"), tmp_path, monkeypatch)
        daemon_service._on_finding(DISK, FINDING)  # noqa: SLF001 - what the daemon is handed
        return shown.getvalue()

    assert asyncio.run(main()) == f"sda: {FINDING.text}; {FINDING.advice}{remark}\n"


def test_a_questionable_setting_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text('[hooks]\nnotify = ["ntfy://secret"]\n')
    file.chmod(0o644)
    daemon_service, shown = service(parse(file.read_bytes(), "test"), tmp_path, monkeypatch)
    daemon_service._log_option_warnings()  # noqa: SLF001 - as at start
    assert f"{file}:2: hooks.notify: " in shown.getvalue()


@pytest.mark.parametrize(
    ("where", "applied"),
    [("_reload_options", False), ("_daemon._engine.reconfigure", False), ("_log_option_warnings", True)],
)
def test_a_reload_that_fails_ends_and_the_old_configuration_remains_if_the_new_one_is_not_applied(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, applied: bool
) -> None:
    sent: list[str] = []
    daemon_service, shown = service(Options(), tmp_path, monkeypatch)
    monkeypatch.setattr(daemon_service._service_manager, "notify", sent.append)  # noqa: SLF001 - what systemd gets
    monkeypatch.setattr(daemon_service, "_reload_options", lambda: Options(mode="enforce"))
    *path, method = where.split(".")
    monkeypatch.setattr(reduce(getattr, path, daemon_service), method, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError if applied else RequestRefusedError):
        daemon_service._reload()  # noqa: SLF001 - what the API calls
    assert [each.partition("=")[0] for each in sent] == ["RELOADING", "READY"]
    mode = "enforce" if applied else "observe"
    assert daemon_service._options.mode == daemon_service._daemon.options().mode == mode  # noqa: SLF001 - what is in force
    if not applied:
        assert "ZeroDivisionError" in (daemon_service._reload_error or "")  # noqa: SLF001 - what the UI shows
        assert "ZeroDivisionError" in shown.getvalue()


@pytest.mark.parametrize("kind", ["fifo", "device", "large", "directory"])
def test_a_file_that_is_no_configuration_changes_nothing_at_a_reload(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "powerd.toml"

    async def main() -> str:
        daemon_service, shown = service(parse(b'mode = "enforce"', "test"), tmp_path, monkeypatch)
        monkeypatch.setattr(daemon_service, "_reload_options", lambda: load(file))
        match kind:
            case "fifo":
                os.mkfifo(file)
            case "device":
                file.symlink_to("/dev/zero")
            case "large":
                file.write_bytes(b"#" * (2 << 20))
            case _:
                file.mkdir()
        daemon_service._on_hangup()  # noqa: SLF001 - what SIGHUP calls
        assert daemon_service._options.mode == "enforce"  # noqa: SLF001 - what is in force
        return shown.getvalue()

    (line,) = asyncio.run(main()).splitlines()
    assert str(file) in line
    assert "old configuration remains in" in line


def test_a_reload_is_refused_until_the_file_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "powerd.toml"

    async def main() -> None:
        daemon_service, _ = service(Options(), tmp_path, monkeypatch)
        monkeypatch.setattr(daemon_service, "_reload_options", lambda: load(file))
        file.write_text("[clients]\nevry = 1\nlern = 2\n")
        with pytest.raises(RequestRefusedError, match=r"clients\.evry.*and 1 more"):
            daemon_service._reload()  # noqa: SLF001 - what the API calls
        assert daemon_service._reload_error  # noqa: SLF001 - what the UI shows
        file.write_text('mode = "enforce"\n')
        daemon_service._reload()  # noqa: SLF001 - what the API calls
        assert not daemon_service._reload_error  # noqa: SLF001 - what the UI shows
        assert daemon_service._options.mode == "enforce"  # noqa: SLF001 - what is in force

    asyncio.run(main())


@pytest.mark.parametrize("mount_point", ["/", "/srv"])
def test_the_program_stays_in_memory_where_its_disk_is_spun_down(
    mount_point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and again after modules have been loaded; a refusal is one line."""
    calls: list[int] = []

    def refuse() -> None:
        calls.append(len(sys.modules))
        raise HostError("mlockall: no")

    monkeypatch.setattr("powerd.service.lock_memory", refuse)
    daemon_service, shown = service(Options(), tmp_path, monkeypatch)
    on_disk = replace(DISK, mounts=(Mount(mount_point, "ext4"),))
    report = DiskReport(on_disk, DiskState.ACTIVE, NOW, spin_down_after=600.0)
    decided = status(decision().with_parts(DisksReport((report,))))
    for _ in range(2):
        daemon_service._lock_memory(decided)  # noqa: SLF001 - what each decision calls
    monkeypatch.setitem(sys.modules, "a_module_of_the_web_server", sys)
    daemon_service._lock_memory(decided)  # noqa: SLF001 - what each decision calls
    locks = mount_point == "/"
    assert len(calls) == 2 * locks
    assert len(shown.getvalue().splitlines()) == 2 * locks
