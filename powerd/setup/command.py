"""``powerd setup``: asks questions, writes a first configuration, checks it, and reloads the daemon."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from powerd.config.load import DEFAULT_PATH, ConfigError, load, parse
from powerd.config.options import Options
from powerd.setup.configuration import configuration_text
from powerd.setup.conversation import Dialogue, Surroundings, ask_all
from powerd.ui.cli.client import (
    EXIT_NEGATIVE,
    EXIT_OK,
    EXIT_USAGE,
    DeniedError,
    UnreachableError,
    get,
    request,
)
from powerd.ui.cli.config_commands import check
from powerd.ui.cli.output import emit

_READABLE, _SECRET = 0o644, 0o640
_INTERRUPTED: Final = 130


def setup(arguments: argparse.Namespace) -> int:
    """Run the dialogue; an interrupted one leaves no file."""
    if not arguments.yes and not (sys.stdin and sys.stdin.isatty()):
        arguments.usage_error("setup asks questions on a terminal; without one, --yes takes every default")
    try:
        return _setup(arguments)
    except (KeyboardInterrupt, EOFError):
        emit("\nNothing was written.\n")
        return _INTERRUPTED
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}; run as root, or name another --output")


def _setup(arguments: argparse.Namespace) -> int:
    configured = Path(arguments.config or os.environ.get("POWERD_CONFIG") or DEFAULT_PATH)
    target = Path(arguments.output) if arguments.output else configured
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return _refuse(
            f"{target.parent} cannot be written to; run as root, or name another file with --output"
        )
    dialogue = Dialogue(emit, None if arguments.yes else input)
    evidence = _gather(arguments.socket, arguments.machine.can_sleep)
    dialogue.say(
        "powerd puts this server to sleep when nobody needs it. These questions lead to a first "
        "configuration; an empty answer takes the default in brackets. Nothing is written before the end, "
        "and Ctrl-C ends it."
    )
    if isinstance(evidence, str):
        dialogue.say(
            f"{evidence}. Without it powerd cannot detect who is home: answer n, start powerd, let it run "
            "for some hours, and run setup again."
        )
        if not dialogue.ask_yes("Continue without it?", default=arguments.yes):
            return EXIT_NEGATIVE
        evidence = Surroundings(None, None, None, arguments.machine.can_sleep())
    text = configuration_text(ask_all(dialogue, evidence))
    parse(text.encode(), str(target))  # the same code as that of `powerd check`, before anything is written
    dialogue.say(f"This is the configuration for {target}:")
    emit(f"\n{text}")
    written = _write(dialogue, target, text)
    if written is None:
        emit("\nNothing was written.\n")
        return EXIT_NEGATIVE
    emit("\n")
    check(argparse.Namespace(**{**vars(arguments), "config": str(written), "json": False}))
    if written == configured:
        try:
            return _reload(dialogue, arguments.socket)
        except (KeyboardInterrupt, EOFError):
            emit(f"\n{written} has been written. To have powerd read it, run `powerd reload`.\n")
            return _INTERRUPTED
    dialogue.say(
        f"powerd reads {configured}. To use the new file: mv {written} {configured} && powerd reload"
    )
    return EXIT_OK


def _refuse(text: str) -> int:
    sys.stderr.write(f"powerd: {text}\n")
    return EXIT_USAGE


def _gather(socket_path: str, can_sleep: Callable[[], Mapping[str, str]]) -> Surroundings | str:
    """The facts of the daemon, or why it does not answer, one sentence without its full stop."""
    try:
        get("/api/clients", socket_path)  # this request polls all clients
        status = get("/api/status", socket_path)
    except UnreachableError as error:
        return str(error)
    return Surroundings(
        lambda: get("/api/clients", socket_path),
        status["disks"],
        datetime.fromisoformat(status["now"]),
        can_sleep(),
    )


def _write(dialogue: Dialogue, target: Path, text: str) -> Path | None:
    """Write the file, beside one that an owner has written; the path, or None if the answer is no."""
    existing = _existing(target)
    if existing == text:
        dialogue.say(f"{target} is this configuration already.")
        return target
    if existing is not None:
        beside = target.with_name(f"{target.name}.new")
        dialogue.say(f"{target} is not the default configuration, so it is kept. The difference to it:")
        changes = difflib.unified_diff(
            existing.splitlines(), text.splitlines(), str(target), str(beside), "", "", 1
        )
        dialogue.show(["", *changes])
        target = beside
    replaces = existing is not None and target.exists() and target.read_text() != text
    if not dialogue.ask_yes(f"{'Replace' if replaces else 'Write'} {target}?", default=not replaces):
        return None
    write_file(target, text, secret="\n[hooks]\n" in text)
    return target


def _existing(target: Path) -> str | None:
    """The text of a configuration that an owner has written; None = there is only the default one."""
    try:
        text = target.read_text(errors="replace")
    except FileNotFoundError:
        return None
    with suppress(ConfigError):
        if load(target) == Options():
            return None
    return text


def write_file(target: Path, text: str, *, secret: bool) -> None:
    """Write the file as a whole; one with a secret only the daemon may read, by its group."""
    target = target.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
        os.close(handle)
        Path(name).chmod(_SECRET if secret else _READABLE)
        if secret:
            with suppress(LookupError, PermissionError):  # no such group; or this user is not in it
                shutil.chown(name, group="powerd")
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _reload(dialogue: Dialogue, socket_path: str) -> int:
    if not dialogue.ask_yes("Have powerd read it now?", default=True):
        dialogue.say("Run `powerd reload` when you want that.")
        return EXIT_OK
    try:
        request("POST", "/api/reload", {}, socket_path)
    except (UnreachableError, DeniedError) as error:
        dialogue.say(f"powerd has not read it: {error}")
        return EXIT_NEGATIVE
    dialogue.say("powerd has read it. `powerd why` explains what it does.")
    return EXIT_OK
