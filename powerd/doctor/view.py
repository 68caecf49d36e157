"""The text and the JSON of ``powerd doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from powerd.doctor.model import AppliedFix, Diagnosis, DoctorReport
from powerd.ui.layout import (
    Paint,
    counted,
    format_duration,
    hanging_lines,
    join_lines,
    join_names,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import BlockerTimeJson

_INDENT: Final = 4
_LONG: Final = 3600.0
"""Seconds from which a blocker is shown."""
_MAX_BLOCKERS: Final = 5
_MAX_OTHERS: Final = 5


def examination_json(report: DoctorReport, blockers: Sequence[BlockerTimeJson]) -> dict[str, Any]:
    """The JSON of ``powerd doctor``."""
    return {
        "findings": [
            {
                "id": diagnosis.id,
                "subject": diagnosis.subject,
                "effect": diagnosis.effect,
                "remedy": diagnosis.remedy,
                "disks": list(diagnosis.disks),
                "fixable": diagnosis.fixable,
                "files": [
                    {"path": file.path, "text": file.text or None, "link": file.link or None}
                    for file in diagnosis.files
                ],
                "commands": [list(command.argv) for command in diagnosis.commands],
                "by_hand": diagnosis.by_hand or None,
                "wakes": dict(report.wakes.get(diagnosis.id, {})),
                "accesses": dict(report.accesses.get(diagnosis.id, {})),
            }
            for diagnosis in report.diagnoses
        ],
        "other_wakes": dict(report.other_wakes),
        "applied": [_applied_json(fix) for fix in report.applied],
        "kept_awake": list(blockers),
        "notes": list(report.notes),
    }


def change_json(report: DoctorReport, dry_run_reason: str = "") -> dict[str, Any]:
    """The JSON of ``powerd doctor --fix`` and ``--undo``; see change_text()."""
    return {
        "steps": list(report.steps),
        "not_changed_because": dry_run_reason or None,
        "applied": [_applied_json(fix) for fix in report.applied],
    }


def _applied_json(fix: AppliedFix) -> dict[str, Any]:
    return {"id": fix.id, "complete": fix.complete, "paths": list(fix.paths)}


def examination_text(
    report: DoctorReport,
    blockers: Sequence[BlockerTimeJson] = (),
    record_note: str = "",
    paint: Paint = no_color,
) -> str:
    """The text of ``powerd doctor``.

    Args:
        report: what was found.
        blockers: what has kept the server awake in the last 24 hours, the longest first.
        record_note: one sentence if the daemon's record is not available.
        paint: colours a text.
    """
    lines: list[str] = []
    for diagnosis in report.diagnoses:
        lines += [*_diagnosis_lines(diagnosis, report, paint), ""]
    if not report.diagnoses and report.examined:
        lines += ["Nothing was found that accesses a hard disk without need.", ""]
    lines += _other_wake_lines(report, paint)
    lines += _blocker_lines(blockers, paint)
    for fix in report.applied:
        state = "applied" if fix.complete else "interrupted"
        lines += hanging_lines(f"{state}: ", f"{fix.id}; to remove it: powerd doctor --undo {fix.id}")
    for note in (*report.notes, *([record_note] if record_note else [])):
        lines += hanging_lines("note: ", note)
    while lines and not lines[-1]:
        lines.pop()
    return join_lines(lines)


def _diagnosis_lines(diagnosis: Diagnosis, report: DoctorReport, paint: Paint) -> Iterator[str]:
    yield paint(sanitize(f"{diagnosis.id}: {diagnosis.subject}"), "strong")
    evidence = [
        text.format(", ".join(f"{disk} {counted(count, 'time')}" for disk, count in counts.items()))
        for text, counts in (
            ("Woke {} in 24 h.", report.wakes.get(diagnosis.id)),
            ("Used {} in the last hour.", report.accesses.get(diagnosis.id)),
        )
        if counts
    ]
    if evidence:
        yield from (paint(line, "doubt") for line in paragraph_lines(" ".join(evidence), _INDENT))
    yield from paragraph_lines(diagnosis.effect, _INDENT)
    yield from hanging_lines(" " * _INDENT + "Remedy: ", diagnosis.remedy)
    for line in diagnosis.by_hand.splitlines():
        yield " " * 2 * _INDENT + sanitize(line.expandtabs())  # to be copied, so it is not wrapped
    if diagnosis.fixable:
        yield " " * _INDENT + f"To apply it: sudo powerd doctor --fix {diagnosis.id}"


def _other_wake_lines(report: DoctorReport, paint: Paint) -> Iterator[str]:
    """What else has woken disks: programs that use them, perhaps without need."""
    names = [f"{name} ({counted(count, 'time')})" for name, count in report.other_wakes.items()]
    if names:
        yield paint("What else has woken disks in 24 h:", "strong")
        yield from paragraph_lines(f"{join_names(names, _MAX_OTHERS)}; see powerd wakes.", _INDENT)
        yield ""


def _blocker_lines(blockers: Sequence[BlockerTimeJson], paint: Paint) -> Iterator[str]:
    """What has kept the server awake for long, and is perhaps forgotten: a connection, a job, a session."""
    long = [each for each in blockers if each["seconds"] >= _LONG][:_MAX_BLOCKERS]
    if long:
        yield paint("What has kept the server awake in the last 24 h:", "strong")
        for each in long:
            time = format_duration(each["seconds"], max_units=1)
            yield from hanging_lines(f"    {time:>6}  ", f"{each['subject']}: {each['text']}")
        yield ""


def change_text(report: DoctorReport, id_: str, dry_run_reason: str = "", mode_note: str = "") -> str:
    """The text of ``--fix`` and ``--undo``: what was done, or what would be, and why it was not."""
    lines = [sanitize(step) for step in report.steps]
    if mode_note and not dry_run_reason:
        lines += paragraph_lines(mode_note)
    if dry_run_reason:
        lines += ["", *paragraph_lines(f"Nothing was changed: {dry_run_reason}.")]
    elif any(fix.id == id_ for fix in report.applied):
        lines += [f"To remove it: sudo powerd doctor --undo {id_}"]
    else:
        lines += ["Everything is as it was before the fix."]
    return join_lines(lines)
