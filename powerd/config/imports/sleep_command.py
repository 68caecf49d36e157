"""The sleep action that a shell command causes.

Sources: systemctl(1), shutdown(8), halt(8), init(8), pm-action(8), rtcwake(8).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import dropwhile, groupby
from typing import Final

_VERBS: Final = {
    "suspend": "suspend",
    "hibernate": "hibernate",
    "hybrid-sleep": "hybrid-sleep",
    "suspend-then-hibernate": "suspend-then-hibernate",
    "poweroff": "poweroff",
    "halt": "poweroff",
}
"""Actions by the first argument of systemctl and loginctl."""
_PROGRAMS: Final = {
    "pm-suspend": "suspend",
    "pm-hibernate": "hibernate",
    "pm-suspend-hybrid": "hybrid-sleep",
    "poweroff": "poweroff",
    "halt": "poweroff",
    "shutdown": "poweroff",
}
_STATES: Final = {"mem": "suspend", "freeze": "suspend", "standby": "suspend", "disk": "hibernate"}
"""Actions by what is written to /sys/power/state."""
_RTCWAKE_MODES: Final = {**_STATES, "suspend": "suspend", "off": "poweroff"}
_NO_SLEEP: Final = frozenset({"--reboot", "--wtmp-only", "--show", "--help", "-r", "-c", "-k", "-w"})
"""Options with which poweroff, halt and shutdown do something else."""
_STARTERS: Final = {"root", "sudo", "doas", "exec", "nohup", "nice", "ionice", "env", "command", "time"}
"""Words before the program: the user of a line of /etc/crontab, and what starts a program."""
_KEYWORDS: Final = {"if", "then", "else", "elif", "do", "while", "until", "!", "{"}
_OPERATOR: Final = re.compile(r"[();&|]+")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash"})


def sleep_actions(command: str) -> list[str | None]:
    """The sleep action of each simple command of a shell command; None = it causes none that is known."""
    lexer = shlex.shlex(command.replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:  # a quotation mark is missing
        return [None]
    groups = groupby(words, lambda word: bool(_OPERATOR.fullmatch(word)))
    return [action for is_operator, each in groups if not is_operator for action in _actions(list(each))]


def _actions(words: Sequence[str]) -> Iterator[str | None]:
    """The actions of a simple command, whose shell may run several."""
    argv = list(dropwhile(_is_prefix, words))
    if not argv or argv[0] in {"fi", "done", "}"}:
        return
    program, arguments = argv[0].rpartition("/")[2], argv[1:]
    if program in _SHELLS and arguments[:1] == ["-c"]:
        yield from sleep_actions(" ".join(arguments[1:2]))
    elif program in {"systemctl", "loginctl"}:
        remote = any(re.match(r"-[HM]|--host|--machine", each) for each in arguments)
        verb = next((each for each in arguments if not each.startswith("-")), "")
        yield None if remote else _VERBS.get(verb)
    elif program in {"init", "telinit"}:
        yield "poweroff" if arguments == ["0"] else None
    elif program == "rtcwake":
        mode = re.search(r"(?:^| )(?:-m|--mode[ =]) ?(\w+)", " ".join(arguments))
        yield _RTCWAKE_MODES.get(mode[1] if mode else "suspend")
    elif program == "echo" and arguments[-2:] == [">", "/sys/power/state"]:
        yield _STATES.get(arguments[-3]) if len(arguments) > 2 else None  # noqa: PLR2004 - echo mem > FILE
    elif _NO_SLEEP.isdisjoint(_options(arguments)):
        yield _PROGRAMS.get(program)
    else:
        yield None


def _is_prefix(word: str) -> bool:
    """Whether a word comes before the program; so do the options of such words, and assignments."""
    return word in _STARTERS | _KEYWORDS or bool(re.match(r"-|\d+$|\w+=", word))


def _options(arguments: Sequence[str]) -> Iterator[str]:
    """The options, ``-hr`` as ``-h`` and ``-r``."""
    for each in arguments:
        if each.startswith("--"):
            yield each
        elif each.startswith("-"):
            yield from (f"-{letter}" for letter in each[1:])
