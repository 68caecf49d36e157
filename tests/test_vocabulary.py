"""The project's vocabulary: which words no identifier may contain, and the sizes of files and functions.

The glossary is in powerd/README.md. One term has one meaning; terms of other trades, speech verbs for data
flow and bare participles are not used as names.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = sorted(
    path for place in ("powerd", "tests") for path in (ROOT / place).rglob("*.py") if path != Path(__file__)
)

BANNED: Final[dict[str, str]] = {
    # word in an identifier: what to write instead
    "bedside": "scenario",
    "begun": "started",
    "blind": "unavailable",
    "blindness": "failure",
    "breathe": "yield_now",
    "chronicle": "events",
    "complain": "on_error",
    "complains": "on_error",
    "complaint": "error",
    "complaints": "errors",
    "descent": "spindown",
    "diary": "log",
    "errand": "running action",
    "errands": "running actions",
    "eyes": "the port that is meant",
    "faces": "ui",
    "gauges": "read_cached",
    "glance": "poll_soon",
    "goodnight": "sleep_command",
    "hear": "on_status, on_event",
    "heard": "results, last_seen, received",
    "hears": "receives",
    "heed": "on_logind_event",
    "heir": "successor",
    "hindrance": "busy_reason",
    "house": "server, household, fixture",
    "houses": "servers, households",
    "hung": "unresponsive",
    "hurried": "rescheduled",
    "hurry": "reschedule",
    "judge": "evaluate",
    "judged": "evaluated",
    "kept": "retained, stored",
    "lane": "executor",
    "lanes": "executors",
    "limbs": "hooks",
    "naps": "may_self_standby",
    "obey": "execute",
    "obeyed": "executed",
    "obeys": "executes",
    "peek": "read_text",
    "pretended": "dry_run",
    "prod": "passthrough command",
    "prodded": "passthrough command",
    "recall": "observations",
    "roster": "registry",
    "rouse": "spin_up",
    "roused": "spun up",
    "rouses": "spins up",
    "said": "reported, printed, text",
    "sighting": "observation",
    "sightings": "observations",
    "stirring": "blockers",
    "stories": "scenarios",
    "story": "scenario",
    "stirs": "blockers",
    "strangers": "unlisted neighbours",
    "tell": "publish, report",
    "telling": "publishing",
    "tells": "reports",
    "thrice": "three times",
    "told": "published, reported",
    "transit": "transition",
    "unrest": "wake_storm",
    "verdict": "client_status",
    "verdicts": "client_statuses",
    "wish": "request",
    "wished": "requested",
    "wishes": "requests",
    # fakes and rigs
    "bedroom": "SimulatedMachine",
    "rooms": "a scenario",
    "shelf": "DiskSimulation",
    "village": "SimulatedLan",
}
"""Words that no identifier may contain, in powerd/ and in tests/."""

_NAMES: Final = """
Batch Bay Blind Board Book Case Child Course Desk Done Door Draft Eyes Face Faces Hands Home House Lane Lead
Limbs Line Named Night Nights Order Orders Outcome Page Seen Shelf Sighting Spindle Standing Step Verdict Wake
Waking Watch Way Why Wishes bay board desk door lead leads look looked looks night order orders outcome
outcomes patience shelf spindle way ways going goings
"""
BANNED_NAMES: Final = frozenset(_NAMES.split())
"""Whole names that no class, function, parameter, attribute or variable may have."""

ALLOWED: Final[frozenset[tuple[str, str]]] = frozenset({("powerd/attribution/model.py", "Wake")})
"""(path, identifier): a term of the field that the lists above would take for dialect."""

PHRASES: Final = re.compile(
    r"""
    \b(whoever|oftener|thrice|so\ many|of\ its\ own\ accord|in\ vain|stands?\ by|stood\ by|told\ to\ stand\ by
    |look\ out\ of\ turn|beyond\ reach|anew|torn|broken\ off|somebody\ else|nobody\ else
    |those\ that\ there\ are|hears?|heard|tells|told|stirred|mended|gone\ off|goes\ off
    |looked\ (yet|since|for\ too)|(what|and)\ became\ of|would\ have\ been\ (a\ )?(sleeps?|slept)
    |any\ more|as\ far\ as|in\ spite\ of|all\ the\ same|by\ and\ by|out\ of\ turn|has\ got|of\ before
    |has\ not\ (an?|the)|taking\ stock|(is|are)\ called\ for|beside\ each\ other
    |worth\ a\ (try|sentence|look)|holds?\ (it|them)\ up|says?\ so|what\ a\ person\ has\ to\ know)\b
    |^Pure\.|See\ there\.|In\ words\.|As\ Kind\ says
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Phrases that no docstring, no comment and no message of powerd/ and tests/ may contain, nor a page."""
PAGES: Final = sorted([ROOT / "README.md", ROOT / "powerd/README.md", *(ROOT / "docs").rglob("*.md")])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def words(identifier: str) -> list[str]:
    """``readCachedFile2`` and ``read_cached_file`` are the words read, cached and file."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file defines: (line, name)."""
    for part in (path.stem, *(path.relative_to(ROOT).parts[:-1])):
        yield 0, part
    for node in ast.walk(tree(path)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield line, name
            case (
                ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
            ):
                yield line, name
            case (
                ast.MatchAs(name=str(name)) | ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name))
            ):
                yield line, name


def is_banned(identifier: str) -> bool:
    return identifier.strip("_") in BANNED_NAMES or any(word in BANNED for word in words(identifier))


def banned_identifiers() -> list[str]:
    found = []
    for path in SOURCES:
        place = str(path.relative_to(ROOT))
        for line, name in identifiers(path):
            if is_banned(name) and (place, name) not in ALLOWED:
                found.append(f"{place}:{line}: {name}")
    return found


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and strings of several words in a file, or the lines of a page: (line, text)."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, text in enumerate(node.value.splitlines()):
                yield node.lineno + offset, text.strip()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def banned_phrases() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in (*SOURCES, *PAGES)
        for line, text in (
            prose(path) if path.suffix == ".py" else enumerate(path.read_text().split("\n"), 1)
        )
        for match in PHRASES.finditer(text)
    ]


def long_files() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {length} lines"
        for path in SOURCES
        if path.is_relative_to(ROOT / "powerd") and (length := path.read_text().count("\n")) > 400
    ]


def long_functions() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {length} lines"
        for path in SOURCES
        if path.is_relative_to(ROOT / "powerd")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]


def repeated_class_names() -> list[str]:
    """Class names that occur twice; every activity check has a class ``Options``."""
    names: Counter[str] = Counter(
        node.name
        for path in SOURCES
        if path.is_relative_to(ROOT / "powerd")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and (node.name, path.parent.name) != ("Options", "checks")
    )
    return [f"{name}: {count} classes" for name, count in names.items() if count > 1]


FINDERS: Final = {
    "identifiers": banned_identifiers,
    "phrases": banned_phrases,
    "long files": long_files,
    "long functions": long_functions,
    "class names": repeated_class_names,
}


@pytest.mark.parametrize("kind", FINDERS)
def test_vocabulary(kind: str) -> None:
    found = FINDERS[kind]()
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("OnHeard", True),
        ("_last_heard", True),
        ("Night", True),
        ("midnight", False),
        ("nightly_backup", False),
        ("keeps_awake", False),
        ("board", True),
        ("keyboard", False),
        ("_order", True),
        ("sort_order", False),
    ],
)
def test_a_banned_identifier_is_detected(identifier: str, *, expected: bool) -> None:
    assert is_banned(identifier) is expected
