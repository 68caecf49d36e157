"""Examines a machine by all findings, and applies and removes fixes."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from powerd.core.reasons import failure_text
from powerd.doctor import findings
from powerd.doctor.evidence_rules import add_evidence
from powerd.doctor.fixes import FixStore
from powerd.doctor.machine import Machine
from powerd.doctor.model import (
    Diagnosis,
    DoctorError,
    DoctorReport,
    DoctorRequest,
    OwnFile,
    UnknownDiagnosisError,
)
from powerd.linux.files import HostFiles
from powerd.linux.ports import Files, Processes
from powerd.linux.values import HostError

_COMMAND_TIMEOUT: Final = 90.0
"""Seconds: systemd's own limit for the stop of a unit (systemd-system.conf(5), DefaultTimeoutStopSec=)."""


class FindingModule(Protocol):
    """A module of ``findings/``; see its docstring."""

    FIX: str
    __doc__: str

    def detect(self, machine: Machine) -> Iterator[Diagnosis]:
        """What applies to this machine."""
        ...


def finding_modules() -> dict[str, FindingModule]:
    """The findings by name, sorted."""
    names = sorted(module.name for module in pkgutil.iter_modules(findings.__path__))
    return {name: cast("FindingModule", import_module(f"{findings.__name__}.{name}")) for name in names}


async def examine(files: Files, sleeping: Sequence[str] = (), *, may_start: bool = False) -> DoctorReport:
    """All that applies to this machine; what cannot be examined is in the notes. See Machine.read()."""
    try:
        machine = await Machine.read(files, sleeping, may_start=may_start)
    except HostError as error:
        return DoctorReport(notes=(str(error),))
    diagnoses: list[Diagnosis] = []
    for name, module in finding_modules().items():
        try:
            diagnoses += module.detect(machine)
        except Exception as error:  # noqa: BLE001 - odd files of one program must not hide the other findings
            machine.notes[f"the finding {name} has failed: {failure_text(error)}"] = None
    if not machine.disks:
        machine.notes[
            "no hard disk that powerd can spin down was found, so no finding about disks applies"
        ] = None
    return DoctorReport(tuple(diagnoses), notes=tuple(machine.notes), examined=True)


async def run(request: DoctorRequest, root: Path, processes: Processes) -> DoctorReport:
    """Do what a user requests.

    Args:
        request: what to do.
        root: the directory below which all paths are; ``/``, or a test's tree.
        processes: executes the commands of a fix.

    Raises:
        DoctorError: it is refused or has failed.
    """
    steps: list[str] = []
    files = HostFiles(root)
    store = FixStore(root, partial(_execute, processes), steps.append)
    try:
        if request.action == "undo":
            return await _undo(request, store, steps)
        writes = request.action == "fix" and not request.dry_run
        report = await examine(files, request.sleeping, may_start=writes)
        if request.action == "examine":
            report = replace(report, applied=store.applied())
            return report if request.record is None else add_evidence(report, request.record)
        return await _fix(request, report, store, steps)
    except HostError as error:
        raise DoctorError(_failed(request, str(error), steps)) from None
    finally:
        files.close()


async def _fix(
    request: DoctorRequest, report: DoctorReport, store: FixStore, steps: list[str]
) -> DoctorReport:
    diagnosis = next((each for each in report.diagnoses if each.id == request.id), None)
    recorded = {each.id: each for each in store.applied()}.get(request.id)
    if recorded is None and diagnosis is None:
        known = ", ".join(each.id for each in report.diagnoses if each.fixable) or "nothing"
        raise UnknownDiagnosisError(
            "; ".join((f'"{request.id}" does not apply here; --fix can fix: {known}', *report.notes))
        )
    if recorded is not None and recorded.complete:
        raise DoctorError(
            f"powerd has applied the fix {request.id} already; to apply it again, remove it first: "
            f"powerd doctor --undo {request.id}"
        )
    if recorded is None and diagnosis is not None and not diagnosis.fixable:
        raise DoctorError(
            f"{request.id} can be repaired by hand only: {diagnosis.by_hand or diagnosis.remedy}"
        )
    if recorded is None and diagnosis is not None:
        _require_text(diagnosis)
    if request.dry_run:
        record = store.record(request.id) if recorded else diagnosis
        assert record is not None  # noqa: S101 - checked above: for the type checker
        steps += plan_lines(record.files, [command.argv for command in record.commands])
    else:
        await store.apply(request.id, diagnosis)
    return DoctorReport((diagnosis,) if diagnosis else (), applied=store.applied(), steps=tuple(steps))


def _require_text(diagnosis: Diagnosis) -> None:
    """Raise DoctorError if a file would get a control character, from a file that is damaged."""
    for file in diagnosis.files:
        if not file.text.replace("\n", "").replace("\t", "").isprintable():
            raise DoctorError(
                f"{file.path} would contain a control character, so it is not written; remove that character "
                f"from the configuration of {diagnosis.subject} and repeat the command"
            )


async def _undo(request: DoctorRequest, store: FixStore, steps: list[str]) -> DoctorReport:
    record = store.record(request.id)
    if request.dry_run:
        steps += plan_lines(record.files, [command.inverse for command in record.commands], removed=True)
    else:
        await store.remove(request.id)
    return DoctorReport(applied=store.applied(), steps=tuple(steps))


def plan_lines(
    files: Sequence[OwnFile], commands: Sequence[Sequence[str]], *, removed: bool = False
) -> Iterator[str]:
    """The lines of a diff of these files, and then of the commands."""
    for file in files:
        lines = file.text.splitlines() or [f"-> {file.link}"]
        before, after = (lines, []) if removed else ([], lines)
        names = (file.path, "/dev/null") if removed else ("/dev/null", file.path)
        yield from difflib.unified_diff(before, after, *names, lineterm="")
    yield from (f"execute: {' '.join(argv)}" for argv in commands)


async def _execute(processes: Processes, argv: Sequence[str]) -> None:
    result = await processes.run(argv, timeout=_COMMAND_TIMEOUT)
    if result.status:
        lines = result.stderr.strip().splitlines()
        raise HostError(
            f"{' '.join(argv)} ended with status {result.status}{': ' + lines[0] if lines else ''}"
        )


def _failed(request: DoctorRequest, error: str, steps: Sequence[str]) -> str:
    done = f" after: {'; '.join(steps)}" if steps else ""
    repeat = f"powerd doctor --{request.action} {request.id}"
    other = f", or remove it: powerd doctor --undo {request.id}" if request.action == "fix" else ""
    return f"{error}{done}; repeat it: {repeat}{other}"
