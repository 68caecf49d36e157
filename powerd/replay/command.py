"""``powerd simulate``: the sleeps that a configuration would have led to over the recorded past.

Simulations are compared with simulations, so what differs is what the change brings: ``--set`` and
``--config FILE`` are variations of the daemon's configuration. The recorded sleeps are shown beside them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict
from urllib.parse import quote

from powerd.config.load import DEFAULT_PATH, ConfigError, load
from powerd.config.options import Options
from powerd.core.clock import KernelClock
from powerd.history.codec import read_entries
from powerd.history.model import Record, SleepRecord
from powerd.history.policy_record import make_record
from powerd.history.view.api import sleep_json
from powerd.replay.past import recorded_seconds, replay
from powerd.replay.silences import with_absent_after
from powerd.replay.variations import counting, needs_others, suggestions, vary
from powerd.ui.cli.client import EXIT_OK, EXIT_USAGE, request
from powerd.ui.cli.config_commands import load_options
from powerd.ui.cli.output import emit, paint
from powerd.ui.cli.run_command import config_file_argument
from powerd.ui.layout import (
    Paint,
    TextTable,
    format_duration,
    hanging_lines,
    join_lines,
    join_names,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.history.view.schema import RecordJson, SleepJson

_HOUR: Final = 3600.0
_MONTH: Final = 30 * 86_400.0
_MAX_ROWS: Final = 10
_TABLE: Final = TextTable(
    ("", "   asleep", "sleeps", "false", "  a month"), styled_column=0, shrinkable=((0, 20),)
)
_NOW: Final = "this configuration"
_UNREADABLE: Final = (
    "The present configuration cannot be read, so there is no simulation of it to compare with: {}"
)
_MAX_NAMES: Final = 3
_AS_RECORDED: Final = (
    "A shorter absent_after of {} cannot be evaluated, so the recorded one counts: the record does not have "
    "its short silences."
)
_NOT_RECORDED: Final = "The record does not have clients that were ignored, or of a class that did not count."
_LEAST_RECORDED: Final = 3600.0
"""Seconds."""
_LEAST_GAIN: Final = 1.0
"""Hours a month from which a variation is mentioned."""


class RunJson(TypedDict):
    """One configuration: its sleeps, their seconds, and those to which somebody came within minutes.

    ``more`` are the hours a month that it sleeps more than the first run, the present configuration.
    ``unknown``: what the record does not show, sentences.
    """

    configuration: str
    sleeps: int
    seconds: float
    more: float
    false: list[SleepJson]
    unknown: list[str]


class SimulationJson(TypedDict):
    """What ``powerd simulate --json`` prints; ``recorded`` are the recorded seconds of the period."""

    since: str
    until: str
    recorded: float
    past: RunJson
    runs: list[RunJson]
    problems: list[str]


class Variation(NamedTuple):
    """A configuration with its name."""

    name: str
    options: Options


def simulate(arguments: argparse.Namespace) -> int:
    """``powerd simulate``."""
    named = config_file_argument(arguments)
    options = None if named is None else load_options(named, check_secrets=False)
    if options is not None and (refusal := _refusal(options, arguments.set)):
        return _refuse(refusal)
    document = request(
        "GET", f"/api/record?since={quote(arguments.since, safe='')}", socket_path=arguments.socket
    )
    daemons = Path(document.get("configuration") or DEFAULT_PATH)  # an older daemon does not name it
    if options is None:
        options = load_options(None if daemons == DEFAULT_PATH else daemons, check_secrets=False)
        if refusal := _refusal(options, arguments.set):
            return _refuse(refusal)
    record = read_record(document)
    present, problem = (options, "") if named is None else _present_options(daemons, options)
    others = [] if named is None or present == options else [Variation(named.name, options)]
    if arguments.set:
        others.append(Variation(", ".join(arguments.set), vary(options, arguments.set)))
    elif not others:
        others += _worth_a_try(options, record)
    result = simulation_json(record, present, others, KernelClock().now().wall.tzinfo)
    result["runs"][0]["unknown"] += [problem] if problem else []
    emit(result if arguments.json else simulation_text(result, paint(), details=bool(arguments.set)))
    return EXIT_OK


def _refusal(options: Options, assignments: Sequence[str]) -> str:
    """Why there is no simulation of a configuration, one sentence; "" = there is one."""
    try:
        vary(options, assignments)
    except ValueError as error:
        return str(error)
    if not options.sleep:
        return "no [[sleep]] rule is configured; run `powerd setup`, or name a file with --config"
    return ""


def _refuse(text: str) -> int:
    print(f"powerd: {text}", file=sys.stderr)  # noqa: T201 - a command prints its errors
    return EXIT_USAGE


def _present_options(file: Path, options: Options) -> tuple[Options, str]:
    """The configuration of the daemon, or ``options`` and why that cannot be read."""
    try:
        return load(None if file == DEFAULT_PATH else file, check_secrets=False), ""
    except ConfigError as error:
        return options, _UNREADABLE.format(error.faults[0])


def read_record(document: RecordJson) -> Record:
    """The record that a daemon has sent."""
    since, until = (datetime.fromisoformat(document[key]).timestamp() for key in ("since", "until"))
    entries = read_entries("".join(f"{each}\n" for each in document["lines"]), 0.0, [])
    return replace(make_record(entries, since, until), problems=tuple(document["problems"]))


def _worth_a_try(options: Options, record: Record) -> Iterator[Variation]:
    has_dozed = any(each.state == "dozing" for each in record.intervals)
    for assignment in suggestions(options, has_dozed=has_dozed):
        yield Variation(assignment, vary(options, [assignment]))


def simulation_json(
    record: Record, options: Options, others: Sequence[Variation], zone: tzinfo | None
) -> SimulationJson:
    """The sleeps of this configuration and of others, beside those that are recorded."""
    seconds = recorded_seconds(record)
    past = [each for each in record.sleeps if each.result in {"slept", "would-sleep"}]
    scale = 0.0 if not seconds else _MONTH / seconds / _HOUR
    asleep: float | None = None

    def simulated(name: str, varied: Options) -> RunJson:
        moved, as_recorded = with_absent_after(record, varied.clients)
        unknown = [_AS_RECORDED.format(join_names(as_recorded, _MAX_NAMES))] if as_recorded else []
        if needs_others(options.clients, varied.clients):
            unknown.append(_NOT_RECORDED)
        return run(name, replay(moved, varied, zone, counting(varied.clients)), unknown)

    def run(name: str, sleeps: Sequence[SleepRecord], unknown: Sequence[str] = ()) -> RunJson:
        total = _seconds(sleeps, record)
        return {
            "configuration": name,
            "sleeps": len(sleeps),
            "seconds": total,
            "more": 0.0 if asleep is None else (total - asleep) * scale,
            "false": [sleep_json(each, zone) for each in sleeps if each.is_false],
            "unknown": [*unknown],
        }

    now = simulated(_NOW, options)
    asleep = now["seconds"]

    return {
        "since": datetime.fromtimestamp(record.since, zone).isoformat(timespec="seconds"),
        "until": datetime.fromtimestamp(record.until, zone).isoformat(timespec="seconds"),
        "recorded": seconds,
        "past": run("recorded", past),
        "runs": [now, *(simulated(*each) for each in others)],
        "problems": [*record.problems],
    }


def _seconds(sleeps: Sequence[SleepRecord], record: Record) -> float:
    return sum(
        max(
            0.0,
            (record.until if each.end is None else min(each.end, record.until))
            - max(each.begin, record.since),
        )
        for each in sleeps
    )


def simulation_text(result: SimulationJson, paint_: Paint = no_color, *, details: bool = False) -> str:
    """The table of ``powerd simulate``, and the best variation; ``details``: the false sleeps as well."""
    since = datetime.fromisoformat(result["since"])
    days = result["recorded"] / 86_400
    problems: list[str] = []
    for problem in result["problems"]:
        problems += paragraph_lines(f"Not all of it is read: {sanitize(problem)}.")
    if result["recorded"] < _LEAST_RECORDED:
        recorded = format_duration(result["recorded"], 1) if result["recorded"] else "nothing"
        text = f"Since {since:%a %Y-%m-%d %H:%M}: {recorded} recorded, which is too little for a simulation."
        return join_lines([*paragraph_lines(text), *problems])
    lines = [*paragraph_lines(f"Since {since:%a %Y-%m-%d %H:%M}, {days:.1f} days recorded:"), ""]
    rows = [_row(run, is_compared=index > 1) for index, run in enumerate((result["past"], *result["runs"]))]
    lines += _TABLE.format_lines(rows, [None] * len(rows), paint_)
    lines += ["", *_advice(result)]
    lines += problems
    for sentence in dict.fromkeys(sentence for run in result["runs"] for sentence in run["unknown"]):
        lines += paragraph_lines(sentence)
    for run in result["runs"] if details else ():
        if run["false"]:
            lines += ["", *paragraph_lines(f"False sleeps of {run['configuration']}:")]
            for sleep in run["false"][:_MAX_ROWS]:
                lines += _false_lines(sleep)
    return join_lines(lines)


def _row(run: RunJson, *, is_compared: bool) -> tuple[str, ...]:
    hours, more = f"{run['seconds'] / _HOUR:.1f} h", f"{run['more']:+.0f} h" if is_compared else ""
    name = f"  {sanitize(run['configuration'])}"
    return name, f"{hours:>9}", f"{run['sleeps']:>6}", f"{len(run['false']):>5}", f"{more:>9}"


def _advice(result: SimulationJson) -> Iterator[str]:
    now, *others = result["runs"]
    safe = [
        each for each in others if len(each["false"]) <= len(now["false"]) and each["more"] >= _LEAST_GAIN
    ]
    if safe:
        best = max(safe, key=lambda each: each["more"])
        text = f"Try {best['configuration']}: +{best['more']:.0f} h a month, {len(best['false'])} false."
        yield from paragraph_lines(text)
    yield from paragraph_lines(
        "False: somebody was present or came within 15 minutes, or work was in progress. Who came without a "
        "trace in the record is not known."
    )


def _false_lines(sleep: SleepJson) -> Iterator[str]:
    begin = datetime.fromisoformat(sleep["begin"])
    after = (datetime.fromisoformat(sleep["came_at"] or sleep["begin"]) - begin).total_seconds()
    when = f", {format_duration(after, 1)} later" if after else ", already there"
    yield from hanging_lines(f"  {begin:%a %d %b %H:%M}  ", f"{sleep['came']}{when}")
