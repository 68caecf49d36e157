"""The wording of the main messages, compared with tests/ui/golden/.

No other test pins a whole sentence of these views. After a change of wording, rewrite the files and read
their diff:

    REWRITE_GOLDEN=1 .venv/bin/pytest tests/ui/test_golden.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import pytest
from simulation.disk_server import SimulatedDiskServer, access, simulate_disks
from simulation.household import daily
from ui.disk_statuses import DISK_STATUSES
from ui.smart_statuses import smart_status
from ui.statuses import NOW, OUTLOOKS, STATUSES, idle, working
from ui.transitions import TRANSITIONS
from ui.wake_statuses import WAKE_STATUSES

from powerd import __version__
from powerd.activity.view import activity_text, poll_time_text
from powerd.attribution.view.api import accesses_json, wakes_json
from powerd.attribution.view.table import busy_text, users_text, wakes_text
from powerd.core.snapshot import Status
from powerd.disks.view.table import disks_text
from powerd.presence.view import clients_text
from powerd.smart.view.api import smart_of, smarts_json
from powerd.smart.view.table import smart_table_text, smart_text
from powerd.ui.api import clients_json, status_json
from powerd.ui.events import TransitionDetector
from powerd.ui.journal import status_line
from powerd.ui.status import next_sentence, status_text, why_text

GOLDEN: Final = Path(__file__).parent / "golden"
CONFIG: Final = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[disks]
spin_down_after = "20min"
[[disks.rule]]
match = ["*WD-2"]
method = "timer"
[smart]
every = "0s"
[[sleep]]
action = "suspend"
during = ["22:00-07:00"]
idle_for = "30min"
[wake]
at = ["06:30"]
"""
HAND_MADE: Final = {
    name: given
    for name, given in {**STATUSES, "idle, enforce mode": idle("enforce"), **DISK_STATUSES}.items()
    if name not in {"evil", "evil shelf", "crowd", "full shelf"}  # hostile or very long
}


def sections(texts: Mapping[str, str]) -> str:
    return "\n".join(f"### {name}\n{text}" for name, text in texts.items())


def of_statuses(text: Callable[[Status | None], str]) -> str:
    return sections({name: text(given) for name, given in HAND_MADE.items()})


def smart_texts() -> str:
    given = smart_status()
    details = {
        name: smart_text(detail, NOW.wall)
        for name in ("sda", "sdb", "nvme0n1")
        if (detail := smart_of(given, name)) is not None
    }
    tables = {
        "all drives": smart_table_text(smarts_json(given), NOW.wall),
        "no drive": smart_table_text([], NOW.wall),
    }
    return sections(tables | details)


def day_of_a_server(tmp_path: Path) -> list[Status]:
    """Anna is away from 20:00 to 08:00; the disks are used at noon and at 19:00."""

    def prepare(server: SimulatedDiskServer) -> None:
        server.people[0].is_home = daily(8, 20)
        server.network_wake_at = lambda asleep: asleep + 30 * 3600

    events = [(0.0, prepare), (7.0, access(0)), (7.0, access(3))]
    return simulate_disks(tmp_path, 1.0, events, CONFIG)[1]


def transition_lines() -> str:
    """The journal entries of transitions that a usual day does not have."""
    shown = dict[str, str]()
    for name, rounds in TRANSITIONS.items():
        detector = TransitionDetector()
        *_, entries = [detector.entries(status) for status in rounds]
        shown[name] = "".join(f"{entry.message}\n" for entry in entries)
    return sections(shown)


def journal(statuses: list[Status]) -> Iterator[str]:
    detector = TransitionDetector()
    for status in statuses:
        for entry in detector.entries(status):
            message = entry.message.replace(__version__, "VERSION")
            yield f"{status.now.wall:%a %H:%M} {entry.fields['POWERD_EVENT']}: {message}\n"


def reasons(statuses: list[Status]) -> Iterator[str]:
    """Each reason once, of all disks together."""
    seen = {
        ("disk" if reason.subject.startswith("ata-") else reason.subject, reason.text, reason.blocks_sleep)
        for status in statuses
        for reason in status.decision.reasons
    }
    for subject, text, blocks_sleep in sorted(seen):
        yield f"{subject}: {text}{'' if blocks_sleep else ' (does not block sleep)'}\n"


def wake_texts() -> str:
    texts = dict[str, str]()
    for name, given in WAKE_STATUSES.items():
        if name == "evil wakes":
            continue
        shown, accesses = status_json(given, NOW), accesses_json(given, NOW) or []
        texts |= {
            name: wakes_text(wakes_json(given, NOW) or [], shown),
            f"{name}, busy": busy_text(accesses, shown),
            f"{name}, disks": users_text(accesses, shown),
            f"{name}, status": status_text(shown),
        }
    return sections(texts)


def outlook_texts() -> str:
    """What happens next, as ``powerd status`` and the service manager show it."""
    return sections(
        {
            name: f"{next_sentence(status_json(given, NOW))}\n{status_line(given)}\n"
            for name, given in OUTLOOKS.items()
        }
        | {"starting": f"{next_sentence(status_json(None, NOW))}\n"}
    )


MODES: Final[tuple[Literal["enforce", "observe"], ...]] = ("enforce", "observe")


def activity_texts() -> str:
    shown = {mode: status_json(working(mode), NOW) for mode in MODES}
    return sections(
        {
            mode: activity_text(each["activity"], each) + poll_time_text(each["activity"])
            for mode, each in shown.items()
        }
    )


VIEWS: Final[dict[str, Callable[[], str]]] = {
    "activity": activity_texts,
    "status": lambda: of_statuses(lambda given: status_text(status_json(given, NOW))),
    "why": lambda: of_statuses(lambda given: why_text(status_json(given, NOW))),
    "disks": lambda: of_statuses(lambda given: disks_text(status_json(given, NOW))),
    "clients": lambda: of_statuses(
        lambda given: clients_text(clients_json(given, NOW), status_json(given, NOW))
    ),
    "next": outlook_texts,
    "smart": smart_texts,
    "transitions": transition_lines,
    "wakes": wake_texts,
}


def compare(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), f"rewrite {file} if this wording is intended (see the docstring)"


@pytest.mark.parametrize("view", VIEWS)
def test_views(view: str) -> None:
    compare(view, VIEWS[view]())


@pytest.mark.long
def test_a_day_of_a_server(tmp_path: Path) -> None:
    statuses = day_of_a_server(tmp_path)
    compare("journal", "".join(journal(statuses)))
    compare("reasons", "".join(reasons(statuses)))
