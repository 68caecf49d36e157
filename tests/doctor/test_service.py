"""A run of the doctor: what applies, fixes and their refusals, and the registry of findings."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from doctor.server import PACKAGES, Server

from powerd.doctor.fixes import FixStore
from powerd.doctor.model import DoctorError, DoctorRequest, UnknownDiagnosisError
from powerd.doctor.service import finding_modules, run
from powerd.linux.subprocess import HostProcesses

ROOT: Final = Path(__file__).parents[2]
ID: Final = "journald"
DROP_IN: Final = "/etc/systemd/journald.conf.d/zz-powerd.conf"


@pytest.fixture
def journal(server: Server) -> Server:
    server.at("/var/log/journal").mkdir(parents=True)
    return server


def ids(server: Server, *sleeping: str) -> list[str]:
    return [each.id for each in server.request(DoctorRequest(sleeping=sleeping)).diagnoses]


def test_a_fix_and_its_undo(journal: Server) -> None:
    assert ID in ids(journal)
    before = journal.tree()
    report = journal.fix(ID)
    assert [fix.id for fix in report.applied] == [ID]
    assert report.steps == (f"wrote {DROP_IN}", "executed systemctl try-restart systemd-journald.service")
    assert ID not in ids(journal)
    with pytest.raises(DoctorError, match="already"):
        journal.fix(ID)
    assert journal.undo(ID).applied == ()
    assert journal.tree() == before


def test_a_dry_run_changes_nothing(journal: Server) -> None:
    before = journal.tree()
    steps = journal.request(DoctorRequest("fix", ID, dry_run=True)).steps
    assert f"+++ {DROP_IN}" in steps
    assert "+Storage=volatile" in steps
    assert steps[-1] == "execute: systemctl try-restart systemd-journald.service"
    assert journal.tree() == before
    journal.fix(ID)
    fixed = journal.tree()
    assert "-Storage=volatile" in journal.request(DoctorRequest("undo", ID, dry_run=True)).steps
    assert journal.tree() == fixed


def test_a_failed_command_is_repeated_or_removed(journal: Server) -> None:
    before = journal.tree()
    journal.failing_command = "systemctl try-restart"
    with pytest.raises(DoctorError, match=r"it failed.*--undo journald"):
        journal.fix(ID)
    assert [each.complete for each in journal.request(DoctorRequest()).applied] == [False]
    journal.failing_command = ""
    assert journal.fix(ID).applied[0].complete, "although the finding no longer applies"
    journal.undo(ID)
    assert journal.tree() == before


def test_an_unknown_id(server: Server) -> None:
    with pytest.raises(UnknownDiagnosisError, match='"jurnald" does not apply'):
        server.fix("jurnald")
    with pytest.raises(DoctorError, match="has not applied"):
        server.undo("jurnald")


def test_nothing_is_read_from_a_disk_in_standby(journal: Server) -> None:
    report = journal.request(DoctorRequest(sleeping=["sda"]))
    assert report.diagnoses == ()
    assert "sda, which is in" in report.notes[0]
    assert ID in ids(journal, "sdb"), "nothing of it lies there"


def test_a_disk_without_a_record_of_udev(journal: Server) -> None:
    """As in a container that has the kernel's /sys and a /run of its own."""
    shutil.rmtree(journal.at("/run/udev"))
    assert ID in ids(journal)


def test_a_fix_starts_the_disk_that_it_writes_to_and_no_other(journal: Server) -> None:
    request = DoctorRequest("fix", ID, sleeping=["sda", "sdb"])
    with pytest.raises(UnknownDiagnosisError, match=r"sda.* in standby"):
        journal.request(replace(request, dry_run=True))
    assert journal.request(request).applied


def test_one_finding_that_fails_does_not_hide_the_others(
    journal: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_modules()["atop"], "detect", lambda _: [1 / 0])
    report = journal.request(DoctorRequest())
    assert ID in [each.id for each in report.diagnoses]
    assert any("atop" in note and "ZeroDivisionError" in note for note in report.notes)


def test_a_machine_without_a_hard_disk(journal: Server) -> None:
    journal.sysfs("sda", "queue/rotational", "0")
    report = journal.request(DoctorRequest())
    assert report.diagnoses == ()
    assert len(report.notes) == 1


def test_a_bare_tree(tmp_path: Path) -> None:
    """No /sys, no /etc: nothing applies, and nothing fails."""
    assert asyncio.run(run(DoctorRequest(), tmp_path, HostProcesses())).diagnoses == ()


@pytest.mark.parametrize("name", finding_modules())
def test_each_finding_has_a_manual(name: str) -> None:
    module = finding_modules()[name]
    title, *rest = module.__doc__.splitlines()
    assert title.endswith(".")
    assert re.search(r"\([1-9]\)|kernel|Documentation/|https://", "\n".join(rest)), "the source of its facts"
    assert isinstance(module.FIX, str)


@pytest.mark.parametrize("name", finding_modules())
def test_each_finding_has_a_row_in_the_page_and_tests(name: str) -> None:
    module = finding_modules()[name]
    title = module.__doc__.splitlines()[0].removesuffix(".")
    row = f"| `{name}` | {title} | {module.FIX or 'by hand'} |"
    assert row in (ROOT / "docs/doctor.md").read_text()
    assert (Path(__file__).parent / f"findings/test_{name}.py").exists()


def test_a_directory_on_a_disk_in_standby_is_not_examined(server: Server) -> None:
    server.sata(2, "WD-2")
    server.partition(2, 1, ID_FS_TYPE="ext4")
    server.mount("8:33", "/srv", "ext4", "/dev/sdc1")
    server.at("/srv/jellyfin").mkdir(parents=True)
    server.at("/var/lib/jellyfin").symlink_to(server.at("/srv/jellyfin"))
    server.start("jellyfin.service")
    found = "media_server:jellyfin-data"
    assert found in ids(server)
    report = server.request(DoctorRequest(sleeping=["sdc"]))
    assert found in [each.id for each in report.diagnoses], "the mount table says where it is"
    assert any("/srv/jellyfin/root" in note and "sdc" in note for note in report.notes), report.notes


def test_all_fixes_together(server: Server) -> None:
    """Every package of the fixtures is installed, enabled and running: no fix is in the way of another."""
    for package in sorted(PACKAGES.iterdir()):
        server.install(package.name)
    server.at("/var/log/journal").mkdir(parents=True)
    server.mount("0:25", "/run", "tmpfs", "tmpfs")
    for unit in sorted(server.at("/lib/systemd/system").glob("*.*")):
        if "[Install]" in unit.read_text() and "@" not in unit.name:
            server.enable(unit.name, "timers.target" if unit.suffix == ".timer" else "multi-user.target")
        server.start(unit.name)
    before, first = server.tree(), server.request(DoctorRequest()).diagnoses
    fixable = [each for each in first if each.fixable]
    assert len(fixable) > 15
    paths = [file.path for each in fixable for file in each.files]
    assert len(paths) == len(set(paths))

    async def execute(argv: Sequence[str]) -> None:
        await server.run(argv, timeout=1.0)

    store = FixStore(server.root, execute)
    for diagnosis in fixable:
        asyncio.run(store.apply(diagnosis.id, diagnosis))
    left = server.request(DoctorRequest())
    assert [each.id for each in left.diagnoses if each.fixable] == []
    assert sorted(each.id for each in left.applied) == sorted(each.id for each in fixable)
    for diagnosis in fixable:
        asyncio.run(store.remove(diagnosis.id))
    assert server.tree() == before
    assert server.request(DoctorRequest()).diagnoses == first
