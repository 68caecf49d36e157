"""Compares the decisions of two trees: says identical, or shows the first that differ.

    python tests/guards/compare.py OLD NEW [--tolerance SECONDS] [--most N] [--changes] [--ignore KEY ...]

OLD and NEW are files of tests/guards/frozen.py. ``--changes`` compares only the decisions that
differ from the one before, without times, for a step that makes fewer or more decisions on purpose.
``--streams`` names the streams to compare. ``--ignore`` leaves out a key. Numbers within the
tolerance (0.02 s) count as equal: virtual time moves by 1 us with each turn of the event loop.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

Row: TypeAlias = dict[str, Any]
TIMED: Final = {"t", "next", "next_disks", "alarm", "closely"}
NOTHING: Final[Row] = {}


def read_rows(path: Path, ignore: Sequence[str], streams: Sequence[str]) -> Iterator[Row]:
    """The first row has the versions that generated the file."""
    with gzip.open(path, "rt") as file:
        yield json.loads(next(file))
        for line in file:
            row: Row = json.loads(line)
            if streams and not any(f"{row['in']} ".startswith(f"{each} ") for each in streams):
                continue
            yield {key: value for key, value in row.items() if key not in ignore}


def is_same(old: object, new: object, tolerance: float) -> bool:
    if old == new:
        return True
    if isinstance(old, float | int) and isinstance(new, float | int):
        return abs(old - new) <= tolerance
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(is_same(*pair, tolerance) for pair in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(is_same(old[key], new[key], tolerance) for key in old)
    return False


def without_times(row: Row) -> Row:
    bare = {key: value for key, value in row.items() if key not in TIMED}
    if "disks" in bare:
        bare["disks"] = [disk[:2] for disk in bare["disks"]]
    if "sleep" in bare:
        bare["sleep"] = bare["sleep"][:2]
    if "smart" in bare:
        bare["smart"] = [[name, due is not None, *rest] for name, due, *rest in bare["smart"]]
    return bare


def changes_of(group: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    last: Row | None = None
    for row in group:
        bare = without_times(row)
        if bare != last:
            last = bare
            yield row, bare


def differing_keys(old: Row, new: Row, tolerance: float) -> list[str]:
    return [key for key in {**old, **new} if not is_same(old.get(key), new.get(key), tolerance)]


def show(name: str, rows: tuple[Row, Row], keys: Sequence[str], before: Iterable[Row]) -> None:
    print(f"\n{name}: {', '.join(keys)}")
    for row in before:
        print("  before:", json.dumps(row, separators=(",", ":"))[:600])
    for label, row in zip(("old", "new"), rows, strict=True):
        print(f"  {label}:   ", json.dumps(row, separators=(",", ":"))[:1500])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--most", type=int, default=5)
    parser.add_argument("--changes", action="store_true")
    parser.add_argument("--ignore", nargs="*", default=[])
    parser.add_argument("--streams", nargs="*", default=[])
    options = parser.parse_args()
    old_rows, new_rows = (
        read_rows(path, options.ignore, options.streams) for path in (options.old, options.new)
    )
    versions = next(old_rows), next(new_rows)
    if versions[0] != versions[1]:
        print(f"other versions: {versions[0]} and {versions[1]}; what is drawn may differ")
    decisions, shown = 0, 0
    kinds: Counter[tuple[str, str]] = Counter()
    for left, right in zip_longest(*(groupby(rows, lambda row: row["in"]) for rows in (old_rows, new_rows))):
        if left is None or right is None or left[0] != right[0]:
            print(f"scenario {left and left[0]!r} against {right and right[0]!r}: what is drawn differs")
            return 2
        sides = [
            changes_of(side[1]) if options.changes else ((row, row) for row in side[1])
            for side in (left, right)
        ]
        before: deque[Row] = deque(maxlen=2)
        is_first = True  # later differences of a scenario follow from its first one
        for old, new in zip_longest(*sides, fillvalue=(NOTHING, NOTHING)):
            decisions += 1
            if keys := differing_keys(old[1], new[1], options.tolerance):
                kinds[left[0].split()[0], ", ".join(keys)] += 1
                if is_first and shown < options.most:
                    shown += 1
                    show(left[0], (old[0], new[0]), keys, before)
                is_first = False
            before.append(old[0])
    if not kinds:
        print(f"identical: {decisions} decisions")
        return 0
    print(f"\n{kinds.total()} of {decisions} decisions differ, by kind of scenario and keys:")
    for (stream, differing), count in kinds.most_common(20):
        print(f"  {count:7} {stream}: {differing[:150]}")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
