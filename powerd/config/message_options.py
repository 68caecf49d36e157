"""The options of ``[messages]``: which messages are sent, and when."""

from __future__ import annotations

import re
from typing import Final

from powerd.config.declare import OptionType, list_of, option, toml_string
from powerd.config.values import TimeWindow, is_url_host, parse_window
from powerd.core.dataclass import dataclass
from powerd.messages.model import MESSAGE_EVENTS

DEFAULT_EVENTS: Final = ("finding", "could-not-sleep", "wake-storm", "source-failed", "doctor")
"""Events that require an action of a person."""
_PAGE: Final = re.compile(
    r"https?://(?:[^/?#@\s]*@)?([^/?#:@\[\]\s]+|\[[^\]]*\])(?::\d+)?(?:[/?#][!-~]*)?", re.IGNORECASE
)


def parse_event(name: str) -> str:
    """Check the name of an event."""
    if name not in MESSAGE_EVENTS:
        raise ValueError(f'"{name}" is not possible here; write one of {", ".join(MESSAGE_EVENTS)}')
    return name


def _page_address() -> OptionType[str]:
    """An address of http or https, or "" for none."""

    def read(value: object) -> str:
        if value == "":
            return ""
        match = _PAGE.fullmatch(value) if isinstance(value, str) else None
        if match is None or not is_url_host(match[1]):
            raise ValueError('must be an address; write it like "https://nas.lan/powerd/"')
        return match[0]

    return OptionType(read, toml_string)


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """Which messages hooks.alert and hooks.notify get, and when."""

    events: tuple[str, ...] = option(
        DEFAULT_EVENTS,
        'what is sent: "finding" (of a health check), "warning" (before a sleep), "woke", "could-not-sleep", '
        '"wake-storm" (woken repeatedly without a client), "source-failed" (for 15 minutes), "doctor" (a '
        "program wakes a disk again and again)",
        list_of(parse_event),
    )
    quiet: tuple[TimeWindow, ...] = option(
        (),
        'windows of local time in which only alarms are sent, e.g. ["22:00-07:00"]; other messages wait '
        "until the end",
        list_of(parse_window),
    )
    page: str = option(
        "",
        "address of the status page as people reach it, for the link in the warning before a sleep, e.g. "
        '"https://nas.lan/powerd/"',
        _page_address(),
    )
