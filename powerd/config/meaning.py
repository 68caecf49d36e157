"""What a valid configuration means: each sleep rule as a sentence, and probable mistakes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final, TypeAlias

from powerd.config.activity_options import ActivityOptions
from powerd.config.disk_options import SHORT_SPIN_DOWN_AFTER, DiskOptions, DiskPattern, DiskRule
from powerd.config.message_options import MessageOptions
from powerd.config.options import ClientOptions, Options, SleepRule
from powerd.config.problems import Clause
from powerd.config.values import (
    ClientPattern,
    TimeWindow,
    canonical_mac,
    format_duration,
    is_address,
    is_network,
)
from powerd.disks.model import encode_timer

_ACTIONS: Final = {
    "suspend": "suspends",
    "hibernate": "hibernates",
    "hybrid-sleep": "sleeps (hybrid)",
    "suspend-then-hibernate": "suspends, and later hibernates",
    "poweroff": "powers off",
    "command": "runs its command",
}
_DAY, _WEEK = 1440, 7 * 1440
_MANY_HOSTS: Final = 1000
_ANYBODY: Final = (
    (("192.168.1.20",), "52:54:00:12:34:56"),
    (("10.99.3.7",), "a0:b1:c2:d3:e4:f5"),
    (("172.16.200.1",), "00:11:32:9e:8f:7a"),
)
"""Addresses of clients that have nothing in common; patterns that match all of them match every client."""
_IMPOSSIBLE_CHARACTERS: Final = frozenset("/\\^$()|+ ")
_OTHER_MAC: Final = re.compile(
    r"(?:[0-9a-f]{2}-){2,5}(?:[0-9a-f]{2}|\*)?|[0-9a-f]{12}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE
)
_Pattern: TypeAlias = ClientPattern | DiskPattern


def rule_sentence(rule: SleepRule) -> str:
    """``powers off in 00:00-08:00 once nothing has needed the server for 30min, with a warning of 1min``."""
    when = f"in {', '.join(map(str, rule.during))}" if rule.during else "at any time"
    needed = "nothing has needed the server" if rule.idle_for else "nothing needs the server"
    how_long = f" for {format_duration(rule.idle_for)}" if rule.idle_for else ""
    dozing = ", dozing clients apart," if rule.dozing == "ignored" else ""
    warning = f", with a warning of {format_duration(rule.warn)}" if rule.warn else ", without a warning"
    return f"{_ACTIONS[rule.action]} {when} once {needed}{dozing}{how_long}{warning}"


def doubts(options: Options, empty_rules: Collection[int] = ()) -> Iterator[Clause]:
    """Probable mistakes: the key of each, and one clause with the remedy.

    Args:
        options: the configuration.
        empty_rules: the numbers, from 1, of the sleep rules that set no option.
    """
    for later, rule in enumerate(options.sleep):
        for earlier, other in enumerate(options.sleep[:later]):
            yield from _doubts_of_two(earlier + 1, other, later + 1, rule)
        yield from _doubts_of_times(f"sleep[{later + 1}]", rule)
        if _never_sleeps_before_wake(rule, options):
            what = f"sleep rule {later + 1} never acts, because its whole time is near a time of wake.at"
            remedy = "shorten wake.min_sleep or awake.after_resume, or move its windows"
            yield "wake.min_sleep", f"{what}; {remedy}"
        if not rule.idle_for and not rule.warn:
            yield f"sleep[{later + 1}]", "acts at once and without a warning; set idle_for or warn"
        if later + 1 in empty_rules and options.mode == "enforce":
            what = f"sets nothing, so the server {rule_sentence(rule)}"
            yield f"sleep[{later + 1}]", f"{what}; write at least action, during and idle_for"
    yield from _doubts_of_clients(options.clients)
    yield from _doubts_of_disks(options.disks)
    yield from _doubts_of_messages(options)
    yield from _doubts_of_checks(options.activity)
    if options.http.login == "none" and (options.http.hosts or options.http.base_path):
        what = "everybody who reaches the reverse proxy may read the page"
        yield "http.login", f'{what}; set login = "password" and run powerd password, or let the proxy ask'


def _doubts_of_checks(activity: ActivityOptions) -> Iterator[Clause]:
    """Regular expressions that may take hours."""
    for check in activity.enabled_checks:
        regex = getattr(check.options, "regex", "")
        if _repeats_repetition(regex):
            what = f'regex = "{regex}" repeats a repetition, so a search may exceed a second'
            remedy = 'write "a+" instead of "(a+)+"'
            yield f"activity.{check.kind}", f"{what}, which keeps the server awake; {remedy}"


def _repeats_repetition(regex: str) -> bool:
    """Whether a regular expression repeats a group with a repetition, as ``(a+)+$``.

    Searching a text that nearly matches can take a time that doubles with each character.
    """
    text = re.sub(r"\\.", "x", regex, flags=re.DOTALL)
    text = re.sub(r"\[\^?\]?[^\]]*\]", "x", text)
    while group := re.search(r"\(([^()]*)\)", text):
        inner, after = group[1], text[group.end() :]
        is_repeated = re.search(r"[*+](?!\+)|\{\d*,\}(?!\+)", inner.removeprefix("?")) is not None
        if is_repeated and re.match(r"[*+](?!\+)|\{\d*,\}(?!\+)", after):
            return True
        text = text[: group.start()] + ("x+" if is_repeated else "x") + after
    return False


def _doubts_of_times(key: str, rule: SleepRule) -> Iterator[Clause]:
    """Windows, idle_for and warn of one rule that do not fit each other."""
    for number, window in enumerate(rule.during):
        others = rule.during[:number] + rule.during[number + 1 :]
        if others and minutes_of([window]) <= minutes_of(others):
            what = f'"{window}" has no effect, because the other windows contain all of it'
            yield f"{key}.during", f"{what}; remove it"
            break
    longest = _longest_run(minutes_of(rule.during)) * 60
    for name in ("idle_for", "warn"):
        time = getattr(rule, name)
        if longest < time < _DAY * 60:
            what = f"{format_duration(time)} is longer than its windows of at most {format_duration(longest)}"
            text = f"{what}, so it acts only if the server is idle before they begin"
            yield f"{key}.{name}", f"{text}; shorten it, or lengthen the windows"
    if 0 < rule.idle_for < rule.warn:
        what = f"{format_duration(rule.warn)} is longer than idle_for, so idleness is announced at once"
        yield f"{key}.warn", f"{what}, and idle_for has no effect; shorten warn, or lengthen idle_for"


def _longest_run(minutes: Collection[int]) -> int:
    """The longest run of successive minutes of the week; Sunday 23:59 precedes Monday 00:00."""
    if len(minutes) == _WEEK:
        return _WEEK
    longest = run = 0
    for minute in range(2 * _WEEK):
        run = run + 1 if minute % _WEEK in minutes else 0
        longest = max(longest, run)
    return longest


def _never_sleeps_before_wake(rule: SleepRule, options: Options) -> bool:
    """Whether the server is kept up for the times of wake.at in all minutes of a rule."""
    left = set(minutes_of(rule.during)) if options.wake.at else set[int]()
    if not left:
        return False
    before = int(options.wake.before + options.wake.min_sleep - 1) // 60
    after = int(max(options.awake.after_resume - options.wake.before, 0)) // 60
    for time in options.wake.at:
        for day in time.days:
            at = day * _DAY + time.minute
            left.difference_update(minute % _WEEK for minute in range(at - before, at + after))
    return not left


def _doubts_of_messages(options: Options) -> Iterator[Clause]:
    if not (options.hooks.alert or options.hooks.notify):
        remedy = "set it to a URL of Apprise, or hooks.alert to a command"
        if options.mode == "enforce" and options.smart.every:
            yield "hooks.notify", f"no message is sent when a drive fails; {remedy}"
        elif options.messages != MessageOptions():
            yield "hooks.notify", f"the messages of [messages] have no recipient; {remedy}"
    silent = [str(n) for n, rule in enumerate(options.sleep, 1) if not rule.warn]
    if "warning" in options.messages.events and silent:
        what = f'"warning" is never sent for sleep rule {", ".join(silent)}, which has no warning'
        yield "messages.events", f"{what}; set its warn"


def _doubts_of_clients(clients: ClientOptions) -> Iterator[Clause]:
    never = [*clients.ignore, *(each for row in clients.class_ if not row.keeps_awake for each in row.match)]
    if matches_everybody(never):
        what = "no client keeps the server awake, so absence cannot be detected and it never sleeps"
        key = "clients.ignore" if matches_everybody(clients.ignore) else "clients.class"
        yield key, f"{what}; name only the devices that are always on"
    if len(clients.hosts) > _MANY_HOSTS:
        from powerd.presence.model import MAX_CLIENTS  # noqa: PLC0415 - only for a very long list

        if (count := len(set(clients.hosts))) > MAX_CLIENTS:
            what = f"{count:,} hosts are named, and powerd probes at most {MAX_CLIENTS:,}"
            yield "clients.hosts", f"{what}, so the server never sleeps; name only those that matter"
    if not clients.leases and not clients.hosts and not clients.learn:
        yield (
            "clients.leases",
            'no client can become known, so the server never sleeps; write leases = ["auto"], or name hosts',
        )
    for host in clients.hosts:
        if is_address(host) and _is_no_client(host):
            yield "clients.hosts", f'"{host}" is not the address of another machine; remove it'
    lists = {"clients.ignore": clients.ignore}
    lists |= {f"clients.class[{number}].match": row.match for number, row in enumerate(clients.class_, 1)}
    for key, patterns in lists.items():
        for pattern in patterns:
            if remedy := _remedy_for_useless_pattern(str(pattern).strip()):
                yield key, f'"{pattern}" matches no client; {remedy}'
    yield from _hidden_rows(
        "clients.class", [(f'class "{row.name}"', row.match) for row in clients.class_], clients.ignore
    )


def _is_no_client(address: str) -> bool:
    ip = ip_address(address)
    return ip.is_loopback or ip.is_unspecified or ip.is_multicast or str(ip) == "255.255.255.255"


def _remedy_for_useless_pattern(pattern: str) -> str:
    """What to write instead of a pattern that matches no address, MAC or name; "" = it may match."""
    if _OTHER_MAC.fullmatch(pattern) and not canonical_mac(pattern):
        digits = re.sub("[^0-9a-fA-F]", "", pattern)
        mac = ":".join(digits[n : n + 2] for n in range(0, len(digits), 2))
        return f'write "{mac}{":*" if len(digits) < 12 else ""}"'  # noqa: PLR2004 - the digits of a MAC
    if _IMPOSSIBLE_CHARACTERS & set(pattern) and not is_network(pattern):
        return 'write an IP, a CIDR, a MAC or a host name, with "*" for any text'
    return ""


def matches_everybody(patterns: Collection[ClientPattern]) -> bool:
    """Whether any of the patterns matches each client that has an IPv4 address and a MAC."""
    return all(any(each.matches(addresses, mac, None) for each in patterns) for addresses, mac in _ANYBODY)


def _hidden_rows(
    table: str, rows: Sequence[tuple[str, Sequence[_Pattern]]], before: Sequence[_Pattern] = ()
) -> Iterator[Clause]:
    """Rows of a table which never apply because earlier ones match all that they match.

    Args:
        table: key path of the table.
        rows: of each row its name, and its patterns.
        before: patterns that come before all rows.
    """
    earlier = [("clients.ignore", each) for each in before]
    for number, (name, patterns) in enumerate(rows, 1):
        hiding = [next((by for by, each in earlier if _covers(each, pattern)), "") for pattern in patterns]
        if hiding and all(hiding):
            remedy = "narrow that, or remove it" if hiding[0] == "clients.ignore" else "move it up"
            yield (
                f"{table}[{number}]",
                f"{name} never applies, because {hiding[0]} matches the same first; {remedy}",
            )
        earlier += [(name, pattern) for pattern in patterns]


def _covers(first: _Pattern, second: _Pattern) -> bool:
    """Whether all that ``second`` matches is matched by ``first``."""
    one, two = str(first).strip().lower(), str(second).strip().lower()
    if isinstance(first, DiskPattern):
        one, two = one.replace(" ", "_"), two.replace(" ", "_")
    if is_network(one) and is_network(two):
        wide, narrow = ip_network(one), ip_network(two)
        return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type] # of one version
    return one in {"*", "0.0.0.0/0"} or ("[" not in one + two and "?" not in two and fnmatchcase(two, one))


def _doubts_of_disks(disks: DiskOptions) -> Iterator[Clause]:
    rows: list[tuple[str, DiskOptions | DiskRule]] = [("disks", disks)]
    rows += [(f"disks.rule[{number}]", rule) for number, rule in enumerate(disks.rule, 1)]
    for key, row in rows:
        after = disks.spin_down_after if row.spin_down_after is None else row.spin_down_after
        if row.spin_down_after and after < SHORT_SPIN_DOWN_AFTER:
            what = f"{format_duration(after)} is short: a start takes more energy than such a pause saves"
            yield f"{key}.spin_down_after", f"{what}, and wears the drive; write 10min or more"
        if row.spin_down_after is None and row.method is None:
            continue
        timer = encode_timer(after).seconds
        if (row.method or disks.method) != "command" and timer != after:
            wanted, nearest = format_duration(after), format_duration(timer)
            what = f"the timer of a drive cannot be {wanted}, and is set to {nearest}"
            yield f"{key}.spin_down_after", f'{what}; write {nearest}, or method = "command"'
    yield from _hidden_rows(
        "disks.rule", [(f"rule {number}", rule.match) for number, rule in enumerate(disks.rule, 1)]
    )


def _doubts_of_two(first: int, earlier: SleepRule, second: int, later: SleepRule) -> Iterator[Clause]:
    """How two overlapping rules interact: the one with the shorter wait acts, and of equal ones the first."""
    numbered = ((first, earlier), (second, later))
    (winner, acts), (loser, waits) = numbered if earlier.idle_for <= later.idle_for else numbered[::-1]
    shared = minutes_of(acts.during) & minutes_of(waits.during)
    if acts.action == "command" or (acts.dozing == "counts" and waits.dozing == "ignored") or not shared:
        return
    key = f"sleep[{loser}]"
    if shared != minutes_of(waits.during):
        if acts.during and waits.during:
            clause = f"its windows overlap with those of rule {winner}, which acts first there"
            yield f"{key}.during", f"{clause}; separate the windows"
    elif acts.action == waits.action:
        yield key, f"has no effect, because rule {winner} acts first; remove one of them"
    else:
        clause = f"acts only where rule {winner} has failed, because rule {winner} acts first"
        yield key, f"{clause}; remove one of them, or set during or idle_for"


def minutes_of(windows: Collection[TimeWindow]) -> frozenset[int]:
    """The minutes of the week that windows cover, from Monday 00:00; no window = all."""
    if not windows:
        return frozenset(range(_WEEK))
    found = set[int]()
    for window in windows:
        length = window.end - window.start if window.end > window.start else window.end - window.start + _DAY
        for day in window.days:
            found.update((day * _DAY + window.start + minute) % _WEEK for minute in range(length))
    return frozenset(found)
