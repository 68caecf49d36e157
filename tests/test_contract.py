"""The sample configuration, README.md and docs/ agree with what the code declares."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from powerd.activity.registry import find_kind, own_names
from powerd.config.activity_options import CheckSettings, NamedCheckSettings
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.config.sample import effective_toml, sample_toml
from powerd.disks.state import DiskState
from powerd.ui.cli.parser import build_parser

ROOT: Final = Path(__file__).parents[1]
USER_PAGES: Final = (
    "README.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)
PAGES: Final = (*USER_PAGES, "powerd/README.md", "CHANGELOG.md")


def declared(table: type[Any], path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every field of the configuration with the key path that users write."""
    for field in dataclasses.fields(table):
        key = f"{path}{field.name.rstrip('_')}"
        if "checks" in field.metadata:
            yield from declared_checks(path)
            continue
        yield key, field
        if "row" in field.metadata:
            yield from declared(field.metadata["row"], f"{key}.")
        elif "kind" not in field.metadata:
            yield from declared(table_of(field), f"{key}.")


def table_of(field: dataclasses.Field[Any]) -> type[Any]:
    return type(field.default if field.default_factory is dataclasses.MISSING else field.default_factory())


def declared_checks(path: str) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every field of every check of powerd; those that all checks have are documented once."""
    for name in own_names():
        kind = find_kind(name)
        for settings in (NamedCheckSettings if kind.many else CheckSettings, kind.options):
            yield from declared(settings, f"{path}{name}.")


DECLARED: Final = dict(declared(Options))
KEYS: Final = {key for key, field in DECLARED.items() if "kind" in field.metadata}


def test_shipped_sample_is_the_code_s() -> None:
    remade = (
        "python -c 'from powerd.config.sample import sample_toml; print(sample_toml(), end=\"\")'"
        " > config/powerd.toml"
    )
    assert (ROOT / "config/powerd.toml").read_text() == sample_toml(), f"generate it again: {remade}"


def test_sample_as_it_ships_changes_nothing() -> None:
    assert effective_toml(parse(sample_toml().encode(), "sample")) == effective_toml(Options())


def test_sample_with_everything_switched_on_is_valid() -> None:
    """Every line is valid without its "#"; an empty command beside another action is not an error."""
    switched_on = re.sub(r"^#(?=\S)", "", sample_toml(), flags=re.MULTILINE)
    options = parse(switched_on.encode(), "sample")
    assert [rule.action for rule in options.sleep] == ["poweroff"]
    assert [row.name for row in options.clients.class_] == ["phone"]


SAMPLE_TABLES: Final = re.split(r"\n(?=#?\[)", sample_toml())
"""The sample as one text for each table, with its header; the first one has none."""


@pytest.mark.parametrize("table", SAMPLE_TABLES, ids=[table.partition("\n")[0] for table in SAMPLE_TABLES])
def test_each_table_of_the_sample_is_valid_with_everything_switched_on(table: str) -> None:
    parse(re.sub(r"^#(?=\S)", "", table, flags=re.MULTILINE).encode(), "sample")


def test_a_line_of_the_sample_shows_the_default_or_says_that_it_is_an_example() -> None:
    examples, defaults = set[str](), set[str]()
    for text in SAMPLE_TABLES:
        header = text.partition("\n")[0]
        table = header.strip("#[]") + "." if "[" in header else ""
        for line in re.findall(r"^#(\w+ = .*)$", text, re.MULTILINE):
            ((key, value),) = tomllib.loads(line).items()
            field = DECLARED[f"{table}{key}"]
            is_default = field.metadata["kind"].read(value) == field.default
            assert is_default is ("  # example; " not in line), line
            if match := re.search(r"# example; default: (.*)", line):
                assert field.metadata["kind"].show(field.default) == match[1]
            elif not is_default:
                assert field.default in (None, "", ())
            (defaults if is_default else examples).add(f"{table}{key}")
    assert {"sleep.idle_for", "sleep.action", "disks.rule.apm"} <= examples
    assert {"sleep.warn", "clients.every", "activity.load.percent"} <= defaults


def test_sample_names_every_option() -> None:
    switched_on = tomllib.loads(re.sub(r"^#(?=\S)", "", sample_toml(), flags=re.MULTILINE))

    def keys(table: dict[str, Any], path: str = "") -> Iterator[str]:
        for key, value in table.items():
            rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
            for row in rows:
                if isinstance(row, dict):
                    yield from keys(row, f"{path}{key}.")
                else:
                    yield f"{path}{key}"

    common = {
        f"activity.{name}.{field.name}"
        for name in own_names()
        for field in dataclasses.fields(NamedCheckSettings)
    }
    assert set(keys(switched_on)) - common == KEYS - common


@pytest.mark.parametrize("key", DECLARED)
def test_every_option_is_documented(key: str) -> None:
    field = DECLARED[key]
    doc = field.metadata.get("doc") or (table_of(field).__doc__ or "")
    assert len(doc.split()) >= 3, f"{key} needs a sentence"


def test_the_page_on_activity_lists_each_check() -> None:
    page = (ROOT / "docs/activity.md").read_text()
    for kind in map(find_kind, own_names()):
        row = f"| `{kind.name}` | {'on' if kind.default_on else 'off'} | {kind.summary} |"
        assert row in page, "the first line of its docstring is its row"


@pytest.mark.parametrize("page", USER_PAGES)
def test_options_named_in_a_page_exist(page: str) -> None:
    """A page writes an option as `clients.learn`."""
    tables = "|".join(sorted({key.partition(".")[0] for key in KEYS if "." in key}))
    named = set(re.findall(rf"`((?:{tables})\.[a-z_.]+)`", (ROOT / page).read_text()))
    assert named - set(DECLARED) == set()


def test_readme_shows_configurations_and_options() -> None:
    page = (ROOT / "README.md").read_text()
    assert page.count("```toml") >= 3
    assert "`clients.absent_after`" in page


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_resolve(page: str) -> None:
    file = ROOT / page
    text = re.sub(r"^ *```.*?^ *```", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text)
    missing = [link for link in links if "://" not in link and not (file.parent / link).exists()]
    assert missing == []


POSSESSIVE: Final = re.compile(r"""\brf?(['"]).*\)[*+?]\+.*\1""")


def test_no_group_is_repeated_possessively() -> None:
    """Python before 3.11.5, as in Debian 12, lets ``(...)*+`` match too much, not ``(?>(...)*)``."""
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "powerd").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if POSSESSIVE.search(line)
    ]
    assert lines == []


def test_a_possessive_group_is_detected() -> None:
    assert POSSESSIVE.search(r"""_BLANK: Final = re.compile(r"(?:\s++|#[^\n]*+\n)*+")""")
    assert not POSSESSIVE.search(r"""_BLANK: Final = re.compile(r"(?>(?:\s++|#[^\n]*+\n)*)")""")


def test_the_pages_name_each_state_of_a_disk_and_each_command() -> None:
    page = (ROOT / "docs/disks.md").read_text()
    shown = set(DiskState) - {DiskState.EXCLUDED}  # those are not in the table
    assert {state for state in shown if f"*{state}*" not in page} == set()
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices  # noqa: SLF001 - argparse has no other way to ask
    assert commands is not None
    page = (ROOT / "docs/commands.md").read_text()
    assert {command for command in commands if f"| `powerd {command}" not in page} == set()
