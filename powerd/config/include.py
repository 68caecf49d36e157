"""Reads TOML files and those that they include, and merges their tables into one document."""

from __future__ import annotations

import codecs
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from powerd.config.declare import string_list
from powerd.config.problems import Problem, make_problem
from powerd.linux.regular_file import read_regular_file

_MAX_FILE_SIZE: Final = 1 << 20
_INCLUDE: Final = "include"
_MAX_DEPTH: Final = 20
SHARED_DIRECTORIES: Final = (
    Path("/usr/share/powerd"),
    Path(__file__).parent,
)  # here are the presets of powerd
"""Directories that are searched for an included file after that of the including file."""
GRANT_READ_HINT: Final = "let the service read it: chgrp powerd {file}; chmod 640 {file}"


class Document:
    """The merged tables.

    Attributes:
        data: as tomllib returns it, without the key ``include``.
        faults: the errors of the files themselves.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.faults: list[Problem] = []
        self._origins: dict[str, tuple[str, str]] = {}
        self._files: set[Path] = set()
        self._texts: dict[str, str] = {}
        self._lines: dict[str, dict[str, int]] = {}

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
            self._add_fault(file, "", f"cannot be read: permission denied; {remedy}")
            return
        except OSError as error:
            self._add_fault(file, "", f"cannot be read: {error.strerror}; check the path")
            return
        if mode & stat.S_IWOTH:
            text = f"everybody may write to it, and it can contain commands; run: chmod o-w {file}"
            self._add_fault(file, "", text)
        self.add(content, file, including)

    def add(self, content: bytes, file: Path, including: tuple[Path, ...] = ()) -> None:
        """As add_file(), with the content of the file. The included tables come before its own."""
        try:
            text = _decode(content)
        except ValueError as error:
            clause, line = error.args
            self.faults.append(make_problem((str(file), line), "", clause))
            return
        data = self._read_toml(text, str(file))
        if data is None:
            return
        try:
            names = string_list().read(data.pop(_INCLUDE, []))
        except ValueError as error:
            for clause in error.args:
                self._add_fault(file, _INCLUDE, clause)
            names = ()
        self._files.add(file.resolve())
        for name in names:
            try:
                self._include(name, (*including, file))
            except ValueError as error:
                self._add_fault(file, _INCLUDE, str(error))
        self._merge(self.data, data, "", str(file))

    def _read_toml(self, text: str, file: str) -> dict[str, Any] | None:
        """The tables of a TOML text, or of its correction if it has errors; None = there is no correction."""
        try:
            data: dict[str, Any] | None = tomllib.loads(text)
        except (ValueError, RecursionError):
            from powerd.config.toml_faults import find_faults  # noqa: PLC0415 - only for an invalid text

            data, text, faults = find_faults(text)
            self.faults += (make_problem((file, fault.line), fault.key, fault.clause) for fault in faults)
        self._texts[file] = text
        return data

    def locate(self, key_path: str, default: str) -> tuple[str, int | None]:
        """The file and the line that have set a key, or the nearest table around it.

        Args:
            key_path: in the merged document.
            default: the file if none has set it.
        """
        file, own_path = default, ""
        for path in _around(key_path):
            if path in self._origins:
                file, own_path = self._origins[path]
                own_path += key_path[len(path) :]
                break
        return file, self._line_of(file, own_path)

    def _line_of(self, file: str, key_path: str) -> int | None:
        """The line in its file of a key, or of the nearest table around it."""
        if file not in self._texts:
            return None
        if file not in self._lines:
            from powerd.config.toml_positions import format_parts, key_lines  # noqa: PLC0415 - only for a problem

            lines = key_lines(self._texts[file])
            self._lines[file] = {format_parts(parts): line for parts, line in lines.items()}
        return next(
            (self._lines[file][path] for path in _around(key_path) if path in self._lines[file]), None
        )

    def _add_fault(self, file: Path | str, key: str, clause: str) -> None:
        self.faults.append(make_problem((str(file), self._line_of(str(file), key)), key, clause))

    def _include(self, name: str, including: tuple[Path, ...]) -> None:
        """Add an included file once, wherever it is included."""
        if len(including) > _MAX_DEPTH:
            raise ValueError(f"files include each other {_MAX_DEPTH} deep; include them from one file")
        directories = (including[-1].parent, *SHARED_DIRECTORIES)
        file = next((path for each in directories if _is_file(path := each / name)), None)
        if file is None:
            places = ", ".join(str(each) for each in dict.fromkeys(directories))
            raise ValueError(f'"{name}" does not exist in {places}; correct its path')
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
                self._origins[key_path] = (file, key_path)
            elif isinstance(old, dict) and isinstance(value, dict):
                self._merge(old, value, f"{key_path}.", file)
            elif _is_table_array(old) and _is_table_array(value):
                for number, row in enumerate(value, 1):
                    old.append(row)
                    self._origins[f"{key_path}[{len(old)}]"] = (file, f"{key_path}[{number}]")
            else:
                other, line = self.locate(key_path, file)
                clause = f"{other}:{line} sets this too; remove one of them"
                self._add_fault(file, key_path, clause)


def _around(key_path: str) -> Iterator[str]:
    """A key path, which may be an empty key, and those of the tables around it, outwards."""
    yield key_path
    while key_path := key_path[: max(key_path.rfind("."), key_path.rfind("["), 0)]:
        yield key_path


def _is_file(path: Path) -> bool:
    """Whether there is a regular file.

    Raises:
        ValueError: the path cannot be read, or is something else; one clause.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise ValueError(f"{path} is {what}; name a file")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        remedy = f"run as root, or {GRANT_READ_HINT.format(file=path)}; chmod a+x {path.parent}"
        raise ValueError(f"{path} cannot be read: permission denied; {remedy}") from None
    except OSError as error:  # such as ENAMETOOLONG
        raise ValueError(f"{path} cannot be read: {error.strerror}; check the path") from None
    return True


def _is_table_array(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _decode(content: bytes) -> str:
    """The text of a file.

    Raises:
        ValueError: it is not UTF-8; its arguments are a clause, and the line or None.
    """
    remedy = "save it as UTF-8, or convert it by iconv(1)"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise ValueError(f"is not UTF-8 text, but perhaps UTF-16; {remedy}", None)
    without_bom = content.removeprefix(codecs.BOM_UTF8)  # some editors write one, and tomllib rejects it
    if b"\r" in content and b"\n" not in content:
        raise ValueError(
            "has line ends of CR only, which TOML does not know; run: sed -i 's/\\r/\\n/g' FILE", None
        )
    try:
        return without_bom.decode()
    except UnicodeDecodeError as error:
        byte, line = without_bom[error.start], without_bom.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text: it has the byte 0x{byte:02x}; {remedy}", line) from None
