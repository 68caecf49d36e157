"""Sends messages to the hook ``alert`` and by Apprise, whose URLs are secrets: no result contains one."""

from __future__ import annotations

import json
import sys
from binascii import crc32
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from powerd.config.options import HookOptions
from powerd.linux.ports import Processes
from powerd.linux.values import HostError
from powerd.messages.model import Message, clean_text

SEND_TIMEOUT: Final = 60.0
"""Seconds that sending all messages to all URLs may take."""
APPRISE: Final = (sys.executable, "-I", "-m", "powerd.messages.apprise_child")
_MAX_ERROR: Final = 300
_LATE: Final = 300.0
"""Seconds after which a message has its time."""
_MAX_SCHEME: Final = 20


class Recipient(NamedTuple):
    """Where messages are sent.

    Attributes:
        id: stable over restarts, and no secret.
        name: for people: ``hooks.alert``, ``hooks.notify[1] (ntfy://)``.
        url: of Apprise; "" = the hook.
    """

    id: str
    name: str
    url: str = ""


def find_recipients(options: HookOptions) -> tuple[Recipient, ...]:
    """The recipients that are configured."""
    hook = (Recipient("hook", "hooks.alert"),) if options.alert else ()
    return (
        *hook,
        *(
            Recipient(
                f"{crc32(url.encode()):08x}",
                f"hooks.notify[{n}] ({url.partition('://')[0][:_MAX_SCHEME]}://)",
                url,
            )
            for n, url in enumerate(options.notify, 1)
        ),
    )


Results = Mapping[Message, Mapping[str, str]]
"""Of each message and recipient why it was not delivered, one clause; "" = it was."""


async def send_messages(
    processes: Processes,
    options: HookOptions,
    batch: Mapping[Message, Sequence[Recipient]],
    now: datetime,
) -> Results:
    """Send each message to its recipients: to the hook one after the other, to all URLs by one child process.

    Args:
        processes: runs the hook and the child.
        options: the hook and its time limit.
        batch: the messages, oldest first, with the recipients that do not have them yet.
        now: the present time and its zone.
    """
    results: dict[Message, dict[str, str]] = {message: {} for message in batch}
    hook_error = ""
    for message, recipients in batch.items():
        for hook in (each for each in recipients if not each.url):
            if not hook_error:  # the others would wait for their time limit as well
                document = json.dumps(hook_document(message, now.tzinfo), ensure_ascii=False).encode()
                hook_error = await _run_hook(processes, options, document)
            results[message][hook.id] = hook_error
    by_url = {message: [each for each in recipients if each.url] for message, recipients in batch.items()}
    by_url = {message: recipients for message, recipients in by_url.items() if recipients}
    if by_url:
        errors = await _run_apprise(processes, by_url, now)
        for (message, recipients), row in zip(by_url.items(), errors, strict=True):
            results[message].update(zip((each.id for each in recipients), row, strict=True))
    return results


def hook_document(message: Message, zone: tzinfo | None) -> dict[str, object]:
    """The JSON that the hook reads on standard input."""
    return {
        "event": message.event,
        "at": datetime.fromtimestamp(message.at, zone).isoformat(timespec="seconds"),
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "advice": message.advice,
        **dict(message.details),
    }


async def _run_hook(processes: Processes, options: HookOptions, document: bytes) -> str:
    try:
        result = await processes.run(options.alert, timeout=options.timeout, stdin=document)
    except HostError as error:
        return clean_text(str(error), _MAX_ERROR)
    return clean_text(f"{options.alert[0]} {result.describe()}", _MAX_ERROR) if result.status else ""


async def _run_apprise(
    processes: Processes, batch: Mapping[Message, Sequence[Recipient]], now: datetime
) -> list[list[str]]:
    """Of each message and URL the error, or ""."""
    rows = [
        {
            "title": f"{message.subject}: {message.event}",
            "body": _body(message, now),
            "severity": message.severity,
            "urls": [each.url for each in recipients],
        }
        for message, recipients in batch.items()
    ]
    try:
        result = await processes.run(
            APPRISE, timeout=SEND_TIMEOUT, stdin=json.dumps({"messages": rows}).encode()
        )
        result.require_success("Apprise")
        errors = json.loads(result.stdout)
        shape = [len(row) for row in errors]
    except (HostError, ValueError, TypeError) as error:
        failure = str(error) if isinstance(error, HostError) else "Apprise has given no usable answer"
        return [[clean_text(failure, _MAX_ERROR)] * len(recipients) for recipients in batch.values()]
    if shape != [len(recipients) for recipients in batch.values()]:
        return [["Apprise has given no usable answer"] * len(recipients) for recipients in batch.values()]
    return [[clean_text(str(each), _MAX_ERROR) for each in row] for row in errors]


def _body(message: Message, now: datetime) -> str:
    text = f"{message.text}; {message.advice}" if message.advice else message.text
    late = now.timestamp() - message.at > _LATE
    return f"{datetime.fromtimestamp(message.at, now.tzinfo):%a %H:%M}: {text}" if late else text
