"""What ``powerd status`` and ``powerd why`` say, made from the API's JSON; 80 columns. Pure and light."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from powerd.faces.disk_table import asleep_sentence
from powerd.faces.shapes import CountsJson, ReasonJson, StatusJson
from powerd.faces.words import (
    LINE,
    Paint,
    Style,
    clock,
    cut,
    harmless,
    joined,
    labelled,
    pad,
    paragraph,
    plain,
    span,
    verb,
    width,
    wrap,
)

_SUBJECT_MOST: Final = 22
_MODES: Final = {
    "observe": "observe: decides and explains, touches nothing",
    "enforce": "enforce: acts on what it decides",
}
_STATE_STYLE: Final[dict[str, Style]] = {
    "idle": "good",
    "warning": "doubt",
    "going-down": "doubt",
    "starting": "dim",
}
_RULES: Final = "sleep"
"""The subject of policy's remark on why no rule can ever lead to a sleep."""
_labelled = partial(labelled, 10)


def status_text(status: StatusJson, paint: Paint = plain) -> str:
    """What ``powerd status`` prints: the state, the weightiest reason, who is home, and what comes next."""
    reasons = named_reasons(status)
    holding = [reason for reason in reasons if reason["keeps_awake"]]
    lines = list(
        _labelled("state", state_sentence(status), paint, _STATE_STYLE.get(status["state"], "strong"))
    )
    if status["mode"]:
        lines += _labelled("mode", _MODES.get(status["mode"], status["mode"]), paint)
    if holding:
        first, more = holding[0], len(holding) - 1
        text = f"{first['subject']}: {first['text']}"
        lines += _labelled("because", text, paint)
        if more:
            lines += _labelled("", f"and {more} more: see `powerd why`", paint, "dim")
    lines += _labelled("clients", counts_sentence(status["clients"]), paint)
    if disks := asleep_sentence(status["disks"]):
        lines += _labelled("disks", disks, paint)
    lines += _labelled("next", outlook(status), paint)
    alarm = alarm_sentence(status)
    lines += _labelled("wakes", alarm, paint) if alarm else ()
    if status["trouble"]:
        lines += _labelled("trouble", status["trouble"], paint, "bad")
    lines += _warnings(status, paint)
    return joined(lines)


def _warnings(status: StatusJson, paint: Paint) -> Iterator[str]:
    """How many there are, and who tells them: those on the machine itself are remarks, too."""
    told = {reason["text"] for reason in status["decision"]["reasons"]}
    warnings = [warning for source in status["sources"] for warning in source["warnings"]]
    count = sum(warning in told for warning in warnings)
    for number, command in ((count, "why"), (len(warnings) - count, "clients")):
        if number:
            yield from _labelled("warnings", f"{number}: see `powerd {command}`", paint, "doubt")


def why_text(status: StatusJson, paint: Paint = plain) -> str:
    """What ``powerd why`` prints: every reason, what keeps it awake first, and what comes next."""
    reasons = named_reasons(status)
    mode = f", {status['mode']} mode" if status["mode"] else ""
    style = _STATE_STYLE.get(status["state"], "strong")
    lines = [paint(line, style) for line in paragraph(state_sentence(status) + mode)]
    if status["trouble"]:
        lines += [paint(line, "bad") for line in paragraph(f"Trouble: {status['trouble']}")]
    now = datetime.fromisoformat(status["now"])
    holding = [reason for reason in reasons if reason["keeps_awake"]]
    remarks = [reason for reason in reasons if not reason["keeps_awake"]]
    for title, some in ((f"{reasons_title(status)}:", holding), ("Worth knowing:", remarks)):
        if some:
            lines += ["", paint(title, "strong"), *_reasons(some, now, paint)]
    return joined([*lines, "", *(paint(line, "strong") for line in paragraph(outlook(status)))])


def named_reasons(status: StatusJson) -> list[ReasonJson]:
    """Every reason, those about disks by the kernel's name of today: ids are long and begin alike.

    What is the same of several disks is said once; it is so since it came to be of the last of them.
    """
    names = {disk["id"]: disk["device"] for disk in status["disks"]}
    same: dict[tuple[str | None, str, bool], list[ReasonJson]] = {}
    for reason in status["decision"]["reasons"]:
        subject = reason["subject"]
        whose = None if subject in names else subject
        row: ReasonJson = {**reason, "subject": names.get(subject, subject)}
        same.setdefault((whose, reason["text"], reason["keeps_awake"]), []).append(row)
    return [
        {**max(rows, key=_begun), "subject": _listed([row["subject"] for row in rows])}
        for rows in same.values()
    ]


def _begun(reason: ReasonJson) -> datetime:
    return datetime.fromisoformat(reason["since"])


def _listed(subjects: list[str]) -> str:
    """``sda, sdb``; of more than there is room for, how many."""
    listed = ", ".join(subjects)
    return listed if width(listed) <= _SUBJECT_MOST else f"{subjects[0]} and {len(subjects) - 1} more"


def reasons_title(status: StatusJson) -> str:
    """What the reasons that hold are reasons for: to stay up, or, once nothing stirs, for what comes next."""
    return "Keeps it awake" if status["state"] in {"starting", "awake"} else "Because"


def state_sentence(status: StatusJson) -> str:
    """``awake since 19:02 (2 h 14 min)``."""
    if status["since"] is None:
        return status["state"]
    now, since = datetime.fromisoformat(status["now"]), datetime.fromisoformat(status["since"])
    state = status["state"].replace("-", " ")
    return f"{state} since {clock(since, now)} ({span((now - since).total_seconds())})"


def counts_sentence(counts: CountsJson) -> str:
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
    return f"at {clock(at, now)}, for {status['next_wake_for']}"


def outlook(status: StatusJson) -> str:
    """What happens next and when at the earliest, or why nothing will: one sentence."""
    decision, state = status["decision"], status["state"]
    if state == "starting":
        return "Every source looks for the first time; nothing is decided yet."
    if state == "going-down":
        return "Going down now."
    if decision["action"] and decision["at_earliest"]:
        return _planned(decision["action"], decision["at_earliest"], status)
    holding = sum(reason["keeps_awake"] for reason in decision["reasons"])
    never = next(
        (r["text"] for r in decision["reasons"] if r["subject"] == _RULES and not r["keeps_awake"]), None
    )
    if never:
        return f"{never[:1].upper()}{never[1:]}."
    if holding:
        return f"Will not sleep while {'this lasts' if holding == 1 else f'any of these {holding} lasts'}."
    return "No sleep is in sight."


def _planned(action: str, at_earliest: str, status: StatusJson) -> str:
    now, at = datetime.fromisoformat(status["now"]), datetime.fromisoformat(at_earliest)
    act, left = verb(action).plain, (at - now).total_seconds()
    when = f"at {clock(at, now)}" if left > 0 else "now"
    rest = f" (in {span(left)})" if left > 0 else ""
    would = "would" if status["mode"] == "observe" else None
    if status["state"] == "warning":
        return f"{(would or 'will').capitalize()} {act} {when}{rest}, unless something stirs."
    return f"{(would or 'may').capitalize()} {act} {when} at the earliest{rest}."


def _reasons(reasons: list[ReasonJson], now: datetime, paint: Paint) -> Iterator[str]:
    """One hanging paragraph for each: subject, text, since when."""
    subjects = [harmless(reason["subject"]) for reason in reasons]
    sinces = [f"since {clock(datetime.fromisoformat(reason['since']), now)}" for reason in reasons]
    left = min(_SUBJECT_MOST, max(map(width, subjects)))
    right = max(map(width, sinces))
    room = LINE - 2 - left - 2 - 2 - right
    for reason, subject, since in zip(reasons, subjects, sinces, strict=True):
        for n, line in enumerate(wrap(harmless(reason["text"]), room)):
            start = "  " + pad("" if n else cut(subject, left), left) + "  "
            yield start + (line if n else pad(line, room) + "  " + paint(since, "dim"))
