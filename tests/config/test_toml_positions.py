"""The line of each key, compared with what tomllib reads."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.config.toml_positions import KeyParts, format_parts, key_lines

TEXT = '''\
# [comment]
mode = "enforce" # [[no]]
"quoted.key" = 'x = 1'
dotted . "key" . x = """
[no]
y = ""\\"" # no""""
z = \'\'\'
[[no]]\'\'\'\'\'
[clients] # x
hosts = [ # [no]
  "a", "#b",

  'c]', ]
[[clients.class]]
name = "x"
rows = [{a = 1, b.c = [2, {d = 3}]},
  {a = 1979-05-27 07:32:00}]
[[clients.class]]
name = "y"
[clients.class.sub]
key = {}
[ a . b ]
[a]
x = -1.5e3
'''
EXPECTED = {
    "mode": 2,
    "quoted.key": 3,
    "dotted.key.x": 4,
    "z": 7,
    "clients": 9,
    "clients.hosts": 10,
    "clients.hosts[1]": 11,
    "clients.hosts[3]": 13,
    "clients.class": 14,
    "clients.class[1]": 14,
    "clients.class[1].name": 15,
    "clients.class[1].rows[1].b.c[2].d": 16,
    "clients.class[1].rows[2].a": 17,
    "clients.class[2]": 18,
    "clients.class[2].sub.key": 21,
    "a.b": 22,
    "a": 23,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_construct_of_toml(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    lines = key_lines(text)
    assert set(lines) == set(keys(tomllib.loads(text)))
    found = {format_parts(parts): line for parts, line in lines.items()}
    assert {key: found[key] for key in EXPECTED} == EXPECTED


def test_an_invalid_text_has_the_lines_before_its_error() -> None:
    assert key_lines('a = 1\n[b]\nc = "x\nd = 2') == {("a",): 1, ("b",): 2, ("b", "c"): 3}
    assert key_lines("a = " + "[" * 50_000)[("a",)] == 1


def keys(value: object, path: KeyParts = ()) -> Iterator[KeyParts]:
    """The way to each value in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from keys(item, (*path, key))


_NAMES = st.sampled_from(["a", "b", "c-1", "_", "1"]) | st.text(max_size=3)
_STRINGS = st.text(st.sampled_from("ab\"'\\#[]{}=,.\n \t")) | st.text(max_size=5)
_VALUES = st.recursive(
    st.booleans() | st.integers() | st.datetimes() | _STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_BREAKS = st.sampled_from(["", " ", "\n", " # [x] = 'y'\n", "\n\n"])


@st.composite
def _string(draw: st.DrawFn, text: str) -> str:
    """A string in one of the four notations that can hold it."""
    notations = [json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")]
    if all(char.isprintable() or char in "\n\t" for char in text):
        escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
        notations.append('"""\n' + (escaped[:-1] + '\\"' if escaped.endswith('"') else escaped) + '"""')
        if "'''" not in text and not text.endswith("'"):
            notations.append(f"'''{text}'''")
        if "'" not in text and "\n" not in text:
            notations.append(f"'{text}'")
    return draw(st.sampled_from(notations))


@st.composite
def _inline(draw: st.DrawFn, value: object) -> str:
    if isinstance(value, dict):
        pairs = [f"{draw(_key(key))} = {draw(_inline(item))}" for key, item in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        items = [f"{draw(_BREAKS)}{draw(_inline(item))}{draw(_BREAKS)}" for item in value]
        return (
            "[" + ",".join(items) + draw(st.sampled_from(["", ","] if items else [""])) + draw(_BREAKS) + "]"
        )
    if isinstance(value, str):
        return draw(_string(value))
    return str(value).lower()


def _key(name: str) -> st.SearchStrategy[str]:
    bare = name.isascii() and bool(name) and name.replace("-", "").replace("_", "").isalnum()
    quoted = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    literal = [f"'{name}'"] if name.isprintable() and "'" not in name else []
    return st.sampled_from([quoted, *literal, *([name] if bare else [])])


@st.composite
def _document(draw: st.DrawFn) -> str:
    """A text with values, tables and arrays of tables."""
    lines: list[str] = []

    def add(table: Mapping[str, object], header: str) -> None:
        plain = {key: value for key, value in table.items() if not _is_table(value) or not value}
        for key, value in plain.items():
            lines.append(
                f"{draw(_BREAKS)}{draw(_key(key))}{draw(st.sampled_from(['=', ' = ']))}{draw(_inline(value))}"
            )
        for key, value in table.items():
            if key in plain:
                continue
            path = f"{header}{draw(_key(key))}"
            rows: list[Any] = value if isinstance(value, list) else [value]
            for row in rows:
                lines.append(f"{draw(_BREAKS)}[[{path}]]" if isinstance(value, list) else f"[ {path} ]")
                add(row, f"{path} . ")

    add(draw(st.dictionaries(_NAMES, _VALUES, max_size=4)), "")
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and all(isinstance(row, dict) for row in value)
    )


@settings(max_examples=50)
@given(_document())
def test_every_key_that_tomllib_reads_is_on_its_line(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = key_lines(text)
    assert set(found) == set(keys(data))
    lines = text.split("\n")
    for parts, line in found.items():
        if isinstance(parts[-1], str):
            escaped = json.dumps(parts[-1], ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")
            assert parts[-1] in lines[line - 1] or escaped in lines[line - 1]
