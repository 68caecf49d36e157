"""What a valid configuration means: each sleep rule as a sentence, and what its author hardly intends.

The functions are pure, but for ``missing_on``, which compares names with this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from powerd.config.disk_options import SHORT_SPIN_DOWN_AFTER
from powerd.config.options import Options, SleepRule
from powerd.config.values import TimeWindow, format_duration

_ACTIONS: Final = {
    "suspend": "suspends",
    "hibernate": "hibernates",
    "hybrid-sleep": "sleeps (hybrid)",
    "suspend-then-hibernate": "suspends, and later hibernates",
    "poweroff": "powers off",
    "command": "runs its command",
}
_DAY, _WEEK = 1440, 7 * 1440
_EVERYBODY: Final = frozenset({"*", "0.0.0.0/0"})
_MAX_NAMES: Final = 5
_UNIT_DIRECTORIES: Final = (
    *("etc/systemd/system", "etc/systemd/system.control"),
    *("run/systemd/system", "run/systemd/transient", "run/systemd/generator"),
    *("usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"),
)
"""systemd.unit(5), UNIT FILE LOAD PATH."""


def rule_sentence(rule: SleepRule) -> str:
    """``powers off in 00:00-08:00 once nothing has needed the server for 30min, with a warning of 1min``."""
    when = f"in {', '.join(map(str, rule.during))}" if rule.during else "at any time"
    needed = "nothing has needed the server" if rule.idle_for else "nothing needs the server"
    how_long = f" for {format_duration(rule.idle_for)}" if rule.idle_for else ""
    dozing = ", dozing clients apart," if rule.dozing == "ignored" else ""
    warning = f", with a warning of {format_duration(rule.warn)}" if rule.warn else ", without a warning"
    return f"{_ACTIONS[rule.action]} {when} once {needed}{dozing}{how_long}{warning}"


def doubts(options: Options) -> Iterator[str]:
    """What may not be intended, one sentence each with the remedy."""
    for later, rule in enumerate(options.sleep):
        for earlier, other in enumerate(options.sleep[:later]):
            yield from _doubts_of_two(earlier + 1, other, later + 1, rule)
        if not rule.idle_for and not rule.warn:
            yield f"sleep rule {later + 1} acts at once and without a warning; set idle_for or warn"
    clients = options.clients
    if any(str(each) in _EVERYBODY for each in clients.ignore):
        yield (
            "clients.ignore matches every client, so absence cannot be detected and the server stays awake; "
            "name the devices that are always on"
        )
    for number, each in enumerate(clients.class_[:-1]):
        if any(str(pattern) in _EVERYBODY for pattern in each.match):
            names = ", ".join(f'"{later.name}"' for later in clients.class_[number + 1 :])
            yield f'class "{each.name}" matches every client, so {names} never applies; move it to the end'
    if (
        options.mode == "enforce"
        and options.smart.every
        and not (options.hooks.alert or options.hooks.notify)
    ):
        yield (
            "nobody is notified when a drive fails; set hooks.notify to a URL of Apprise, or hooks.alert to "
            "a command"
        )
    for key, seconds in (
        ("disks", options.disks.spin_down_after),
        *(
            (f"disks.rule[{number}]", rule.spin_down_after)
            for number, rule in enumerate(options.disks.rule, 1)
        ),
    ):
        if seconds and seconds < SHORT_SPIN_DOWN_AFTER:
            yield (
                f"{key}.spin_down_after is {format_duration(seconds)}: the starts take more energy than such "
                "pauses save, and wear the drive; write 10min or more"
            )


def _doubts_of_two(first: int, earlier: SleepRule, second: int, later: SleepRule) -> Iterator[str]:
    """What two rules mean for each other: which of them waits less acts, and of equal ones the first."""
    numbered = ((first, earlier), (second, later))
    (winner, acts), (loser, waits) = numbered if earlier.idle_for <= later.idle_for else numbered[::-1]
    shared = minutes_of(acts.during) & minutes_of(waits.during)
    if acts.action == "command" or (acts.dozing == "counts" and waits.dozing == "ignored") or not shared:
        return
    if shared != minutes_of(waits.during):
        if acts.during and waits.during:
            yield f"the windows of sleep rules {first} and {second} overlap; there rule {winner} acts first"
    elif acts.action == waits.action:
        yield f"sleep rule {loser} has no effect, because rule {winner} acts first; remove one of them"
    else:
        yield f"sleep rule {loser} acts only where rule {winner} has failed, because rule {winner} acts first"


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


def missing_on(root: Path, options: Options, disks: Collection[Sequence[str]]) -> Iterator[str]:
    """What the configuration names and this machine does not have, one sentence each.

    Args:
        root: the root directory of the machine.
        options: the configuration.
        disks: of each disk the names by which rules match it, its id first.
    """
    for lease_file in options.clients.leases:
        if lease_file != "auto" and _is_missing(root, lease_file.lstrip("/") or "."):
            yield f"clients.leases: {lease_file} does not exist; correct its path, or start the DHCP server"
    for timer in options.wake.timers:
        template = re.sub(r"@.*\.", "@.", timer)
        files = (root / each / name for each in _UNIT_DIRECTORIES for name in (timer, template))
        if timer != "auto" and not any(file.exists() for file in files):
            yield f"wake.timers: there is no {timer}; `systemctl list-timers --all` lists those that exist"
    for number, rule in enumerate(options.disks.rule, 1):
        for pattern in rule.match:
            if not any(pattern.matches(*names) for names in disks):
                known = ", ".join(sorted(names[0] for names in disks)[:_MAX_NAMES]) or "none"
                yield f'disks.rule[{number}]: "{pattern}" matches no disk of this machine, which has: {known}'


def _is_missing(root: Path, pattern: str) -> bool:
    """Whether no file matches; False where a directory is closed to this user."""
    if any(root.glob(pattern)):
        return False
    directory = next((each for each in (root / pattern).parents if each.exists()), root)
    return os.access(directory, os.R_OK | os.X_OK)
