"""``powerd password``: sets the password of the status page. It works without the daemon."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from powerd.config.load import ConfigError, load
from powerd.config.password import hash_password, password_error, write_password_hash
from powerd.ui.cli.client import EXIT_NEGATIVE, EXIT_OK, EXIT_USAGE
from powerd.ui.cli.output import emit


def password(arguments: argparse.Namespace) -> int:
    """``powerd password``: EXIT_NEGATIVE if the password is refused, EXIT_USAGE if it cannot be written."""
    config_file = arguments.config or os.environ.get("POWERD_CONFIG")
    try:
        http = load(Path(config_file) if config_file else None, check_secrets=False).http
    except ConfigError as error:
        return _fail(*map(str, error.faults), code=EXIT_USAGE)
    file = Path(http.password_file)
    if not http.password_file:
        return _fail("powerd: http.password_file is empty; name a file, or remove the line", code=EXIT_USAGE)
    try:
        entered = _read_password()
    except EOFError:
        return _fail("powerd: no password is set: the input has ended", code=EXIT_NEGATIVE)
    except ValueError as error:
        return _fail(f"powerd: no password is set: {error}", code=EXIT_NEGATIVE)
    try:
        write_password_hash(file, hash_password(entered))
    except OSError as error:
        remedy = "run it as root" if isinstance(error, PermissionError) else "see http.password_file"
        return _fail(f"powerd: {file} cannot be written: {error.strerror}; {remedy}", code=EXIT_USAGE)
    effect = (
        "it is in force, and every browser has to log in again"
        if http.login == "password"
        else 'it is in force after login = "password" under [http], and powerd reload'
    )
    emit(f"{file}: the password is stored; {effect}\n")
    return EXIT_OK


def _read_password() -> str:
    """The new password: entered twice on a terminal without echo, or the first line of standard input.

    Raises:
        EOFError: the input has ended.
        ValueError: it is refused, one clause.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        entered = getpass.getpass("New password of the status page: ")
        if error := password_error(entered):
            raise ValueError(error)
        if getpass.getpass("The same again: ") != entered:
            raise ValueError("the two are not equal")
        return entered
    entered = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    if error := password_error(entered):
        raise ValueError(error)
    return entered


def _fail(*lines: str, code: int) -> int:
    print(*lines, sep="\n", file=sys.stderr)
    return code
