"""Finds activity checks by name. A check is imported only if it is on by default or configured.

The checks of powerd are the modules of ``activity/checks/``. Other packages add checks by entry points of the
group ``powerd.checks`` (https://packaging.python.org/en/latest/specifications/entry-points/): the name is the
name of the table in ``[activity]``, the object is a CheckKind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from powerd.activity import checks
from powerd.activity.check import CheckKind

ENTRY_POINT_GROUP: Final = "powerd.checks"
DEFAULT_ON: Final = ("disk_io", "jobs", "load", "machines", "sessions", "storage", "traffic")
"""The checks that run without a table of their own."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key of TOML without quotes."""
_PRESETS: Final = Path(__file__).parents[1] / "config/presets"


@cache
def own_names() -> tuple[str, ...]:
    """The names of powerd's own checks, sorted."""
    import pkgutil  # noqa: PLC0415 - only where a check is configured or named

    names = (module.name for module in pkgutil.iter_modules(checks.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def default_kinds() -> Iterator[CheckKind]:
    """The checks that run without a table of their own."""
    return map(find_kind, DEFAULT_ON)


def find_kind(name: str) -> CheckKind:
    """The check of this name.

    Raises:
        ValueError: one clause; there is no such check, or its package cannot be used.
    """
    if name in DEFAULT_ON or name in own_names():
        return cast("CheckKind", import_module(f"{checks.__name__}.{name}").KIND)
    from importlib.metadata import entry_points  # noqa: PLC0415 - 15 ms and 1 MB, for checks of others only

    others = {
        each.name: each for each in entry_points(group=ENTRY_POINT_GROUP) if _BARE_KEY.fullmatch(each.name)
    }
    if name not in others:
        raise ValueError(f"unknown check{_suggestion(name, [*own_names(), *others])}")
    try:
        kind = others[name].load()
    except Exception as error:
        text = f"the package of this check cannot be imported: {type(error).__name__}: {error}"
        raise ValueError(text) from error
    if not isinstance(kind, CheckKind) or kind.name != name:
        raise ValueError(f"{others[name].value} is not a CheckKind named {name}")
    return kind


def _suggestion(name: str, known: list[str]) -> str:
    """The preset of this name, the most similar key of ``[activity]``, or all known checks."""
    from difflib import get_close_matches  # noqa: PLC0415 - imported only for an invalid configuration

    if name in {preset.stem for preset in _PRESETS.glob("*.toml")}:
        return f'; {name} is a preset; write include = ["presets/{name}.toml"] above the first [table]'
    close = get_close_matches(name, [*known, "on_error"], n=1, cutoff=0.5)
    if close:
        return f'; did you mean "activity.{close[0]}"?'
    return f"; known checks: {', '.join(sorted(known))}; a check of another package needs it installed"
