"""Finds and parses the configuration files and unit files of systemd (systemd.syntax(7)), without systemd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # powerd check does without it
    from powerd.linux.ports import Files
from powerd.linux.values import HostError

_CONFIG_ROOTS: Final = ("/usr/lib", "/usr/local/lib", "/run", "/etc")
"""Roots of configuration; a file in a later one replaces one of the same name."""
UNIT_DIRECTORIES: Final = (
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/system",
    "/etc/systemd/system",
)
"""Directories of unit files (systemd.unit(5)); a file in a later one replaces one of the same name."""
_TIMES: Final = "Timer.On"

UnitSettings: TypeAlias = Mapping[str, tuple[str, ...]]
"""The values by ``SECTION.KEY``, in the order of the files: ``{"Timer.OnCalendar": ("hourly",)}``."""


def config_texts(files: Files, name: str) -> Iterator[str]:
    """The texts of ``systemd/NAME`` and of its drop-ins, in the order in which they count."""
    mains = (files.read_text(f"{place}/systemd/{name}") for place in reversed(_CONFIG_ROOTS))
    yield next((text for text in mains if text is not None), "")
    yield from drop_in_texts(files, [f"{place}/systemd/{name}.d" for place in _CONFIG_ROOTS])


def drop_in_texts(files: Files, directories: Iterable[str]) -> Iterator[str]:
    """The texts of the ``*.conf`` of these directories, sorted by name; a later directory replaces names."""
    found: dict[str, str] = {}
    for directory in directories:
        found |= {name: f"{directory}/{name}" for name in _listdir(files, directory)}
    yield from (files.read_text(found[name]) or "" for name in sorted(found) if name.endswith(".conf"))


def unit_texts(files: Files, unit: str) -> list[str]:
    """The texts of a unit file and of its drop-ins; [] = there is no such unit, or it is masked."""
    text = next(
        (
            text
            for place in reversed(UNIT_DIRECTORIES)
            if (text := files.read_text(f"{place}/{unit}")) is not None
        ),
        "",
    )
    if not text:  # a link to /dev/null masks a unit, as an empty file does
        return []
    return [text, *drop_in_texts(files, [f"{place}/{unit}.d" for place in UNIT_DIRECTORIES])]


def parse_settings(texts: Iterable[str]) -> UnitSettings:
    """The settings of files that are read in this order; an empty value removes the earlier ones.

    Of a timer, one empty ``On...=`` removes all of them (systemd.timer(5)).
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        section = ""
        for line in map(str.strip, text.replace("\\\n", " ").split("\n")):
            key, equals, value = line.partition("=")
            if line.startswith("["):
                section = line.strip("[]")
            elif equals and not line.startswith(("#", ";")):
                name, value = f"{section}.{key.strip()}", value.strip()
                if name.startswith(_TIMES) and not value:
                    found = {each: values for each, values in found.items() if not each.startswith(_TIMES)}
                found[name] = (*found.get(name, ()), value) if value else ()
    return found


def _listdir(files: Files, directory: str) -> tuple[str, ...]:
    """The names in a directory; an unreadable one counts as empty."""
    try:
        return files.listdir(directory)
    except HostError:
        return ()
