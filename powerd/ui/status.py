"""The text of ``powerd status`` and ``powerd why``, made from the API's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from powerd.activity.view import measured_text
from powerd.attribution.view.table import watch_text
from powerd.disks.view.table import standby_summary
from powerd.messages.view import alarm_lines
from powerd.ui.layout import (
    LINE_WIDTH,
    Paint,
    Style,
    about_disk,
    action_verb,
    format_duration,
    format_time,
    join_lines,
    labelled_lines,
    line_width,
    no_color,
    pad,
    paragraph_lines,
    sanitize,
    width,
    wrap,
)

if TYPE_CHECKING:
    from powerd.ui.schema import ClientCountsJson, ReasonJson, SleepRequestJson, StatusJson

_MAX_SUBJECT_WIDTH: Final = 26
"""Cells; more on a wide line."""
_MIN_TEXT_WIDTH: Final = 20
_MODE_TEXT: Final = {
    "observe": "observe: decides and explains, changes nothing",
    "enforce": "enforce: executes its decisions",
}
_STATE_STYLES: Final[dict[str, Style]] = {
    "idle": "good",
    "warning": "doubt",
    "going-down": "doubt",
    "starting": "dim",
}
_SLEEP_RULES_SUBJECT: Final = "sleep"
"""Subject of the remark that no sleep rule can ever apply."""
_OBSERVED_SLEEP: Final = "Nothing keeps the server awake; in enforce mode it would be asleep now."
_LABEL_WIDTH: Final = 10
_field_lines = partial(labelled_lines, _LABEL_WIDTH)


def status_text(status: StatusJson, paint: Paint = no_color) -> str:
    """The text of ``powerd status``: state, weightiest reason, clients, disks and next step."""
    reasons = displayed_reasons(status)
    blockers = [reason for reason in reasons if reason["keeps_awake"]]
    lines = list(alarm_lines(status["alarms"], _LABEL_WIDTH, paint))
    lines += list(
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
    if status["sleep_request"]:
        lines += _field_lines("request", _sleep_request_text(status["sleep_request"], status["now"]), paint)
    lines += _field_lines("clients", counts_sentence(status["clients"]), paint)
    if disks := standby_summary(status["disks"]):
        lines += _field_lines("disks", disks, paint)
        if status["watch"]:
            lines += _field_lines("watch", watch_text(status["watch"]), paint)
    lines += _field_lines("next", next_sentence(status), paint)
    alarm = alarm_sentence(status)
    lines += _field_lines("wakes", alarm, paint) if alarm else ()
    if status["error"]:
        lines += _field_lines("error", status["error"], paint, "bad")
    lines += _warning_lines(status, paint)
    return join_lines(lines)


def _warning_lines(status: StatusJson, paint: Paint) -> Iterator[str]:
    """Numbers of warnings, with the command that shows them: warnings that are also remarks, and others."""
    shown_texts = {reason["text"] for reason in status["decision"]["reasons"]}
    warnings = [warning for source in status["sources"] for warning in source["warnings"]]
    in_reasons = sum(warning in shown_texts for warning in warnings)
    for number, command in ((in_reasons, "why"), (len(warnings) - in_reasons, "clients")):
        if number:
            yield from _field_lines("warnings", f"{number}: see `powerd {command}`", paint, "doubt")


def why_text(status: StatusJson, paint: Paint = no_color) -> str:
    """The text of ``powerd why``: blockers, then remarks, then the next step."""
    reasons = displayed_reasons(status)
    mode = f", {status['mode']} mode" if status["mode"] else ""
    style = _STATE_STYLES.get(status["state"], "strong")
    lines = list(alarm_lines(status["alarms"], _LABEL_WIDTH, paint))
    if lines:
        lines.append("")
    lines += [paint(line, style) for line in paragraph_lines(state_sentence(status) + mode)]
    if status["error"]:
        lines += [paint(line, "bad") for line in paragraph_lines(f"Error: {status['error']}")]
    now = datetime.fromisoformat(status["now"])
    blockers = [reason for reason in reasons if reason["keeps_awake"]]
    remarks = [each for each in reasons if not each["keeps_awake"] and not is_never(each)]
    for title, group in ((f"{reasons_title(status)}:", blockers), ("Remarks:", remarks)):
        if group:
            lines += ["", paint(title, "strong"), *_reason_lines(group, now, paint)]
    return join_lines(
        [*lines, "", *(paint(line, "strong") for line in paragraph_lines(next_sentence(status)))]
    )


def measured_reasons(status: StatusJson, disk_names: Mapping[str, str]) -> list[ReasonJson]:
    """All reasons, activities with their values, and disks by the names given for their ids."""
    measured = {(row["subject"], row["text"]): measured_text(row) for row in status["activity"]}
    devices = {disk["id"]: disk["device"] for disk in status["disks"]}
    rows: list[ReasonJson] = []
    for reason in status["decision"]["reasons"]:
        value = measured.get((reason["subject"], reason["text"]))
        text = about_disk(reason["text"], devices.get(reason["subject"]))
        text = f"{text} ({value})" if value else text
        rows.append({**reason, "subject": disk_names.get(reason["subject"], reason["subject"]), "text": text})
    return rows


def displayed_reasons(status: StatusJson) -> list[ReasonJson]:
    """All reasons, activities with their values. A disk is named by its device: disk ids are long.

    Equal reasons of several clients, disks or checks are merged; ``since`` is that of the latest.
    """
    devices = {disk["id"]: disk["device"] for disk in status["disks"]}
    groups: dict[tuple[str, bool], list[ReasonJson]] = {}
    for row in measured_reasons(status, devices):
        groups.setdefault((row["text"], row["keeps_awake"]), []).append(row)
    return [
        {**max(rows, key=_since_time), "subject": _join_subjects([row["subject"] for row in rows])}
        for rows in groups.values()
    ]


def _sleep_request_text(request: SleepRequestJson, now: str) -> str:
    end = format_time(datetime.fromisoformat(request["until"]), datetime.fromisoformat(now))
    what = "nothing but clients" if request["now"] else "nothing"
    return f"sleep as soon as {what} keeps the server awake, until {end}; `powerd sleep --cancel`"


def is_never(reason: ReasonJson) -> bool:
    """Whether a remark states that no sleep rule can ever act; next_sentence() repeats it."""
    return reason["subject"] == _SLEEP_RULES_SUBJECT and not reason["keeps_awake"]


def _since_time(reason: ReasonJson) -> datetime:
    return datetime.fromisoformat(reason["since"])


def _join_subjects(subjects: list[str]) -> str:
    """``sda, sdb``, or ``sda and 7 more`` if all names do not fit."""
    joined_subjects = ", ".join(subjects)
    return (
        joined_subjects
        if width(joined_subjects) <= _MAX_SUBJECT_WIDTH
        else f"{subjects[0]} and {len(subjects) - 1} more"
    )


def reasons_title(status: StatusJson) -> str:
    """Title of the list of blockers. In states other than awake they explain the next step."""
    return "Keeps the server awake" if status["state"] in {"starting", "awake"} else "Because"


def state_sentence(status: StatusJson) -> str:
    """``awake since 19:02 (2 h 14 min)``."""
    if status["since"] is None:
        return status["state"]
    now, since = datetime.fromisoformat(status["now"]), datetime.fromisoformat(status["since"])
    state = status["state"].replace("-", " ")
    return f"{state} since {format_time(since, now)} ({format_duration((now - since).total_seconds())})"


def counts_sentence(counts: ClientCountsJson) -> str:
    """``3 of 12 present, 2 dozing, 1 unknown``."""
    if not counts["known"]:
        return "no client is known that counts"
    others = [(counts["dozing"], "dozing"), (counts["unknown"], "unknown")]
    more = "".join(f", {count} {state}" for count, state in others if count)
    return f"{counts['present']} of {counts['known']} present{more}"


def alarm_sentence(status: StatusJson) -> str:
    """When an alarm would end a sleep: ``at Mon 06:28, for backup.timer``; "" if there is no alarm."""
    if not status["next_wake"]:
        return ""
    now, at = datetime.fromisoformat(status["now"]), datetime.fromisoformat(status["next_wake"])
    return f"at {format_time(at, now)}, for {status['next_wake_reason']}"


def next_sentence(status: StatusJson, *, time_left: bool = True) -> str:
    """The next action and its earliest time, or why there is none: one sentence.

    Args:
        status: of the API.
        time_left: with the time until then, which the page shows beside.
    """
    decision, state = status["decision"], status["state"]
    if state == "starting":
        return "Waiting for the first readings; nothing is decided yet."
    if state == "going-down":
        return "Going down now."
    if decision["action"] and decision["at_earliest"]:
        return _planned_sentence(decision["action"], decision["at_earliest"], status, time_left=time_left)
    blocker_count = sum(reason["keeps_awake"] for reason in displayed_reasons(status))
    if never := next(filter(is_never, decision["reasons"]), None):
        return f"{never['text'][:1].upper()}{never['text'][1:]}."
    if blocker_count:
        return (
            "Will not sleep while "
            f"{'this lasts' if blocker_count == 1 else f'any of these {blocker_count} lasts'}."
        )
    would_be_asleep = state == "idle" and status["mode"] == "observe"
    return _OBSERVED_SLEEP if would_be_asleep else "No sleep is planned."


def _planned_sentence(action: str, at_earliest: str, status: StatusJson, *, time_left: bool) -> str:
    now, at = datetime.fromisoformat(status["now"]), datetime.fromisoformat(at_earliest)
    action_text, seconds_left = action_verb(action), (at - now).total_seconds()
    when = f"at {format_time(at, now)}" if seconds_left > 0 else "now"
    time_left_text = f" (in {format_duration(seconds_left)})" if time_left and seconds_left > 0 else ""
    conditional = "would" if status["mode"] == "observe" else None
    if status["state"] == "warning":
        return (
            f"{(conditional or 'will').capitalize()} {action_text} {when}{time_left_text}, unless "
            "there is activity."
        )
    return f"{(conditional or 'may').capitalize()} {action_text} {when} at the earliest{time_left_text}."


def _reason_lines(reasons: list[ReasonJson], now: datetime, paint: Paint) -> Iterator[str]:
    """One hanging paragraph per reason: subject, text, since when; a narrow line has the text below."""
    subjects = [sanitize(reason["subject"]) for reason in reasons]
    since_texts = [f"since {format_time(datetime.fromisoformat(reason['since']), now)}" for reason in reasons]
    since_width = max(map(width, since_texts))
    subject_width = max(_MAX_SUBJECT_WIDTH, line_width() // 3)
    subject_width = min(subject_width, line_width() - since_width - 4, max(map(width, subjects)))
    used = 2 + subject_width + 2 + 2 + since_width
    widest = max(width(sanitize(reason["text"])) for reason in reasons)
    text_width = min(line_width() - used, max(widest, LINE_WIDTH - used))  # a wide line is not filled
    for reason, subject, since in zip(reasons, subjects, since_texts, strict=True):
        start = f"  {pad(subject, subject_width)}  "
        if text_width < _MIN_TEXT_WIDTH:
            yield start + paint(since, "dim")
            yield from paragraph_lines(reason["text"], 4)
            continue
        for n, line in enumerate(wrap(sanitize(reason["text"]), text_width)):
            end = "" if n else f"{' ' * (text_width - width(line))}  {paint(since, 'dim')}"
            yield (" " * (subject_width + 4) if n else start) + line + end
