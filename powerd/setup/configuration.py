"""Makes the configuration file of the answers, with comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from powerd.config.declare import toml_string
from powerd.config.disk_options import DiskOptions, DiskRule, parse_disk_pattern
from powerd.config.options import ClientName, HookOptions, Options, SleepRule, WakeOptions
from powerd.config.sample import comment_lines, commented_options
from powerd.config.values import parse_client_pattern
from powerd.setup.model import Answers, Pattern
from powerd.ui.layout import cut, sanitize

_MAX_COMMENT: Final = 40
_HEADER: Final = (
    "Written by `powerd setup`. All options with their defaults: powerd.toml(5). After a change run "
    "`powerd check` and `powerd reload`."
)
_TRIAL: Final = (
    'Observe for some nights: `powerd why` shows what powerd would have done. Then write "enforce" and run '
    "`powerd reload`."
)


def configuration_text(answers: Answers) -> str:
    """The text of the file; it parses to the options of the answers."""
    options = Options(mode="enforce" if answers.enforce else "observe")
    lines = [*comment_lines(_HEADER), "", *commented_options(options, {"mode"})]
    if not answers.enforce:
        lines += comment_lines(_TRIAL)
    lines += _clients(answers)
    lines += _sleep(answers)
    lines += _disks(answers)
    if answers.notify:
        lines += ["", "[hooks]", *commented_options(HookOptions(notify=answers.notify), {"notify"})]
    return "\n".join(lines) + "\n"


def _list(key: str, patterns: Iterable[Pattern]) -> Iterator[str]:
    """A list with a comment on each entry; names come from the network, so they are sanitized."""
    yield f"{key} = ["
    for pattern, comment in patterns:
        yield f"  {toml_string(pattern)}," + (
            f"  # {cut(sanitize(comment), _MAX_COMMENT)}" if comment else ""
        )
    yield "]"


def _clients(answers: Answers) -> Iterator[str]:
    if answers.ignore:
        yield from ("", "[clients]")
        yield from comment_lines(
            "devices that are always on never show that somebody is home; by MAC, since clients choose their "
            "names"
        )
        yield from _list("ignore", answers.ignore)
    for pattern, name in answers.names:
        row = ClientName(parse_client_pattern(pattern), name)
        yield from ("", "[[clients.name]]")
        yield from (line for line in commented_options(row, {"match", "name"}) if not line.startswith("#"))


def _sleep(answers: Answers) -> Iterator[str]:
    if answers.action is None:
        yield ""
        yield from comment_lines("no [[sleep]] rule: the server never sleeps by itself")
        return
    rule = SleepRule(
        action=answers.action, during=answers.during, idle_for=answers.idle_for, dozing="ignored"
    )
    yield from ("", "[[sleep]]")
    yield from commented_options(rule, {"action", "during", "idle_for", "dozing"})
    yield from ("", "[wake]")
    yield from commented_options(WakeOptions(at=answers.wake_at), {"at"})


def _disks(answers: Answers) -> Iterator[str]:
    if answers.spin_down is None:
        return
    yield from ("", "[disks]")
    yield from comment_lines("no disk spins down but those below")
    yield from commented_options(DiskOptions(spin_down_after=0.0), {"spin_down_after"})
    if not answers.spin_down:
        return
    rule = DiskRule(
        match=tuple(parse_disk_pattern(pattern) for pattern, _ in answers.spin_down),
        spin_down_after=answers.spin_down_after,
    )
    yield from ("", "[[disks.rule]]")
    yield from _list("match", answers.spin_down)
    yield from (line for line in commented_options(rule, {"spin_down_after"}) if not line.startswith("#"))
