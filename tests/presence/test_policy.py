from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core.snapshot_strategies import T0, client, home, make_snapshot, moment, silent
from facts import changed
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.domain import Context
from powerd.core.snapshot import Memory, Snapshot
from powerd.core.time import Moment, Reading, Unavailable
from powerd.presence.model import (
    CLIENTS,
    Client,
    ClientId,
    ClientState,
    ClientStatus,
    EvidenceKind,
    Observation,
    ProbeState,
)
from powerd.presence.policy import (
    ALWAYS_ON_AFTER,
    ClientPolicy,
    always_on_remarks,
    assess,
    client_policies,
    evaluate_clients,
    max_observation_age,
)
from powerd.presence.silences import Limit

OPTIONS = parse(
    b"""
[clients]
ignore = ["printer*", "10.0.0.9"]
[[clients.class]]
name = "phone"
match = ["host2", "host3"]
absent_after = "15min"
[[clients.class]]
name = "tv"
match = ["host3", "host4"]
keeps_awake = false
""",
    "test",
)
NOW = moment()
Fact = Reading[Observation] | Unavailable


def evaluate_fact(
    fact: Fact | None,
    *,
    n: int = 1,
    now: Moment = NOW,
    memory: Memory | None = None,
    options: Options = OPTIONS,
) -> ClientStatus:
    """The status of one client with this reading."""
    snapshot = make_snapshot({n: fact} if fact else {}, at=now.mono)
    if fact is None:
        snapshot = changed(snapshot, clients={client(n).id: client(n)})
    (status,) = evaluate_clients(snapshot, memory or Memory.initial(now), options, now)
    return status


def state_and_reason(status: ClientStatus) -> tuple[str, str]:
    return status.state.value, status.reason


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (None, ("unknown", "not probed yet")),
        (
            Unavailable(T0, "could not be probed: No route to host"),
            ("unknown", "could not be probed: No route to host"),
        ),
        (home(T0), ("present", "answers ping")),
        (home(T0 - 299), ("present", "answers ping")),
        (
            Reading(T0, Observation(last_seen=T0, evidence=EvidenceKind.STATION)),
            ("present", "is on the Wi-Fi"),
        ),
        (Reading(T0, Observation(last_seen=T0, evidence=EvidenceKind.ARP)), ("present", "answers ARP")),
        (
            Reading(T0, Observation(last_seen=T0, evidence=EvidenceKind.NEIGHBOUR)),
            ("present", "exchanges traffic with this server"),
        ),
        (Reading(T0, Observation(last_seen=T0)), ("present", "was seen")),
        (home(T0 - 300), ("unknown", "not probed recently")),
        (silent(T0, T0 - 299), ("unknown", "silent, but for less time than absent_after")),
        (silent(T0, T0 - 300), ("absent", "silent")),
        (silent(T0 - 180, T0 - 9999), ("absent", "silent")),
        (silent(T0 - 181, T0 - 9999), ("unknown", "not probed recently")),
        (Reading(T0, Observation(last_seen=T0 - 301)), ("unknown", "not probed again since it answered")),
        (Reading(T0, Observation()), ("unknown", "not probed again since it answered")),
    ],
)
def test_the_state_for_each_reading(fact: Fact | None, expected: tuple[str, str]) -> None:
    assert state_and_reason(evaluate_fact(fact)) == expected


def test_a_class_may_have_a_longer_absence_timeout() -> None:
    assert state_and_reason(evaluate_fact(home(T0 - 899), n=2))[0] == "present"
    assert state_and_reason(evaluate_fact(silent(T0, T0 - 899), n=2))[0] == "unknown"
    assert state_and_reason(evaluate_fact(silent(T0, T0 - 900), n=2))[0] == "absent"


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (home(T0 - 60), "not probed recently"),
        (silent(T0 - 60, T0 - 9999), "not probed recently"),
        (silent(T0, T0 - 9999), "silent, but for less time than absent_after"),
        (
            Reading(T0, Observation(last_seen=T0 - 60, silent_since=T0 - 55)),
            "silent, but for less time than absent_after",
        ),
    ],
)
def test_observations_from_before_a_resume_do_not_count(fact: Fact, expected: str) -> None:
    woken = replace(Memory.initial(NOW), resumed_at=T0 - 30)
    assert state_and_reason(evaluate_fact(fact, memory=woken)) == ("unknown", expected)


def test_silence_is_counted_from_the_resume() -> None:
    woken = replace(Memory.initial(NOW), resumed_at=T0 - 300)
    assert state_and_reason(evaluate_fact(silent(T0, T0 - 9999), memory=woken)) == ("absent", "silent")


def test_evidence_from_after_the_resume_counts() -> None:
    woken = replace(Memory.initial(NOW), resumed_at=T0 - 30)
    assert state_and_reason(evaluate_fact(home(T0 - 29), memory=woken)) == ("present", "answers ping")


def test_the_allowed_age_of_an_observation_follows_the_poll_interval() -> None:
    assert max_observation_age(OPTIONS) == 180
    assert max_observation_age(parse(b'[clients]\nevery = "10min"', "test")) == 1800


def test_the_first_class_that_matches_applies() -> None:
    standing = client_policies(OPTIONS.clients)
    assert [standing(client(n)).class_name for n in (1, 2, 3, 4)] == [None, "phone", "phone", "tv"]


def test_which_clients_block_sleep() -> None:
    printer = replace(client(7), name="printer-2.lan")
    whom = [client(1), client(3), client(4), client(9), printer]
    standing = client_policies(OPTIONS.clients)
    assert [standing(each).blocks_sleep for each in whom] == [True, True, False, False, False]


def evaluate_client(who: Client, fact: Fact, memory: Memory | None = None) -> ClientStatus:
    """The status of one client with this reading."""
    snapshot = changed(make_snapshot({1: fact}, at=T0), clients={who.id: who})
    (status,) = evaluate_clients(snapshot, memory or Memory.initial(NOW), OPTIONS, NOW)
    return status


PHONE = client(1)
RENAMED = replace(PHONE, name="printer1")


def test_a_client_that_gets_an_ignored_name_counts_until_it_has_been_absent_once() -> None:
    status = evaluate_client(PHONE, home(T0))
    for fact in (home(T0), silent(T0, T0 - 10), Unavailable(T0, "x"), home(T0)):
        status = evaluate_client(RENAMED, fact, memory_of(status))
        assert (status.blocks_sleep, status.counts_until_absent) == (True, True)
        assert status.remark
        context = Context(make_snapshot({}, at=T0), memory_of(status), OPTIONS, NOW)
        snapshot = changed(make_snapshot({1: fact}, at=T0), clients={RENAMED.id: RENAMED})
        remarks = assess(replace(context, snapshot=snapshot, source_problems={CLIENTS: None})).remarks
        assert [(each.text, each.blocks_sleep) for each in remarks] == [(status.remark, False)]
    for fact in (silent(T0, T0 - 9999), home(T0)):
        status = evaluate_client(RENAMED, fact, memory_of(status))
        assert (status.blocks_sleep, status.remark) == (False, None)


def test_a_client_that_gets_the_name_of_a_class_that_does_not_count_counts_until_it_has_been_absent() -> None:
    status = evaluate_client(replace(client(1), name="laptop"), home(T0))
    assert evaluate_client(replace(client(1), name="host4"), home(T0), memory_of(status)).counts_until_absent


@pytest.mark.parametrize(
    "now_known_as",
    [
        replace(PHONE, addresses=("10.0.0.9",)),  # ignored by its address, which DHCP gives out
        replace(PHONE, addresses=("10.0.0.9",), name="printer1"),
        replace(PHONE, addresses=("10.0.0.9",), name="host5"),  # a name that counts
    ],
)
def test_only_a_name_is_not_believed(now_known_as: Client) -> None:
    status = evaluate_client(PHONE, home(T0))
    assert not evaluate_client(now_known_as, home(T0), memory_of(status)).blocks_sleep


def test_a_change_of_the_configuration_applies_at_once() -> None:
    """The name is as before; the administrator has added the pattern."""
    status = replace(evaluate_client(RENAMED, home(T0)), blocks_sleep=True)
    assert not evaluate_client(RENAMED, home(T0), memory_of(status)).blocks_sleep


@pytest.mark.parametrize("name", ["printer1", "host4"])
def test_the_first_name_of_a_client_applies_at_once(name: str) -> None:
    """A client is met before its name is found, and a printer that is always on is never absent."""
    status = evaluate_client(replace(PHONE, name=None), home(T0))
    assert status.blocks_sleep
    for _ in range(2):
        status = evaluate_client(replace(PHONE, name=name), home(T0), memory_of(status))
        assert (status.blocks_sleep, status.remark) == (False, None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["laptop", "printer1", "printer2", "host4", None]),
            st.sampled_from(
                [home(T0), silent(T0, T0 - 10), silent(T0, T0 - 9999), Unavailable(T0, "x"), None]
            ),
        ),
        max_size=8,
    )
)
def test_no_sequence_of_names_hides_a_client_that_has_not_left(
    history: list[tuple[str | None, Fact]],
) -> None:
    memory, counted = Memory.initial(NOW), False
    named = False
    for name, fact in history:
        status = evaluate_client(replace(PHONE, name=name), fact, memory)
        counted = status.state is not ClientState.ABSENT and (counted or (status.blocks_sleep and named))
        named = name is not None or (named and status.state is not ClientState.ABSENT)
        assert status.blocks_sleep or not counted
        memory = memory_of(status)


def test_a_guest_of_this_server_never_counts_and_says_why() -> None:
    status = evaluate_client(replace(PHONE, runs_here=True), home(T0))
    assert (status.state, status.blocks_sleep) == (ClientState.PRESENT, False)
    assert status.remark


def test_a_client_that_does_not_block_sleep_has_a_state_too() -> None:
    status = evaluate_fact(home(T0), n=4)
    assert (status.state, status.blocks_sleep, status.class_name) == (ClientState.PRESENT, False, "tv")


def memory_of(*statuses: ClientStatus) -> Memory:
    return changed(Memory.initial(NOW), client_statuses={each.client.id: each for each in statuses})


def test_a_state_keeps_its_begin() -> None:
    first = evaluate_fact(home(T0))
    later = moment(T0 + 60)
    assert evaluate_fact(home(T0 + 60), now=later, memory=memory_of(first)).since == NOW
    absent = evaluate_fact(silent(T0 + 60, T0 - 9999), now=later, memory=memory_of(first))
    assert (absent.state, absent.since) == (ClientState.ABSENT, later)


def test_three_days_without_a_break_are_always_on() -> None:
    first = evaluate_fact(home(T0))
    for passed, always in ((ALWAYS_ON_AFTER - 1, False), (ALWAYS_ON_AFTER, True)):
        now = moment(T0 + passed)
        assert evaluate_fact(home(now.mono), now=now, memory=memory_of(first)).always_on is always


@pytest.mark.parametrize(("mac", "pattern"), [(None, "host1"), ("02:00:00:00:00:01", "02:00:00:00:00:01")])
def test_a_client_that_is_always_on_is_named_with_what_ignores_it(mac: str | None, pattern: str) -> None:
    status = replace(evaluate_client(replace(PHONE, mac=mac), home(T0)), always_on=True)
    (remark,) = always_on_remarks((status,))
    assert f'ignore = ["{pattern}"]' in remark.text
    assert not remark.blocks_sleep
    assert client_policies(parse(f'[clients]\nignore = ["{pattern}"]'.encode(), "test").clients)(
        status.client
    ) == ClientPolicy(None, None, blocks_sleep=False, by_name=mac is None)


def test_the_last_evidence_outlasts_a_failed_poll() -> None:
    first = evaluate_fact(home(T0))
    failed = evaluate_fact(Unavailable(T0 + 60, "x"), now=moment(T0 + 60), memory=memory_of(first))
    assert (failed.last_seen, failed.evidence) == (first.last_seen, EvidenceKind.ICMP)
    assert first.last_seen == NOW
    unheard = evaluate_fact(Unavailable(T0, "x"))
    assert unheard.last_seen is None


def test_the_last_seen_time_does_not_move_with_the_wall_clock() -> None:
    first = evaluate_fact(home(T0))
    stepped = replace(moment(T0 + 60), wall=moment(T0 + 9 * 3600).wall)
    assert evaluate_fact(home(T0), now=stepped, memory=memory_of(first)).last_seen == first.last_seen
    anew = evaluate_fact(home(T0 + 60), now=stepped, memory=memory_of(first))
    assert anew.last_seen is not None
    assert anew.last_seen.wall == stepped.wall


def test_the_status_has_the_link_and_rtt_of_the_observation() -> None:
    far = evaluate_fact(Reading(T0, Observation(last_seen=T0, rtt=0.01, on_link=False)))
    assert (far.on_link, far.rtt) == (False, 0.01)


def states_of(
    snapshot: Snapshot, memory: Memory | None = None, now: Moment = NOW
) -> dict[str, tuple[str, str]]:
    statuses = evaluate_clients(snapshot, memory or Memory.initial(now), OPTIONS, now)
    return {status.client.label: state_and_reason(status) for status in statuses}


def test_a_client_not_probed_while_another_is_present_keeps_its_absence() -> None:
    absent = evaluate_fact(silent(T0, T0 - 9999), n=2)
    unsure = evaluate_fact(silent(T0, T0), n=3)
    facts: dict[int, Fact] = {1: home(T0), 2: silent(T0 - 999, T0 - 9999), 3: silent(T0 - 999, T0 - 999)}
    statuses = {
        status.client.label: status
        for status in evaluate_clients(make_snapshot(facts, at=T0), memory_of(absent, unsure), OPTIONS, NOW)
    }
    assert [statuses[name].state for name in ("host2", "host3")] == ["absent", "unknown"]
    assert {statuses[name].probe for name in ("host2", "host3")} == {ProbeState.SKIPPED}
    assert statuses["host2"].since == absent.since


def test_a_failed_probe_is_unknown_also_while_another_client_is_present() -> None:
    facts: dict[int, Fact] = {1: home(T0), 2: Unavailable(T0, "wlan0 has no carrier"), 3: silent(T0, T0 - 10)}
    found = states_of(make_snapshot(facts, at=T0))
    assert found["host2"] == ("unknown", "wlan0 has no carrier")
    assert found["host3"][1].startswith("silent, but")


@pytest.mark.parametrize("n", [4, 9])
def test_a_present_client_that_does_not_block_sleep_changes_no_other_state(n: int) -> None:
    facts: dict[int, Fact] = {n: home(T0), 2: silent(T0 - 999, T0 - 9999)}
    assert states_of(make_snapshot(facts, at=T0), memory_of(evaluate_fact(silent(T0, T0 - 9999), n=2)))[
        "host2"
    ] == (
        "unknown",
        "not probed recently",
    )


def test_without_a_present_client_the_others_are_unknown_again() -> None:
    statuses = evaluate_clients(
        make_snapshot({1: home(T0), 2: silent(T0 - 999, T0 - 9999)}, at=T0), Memory.initial(NOW), OPTIONS, NOW
    )
    now = moment(T0 + 600)
    facts: dict[int, Fact] = {1: silent(now.mono, T0), 2: silent(T0 - 999, T0 - 9999)}
    found = states_of(make_snapshot(facts, at=now.mono), memory_of(*statuses), now)
    assert found == {"host1": ("absent", "silent"), "host2": ("unknown", "not probed recently")}


@pytest.mark.parametrize(
    "pattern", ["tv-lan", "TV-WIFI", "02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.5"]
)
def test_every_mac_and_name_of_a_client_matches(pattern: str) -> None:
    options = parse(f'[clients]\nignore = ["{pattern}"]\n'.encode(), "test").clients
    television = Client(
        ClientId("02:00:00:00:00:01"),
        ("10.0.0.5",),
        "02:00:00:00:00:01",
        "tv-lan",
        other_macs=("02:00:00:00:00:02",),
        other_names=("tv-wifi",),
    )
    assert not client_policies(options)(television).blocks_sleep
    assert client_policies(options)(
        replace(television, addresses=(), name="x", other_macs=())
    ).blocks_sleep is (pattern not in {"TV-WIFI", "02:00:00:00:00:01"})


NAP_LIMIT = Limit(1000.0, "naps", 900.0)


def dozer(**changes: Any) -> Observation:  # noqa: ANN401 - of the field's type
    """A phone that answers for a moment between two naps."""
    seen = Observation(
        T0, EvidenceKind.ICMP, answered_at=T0, answering_since=T0, dozing_since=T0 - 900, limit=NAP_LIMIT
    )
    return replace(seen, **changes)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (dozer(), "dozing"),
        (dozer(dozing_since=None), "present"),
        (dozer(last_seen=T0 - 179, silent_since=T0 - 179, dozing_since=None), "present"),
        (dozer(last_seen=T0 - 180, silent_since=T0 - 180, dozing_since=None), "dozing"),
        (dozer(last_seen=T0 - 999, silent_since=T0 - 999), "dozing"),
        (dozer(last_seen=T0 - 1000, silent_since=T0 - 1000), "absent"),
        (dozer(answered_at=T0 - 180, evidence=EvidenceKind.ARP, dozing_since=None), "dozing"),
        (dozer(last_seen=T0 - 200, silent_since=T0 - 200, dozing_since=None, limit=Limit(300.0)), "present"),
    ],
)
def test_who_is_dozing(observation: Observation, expected: str) -> None:
    assert evaluate_fact(Reading(T0, observation)).state.value == expected


@pytest.mark.parametrize(
    ("observation", "resumed_at", "needed_until"),
    [
        (dozer(last_seen=T0 - 10, dozing_since=None), None, T0 - 10),
        (dozer(last_seen=T0 - 200, silent_since=T0 - 200), None, T0 - 200),
        (dozer(last_seen=T0 - 200, silent_since=T0 - 200), T0 - 300, T0 - 200),
        (dozer(last_seen=T0 - 500, silent_since=T0 - 500), T0 - 400, T0 - 400),
        (dozer(last_seen=T0 - 900, silent_since=T0 - 380), T0 - 400, T0 - 380),
        (Observation(silent_since=T0 - 200, limit=NAP_LIMIT), None, T0 - 200),
        (Observation(last_seen=T0 - 2000, limit=NAP_LIMIT), None, None),
        (dozer(last_seen=T0 - 1000, silent_since=T0 - 1000), None, None),
    ],
)
def test_a_client_is_in_use_until_its_last_answer_since_the_wake_up(
    observation: Observation, resumed_at: float | None, needed_until: float | None
) -> None:
    """Rules that ignore dozing clients count their idle time from then."""
    memory = replace(Memory.initial(NOW), resumed_at=resumed_at)
    assert evaluate_fact(Reading(T0, observation), memory=memory).needed_until == needed_until


def test_a_class_overrides_what_is_learned() -> None:
    gone = Reading(T0, dozer(last_seen=T0 - 890, silent_since=T0 - 890))
    assert evaluate_fact(gone, n=2).state is ClientState.DOZING
    assert (evaluate_fact(gone, n=2).absent_after, evaluate_fact(gone, n=2).limit) == (900.0, None)
    assert evaluate_fact(gone, n=2).needed_until is None
    assert (evaluate_fact(gone).absent_after, evaluate_fact(gone).limit) == (1000.0, NAP_LIMIT)


def test_who_was_absent_and_answers_is_present_until_the_next_nap() -> None:
    before = evaluate_fact(Reading(T0, dozer(last_seen=T0 - 2000, silent_since=T0 - 2000)))
    assert before.state is ClientState.ABSENT
    memory, states = memory_of(before), []
    for seconds, napping in ((60.0, False), (120.0, False), (400.0, True), (460.0, False)):
        now = moment(T0 + seconds)
        seen = now.mono - 280 if napping else now.mono
        changes = {"last_seen": seen, "answered_at": seen, "silent_since": seen if napping else None}
        status = evaluate_fact(Reading(now.mono, dozer(**changes)), now=now, memory=memory)
        memory = memory_of(status)
        states.append(status.state.value)
    assert states == ["present", "present", "dozing", "dozing"]


def test_after_a_wake_up_a_silent_client_dozes_or_has_left() -> None:
    woken = replace(Memory.initial(NOW), resumed_at=T0 - 400)
    known = dozer(last_seen=T0 - 5000, answered_at=T0 - 5000, silent_since=T0 - 400)
    assert evaluate_fact(Reading(T0, known), memory=woken).state is ClientState.DOZING
    never_seen = replace(known, last_seen=None, answered_at=None)
    assert evaluate_fact(Reading(T0, never_seen), memory=woken).state is ClientState.UNKNOWN
    card_answered_last = replace(known, answered_at=None, answers_icmp=True)
    assert evaluate_fact(Reading(T0, card_answered_last), memory=woken).state is ClientState.DOZING
    only_stored = replace(never_seen, answers_icmp=True)
    assert evaluate_fact(Reading(T0, only_stored), memory=woken).state is ClientState.UNKNOWN
    recently = replace(woken, resumed_at=T0 - 200)
    assert evaluate_fact(Reading(T0, known), memory=recently).state is ClientState.UNKNOWN


@given(st.floats(0, 4000), st.floats(0, 4000), st.floats(300, 3600), st.floats(0, 4000))
def test_a_later_answer_never_makes_a_client_absent(
    ago: float, sooner: float, limit: float, resumed: float
) -> None:
    memory = replace(Memory.initial(NOW), resumed_at=T0 - resumed)
    earlier, later = (
        evaluate_fact(
            Reading(T0, dozer(last_seen=T0 - each, silent_since=T0 - each, limit=Limit(limit))), memory=memory
        ).state
        for each in (max(ago, sooner), min(ago, sooner))
    )
    assert later is not ClientState.ABSENT or earlier is ClientState.ABSENT


@pytest.mark.parametrize(
    ("every", "expected"), [("1min", "absent"), ("5min", "present"), ("10min", "present"), ("1h", "present")]
)
def test_no_learned_limit_is_shorter_than_three_rounds(every: str, expected: str) -> None:
    """A client that always answers misses a probe now and then."""
    options = parse(f'[clients]\nevery = "{every}"'.encode(), "test")
    seen = T0 - 2 * options.clients.every if expected == "present" else T0 - 300
    steady = Observation(
        seen, EvidenceKind.ICMP, silent_since=seen, answered_at=seen, limit=Limit(300.0, "answers")
    )
    status = evaluate_fact(Reading(T0, steady), options=options)
    assert (status.state.value, status.absent_after) == (expected, max(300.0, 3 * options.clients.every))
    assert status.limit is not None
    assert status.limit.seconds == status.absent_after
