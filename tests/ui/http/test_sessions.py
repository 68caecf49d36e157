"""Sessions and the limit of failed logins, by their own clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from powerd.ui.http.sessions import (
    ADDRESS_ATTEMPTS,
    ALL_ATTEMPTS,
    ALL_SECONDS,
    IDLE_SECONDS,
    MAX_ADDRESSES,
    MAX_AGE_SECONDS,
    MAX_SESSIONS,
    LoginLimit,
    Sessions,
)


def test_the_session_that_is_unused_for_longest_makes_room() -> None:
    sessions = Sessions()
    ids = [sessions.open("s", float(n)) for n in range(MAX_SESSIONS)]
    assert sessions.find(ids[0], "s", 100) is not None
    ids.append(sessions.open("s", 101))
    assert len(sessions) == MAX_SESSIONS
    assert [sessions.find(each, "s", 102) is None for each in ids].index(True) == 1
    assert len(set(ids)) == len(ids)


def test_a_session_that_is_used_all_the_time_ends_too() -> None:
    sessions, now = Sessions(), 0.0
    session_id = sessions.open("s", now)
    while sessions.find(session_id, "s", now):
        now += IDLE_SECONDS / 2
    assert MAX_AGE_SECONDS < now <= MAX_AGE_SECONDS + IDLE_SECONDS
    sessions.open("s", now)
    assert len(sessions) == 1


def test_another_secret_or_id_finds_nothing_and_ends_the_session() -> None:
    sessions = Sessions()
    session_id = sessions.open("s", 0)
    for other in ("", "x", session_id[:-1], session_id.upper() + " ", "\udcff"):
        assert sessions.find(other, "s", 0) is None
    assert sessions.find(session_id, "s", 0) is not None
    assert sessions.find(session_id, None, 0) is None
    assert sessions.find(session_id, "s", 0) is None, "the secret has changed"


def test_many_addresses_are_limited_together() -> None:
    limit, tried = LoginLimit(), 0
    for n in range(1000):
        if not limit.wait_seconds(f"10.0.{n // 250}.{n % 250}", 0):
            limit.count(f"10.0.{n // 250}.{n % 250}", 0)
            tried += 1
    assert tried == ALL_ATTEMPTS
    assert limit.wait_seconds("10.9.9.9", 0) > 0
    assert limit.wait_seconds("10.9.9.9", ALL_SECONDS) == 0


def test_a_host_with_many_ipv6_addresses_is_one() -> None:
    limit = LoginLimit()
    for n in range(ADDRESS_ATTEMPTS):
        limit.count(f"fd00::{n + 1:x}", 0)
    assert limit.wait_seconds("fd00::ffff", 0) > 0
    assert limit.wait_seconds("fd00:0:0:1::1", 0) == 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2000), st.floats(0, 1e6)), max_size=400))
def test_memory_and_waits_are_bounded(attempts: list[tuple[int, float]]) -> None:
    limit = LoginLimit()
    for number, now in sorted(attempts, key=lambda attempt: attempt[1]):
        address = f"10.1.{number // 250}.{number % 250}"
        if not limit.wait_seconds(address, now):
            limit.count(address, now)
        assert 0 <= limit.wait_seconds(address, now) <= 3600
        assert len(limit._buckets) <= MAX_ADDRESSES + 1  # noqa: SLF001 - the bound of its memory
