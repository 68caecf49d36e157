"""Faults of a configuration that only show when options are seen together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from powerd.config.declare import InvalidCombination
from powerd.config.disks import invalid_disk_combinations
from powerd.config.options import ClientClass, Options, SleepRule


def invalid_combinations(options: Options) -> Iterator[InvalidCombination]:
    """Each fault between options that are none by themselves."""
    for n, rule in enumerate(options.sleep, 1):
        yield from _check_sleep_rule(rule, f"sleep[{n}].")
    names: set[str] = set()
    for n, row in enumerate(options.clients.class_, 1):
        yield from _check_client_class(row, f"clients.class[{n}].", names)
    yield from invalid_disk_combinations(options.disks)
    if options.clients.timeout > options.clients.every / 4:
        keys = ("clients.timeout", "clients.every")
        yield InvalidCombination(keys, 'a sweep takes up to four of it and must fit into "clients.every"')


def _check_sleep_rule(rule: SleepRule, path: str) -> Iterator[InvalidCombination]:
    keys = (f"{path}command", f"{path}action")
    if rule.action == "command" and not rule.command:
        yield InvalidCombination(keys, 'action "command" needs one, e.g. ["/usr/local/sbin/goodnight"]')
    if rule.action != "command" and rule.command:
        yield InvalidCombination(
            keys, f'is only run with action = "command"; this rule\'s is "{rule.action}"'
        )


def _check_client_class(row: ClientClass, path: str, names: set[str]) -> Iterator[InvalidCombination]:
    if not row.name:
        yield InvalidCombination((f"{path}name",), "every class needs one")
    elif row.name in names:
        yield InvalidCombination((f"{path}name",), f'"{row.name}" is the name of two classes')
    names.add(row.name)
    if not row.match:
        text = 'the class fits nobody; name at least one pattern, e.g. ["*phone*"]'
        yield InvalidCombination((f"{path}match",), text)
