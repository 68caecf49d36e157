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
from powerd.messages.model import SEVERITIES, Message, clean_text

SEND_TIMEOUT: Final = 60.0
"""Seconds that sending all messages to all URLs may take."""
APPRISE: Final = (sys.executable, "-I", "-m", "powerd.messages.apprise_child")
_MAX_ERROR: Final = 300
_LATE: Final = 300.0
"""Seconds after which the time of a message is shown."""
_MAX_SCHEME: Final = 20
_MAX_HOOK_FAILURES: Final = 3
"""Messages in a row for which the hook may fail; a single one may fail because of its content."""
_MAX_SINGLE: Final = 5
"""Messages that are sent one by one; more of them, after an outage, are sent as one."""
_MAX_LINE: Final = 200
"""Characters of a message that is sent with others; ntfy takes 4096 bytes in all."""


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
"""Why a message was not delivered, one clause, by message and recipient; "" = it was."""


async def send_messages(
    processes: Processes,
    options: HookOptions,
    batch: Mapping[Message, Sequence[Recipient]],
    now: datetime,
) -> Results:
    """Send each message to its recipients: to the hook one after the other, to all URLs by one child process.

    Many messages to the same URLs are sent as one.

    Args:
        processes: runs the hook and the child.
        options: the hook and its time limit.
        batch: the messages, oldest first, with the recipients that do not have them yet.
        now: the present time and its zone.
    """
    results: dict[Message, dict[str, str]] = {message: {} for message in batch}
    hook_error, failures = "", 0
    for message, recipients in batch.items():
        for hook in (each for each in recipients if not each.url):
            if failures < _MAX_HOOK_FAILURES:
                document = json.dumps(hook_document(message, now.tzinfo), ensure_ascii=False).encode()
                hook_error, is_hopeless = await _run_hook(processes, options, document)
                failures = (_MAX_HOOK_FAILURES if is_hopeless else failures + 1) if hook_error else 0
            results[message][hook.id] = hook_error
    groups = dict[tuple[Recipient, ...], list[Message]]()
    for message, recipients in batch.items():
        if urls := tuple(each for each in recipients if each.url):
            groups.setdefault(urls, []).append(message)
    mails = [
        (mail, urls)
        for urls, messages in groups.items()
        for mail in ([messages] if len(messages) > _MAX_SINGLE else [[each] for each in messages])
    ]
    if mails:
        errors = await _run_apprise(processes, mails, now)
        for (messages, urls), row in zip(mails, errors, strict=True):
            for message in messages:
                results[message].update(zip((each.id for each in urls), row, strict=True))
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


async def _run_hook(processes: Processes, options: HookOptions, document: bytes) -> tuple[str, bool]:
    """Why it has failed, one clause, "" = it has not; and whether it would fail for any message."""
    try:
        result = await processes.run(options.alert, timeout=options.timeout, stdin=document)
    except HostError as error:
        return clean_text(str(error), _MAX_ERROR), True
    failure = f"{options.alert[0]} {result.describe()}" if result.status else ""
    return clean_text(failure, _MAX_ERROR), False


async def _run_apprise(
    processes: Processes, mails: Sequence[tuple[Sequence[Message], Sequence[Recipient]]], now: datetime
) -> list[list[str]]:
    """Send each group of messages as one message; returns of each group and URL the error, or ""."""
    rows = [
        {**_mail(messages, now), "urls": [each.url for each in recipients]} for messages, recipients in mails
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
        return [[clean_text(failure, _MAX_ERROR)] * len(recipients) for _, recipients in mails]
    if shape != [len(recipients) for _, recipients in mails]:
        return [["Apprise has given no usable answer"] * len(recipients) for _, recipients in mails]
    return [[clean_text(str(each), _MAX_ERROR) for each in row] for row in errors]


def _mail(messages: Sequence[Message], now: datetime) -> dict[str, str]:
    """What Apprise is to send: a message, or several as one, a line each."""
    severity = min((each.severity for each in messages), key=SEVERITIES.index)
    if len(messages) == 1:
        (only,) = messages
        return {"title": f"{only.subject}: {only.event}", "body": _body(only, now), "severity": severity}
    lines = [clean_text(f"{each.subject}: {_body(each, now)}", _MAX_LINE) for each in messages]
    return {"title": f"{len(lines)} messages", "body": "\n".join(lines), "severity": severity}


def _body(message: Message, now: datetime) -> str:
    text = f"{message.text}; {message.advice}" if message.advice else message.text
    late = now.timestamp() - message.at > _LATE
    return f"{datetime.fromtimestamp(message.at, now.tzinfo):%a %H:%M}: {text}" if late else text
