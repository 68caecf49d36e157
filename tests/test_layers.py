"""Imports point down only: which room may use which, read from the source itself.

The table is the one in powerd/README.md. A room is a module or package under powerd/; imports inside
functions and under TYPE_CHECKING count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

POWERD: Final = Path(__file__).parents[1] / "powerd"
_BASE: Final = ("model", "config", "clock", "host", "board")
_KEPT: Final = ("store", "records", "health", "keeps", "wake", "transit")
_BELOW: Final = (*_BASE, "policy", "sources", "actuators", *_KEPT, "errands", "engine")
MAY_USE: Final[dict[str, tuple[str, ...]]] = {
    "model": (),
    "config": ("model",),
    "policy": ("model", "config"),
    "clock": ("model",),
    "helper.kinds": (),
    "helper.messages": ("model", "helper.kinds"),
    "helper.protocol": ("model", "helper.kinds", "helper.messages"),
    "helper": ("model", "helper.kinds", "helper.messages", "helper.protocol"),
    "host": ("model", "helper.protocol"),
    "board": ("model",),
    "sources.leases": ("model", "config", "host"),
    "sources": (*_BASE, "sources.leases"),
    "actuators": _BASE,
    "doctor": _BASE,
    "store": _BASE,
    "keeps": _BASE,
    "wake": _BASE,
    "records": (*_BASE, "store"),
    "transit": _BASE,
    "disks": (*_BASE, "policy", "sources", "store"),
    "alerts": (*_BASE, "transit"),
    "notify_child": (),
    "health": (*_BASE, "policy", "store", "records"),
    "errands": ("model", "clock", "board"),
    "engine": ("model", "config", "clock", "board", "policy", "errands"),
    "kept": ("model", "clock", "policy", "sources", "store"),
    "looks": (*_BASE, "policy", "sources"),
    "wishes": (*_BASE, "disks", "health", "wake"),
    "daemon": (*_BELOW, "disks", "kept", "looks", "wishes"),
    "rehearse": (*_BELOW, "daemon"),
    "faces": ("model", "config"),
    "app": (*_BELOW, "daemon", "alerts", "faces"),
    "__main__": ("app", "doctor", "faces", "host"),
}
PURE: Final = ("model", "config.values", "policy")
IMPURE: Final = (
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "random",
    "select",
    "socket",
    "subprocess",
    "threading",
    "time",
)


def imported(source: str) -> Iterator[str]:
    """Every module that ``source`` imports, by its full name; ``from powerd import x`` gives ``powerd.x``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports within powerd are absolute"
            assert node.module is not None
            yield node.module
            if node.module == "powerd":
                yield from (f"powerd.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of a module of powerd, the narrowest that fits; None for the package itself and for others."""
    inner = module.removeprefix("powerd.")
    if inner == module:
        return None
    return next((room for room in MAY_USE if f"{inner}.".startswith(f"{room}.")), None)


def trespasses(module: str, source: str) -> list[str]:
    """Imports of ``source`` that the room of ``module`` may not have."""
    room = room_of(module)
    if room is None:
        return []
    used = {other for name in imported(source) if (other := room_of(name)) is not None}
    return sorted(used - {room, *MAY_USE[room]})


def impurities(source: str) -> list[str]:
    """Imports by which code could look at the world or wait for it."""
    return sorted({name.partition(".")[0] for name in imported(source)} & set(IMPURE))


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the project, with its file."""
    for path in sorted(POWERD.rglob("*.py")):
        parts = path.relative_to(POWERD.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


@pytest.mark.parametrize(("module", "path"), list(modules()))
def test_imports_point_down(module: str, path: Path) -> None:
    assert module == "powerd" or room_of(module), (
        f"{module} has no place in the house: give it one in MAY_USE"
    )
    assert trespasses(module, path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "path"),
    [
        (module, path)
        for module, path in modules()
        if any(f"{module}.".startswith(f"powerd.{pure}.") for pure in PURE)
    ],
)
def test_pure_code_cannot_reach_the_world(module: str, path: Path) -> None:
    assert impurities(path.read_text()) == [], module


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("powerd.power.sleep_rules", "from powerd.linux.values import Lan", ["host"]),
        ("powerd.ui.page", "def f():\n    import powerd.core.engine", ["engine"]),
        (
            "powerd.power.actuator",
            "if TYPE_CHECKING:\n    from powerd.presence.registry import Known",
            ["sources"],
        ),
        ("powerd.presence.leases.kea", "from powerd.core.poller import Runner", ["sources"]),
        ("powerd.presence.registry", "from powerd.presence.leases.format import Lead", []),
        ("powerd.model", "from powerd import config", ["config"]),
        ("powerd.ui.cli.main", "from powerd import __version__", []),
    ],
)
def test_a_trespass_is_seen(module: str, source: str, found: list[str]) -> None:
    assert trespasses(module, source) == found


def test_an_impurity_is_seen() -> None:
    assert impurities("import os.path\nfrom time import monotonic\nimport re") == ["os", "time"]
