"""The lines of the files in which the record is stored: JSON arrays, so an incomplete line is invalid.

    ["powerd-history",1]                            the first line of a file
    ["=",7,"client","02:00:00:00:00:2c","tv",""]    7 is this Subject from here on
    [1780300800,7,4]                                it has the 4th of the states (model.State) from then on;
                                                    StateChange.seen follows if it is known
    ["wake",1780300860,9,1200,"smbd.service","","smbd","/srv/film"]   DiskWake; 9 is the disk
    ["sleep",1780300900,"suspend",0,"enforce","slept"]   SleepRecord, without the defaults at its end; of the
                                                    lines with one begin the last counts

Times are whole POSIX seconds. The subject "server" with the state "stopped" ends the states of all others.
"""

from __future__ import annotations

import json
import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from operator import attrgetter, itemgetter
from typing import Final, TypeAlias, get_args

from powerd.core.codec import CodecError, Json, decode, encode
from powerd.history.model import STATE_CODES, STATES, DiskWake, Kind, SleepRecord, StateChange, Subject

Entry: TypeAlias = StateChange | SleepRecord | DiskWake
HEADER: Final = '["powerd-history",1]'
_KINDS: Final = frozenset(get_args(Kind))
_FIELDS: Final = [each.name for each in fields(SleepRecord)]
_DEFAULTS: Final = [each.default for each in fields(SleepRecord)]
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_MAX_TEXT: Final = 160
"""Characters of each text: names and paths are chosen by others."""
_MAX_SUBJECTS: Final = 1024
"""Numbers in use; then numbering restarts."""
_LATEST: Final = 4_000_000_000
_TEXTS_OF_SUBJECT: Final = 3
_TEXTS_OF_WAKE: Final = 4
_SEEN: Final = 3
"""The place of StateChange.seen."""
_TIME: Final = "(?:[1-3][0-9]{9}|[1-9][0-9]{0,8}|0)"
_NUMBER: Final = "(?:0|[1-9][0-9]{0,8})"
_STATE: Final = f"(?:{'|'.join(map(str, range(len(STATES) - 1, -1, -1)))})"
_BATCH: Final = 1000
"""Lines that are in memory at once."""
_split_rows: Final = re.compile(
    rf"(^(?:\[{_TIME},{_NUMBER},{_STATE}(?:,{_TIME})?\]\n){{1,{_BATCH}}})", re.MULTILINE
).split
"""Splits a text into lines that are changes, at odd places, and others: what matches is JSON line by line."""


class LineWriter:
    """Turns entries into lines; a subject gets its number with its first entry."""

    def __init__(self) -> None:
        self._numbers: dict[Subject, int] = {}

    def begin_file(self) -> None:
        """Start another file, or continue one whose last lines another process has written."""
        self._numbers.clear()

    def lines(self, entry: Entry) -> str:
        """The lines of an entry, each with its newline."""
        if isinstance(entry, SleepRecord):
            values = [_plain(each) for each in encode(entry).values()]
            while values[-1] == _DEFAULTS[len(values) - 1]:
                del values[-1]
            return _line(["sleep", *values])
        if isinstance(entry, StateChange):
            definition, number = self._number(entry.subject)
            seen = "" if entry.seen is None else f",{round(entry.seen)}"
            return f"{definition}[{round(entry.at)},{number},{STATE_CODES[entry.state]}{seen}]\n"
        definition, number = self._number(Subject("disk", entry.disk))
        slept_for = None if entry.slept_for is None else round(entry.slept_for)
        texts = (entry.unit, entry.owner, entry.comm, entry.path)
        return definition + _line(["wake", round(entry.at), number, slept_for, *map(_clip, texts)])

    def _number(self, subject: Subject) -> tuple[str, int]:
        """The definition of a subject, "" if the file contains it, and its number."""
        number = self._numbers.get(subject)
        if number is not None:
            return "", number
        if len(self._numbers) >= _MAX_SUBJECTS:
            self._numbers.clear()
        number = self._numbers[subject] = len(self._numbers)
        return _line(["=", number, subject.kind, *map(_clip, subject[1:])]), number


def _plain(value: Json) -> Json:
    """A field of a sleep: texts are clipped, and times are whole seconds."""
    if isinstance(value, str):
        return _clip(value)
    return round(value) if isinstance(value, float) else value


def _line(values: list[Json]) -> str:
    return _to_json(values) + "\n"


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def read_entries(text: str, since: float, faults: list[str]) -> list[Entry]:
    """The entries of a file from ``since`` on, and before them the last change of each subject before that.

    Args:
        text: complete lines, with the definitions of their subjects.
        since: POSIX seconds.
        faults: lines that cannot be read are added to it.
    """
    subjects: dict[int, Subject] = {}
    earlier: dict[Subject, StateChange] = {}
    entries: list[Entry] = []
    others: list[Entry] = []
    for index, part in enumerate(_split_rows(text)):
        if not index % 2:
            others += _other_entries(part.split("\n"), subjects, faults)
            continue
        changes = _changes(part, subjects, faults)
        if not entries:
            count = bisect_left(changes, since, key=attrgetter("at"))
            for change in changes[:count]:
                keep_last(earlier, change)
            del changes[:count]
        entries += changes
    recent = (each for each in others if isinstance(each, SleepRecord) or each.at >= since)
    return [*earlier.values(), *entries, *recent]


def keep_last(last: dict[Subject, StateChange], change: StateChange) -> None:
    """Add a change to the last changes of all subjects, in their order; "stopped" ends all other states."""
    if change.subject.kind == "server" and change.state == "stopped":
        last.clear()
    last.pop(change.subject, None)
    last[change.subject] = change


def _changes(lines: str, subjects: Mapping[int, Subject], faults: list[str]) -> list[StateChange]:
    """The changes of some lines; one call of json for all takes a fifth of the time of one for each."""
    rows = json.loads(f"[{lines[:-1].replace(chr(10), ',')}]")
    unknown = set(map(itemgetter(1), rows)) - subjects.keys()
    if unknown:  # the line that defines a subject is lost
        faults += [str(row) for row in rows if row[1] in unknown]
        rows = [row for row in rows if row[1] not in unknown]
    return [
        # half the time of StateChange(...)
        tuple.__new__(
            StateChange,
            (row[0], subjects[row[1]], STATES[row[2]], row[_SEEN] if len(row) > _SEEN else None),
        )
        for row in rows
    ]


def _other_entries(
    lines: Iterable[str], subjects: dict[int, Subject], faults: list[str]
) -> Iterator[SleepRecord | DiskWake]:
    """The entries of lines that are not changes; ``subjects`` and ``faults`` are updated."""
    for line in lines:
        if line not in {"", HEADER}:
            values = _json(line)
            entry = _entry(values, subjects)
            if entry is not None:
                yield entry
            elif not _define(values, subjects):
                faults.append(line)


def _json(line: str) -> Json:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _entry(values: Json, subjects: dict[int, Subject]) -> SleepRecord | DiskWake | None:
    """A sleep, or a wake of a disk; None = the line is neither."""
    match values:
        case ["sleep", *row]:
            try:
                return decode(SleepRecord, dict(zip(_FIELDS, row, strict=False)), strict=False)
            except CodecError:
                return None
        case ["wake", int(at), int(number), slept_for, *texts] if (
            0 <= at <= _LATEST
            and number in subjects
            and len(texts) == _TEXTS_OF_WAKE
            and all(isinstance(each, str) for each in texts)
            and (slept_for is None or (type(slept_for) is int and 0 <= slept_for <= _LATEST))
        ):
            return DiskWake(float(at), subjects[number].id, slept_for, *map(sys.intern, texts))
    return None


def _define(values: Json, subjects: dict[int, Subject]) -> bool:
    """Add a definition; False = the line is not one."""
    match values:
        case ["=", int(number), str(kind), *texts] if (
            kind in _KINDS
            and len(texts) == _TEXTS_OF_SUBJECT
            and all(isinstance(each, str) for each in texts)
        ):
            # each text is one object, although every file has it: quickly compared, and stored once
            subjects[number] = Subject(*map(sys.intern, (kind, *texts)))  # type: ignore[arg-type] # it is one of the kinds
            return True
    return False
