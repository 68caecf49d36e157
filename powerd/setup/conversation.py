"""The questions of ``powerd setup``. Each has a default, which an empty answer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from powerd.config.values import DAYS, TimeWindow, WeeklyTime
from powerd.core.dataclass import dataclass
from powerd.presence.view import shared_macs
from powerd.setup import model, suggestions
from powerd.setup.model import Answers, NightAction, Pattern
from powerd.ui.layout import (
    TextTable,
    cut,
    format_duration,
    hanging_lines,
    join_lines,
    join_names,
    no_color,
    paragraph_lines,
    sanitize,
)

if TYPE_CHECKING:
    from powerd.ui.schema import ClientJson, DiskJson

T = TypeVar("T")
_WINDOW: Final = "00:00-08:00"
_CLIENTS: Final = TextTable(
    ("NO", "NAME", "ADDRESS", "STATE", "FOR", "MAKER", "LOOKS LIKE"),
    styled_column=0,
    shrinkable=((5, 14), (1, 14), (6, 8), (5, 8), (2, 15)),
)
_DISKS: Final = TextTable(
    ("NO", "DEVICE", "MODEL", "MOUNTED AT"), styled_column=0, shrinkable=((3, 24), (2, 16), (3, 8))
)
_ACTION_TEXT: Final[Mapping[NightAction, str]] = {
    "suspend": "suspend: it keeps its memory, needs 1 to 5 W, and is back in seconds",
    "poweroff": "power off: it needs nearly nothing, and has to boot",
}
_DAY: Final = 1440
_CANNOT: Final = frozenset({"no", "na"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of this server and its LAN.

    Attributes:
        clients: returns rows of the API; None = no daemon answers. Names are queried when clients
            they have been seen, so they are listed late.
        disks: as clients.
        now: the time of the daemon; None as above.
        can_sleep: logind's answer by action, as in Logind.can_sleep().
    """

    clients: Callable[[], Sequence[ClientJson]] | None
    disks: Sequence[DiskJson] | None
    now: datetime | None
    can_sleep: Mapping[str, str]


class Dialogue:
    """Asks questions.

    Args:
        write: prints a text.
        read: prints a prompt and reads a line; None = every question is answered by its default.
    """

    def __init__(self, write: Callable[[str], None], read: Callable[[str], str] | None) -> None:
        self._write = write
        self._read = read

    def say(self, *texts: str) -> None:
        """Print wrapped paragraphs, after an empty line."""
        self._write(join_lines(["", *(line for text in texts for line in paragraph_lines(text))]))

    def show(self, lines: Iterable[str]) -> None:
        """Print lines as they are."""
        self._write(join_lines(lines))

    def ask(self, question: str, default: str, parse: Callable[[str], T]) -> T:
        """Ask until the answer can be parsed; ``parse`` raises ValueError with one sentence."""
        while True:
            self._write(join_lines(["", *paragraph_lines(question)]))
            if self._read is None:
                self._write(f"[{default}]\n")
                return parse(default)
            try:
                return parse(self._read(f"[{default}] ").strip() or default)
            except ValueError as error:
                self._write(join_lines(hanging_lines("! ", str(error))))

    def ask_yes(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no."""
        return self.ask(f"{question} (y/n)", "y" if default else "n", model.parse_yes)


def ask_all(dialogue: Dialogue, known: Surroundings) -> Answers:
    """Ask everything."""
    action = _ask_action(dialogue, known.can_sleep)
    during: tuple[TimeWindow, ...] = ()
    wake_at: tuple[WeeklyTime, ...] = ()
    if action is not None:
        during = dialogue.ask(
            "When is night? Local time; several windows are separated by semicolons, like "
            "Mon-Fri 00:30-06:00; Sat,Sun 02:00-09:00",
            _WINDOW,
            model.parse_windows,
        )
        wake_at = dialogue.ask(
            "When is the server to be up again, by its clock's alarm? Like Mon-Fri 06:30; Sat,Sun 09:00, or "
            'none. With "none" only its power button or a magic packet wakes it.',
            _end_of(during),
            model.parse_times,
        )
    spin_down, spin_down_after = _ask_disks(dialogue, known.disks)
    ignore, names = _ask_clients(dialogue, known)
    notify = dialogue.ask(
        "Where do messages about failing drives go? A URL of Apprise, such as ntfy://my-secret-topic, or "
        "none.",
        "none",
        model.parse_urls,
    )
    dialogue.say(
        "In observe mode powerd decides and explains, and changes nothing: after some nights `powerd why` "
        "and the status page show what it would have done. In enforce mode it acts."
    )
    enforce = dialogue.ask_yes("Act from the beginning?", default=False)
    return Answers(
        ignore=ignore,
        names=names,
        action=action,
        during=during,
        wake_at=wake_at,
        spin_down=spin_down,
        spin_down_after=spin_down_after,
        notify=notify,
        enforce=enforce,
    )


def _ask_clients(dialogue: Dialogue, known: Surroundings) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
    """The clients to ignore, and names."""
    now = known.now
    if known.clients is None or now is None:
        return (), ()
    clients = known.clients()
    if not clients:
        dialogue.say("No device has been seen yet. Run setup again in some hours.")
        return (), ()
    reasons = [suggestions.reason_to_ignore(client) for client in clients]
    rows = [
        _client_row(number, client, reason, now)
        for number, (client, reason) in enumerate(zip(clients, reasons, strict=True), 1)
    ]
    dialogue.say("These devices have been seen:")
    dialogue.show(_CLIENTS.format_lines(rows, [None] * len(rows), no_color))
    suggested = ",".join(str(number) for number, reason in enumerate(reasons, 1) if reason)
    chosen = dialogue.ask(
        "Which of them do not show that somebody is home, because they are always on? All others keep the "
        'server awake while they are present. Numbers like 1,3-5, "all" or "none"',
        suggested or "none",
        lambda text: model.parse_numbers(text, len(clients)),
    )
    names: dict[int, str] = {}
    while named := dialogue.ask(
        'A name for one of them? Its number and the name, like 3 living room TV, or "none" to continue',
        "none",
        lambda text: model.parse_name(text, len(clients)),
    ):
        names |= [named]
    shared = shared_macs(clients)
    patterns = [suggestions.pattern_of(client, shared) for client in clients]
    return (
        tuple(
            patterns[number - 1]._replace(comment=names.get(number, patterns[number - 1].comment))
            for number in chosen
        ),
        tuple(Pattern(patterns[number - 1].pattern, name) for number, name in sorted(names.items())),
    )


def _client_row(number: int, client: ClientJson, reason: str | None, now: datetime) -> tuple[str, ...]:
    age = (now - datetime.fromisoformat(client["since"])).total_seconds()
    return (
        str(number),
        sanitize(client["name"] or "-"),
        sanitize(client["address"] or client["mac"] or "-"),
        client["state"],
        format_duration(age, max_units=1),
        sanitize(client["maker"] or "-"),
        reason or "-",
    )


def _ask_action(dialogue: Dialogue, can_sleep: Mapping[str, str]) -> NightAction | None:
    offered: list[NightAction] = [
        action for action in _ACTION_TEXT if can_sleep.get(action, "") not in _CANNOT
    ]
    choices = [(str(number), _ACTION_TEXT[action]) for number, action in enumerate(offered, 1)]
    nothing = "nothing: it stays up, and powerd only explains and spins disks down"
    choices.append((str(len(offered) + 1), nothing))
    choices += [
        ("-", f"{action} is not offered: logind reports that this server cannot")
        for action in _ACTION_TEXT
        if action not in offered
    ]

    def parse(text: str) -> NightAction | None:
        numbers = model.parse_numbers(text, len(offered) + 1)
        if len(numbers) != 1:
            raise ValueError(f"write one number from 1 to {len(offered) + 1}")
        return (*offered, None)[numbers[0] - 1]

    dialogue.say(
        "What does the server do at night, when nobody has been home for 30 minutes and no work is in "
        "progress?"
    )
    dialogue.show(line for mark, text in choices for line in hanging_lines(f"  {mark} ", text))
    return dialogue.ask("One number. A phone that dozes beside the bed does not count at night.", "1", parse)


def _end_of(windows: Sequence[TimeWindow]) -> str:
    """The ends of the windows, as times at which the server is up."""
    times: dict[str, None] = {}
    for window in windows:
        overnight = window.end <= window.start or window.end == _DAY
        days = frozenset((day + overnight) % len(DAYS) for day in window.days)
        times[str(WeeklyTime(days, window.end % _DAY))] = None
    return "; ".join(times)


def _ask_disks(
    dialogue: Dialogue, disks: Sequence[DiskJson] | None
) -> tuple[tuple[Pattern, ...] | None, float]:
    """The disks that may spin down, and after how long."""
    default = Answers()
    if disks is None:
        return default.spin_down, default.spin_down_after
    offered = [disk for disk in disks if suggestions.may_spin_down(disk)]
    others = [disk for disk in disks if disk not in offered]
    if others:
        dialogue.say("These disks are never spun down:")
        by_reason: dict[str, list[str]] = {}
        for disk in others:
            by_reason.setdefault(disk["reason"] or disk["state"], []).append(sanitize(disk["device"]))
        for reason, devices in by_reason.items():
            dialogue.show(hanging_lines(f"  {cut(join_names(devices, 3), 30)}: ", reason))
    if not offered:
        return default.spin_down, default.spin_down_after
    dialogue.say("These disks can be spun down:")
    rows = [
        (
            str(number),
            sanitize(disk["device"]),
            sanitize(disk["model"] or disk["id"]),
            sanitize(" ".join(mount["where"] for mount in disk["mounts"]) or "-"),
        )
        for number, disk in enumerate(offered, 1)
    ]
    dialogue.show(_DISKS.format_lines(rows, [None] * len(rows), no_color))
    chosen = dialogue.ask(
        "Which of them may spin down while nobody uses them?",
        "all",
        lambda text: model.parse_numbers(text, len(offered)),
    )
    patterns = tuple(suggestions.disk_pattern(offered[number - 1]) for number in chosen)
    if not chosen:
        return (), default.spin_down_after
    after = dialogue.ask("After how long without use? Like 20min or 1h", "20min", model.parse_spin_down)
    return patterns, after
