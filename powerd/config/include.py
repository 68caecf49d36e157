"""Reads TOML files and those that they include, and merges their tables into one document."""

from __future__ import annotations

import codecs
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from powerd.config.declare import string_list
from powerd.linux.regular_file import read_regular_file

_MAX_FILE_SIZE: Final = 1 << 20
_INCLUDE: Final = "include"
SHARED_DIRECTORIES: Final = (
    Path("/usr/share/powerd"),
    Path(__file__).parent,
)  # here are the presets of powerd
"""Where an included file is looked for after the directory of the including file."""
GRANT_READ_HINT: Final = "let the service read it: chgrp powerd {file}; chmod 640 {file}"


class Document:
    """The merged tables.

    Attributes:
        data: as tomllib returns it, without the key ``include``.
        faults: the file and a clause of each error.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.faults: list[tuple[str, str]] = []
        self._origins: dict[str, str] = {}
        self._files: set[Path] = set()

    def add_file(self, file: Path, including: tuple[Path, ...] = ()) -> None:
        """Add a file and what it includes.

        Args:
            file: its path.
            including: the files that have led to this one, the first one first.

        Raises:
            FileNotFoundError: it does not exist.
        """
        try:
            content, mode = read_regular_file(file, _MAX_FILE_SIZE)
        except FileNotFoundError:
            raise
        except PermissionError:
            remedy = f"run as root, or {GRANT_READ_HINT.format(file=file)}"
            self.faults.append((str(file), f"cannot be read: permission denied; {remedy}"))
            return
        except OSError as error:
            self.faults.append((str(file), f"cannot be read: {error.strerror}; check the path"))
            return
        if mode & stat.S_IWOTH:
            text = f"everybody may write to it, and it can contain commands; run: chmod o-w {file}"
            self.faults.append((str(file), text))
        self.add(content, file, including)

    def add(self, content: bytes, file: Path, including: tuple[Path, ...] = ()) -> None:
        """As add_file(), with the content of the file. The included tables come before its own."""
        try:
            data = _parse_toml(content)
        except ValueError as error:
            self.faults.append((str(file), str(error)))
            return
        try:
            names = string_list().read(data.pop(_INCLUDE, []))
        except ValueError as error:
            self.faults += ((str(file), f"{_INCLUDE}: {clause}") for clause in error.args)
            names = ()
        self._files.add(file.resolve())
        for name in names:
            try:
                self._include(name, (*including, file))
            except ValueError as error:
                self.faults.append((str(file), f"{_INCLUDE}: {error}"))
        self._merge(self.data, data, "", str(file))

    def file_of(self, key_path: str, default: str) -> str:
        """The file that has set a key, or the nearest table around it."""
        while key_path:
            if key_path in self._origins:
                return self._origins[key_path]
            key_path = key_path[: max(key_path.rfind("."), key_path.rfind("["), 0)]
        return default

    def _include(self, name: str, including: tuple[Path, ...]) -> None:
        """Add an included file once, wherever it is included."""
        directories = (including[-1].parent, *SHARED_DIRECTORIES)
        file = next((path for each in directories if _is_file(path := each / name)), None)
        if file is None:
            places = ", ".join(str(each) for each in dict.fromkeys(directories))
            raise ValueError(f'"{name}" does not exist; looked in {places}')
        if file.resolve() in [each.resolve() for each in including]:
            chain = " -> ".join(str(each) for each in (*including, file))
            raise ValueError(f"files include each other: {chain}; remove one of these includes")
        if file.resolve() not in self._files:
            try:
                self.add_file(file, including)
            except FileNotFoundError:
                raise ValueError(f"{file} has just been removed; put it back") from None

    def _merge(self, table: dict[str, Any], new: Mapping[str, Any], path: str, file: str) -> None:
        """Merge tables, and append to arrays of tables; a value that is set twice is an error."""
        for key, value in new.items():
            key_path = f"{path}{key}"
            old = table.get(key)
            if old is None:
                table[key] = value
                self._origins[key_path] = file
            elif isinstance(old, dict) and isinstance(value, dict):
                self._merge(old, value, f"{key_path}.", file)
            elif _is_table_array(old) and _is_table_array(value):
                for row in value:
                    old.append(row)
                    self._origins[f"{key_path}[{len(old)}]"] = file
            else:
                other = self.file_of(key_path, file)
                self.faults.append((file, f"{key_path}: {other} sets this too; remove one of them"))


def _is_file(path: Path) -> bool:
    """Whether there is a regular file.

    Raises:
        ValueError: the path cannot be read; one clause.
    """
    try:
        return path.is_file()
    except PermissionError:
        remedy = f"run as root, or {GRANT_READ_HINT.format(file=path)}; chmod a+x {path.parent}"
        raise ValueError(f"{path} cannot be read: permission denied; {remedy}") from None
    except OSError as error:  # such as ENAMETOOLONG
        raise ValueError(f"{path} cannot be read: {error.strerror}; check the path") from None


def _is_table_array(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is not TOML; one clause.
    """
    without_bom = content.removeprefix(codecs.BOM_UTF8)  # some editors write one, and tomllib rejects it
    try:
        return tomllib.loads(without_bom.decode())
    except UnicodeDecodeError as error:
        where = error.start + len(content) - len(without_bom)
        raise ValueError(f"is not UTF-8 text: byte {where} is 0x{content[where]:02x}") from None
    except RecursionError:
        raise ValueError("is not TOML: nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and int() on a number of thousands of digits
        raise ValueError(f"is not TOML: {error}") from None
