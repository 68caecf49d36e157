"""Sessions of browsers and the limit of failed logins, in memory only. Times are seconds of one clock."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

MAX_SESSIONS: Final = 32
"""Open sessions; one more ends the one that has been unused for longest."""
IDLE_SECONDS: Final = 7 * 86400.0
"""A session ends when it has been unused for this time, or is MAX_AGE_SECONDS old."""
MAX_AGE_SECONDS: Final = 30 * 86400.0
_SECRET_BYTES: Final = 32
_MAX_NOTICE: Final = 500


@dataclass(slots=True)
class Session:
    """One browser that has logged in.

    Attributes:
        csrf: the token that each of its writes contains; no other site can read it.
        secret: what was presented at the login; the session ends when another secret is in force.
        since, used: when it was opened, and last used.
        notice: what the next page shows, once: the result of the last form.
    """

    csrf: bytes
    secret: str
    since: float
    used: float
    notice: str = ""

    def notify(self, text: str) -> None:
        """Show ``text`` on the next page."""
        self.notice = text[:_MAX_NOTICE]


class Sessions:
    """The open sessions; they expire when they are looked up, so there is no timer."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, Session] = {}
        """By the digest of the id, so that the time of a lookup depends on no id; ordered by last use."""

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, secret: str, now: float) -> str:
        """The id of a new session."""
        for key in [key for key, each in self._sessions.items() if _expired(each, now)]:
            del self._sessions[key]
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session_id = os.urandom(_SECRET_BYTES).hex()
        self._sessions[_key(session_id)] = Session(os.urandom(_SECRET_BYTES), secret, now, now)
        return session_id

    def find(self, session_id: str, secret: str | None, now: float) -> Session | None:
        """The session with this id, unless it has expired; sessions with another secret end here."""
        key = _key(session_id)
        session = self._sessions.get(key)
        if session is not None and session.secret != secret:
            self._sessions = {key: each for key, each in self._sessions.items() if each.secret == secret}
        session = self._sessions.pop(key, None)
        if session is None or _expired(session, now):
            return None
        session.used = now
        self._sessions[key] = session
        return session

    def is_open(self, session_id: str, now: float) -> bool:
        """Whether the session is open, without a check of the secret in force."""
        session = self._sessions.get(_key(session_id))
        return session is not None and not _expired(session, now)

    def close(self, session_id: str) -> None:
        """End a session."""
        self._sessions.pop(_key(session_id), None)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode(errors="surrogateescape")).digest()


def _expired(session: Session, now: float) -> bool:
    return now - session.used > IDLE_SECONDS or now - session.since > MAX_AGE_SECONDS


ADDRESS_ATTEMPTS: Final = 5
"""Failed logins of one address in a row; then one more each ADDRESS_SECONDS."""
ADDRESS_SECONDS: Final = 60.0
ALL_ATTEMPTS: Final = 30
"""Failed logins of all addresses together in a row; then one more each ALL_SECONDS."""
ALL_SECONDS: Final = 10.0
MAX_ADDRESSES: Final = 256
"""Addresses whose failures are remembered; the limit for all addresses holds for the others."""
_IPV6_PREFIX: Final = 64
_EVERYBODY: Final = ""


class LoginLimit:
    """Limits failed logins by leaky buckets: one for each address, and one for all together."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        """The level of a bucket, in attempts, and when it had that level."""

    def wait_seconds(self, address: str, now: float) -> float:
        """Seconds until the next attempt of this address is allowed; 0 = now."""
        return max(
            self._wait(_network(address), ADDRESS_ATTEMPTS, ADDRESS_SECONDS, now),
            self._wait(_EVERYBODY, ALL_ATTEMPTS, ALL_SECONDS, now),
        )

    def count(self, address: str, now: float) -> None:
        """Count an attempt before its password is checked, so that concurrent attempts count too."""
        self._add(_EVERYBODY, 1, ALL_SECONDS, now)
        self._add(_network(address), 1, ADDRESS_SECONDS, now)

    def forget(self, address: str, now: float) -> None:
        """The last attempt was successful."""
        self._add(_EVERYBODY, -1, ALL_SECONDS, now)
        self._buckets.pop(_network(address), None)

    def _level(self, key: str, period: float, now: float) -> float:
        level, at = self._buckets.get(key, (0.0, now))
        return max(0.0, level - (now - at) / period)

    def _wait(self, key: str, most: int, period: float, now: float) -> float:
        return max(0.0, (self._level(key, period, now) - (most - 1)) * period)

    def _add(self, key: str, attempts: int, period: float, now: float) -> None:
        level = max(0.0, self._level(key, period, now) + attempts)
        self._buckets.pop(key, None)
        if len(self._buckets) > MAX_ADDRESSES:
            addresses = (each for each in self._buckets if each != _EVERYBODY)
            del self._buckets[min(addresses, key=lambda each: self._level(each, ADDRESS_SECONDS, now))]
        self._buckets[key] = level, now


def _network(address: str) -> str:
    """The address, or the /64 network of an IPv6 address: a host has all addresses of it."""
    parsed = ip_address(address)
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped:
        return address
    return str(ip_network((int(parsed), _IPV6_PREFIX), strict=False))
