"""Checks are found by name: powerd's own, and those of other packages by their entry points."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.checks import load
from powerd.activity.model import ActivityFacts, CheckId
from powerd.activity.registry import DEFAULT_ON, default_kinds, find_kind, own_names
from powerd.activity.source import ActivitySource
from powerd.config.load import ConfigError, parse
from powerd.config.options import Options
from powerd.config.sample import check_manual, effective_toml
from powerd.core.poller import PollDepth

PACKAGES: Final = Path(__file__).parents[1] / "fixtures/example_package"
SPOOL: Final = '[[activity.spool]]\nname = "print"\ndirectory = "/run/spool"\n'


class SpoolPorts(RecordingPorts):
    """Two files in the spool directory."""

    def listdir(self, directory: str) -> tuple[str, ...]:
        return ("a", "b") if directory == "/run/spool" else ()


@pytest.fixture
def other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PACKAGES)


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        parse(text.encode(), "f")
    return tuple(f"f: {fault.message}" for fault in raised.value.faults)


@pytest.mark.parametrize("name", own_names())
def test_every_check_is_declared_under_its_module_s_name(name: str) -> None:
    kind = find_kind(name)
    assert kind.name == name
    assert kind.default_on == (name in DEFAULT_ON)
    assert not (kind.default_on and (kind.many or kind.near_sleep_only)), "costs too much unasked"
    assert len(kind.manual.splitlines()) > 2, "the docstring is the manual: what counts, what not, the source"
    example = kind.options() if kind.example is None else kind.example
    assert isinstance(example, kind.options)
    kind.new(example, check_ports())


def test_a_check_without_a_docstring_has_no_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another package, or under python -OO."""
    monkeypatch.setattr(load, "__doc__", None)
    assert (load.KIND.manual, load.KIND.summary) == ("", "")


def test_the_checks_without_a_table() -> None:
    assert [each.kind for each in Options().activity.checks] == sorted(kind.name for kind in default_kinds())


@pytest.mark.process
def test_a_check_that_is_not_used_is_not_imported() -> None:
    program = (
        "import sys; from powerd.config.load import parse; parse(b'[activity.load]', 'f');"
        "from powerd.activity.registry import DEFAULT_ON;"
        "checks = 'powerd.activity.checks.';"
        "own = {m.removeprefix(checks) for m in sys.modules if m.startswith(checks)};"
        "print({n for n in own if n[0] != '_'} - set(DEFAULT_ON), 'importlib.metadata' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout == "set() False\n"


@pytest.mark.usefixtures("other_packages")
def test_a_check_of_another_package_is_configured_and_polled() -> None:
    options = parse(SPOOL.encode(), "f")
    assert parse(effective_toml(options).encode(), "f") == options
    source = ActivitySource(check_ports(SpoolPorts().ports()), lambda: options)
    result = asyncio.run(source.poll(PollDepth.ROUTINE)).part(ActivityFacts).results[CheckId("spool:print")]
    assert [(each.subject, each.value) for each in result.activities] == [("/run/spool", 2)]
    assert "#directory" in check_manual("spool:print")


@pytest.mark.usefixtures("other_packages")
@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[activity.broken]", "activity.broken", "powerd_no_such_module"),
        ("[activity.wrong]", "activity.wrong", "named wrong"),
        ("[activity.class]", "activity.class", "not a CheckKind"),
        ("[activity.spool]", "activity.spool", "[[activity.spool]]"),
        ('[[activity.spool]]\nname = "a"', "activity.spool[1]", "requires a directory"),
        ('[[activity.spool]]\ndirectory = "/a"', "activity.spool[1].name", "requires a name"),
        (SPOOL + SPOOL, "activity.spool[2].name", "two tables"),
        (SPOOL + "files = 0", "activity.spool[1].files", "out of range"),
        ("[[activity.spol]]", "activity.spol", 'did you mean "activity.spool"'),
    ],
)
def test_what_is_wrong_with_a_table_of_another_package(text: str, where: str, what: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"f: {where}: ")
    assert what in fault


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[activity.lod]", "activity.lod", 'did you mean "activity.load"'),
        ('[activity]\non_errr = "ignore"', "activity.on_errr", 'did you mean "activity.on_error"'),
        ("[activity.onerror]", "activity.onerror", 'did you mean "activity.on_error"'),
        (
            '[[activity.kodi]]\nname = "a"\nurl = "https://k/jsonrpc"',
            "activity.kodi[1].url",
            "must be an http: URL",
        ),
        ('[[activity.kodi]]\nname = "a"\nurl = ""', "activity.kodi[1].url", "must not be empty"),
        ('[[activity.kodi]]\nname = "a"\nurl = "k"', "activity.kodi[1].url", "must be a URL"),
        ("[activity.wifi]\nsockets = []", "activity.wifi", 'requires "sockets"'),
        ("[activity.xyzzy]", "activity.xyzzy", "known checks: "),
        ("[activity.jellyfin]", "activity.jellyfin", 'include = ["presets/jellyfin.toml"]'),
        ("[activity.load]\npercnt = 3", "activity.load.percnt", 'did you mean "activity.load.percent"'),
        ("[[activity.load]]", "activity.load", "must be a table"),
        ("[activity]\nload = 3", "activity.load", "must be a table"),
        ("activity = 3", "activity", "must be a table"),
        ('[activity]\non_error = "sleep"', "activity.on_error", "awake, ignore"),
        ('[activity.load]\non_error = "sleep"', "activity.load.on_error", "awake, ignore"),
        ("[activity.load]\nenabled = 1", "activity.load.enabled", "true or false"),
        ("[activity._x]", "activity._x", "unknown check"),
    ],
)
def test_what_is_wrong_with_a_table(text: str, where: str, what: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"f: {where}: ")
    assert what in fault


def test_a_default_check_is_switched_off_and_on_error_is_per_check() -> None:
    options = parse(b'[activity]\non_error = "ignore"\n[activity.load]\non_error = "awake"', "f").activity
    (load,) = [each for each in options.checks if each.kind == "load"]
    assert options.error_policy(load) == "awake"
    assert {options.error_policy(each) for each in options.checks if each is not load} <= {"ignore"}
    off = parse(b"[activity.load]\nenabled = false", "f").activity
    assert "load" not in [each.kind for each in off.enabled_checks]
    assert len(off.checks) == len(options.checks)
