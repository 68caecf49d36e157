"""Which module may import which: the table of powerd/README.md, checked on the source itself.

A module has a domain (the first directory) and a role (by its file name). Imports inside functions and under
TYPE_CHECKING count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest

POWERD: Final = Path(__file__).parents[1] / "powerd"

_LOWER: Final = ("presence", "activity", "attribution", "disks", "smart")
DOMAINS: Final[dict[str, tuple[str, ...]]] = {
    "presence": (),
    "disks": (),
    "attribution": ("disks",),
    "smart": ("disks",),
    "activity": ("disks", "smart", "attribution"),
    "power": ("presence", "activity", "disks", "smart"),
    "requests": (*_LOWER, "power"),
    "history": (*_LOWER, "power"),
    "messages": (*_LOWER, "power"),
    "doctor": (*_LOWER, "power"),
    "mqtt": (*_LOWER, "power", "requests", "history", "messages"),
}
"""The domains whose modules a domain may import, besides its own; a model may import every model."""

ROLES: Final[dict[str, str]] = {
    # The first pattern that matches decides.
    "*.model": "model",
    "*.codec": "model",
    "presence.silences": "model",
    "disks.state": "model",
    "disks.maintenance": "model",
    "smart.actions": "model",
    "smart.counters": "model",
    "doctor.*_files": "source",
    "doctor.findings*": "source",
    "doctor.machine": "source",
    "disks.conflicts*": "source",
    "messages.alarms": "model",
    "*.policy*": "policy",
    "*.schedule": "policy",
    "*.findings": "policy",
    "*_rules": "policy",
    "attribution.changes": "policy",
    "attribution.join": "policy",
    "attribution.paths": "policy",
    "attribution.culprits": "policy",
    "mqtt.entities": "policy",
    "mqtt.payloads": "policy",
    "power.blockers": "policy",
    "power.cancellation": "policy",
    "power.earliest_time": "policy",
    "power.shutdown": "policy",
    "power.wake_schedule": "policy",
    "power.wake_storm": "policy",
    "*.source*": "source",
    "presence.*.*": "source",
    "presence.leases": "source",
    "presence.evidence": "source",
    "presence.observations": "source",
    "presence.records": "source",
    "presence.watch": "source",
    "presence.neighbours": "source",
    "presence.registry": "source",
    "presence.merger": "source",
    "activity.check*": "source",
    "activity.programs": "source",
    "activity.run_times": "source",
    "activity.rates": "source",
    "activity.answer": "source",
    "activity.registry": "source",
    "power.logind": "source",
    "power.systemd_timers": "source",
    "power.wakeup_cause": "source",
    "*.actuator*": "actuator",
    "*.view*": "view",
    "*": "service",
}
"""The role of a module of a domain, by its name without ``powerd.``."""

MAY_USE: Final[dict[str, tuple[str, ...]]] = {
    "model": ("model",),
    "policy": ("model", "policy"),
    "source": ("model", "source"),
    "actuator": ("model", "actuator"),
    "view": ("model", "view"),
    "service": ("model", "policy", "source", "actuator", "service"),
}
"""The roles that a role may import, in its own domain and in those below."""

CORE_VALUES: Final = tuple(
    f"core.{name}" for name in ("actions", "codec", "dataclass", "domain", "reasons", "snapshot", "time")
)
"""Modules of core that hold values only."""
FRAMES: Final = ("ui.api", "ui.schema", "ui.html", "ui.layout", "ui.journal")
"""What a view is made with."""

OUTSIDE: Final[dict[str, tuple[str, ...]]] = {
    # Patterns of modules outside the domains that a role, or a package outside the domains, may import.
    "role:model": CORE_VALUES,
    "role:policy": (*CORE_VALUES, "config.*"),
    "role:source": ("core.*", "config.*", "linux.*"),
    "role:actuator": ("core.*", "config.*", "linux.*", "helper.protocol.*"),
    "role:view": (*CORE_VALUES, *FRAMES),
    "role:service": ("core.*", "config.*", "linux.*"),
    "core": ("core.*", "config.*", "linux.values", "linux.regular_file"),
    "config": (
        "config.*",
        *CORE_VALUES,
        "linux.regular_file",
        "role:model",
        "activity.check",
        "activity.registry",
        "disks.conflicts.hdparm_conf",
        "disks.conflicts.smartd_conf",
    ),
    "linux": ("linux.*", "core.dataclass", "core.time", "helper.protocol.*", "role:model"),
    "helper": (
        "helper.*",
        "core.codec",
        "core.dataclass",
        "role:model",
        "linux.unix_sockets",
        "linux.subprocess",
        "linux.netlink_codec",
        "linux.values",
    ),
    "ui": ("ui.*", *CORE_VALUES, "config.*", "role:model", "role:view"),
    "setup": ("setup.*", "presence.view", "ui.*", "config.*", *CORE_VALUES),
    "daemon": ("*",),
    "service": ("*",),
    "replay": ("*",),
    "simulation": ("*",),
    "__main__": ("*",),
}
NEVER: Final[dict[str, tuple[str, ...]]] = {
    "daemon": ("ui.*", "service", "simulation.*", "__main__"),
    "service": ("simulation.*", "__main__"),
    "replay": ("service", "simulation.*", "__main__"),
    "simulation": ("ui.*", "service"),
    "__main__": ("simulation.*",),
}

PURE: Final = ("model", "policy")
IMPURE: Final = {
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
}


def modules() -> dict[str, Path]:
    """Every module of the project by its name without ``powerd.``, with its file."""
    found = {}
    for path in sorted(POWERD.rglob("*.py")):
        parts = path.relative_to(POWERD).with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        if name:
            found[name] = path
    return found


MODULES: Final = modules()


def imported(source: str) -> Iterator[str]:
    """Every module that ``source`` imports, by its full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports within powerd are absolute"
            assert node.module is not None
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in members if name.removeprefix("powerd.") in MODULES]
            yield from submodules
            if len(submodules) < len(members):
                yield node.module


def domain_of(name: str) -> str | None:
    first = name.partition(".")[0]
    return first if first in DOMAINS else None


def role_of(name: str) -> str | None:
    """The role of a module of a domain; None for a module outside the domains."""
    if domain_of(name) is None:
        return None
    return next(role for pattern, role in ROLES.items() if fnmatchcase(name, pattern))


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    role = f"role:{role_of(name)}"
    return any(
        fnmatchcase(f"{name}.", f"{pattern.removesuffix('.*')}.*") or pattern == role for pattern in patterns
    )


def allowed(name: str, other: str) -> bool:
    """Whether module ``name`` may import module ``other``."""
    domain, role = domain_of(name), role_of(name)
    if domain is None or role is None:
        package = name.partition(".")[0]
        return _fits(other, OUTSIDE[package]) and not _fits(other, NEVER.get(package, ()))
    other_role = role_of(other)
    if other_role is None:
        return _fits(other, OUTSIDE[f"role:{role}"])
    if role == other_role == "model":
        return True
    return domain_of(other) in {domain, *DOMAINS[domain]} and other_role in MAY_USE[role]


def violations(name: str, source: str) -> list[str]:
    """Modules that ``name`` may not import and does."""
    inner = {other.removeprefix("powerd.") for other in imported(source) if other.startswith("powerd.")}
    return sorted(other for other in inner - {name} if other in MODULES and not allowed(name, other))


def impurities(source: str) -> list[str]:
    """Imports with which code could read the outside world or wait for it."""
    return sorted({name.partition(".")[0] for name in imported(source)} & IMPURE)


def test_every_import_is_allowed() -> None:
    found = {(name, other) for name, path in MODULES.items() for other in violations(name, path.read_text())}
    assert sorted(found) == []


@pytest.mark.parametrize(
    "name", [name for name in MODULES if role_of(name) in PURE or name == "config.values"]
)
def test_pure_code_cannot_reach_the_outside_world(name: str) -> None:
    assert impurities(MODULES[name].read_text()) == []


def test_no_import_cycle() -> None:
    """Modules are imported in layers: each round takes those that import none of the rest."""
    rest = {}
    for name, path in MODULES.items():
        inner = {other.removeprefix("powerd.") for other in imported(path.read_text())}
        rest[name] = (inner & MODULES.keys()) - {name}
    while ready := [name for name, others in rest.items() if not others & rest.keys()]:
        for name in ready:
            del rest[name]
    assert sorted(rest) == []


def test_only_entry_points_and_packages_at_the_root() -> None:
    assert {path.name for path in POWERD.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "daemon.py",
        "service.py",
    }


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("power.sleep_rules", "presence.policy", True),
        ("power.sleep_rules", "linux.values", False),
        ("power.sleep_rules", "core.state", False),
        ("presence.policy", "power.model", False),
        ("presence.leases.kea", "core.poller", True),
        ("presence.leases.kea", "presence.policy", False),
        ("disks.actuator", "disks.policy.plan", False),
        ("disks.view.table", "core.engine", False),
        ("activity.checks.load", "activity.check", True),
        ("activity.checks.load", "activity.policy", False),
        ("activity.checks.load", "power.model", False),
        ("core.decide", "disks.model", False),
        ("helper.server", "disks.model", True),
        ("helper.server", "disks.service", False),
        ("ui.status", "daemon", False),
        ("daemon", "ui.layout", False),
    ],
)
def test_the_table(name: str, other: str, *, expected: bool) -> None:
    assert allowed(name, other) is expected


def test_an_impurity_is_detected() -> None:
    assert impurities("import os.path\nfrom time import monotonic\nimport re") == ["os", "time"]


def test_an_import_inside_a_function_counts() -> None:
    assert violations("ui.status", "def f():\n    import powerd.daemon") == ["daemon"]
