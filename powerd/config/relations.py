"""Faults of a configuration that only show when options are seen together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from powerd.config.declare import Relation
from powerd.config.disks import disk_relations
from powerd.config.options import ClientClass, Options, SleepRule


def relations(options: Options) -> Iterator[Relation]:
    """Each fault between options that are none by themselves."""
    for n, rule in enumerate(options.sleep, 1):
        yield from _sleep_rule(rule, f"sleep[{n}].")
    names: set[str] = set()
    for n, row in enumerate(options.clients.class_, 1):
        yield from _client_class(row, f"clients.class[{n}].", names)
    yield from disk_relations(options.disks)
    if options.clients.timeout > options.clients.every / 4:
        keys = ("clients.timeout", "clients.every")
        yield Relation(keys, 'a sweep takes up to four of it and must fit into "clients.every"')


def _sleep_rule(rule: SleepRule, path: str) -> Iterator[Relation]:
    keys = (f"{path}command", f"{path}action")
    if rule.action == "command" and not rule.command:
        yield Relation(keys, 'action "command" needs one, e.g. ["/usr/local/sbin/goodnight"]')
    if rule.action != "command" and rule.command:
        yield Relation(keys, f'is only run with action = "command"; this rule\'s is "{rule.action}"')


def _client_class(row: ClientClass, path: str, names: set[str]) -> Iterator[Relation]:
    if not row.name:
        yield Relation((f"{path}name",), "every class needs one")
    elif row.name in names:
        yield Relation((f"{path}name",), f'"{row.name}" is the name of two classes')
    names.add(row.name)
    if not row.match:
        text = 'the class fits nobody; name at least one pattern, e.g. ["*phone*"]'
        yield Relation((f"{path}match",), text)
