"""Makes messages of decisions, and delivers them in the background until every recipient has them.

Attempts are made after decisions only, so a message that waits causes no wake-up of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from powerd.core.actions import RequestRefusedError
from powerd.core.reasons import failure_text
from powerd.core.service import DomainService, Environment
from powerd.core.snapshot import Status
from powerd.core.time import Moment
from powerd.disks.model import DISKS
from powerd.disks.policy.write_safety import would_start_disk
from powerd.disks.state import DiskReport, DisksReport
from powerd.linux.ports import Processes
from powerd.messages.delivery import APPRISE, Recipient, Results, find_recipients, send_messages
from powerd.messages.events import find_messages
from powerd.messages.model import Message, MessageFacts, Outbox, PendingMessage
from powerd.messages.policy import (
    Changed,
    add_messages,
    all_due,
    due_messages,
    record_attempts,
    without_pointless,
)
from powerd.smart.model import SmartReports
from powerd.smart.policy import has_smart

_DOCUMENT: Final = "messages"
_FLUSH_TIMEOUT: Final = 2.0
"""Seconds by which messages may delay a sleep."""
_MAX_BATCH: Final = 20
"""Messages of one attempt."""
_PACKAGE: Final = str(Path(__file__).parent)


class RecipientResult(NamedTuple):
    """The result of a test message: the recipient, and why it was not delivered ("" = it was)."""

    recipient: str
    error: str


class MessageService(DomainService):
    """The service of the domain.

    Args:
        processes: runs the hook, and Apprise in a child.
        environment: from the daemon.
        may_write: whether a write to the state directory starts no disk and keeps none from spinning down.
    """

    is_essential = False

    def __init__(self, processes: Processes, environment: Environment, may_write: Callable[[], bool]) -> None:
        self._processes = processes
        self._clock = environment.clock
        self._state = environment.state
        self._options = environment.options
        self._storage = environment.storage
        self._on_error = environment.on_error
        self._may_write = may_write
        self._outbox = all_due(self._storage.load(_DOCUMENT, Outbox).value or Outbox())
        self._stored = self._outbox
        self._before: Status | None = None
        self._disks: tuple[DiskReport, ...] = ()
        self._sending = asyncio.Lock()
        self._attempt: asyncio.Task[None] | None = None
        self._errors: dict[str, str] = {}
        self._publish()

    def on_decision(self, status: Status) -> None:
        """Make the messages of a decision, and start to deliver those that are due; not in observe mode.

        Of what began in observe mode, or without a recipient, a message is made when that ends.
        """
        before, self._before = self._before, status
        self._disks = status.decision.part(DisksReport).disks
        options = self._options()
        if options.mode == "enforce" and find_recipients(options.hooks):
            standing = self._outbox.silent and _knows_findings(status)
            if standing:
                self._outbox = replace(self._outbox, silent=False)
            new = find_messages(before, status, options.messages, standing=standing)
            if new:
                self._change(add_messages(self._outbox, new), "because too many wait")
            self._deliver_due(before, status)
        elif not self._outbox.silent and find_messages(before, status, options.messages):
            self._outbox = replace(self._outbox, silent=True)
        if self._outbox is not self._stored and self._may_write():
            self._save()

    def on_reconfigure(self) -> None:
        """Remove all messages if no recipient is configured."""
        if not find_recipients(self._options().hooks):
            self._outbox = replace(self._outbox, pending=())
        self._errors.clear()
        self._publish()

    async def flush(self, seconds: float = _FLUSH_TIMEOUT) -> None:
        """Wait for a running attempt, but at most ``seconds``."""
        if self._attempt is not None and not self._attempt.done():
            await asyncio.wait({self._attempt}, timeout=seconds)

    async def send_test(self) -> tuple[RecipientResult, ...]:
        """Send a test message to every recipient. If one gets it, all that waits is due again.

        Raises:
            RequestRefusedError: none is configured.
        """
        options, now = self._options().hooks, self._clock.now()
        recipients = find_recipients(options)
        if not recipients:
            raise RequestRefusedError(
                "no recipient is configured; set hooks.notify to a URL of Apprise, or hooks.alert to a "
                "command"
            )
        message = Message(
            "test", now.wall.timestamp(), "note", "powerd", "this is a test message", "nothing has happened"
        )
        async with self._sending:
            results = await send_messages(self._processes, options, {message: recipients}, now.wall)
        errors = {each.name: results[message][each.id] for each in recipients}
        if self._outbox.pending and not all(errors.values()):
            self._outbox = all_due(self._outbox)
        return tuple(RecipientResult(name, error) for name, error in errors.items())

    def close(self) -> None:
        """End the attempt, and store what is not delivered; a disk is started for an alarm only."""
        if self._attempt is not None:
            self._attempt.cancel()
        alarm = any(each.message.severity == "alarm" for each in self._outbox.pending)
        if alarm or not would_start_disk(str(self._storage.directory or ""), self._disks):
            self._save()

    def _deliver_due(self, before: Status | None, status: Status) -> None:
        if not self._outbox.pending:
            return
        if before is not None and before.decision.memory.resumed_at != status.decision.memory.resumed_at:
            self._outbox = all_due(self._outbox)
        if self._attempt is not None and not self._attempt.done():
            return
        warns = status.decision.phase in {"warning", "going-down"}
        self._outbox = without_pointless(self._outbox, status.now, warns=warns)
        if self._due(status.now):
            self._attempt = asyncio.get_running_loop().create_task(self._deliver())

    def _due(self, now: Moment) -> tuple[PendingMessage, ...]:
        options = self._options()
        programs = (APPRISE[0], _PACKAGE, *options.hooks.alert[:1])
        starts_disk = any(would_start_disk(path, self._disks) for path in programs)
        return due_messages(self._outbox, options.messages, now, starts_disk=starts_disk)[:_MAX_BATCH]

    async def _deliver(self) -> None:
        """Send the due messages until none is left."""
        while due := self._due(self._clock.now()):
            options = self._options().hooks
            recipients = find_recipients(options)
            batch = {each.message: [to for to in recipients if to.id not in each.delivered] for each in due}
            try:
                async with self._sending:
                    results = await send_messages(self._processes, options, batch, self._clock.now().wall)
            except Exception as error:  # noqa: BLE001 - the messages wait, and the next attempts are delayed
                failed = {to.id: failure_text(error) for to in recipients}
                results = dict.fromkeys(batch, failed)
            delivered = {
                message: [recipient for recipient, error in row.items() if not error]
                for message, row in results.items()
            }
            ids = [each.id for each in recipients]
            changed = record_attempts(self._outbox, delivered, ids, self._clock.now())
            self._report(results, recipients)
            self._change(changed, "although it was tried for a week")

    def _report(self, results: Results, recipients: tuple[Recipient, ...]) -> None:
        """Report the first failure of each recipient since its last message."""
        errors: dict[str, str] = {}
        for row in results.values():
            errors |= row
        for recipient in recipients:
            error = errors.get(recipient.id)
            if error and recipient.name not in self._errors:
                self._on_error(f"{recipient.name}: {error}; powerd tries again")
            if error is not None:
                self._errors.pop(recipient.name, None)
                self._errors |= {recipient.name: error} if error else {}

    def _change(self, changed: Changed, why: str) -> None:
        self._outbox = changed.outbox
        for message in changed.lost:
            self._on_error(f"{message.subject}: {message.text}: no message was delivered, {why}")
        self._publish()

    def _publish(self) -> None:
        """Publish whether messages reach a recipient, if that has changed."""
        facts = self._state.snapshot().part(MessageFacts)
        error = next((f"{name}: {text}" for name, text in self._errors.items()), "")
        since = (facts.failing_since or self._clock.now()) if error else None
        configured = bool(find_recipients(self._options().hooks))
        new = MessageFacts(configured, len(self._outbox.pending) if error else 0, error, since)
        if new != facts:
            self._state.put(new, urgent=False)

    def _save(self) -> None:
        if self._outbox is not self._stored:
            self._storage.save(_DOCUMENT, self._outbox)
            self._stored = self._outbox


def _knows_findings(status: Status) -> bool:
    """Whether the findings of all drives are known; the first Status with the disks has none yet."""
    smart = status.decision.part(SmartReports).smart
    disks = [report.disk for report in status.decision.part(DisksReport).disks]
    return DISKS in status.snapshot.sources and all(each.id in smart for each in disks if has_smart(each))
