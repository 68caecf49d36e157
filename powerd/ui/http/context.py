"""What the HTTP server gets from the daemon: values and callables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Any

from powerd.config.http_options import HttpOptions
from powerd.config.options import HistoryOptions
from powerd.core.dataclass import dataclass
from powerd.core.snapshot import SourceId, Status
from powerd.core.time import Moment
from powerd.disks.model import DiskId
from powerd.history.model import BlockerTimes, Counters, Record
from powerd.power.model import SleepRequest
from powerd.requests.model import AcceptedSleep, KeepAwake, WakeOnLanResult
from powerd.smart.actions import TestKind
from powerd.ui.http.event_feed import EventFeed


def _no_password() -> str:
    raise ValueError("no password is set")


async def _no_match(_password: str, _password_hash: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class RequestHandlers:
    """What the API can request from the daemon. Each callable except ``token`` raises RefusedError.

    Attributes:
        keep: keeps the server awake for a number of seconds, with a reason.
        drop: ends the keep-awake request with this id.
        hold: keeps the server awake inside ``with``, with a reason.
        sleep: puts the server to sleep as soon as nothing keeps it awake; True = clients do not.
        cancel_sleep: ends the request to sleep.
        wake: sends magic packets to a host, given by name, address or MAC.
        spin_down: spins a disk and its group down; returns the disks of the group.
        check: checks the health of a drive, given by id, device or serial number.
        test: starts a self-test of a drive, ``short`` or ``long``.
        acknowledge: acknowledges the findings of a drive.
        notify_test: sends a test message to every recipient; returns the name of each, and why it was not
            delivered ("" = it was).
        reload: reads the configuration again and applies it; an invalid one is not applied.
        token: the secret that writing over TCP requires; None = nothing can be written over TCP. Raises
            ValueError (one clause) if the token cannot be read.
    """

    keep: Callable[[float, str], Awaitable[KeepAwake]]
    drop: Callable[[str], Awaitable[KeepAwake]]
    hold: Callable[[str], AbstractContextManager[KeepAwake]]
    sleep: Callable[[bool], Awaitable[AcceptedSleep]]
    cancel_sleep: Callable[[], Awaitable[SleepRequest]]
    wake: Callable[[str], Awaitable[WakeOnLanResult]]
    spin_down: Callable[[str], Awaitable[tuple[DiskId, ...]]]
    check: Callable[[str], Awaitable[DiskId]]
    test: Callable[[str, TestKind], Awaitable[DiskId]]
    acknowledge: Callable[[str], DiskId]
    notify_test: Callable[[], Awaitable[Sequence[tuple[str, str]]]]
    reload: Callable[[], None]
    token: Callable[[], str | None]


async def _no_history(since: float) -> Record:
    return Record(since, since)


async def _inline(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - its result
    return function(*arguments)


@dataclass(frozen=True, slots=True)
class UiContext:
    """What the HTTP server gets from the daemon.

    Attributes:
        status: returns the last decision; None before the first one.
        now: returns the current time, from which the page computes "2 min ago".
        refresh: polls every client and decides; the daemon limits its duration.
        poll_checks: polls every activity check and decides; the daemon limits its duration.
        decision_error: returns why no decisions are made, in one sentence; None = they are.
        requests: what the API can request.
        feed: the events.
        reload_error: returns why the configuration file as it is now is not in force; None = it is, or it has
            changed since without a request to reload.
        blocker_times: returns how long each blocker has kept the server awake.
        poll_seconds: returns how long the last poll of each source has taken.
        counters: returns the cumulative counters.
        read_history: returns the record of the past from a POSIX time on.
        recent_history: returns what of the last days is in memory; it reads from no disk.
        history_options: returns the options of the report in force.
        in_thread: runs a function in a thread that ends with it.
        http: returns the options of the HTTP server in force.
        password_hash: returns the stored hash of the password; raises ValueError (one clause) if it cannot be
            read.
        configuration: the path of the configuration file; "" = unknown.
        check_password: whether a password has this hash; takes 0.3 s of CPU time.
    """

    status: Callable[[], Status | None]
    now: Callable[[], Moment]
    refresh: Callable[[], Awaitable[None]]
    poll_checks: Callable[[], Awaitable[None]]
    decision_error: Callable[[], str | None]
    requests: RequestHandlers
    feed: EventFeed = field(default_factory=EventFeed)
    reload_error: Callable[[], str | None] = lambda: None
    blocker_times: Callable[[], BlockerTimes] = BlockerTimes
    poll_seconds: Callable[[], Mapping[SourceId, float]] = dict
    counters: Callable[[], Counters] = Counters
    read_history: Callable[[float], Awaitable[Record]] = _no_history
    recent_history: Callable[[], Record | None] = lambda: None
    history_options: Callable[[], HistoryOptions] = HistoryOptions
    in_thread: Callable[..., Awaitable[Any]] = _inline
    http: Callable[[], HttpOptions] = HttpOptions
    password_hash: Callable[[], str] = _no_password
    configuration: str = ""
    check_password: Callable[[str, str], Awaitable[bool]] = _no_match
