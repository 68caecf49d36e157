"""Programs accept the examples in README.md and docs/, and the files named in pages and comments exist."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from contrib.systemd_analyze import needs_systemd, startable_text, verify

from powerd.config.load import parse
from powerd.config.meaning import doubts

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
RECIPES: Final = sorted((ROOT / "docs/recipes").glob("*.md"))


def blocks(language: str, *pages: Path) -> Iterator[tuple[str, str]]:
    """Each fenced block of a language: the page and its line, and the text."""
    for page in pages:
        text = page.read_text()
        for match in re.finditer(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", match[1]


TOML: Final = dict(blocks("toml", *PAGES))
COMPLETE: Final = {
    place: text for place, text in TOML.items() if text.startswith("# /etc/powerd/powerd.toml")
}
UNITS: Final = {
    place: text for place, text in blocks("ini", *PAGES) if text.startswith("# /etc/systemd/system/")
}
SCRIPTS: Final = dict(blocks("sh", *PAGES))


@pytest.mark.parametrize("place", TOML)
def test_a_configuration_is_valid(place: str) -> None:
    parse(TOML[place].encode(), place)


@pytest.mark.parametrize("place", COMPLETE)
def test_a_complete_configuration_leaves_no_doubt(place: str) -> None:
    options = parse(COMPLETE[place].encode(), place)
    assert list(doubts(options)) == []
    assert options.mode == "observe", "its owner sees what it would do first"
    enforced = parse(COMPLETE[place].replace('"observe"', '"enforce"', 1).encode(), place)
    assert {key for key, _ in doubts(enforced)} <= {"hooks.notify"}


def test_each_recipe_is_complete_and_says_what_was_tried() -> None:
    for recipe in RECIPES:
        name = str(recipe.relative_to(ROOT))
        if recipe.stem == "README":
            linked = set(re.findall(r"\]\((\S+\.md)\)", recipe.read_text()))
            assert linked == {page.name for page in RECIPES} - {"README.md"}
            continue
        assert [place for place in COMPLETE if place.startswith(f"{name}:")], name
        assert "\nTried" in recipe.read_text(), name
        assert "Not tried: " in " ".join(recipe.read_text().split()), name


@pytest.mark.process
@needs_systemd
def test_systemd_accepts_each_unit(tmp_path: Path) -> None:
    units = []
    for text in UNITS.values():
        unit = tmp_path / text.splitlines()[0].rpartition("/")[2]
        unit.write_text(text)
        unit.write_text(startable_text(unit))
        units.append(unit)
    assert len(units) >= 3
    verify(*units)


@pytest.mark.process
def test_a_shell_accepts_each_command() -> None:
    assert len(SCRIPTS) >= 5
    done = subprocess.run(
        ["bash", "-n"], input="\n".join(SCRIPTS.values()), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


SOURCES: Final = sorted(path for place in ("powerd", "tests") for path in (ROOT / place).rglob("*.py"))
NAMED_FILE: Final = re.compile(r"(?<![\w./])(?:powerd|tests)/[\w./]*\w\.(?:py|md|toml)\b")
"""The path of a file of the repository; NAME in it stands for a name."""


def prose(path: Path) -> str:
    """A page; the comments and the docstrings of a Python file."""
    text = path.read_text()
    if path.suffix != ".py" or not NAMED_FILE.search(text):
        return text
    return "\n".join(
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT or token.string.startswith(('"""', 'r"""'))
    )


def test_each_file_named_in_a_page_or_a_comment_exists() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (*PAGES, ROOT / "powerd/README.md", *SOURCES)
        for name in NAMED_FILE.findall(prose(path))
        if "NAME" not in name and not (ROOT / name).exists()
    ]
    assert missing == []
