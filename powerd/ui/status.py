"""What ``powerd status`` and ``powerd why`` say, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from powerd.disks.view.table import standby_summary
from powerd.ui.api import ClientCountsJson, ReasonJson, StatusJson
from powerd.ui.layout import (
    LINE_WIDTH,
    Paint,
    Style,
    cut,
    format_duration,
    format_time,
    join_lines,
    labelled_lines,
    no_color,
    pad,
    paragraph_lines,
    sanitize,
    verb_forms,
    width,
    wrap,
)

_MAX_SUBJECT_WIDTH: Final = 22
_MODE_TEXT: Final = {
    "observe": "observe: decides and explains, touches nothing",
    "enforce": "enforce: acts on what it decides",
}
_STATE_STYLES: Final[dict[str, Style]] = {
    "idle": "good",
    "warning": "doubt",
    "going-down": "doubt",
    "starting": "dim",
}
_SLEEP_RULES_SUBJECT: Final = "sleep"
"""The subject of policy's remark on why no rule can ever lead to a sleep."""
_field_lines = partial(labelled_lines, 10)


def status_text(status: StatusJson, paint: Paint = no_color) -> str:
    """What ``powerd status`` prints: the state, the weightiest reason, who is home, and what comes next."""
    reasons = displayed_reasons(status)
    blockers = [reason for reason in reasons if reason["keeps_awake"]]
    lines = list(
        _field_lines("state", state_sentence(status), paint, _STATE_STYLES.get(status["state"], "strong"))
    )
    if status["mode"]:
        lines += _field_lines("mode", _MODE_TEXT.get(status["mode"], status["mode"]), paint)
    if blockers:
        first, more = blockers[0], len(blockers) - 1
        text = f"{first['subject']}: {first['text']}"
        lines += _field_lines("because", text, paint)
        if more:
            lines += _field_lines("", f"and {more} more: see `powerd why`", paint, "dim")
    lines += _field_lines("clients", counts_sentence(status["clients"]), paint)
    if disks := standby_summary(status["disks"]):
        lines += _field_lines("disks", disks, paint)
    lines += _field_lines("next", next_sentence(status), paint)
    alarm = alarm_sentence(status)
    lines += _field_lines("wakes", alarm, paint) if alarm else ()
    if status["trouble"]:
        lines += _field_lines("trouble", status["trouble"], paint, "bad")
    lines += _warning_lines(status, paint)
    return join_lines(lines)


def _warning_lines(status: StatusJson, paint: Paint) -> Iterator[str]:
    """How many there are, and who tells them: those on the machine itself are remarks, too."""
    shown_texts = {reason["text"] for reason in status["decision"]["reasons"]}
    warnings = [warning for source in status["sources"] for warning in source["warnings"]]
    in_reasons = sum(warning in shown_texts for warning in warnings)
    for number, command in ((in_reasons, "why"), (len(warnings) - in_reasons, "clients")):
        if number:
            yield from _field_lines("warnings", f"{number}: see `powerd {command}`", paint, "doubt")


def why_text(status: StatusJson, paint: Paint = no_color) -> str:
    """What ``powerd why`` prints: every reason, what keeps it awake first, and what comes next."""
    reasons = displayed_reasons(status)
    mode = f", {status['mode']} mode" if status["mode"] else ""
    style = _STATE_STYLES.get(status["state"], "strong")
    lines = [paint(line, style) for line in paragraph_lines(state_sentence(status) + mode)]
    if status["trouble"]:
        lines += [paint(line, "bad") for line in paragraph_lines(f"Trouble: {status['trouble']}")]
    now = datetime.fromisoformat(status["now"])
    blockers = [reason for reason in reasons if reason["keeps_awake"]]
    remarks = [reason for reason in reasons if not reason["keeps_awake"]]
    for title, group in ((f"{reasons_title(status)}:", blockers), ("Worth knowing:", remarks)):
        if group:
            lines += ["", paint(title, "strong"), *_reason_lines(group, now, paint)]
    return join_lines(
        [*lines, "", *(paint(line, "strong") for line in paragraph_lines(next_sentence(status)))]
    )


def displayed_reasons(status: StatusJson) -> list[ReasonJson]:
    """Every reason, those about disks by the kernel's name of today: ids are long and begin alike.

    What is the same of several disks is said once; it is so since it came to be of the last of them.
    """
    devices = {disk["id"]: disk["device"] for disk in status["disks"]}
    groups: dict[tuple[str | None, str, bool], list[ReasonJson]] = {}
    for reason in status["decision"]["reasons"]:
        subject = reason["subject"]
        shared_subject = None if subject in devices else subject
        row: ReasonJson = {**reason, "subject": devices.get(subject, subject)}
        groups.setdefault((shared_subject, reason["text"], reason["keeps_awake"]), []).append(row)
    return [
        {**max(rows, key=_since_time), "subject": _join_subjects([row["subject"] for row in rows])}
        for rows in groups.values()
    ]


def _since_time(reason: ReasonJson) -> datetime:
    return datetime.fromisoformat(reason["since"])


def _join_subjects(subjects: list[str]) -> str:
    """``sda, sdb``; of more than there is room for, how many."""
    joined_subjects = ", ".join(subjects)
    return (
        joined_subjects
        if width(joined_subjects) <= _MAX_SUBJECT_WIDTH
        else f"{subjects[0]} and {len(subjects) - 1} more"
    )


def reasons_title(status: StatusJson) -> str:
    """What the reasons that hold are reasons for: to stay up, or, once nothing stirs, for what comes next."""
    return "Keeps it awake" if status["state"] in {"starting", "awake"} else "Because"


def state_sentence(status: StatusJson) -> str:
    """``awake since 19:02 (2 h 14 min)``."""
    if status["since"] is None:
        return status["state"]
    now, since = datetime.fromisoformat(status["now"]), datetime.fromisoformat(status["since"])
    state = status["state"].replace("-", " ")
    return f"{state} since {format_time(since, now)} ({format_duration((now - since).total_seconds())})"


def counts_sentence(counts: ClientCountsJson) -> str:
    """``3 of 12 present, 1 unknown``."""
    if not counts["known"]:
        return "none is known that counts"
    unknown = f", {counts['unknown']} unknown" if counts["unknown"] else ""
    return f"{counts['present']} of {counts['known']} present{unknown}"


def alarm_sentence(status: StatusJson) -> str:
    """When an alarm would end a sleep: ``at Mon 06:28, for backup.timer``; "" = at no time."""
    if not status["next_wake"]:
        return ""
    now, at = datetime.fromisoformat(status["now"]), datetime.fromisoformat(status["next_wake"])
    return f"at {format_time(at, now)}, for {status['next_wake_for']}"


def next_sentence(status: StatusJson) -> str:
    """What happens next and when at the earliest, or why nothing will: one sentence."""
    decision, state = status["decision"], status["state"]
    if state == "starting":
        return "Every source looks for the first time; nothing is decided yet."
    if state == "going-down":
        return "Going down now."
    if decision["action"] and decision["at_earliest"]:
        return _planned_sentence(decision["action"], decision["at_earliest"], status)
    blocker_count = sum(reason["keeps_awake"] for reason in decision["reasons"])
    never_text = next(
        (
            r["text"]
            for r in decision["reasons"]
            if r["subject"] == _SLEEP_RULES_SUBJECT and not r["keeps_awake"]
        ),
        None,
    )
    if never_text:
        return f"{never_text[:1].upper()}{never_text[1:]}."
    if blocker_count:
        return (
            "Will not sleep while "
            f"{'this lasts' if blocker_count == 1 else f'any of these {blocker_count} lasts'}."
        )
    return "No sleep is in sight."


def _planned_sentence(action: str, at_earliest: str, status: StatusJson) -> str:
    now, at = datetime.fromisoformat(status["now"]), datetime.fromisoformat(at_earliest)
    action_text, seconds_left = verb_forms(action).infinitive, (at - now).total_seconds()
    when = f"at {format_time(at, now)}" if seconds_left > 0 else "now"
    time_left_text = f" (in {format_duration(seconds_left)})" if seconds_left > 0 else ""
    conditional = "would" if status["mode"] == "observe" else None
    if status["state"] == "warning":
        return (
            f"{(conditional or 'will').capitalize()} {action_text} {when}{time_left_text}, unless "
            "something stirs."
        )
    return f"{(conditional or 'may').capitalize()} {action_text} {when} at the earliest{time_left_text}."


def _reason_lines(reasons: list[ReasonJson], now: datetime, paint: Paint) -> Iterator[str]:
    """One hanging paragraph for each: subject, text, since when."""
    subjects = [sanitize(reason["subject"]) for reason in reasons]
    since_texts = [f"since {format_time(datetime.fromisoformat(reason['since']), now)}" for reason in reasons]
    subject_width = min(_MAX_SUBJECT_WIDTH, max(map(width, subjects)))
    since_width = max(map(width, since_texts))
    text_width = LINE_WIDTH - 2 - subject_width - 2 - 2 - since_width
    for reason, subject, since in zip(reasons, subjects, since_texts, strict=True):
        for n, line in enumerate(wrap(sanitize(reason["text"]), text_width)):
            start = "  " + pad("" if n else cut(subject, subject_width), subject_width) + "  "
            yield start + (line if n else pad(line, text_width) + "  " + paint(since, "dim"))
