"""Which silences are naps, when a client dozes, and what ARP replies of a silent client mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from powerd.presence.evidence import arp_proves_presence
from powerd.presence.model import Client, ClientId, EvidenceKind, Observation
from powerd.presence.observations import Evidence, ProbeResult
from powerd.presence.records import (
    Circumstances,
    find_known,
    new_record,
    record_result,
    restart_silence,
)
from powerd.presence.silences import (
    MEMORY,
    STEADY_TIME,
    SURPRISE_PERIOD,
    UPPER_LIMIT,
    Silences,
    add_nap,
    add_surprise,
)
from powerd.presence.watch import NapWatch, clients_to_watch

POSIX = 1_800_000_000.0
DAY = 86400.0


class Lived:
    """A client and its record; one poll a minute.

    Each letter is the result of a poll: ``a`` an answer, ``.`` silence, ``c`` an ARP reply of its card alone,
    ``l`` an answer after it has joined the network again, ``w`` one between two rounds, which read the
    leases, ``x`` a probe that could not be sent, ``-`` that none was sent.
    """

    def __init__(self, polls: str = "", *, phone: bool = True, silences: Silences | None = None) -> None:
        self.now = 1000.0
        self.phone = phone
        self.is_watched = True
        self.record = new_record(silences, POSIX, phone=phone)
        self.poll(polls)

    def poll(self, polls: Iterable[str]) -> Observation:
        for letter in polls:
            self.now += 60
            record_result(self.record, self._result(letter), self._circumstances(letter), on_link=True)
        return self.record.observation

    def _circumstances(self, letter: str) -> Circumstances:
        return Circumstances(
            self.now,
            POSIX + self.now,
            60.0,
            may_be_phone=self.phone,
            rejoined=None if letter == "w" else letter == "l",
            may_have_answered=not self.is_watched,
        )

    def _result(self, letter: str) -> ProbeResult:
        if letter == "x":
            return ProbeResult(failure="no route")
        if letter == "-":
            return ProbeResult()
        if letter == ".":
            return ProbeResult(silent=True)
        if letter == "c":
            return ProbeResult(silent=True, card=Evidence(EvidenceKind.ARP, self.now, card_only=True))
        return ProbeResult(Evidence(EvidenceKind.LEASE if letter == "l" else EvidenceKind.ICMP, self.now))

    @property
    def nap_lengths(self) -> list[float]:
        return [each.longest for each in self.record.silences.nap_classes]

    @property
    def absent_at(self) -> float:
        """When it is absent if it answers nothing from now on."""
        observation = self.record.observation
        begin = observation.silent_since or observation.last_seen or self.now
        return begin + observation.limit.seconds


STEADY = "a" * (round(STEADY_TIME / 60) + 2)


@pytest.mark.parametrize(
    ("polls", "expected"),
    [
        ("a..........a", [660]),  # a moment, a nap, a moment
        (STEADY + "..........a..........a", [660]),  # the first is one by what follows
        ("a..........." + STEADY, [720]),  # by what was before
        (STEADY + ".........." + STEADY, []),  # a walk, or a PC in standby
        ("a.......a" + STEADY + ".........." + STEADY, [480, 660]),  # hardly longer than a nap
        ("a.......a" + STEADY + "." * 20 + STEADY, [480]),
        ("a..........l" + STEADY, []),  # it has been away
        ("a..........l..........l..........l", [660]),  # it leaves the Wi-Fi in its naps
        ("a.......w" + "." * 20 + "wl....a", [300, 480]),  # it was carried out in a doze, and slept on
        ("a.......w" + "." * 20 + "l....l....a", [300, 480]),
        ("a.......w" + "." * 20 + "wa....a", [300, 480, 1260]),  # it has not joined again
        ("a.......w" + "." * 20 + "w.....a", [360, 480, 1260]),
        ("a.......w" + "." * 20 + "w", [480]),  # the leases are read in the next round
        ("a.......w" + "." * 20 + "wx..aa", [480, 1260]),
        ("a.......w" + "." * 20 + "w------a", [480, 1260]),
        (("a.......w" + "." * 20 + "wl.......w") * 2, [480, 1260]),  # twice a day
        ("a.......w" + "." * 20 + "wl" + "." * 20 + "wl", [480, 1260]),  # the next is as long
        ("a.......a" + STEADY + "." * 8 + "l" + STEADY, [480]),
        ("..........a", []),  # unknown since when
        ("a.....x.....a", []),
        ("a.....------.....a", []),  # for minutes nobody has asked it
        ("a.a", []),  # a lost packet
        ("a" + "." * 70 + "a", []),  # longer than every nap
        ("acccccccccca", []),  # its card has answered
    ],
)
def test_which_silence_is_a_nap(polls: str, expected: list[float]) -> None:
    assert Lived(polls).nap_lengths == expected


def test_a_doze_begins_with_a_nap_and_ends_with_steady_answers() -> None:
    client = Lived(STEADY)
    assert client.poll("...a").dozing_since is not None
    assert client.poll("....a....aa").dozing_since is not None, "single answers do not end it"
    assert client.poll(STEADY).dozing_since is None


def test_a_doze_begins_when_the_card_alone_has_answered_for_some_time() -> None:
    client = Lived(STEADY)
    assert client.poll("cc").dozing_since is None
    assert client.poll("c").dozing_since == client.now - 180


def test_a_client_that_joins_the_network_again_does_not_doze() -> None:
    assert Lived(STEADY + "..........l").record.observation.dozing_since is None


def test_a_surprise_gives_the_greatest_limit_at_once() -> None:
    client = Lived()
    client.poll("a....." * 400)
    client.poll("a" * 60 * 24 * 11)
    client.poll("....a" * 10)
    before = client.record.observation.limit.seconds
    assert before < 1000
    surprised = client.poll("." * 30 + "a")
    assert (surprised.limit.seconds, surprised.limit.basis) == (UPPER_LIMIT, "surprise")
    assert client.record.silences.surprises == 1


def test_a_phone_that_joins_the_network_after_each_nap_is_seldom_absent() -> None:
    """It leaves the Wi-Fi while its display is off, and sends a DHCPREQUEST when it wakes up."""
    client, absences = Lived(), 0
    for _ in range(20 * 24 * 60 // 23):
        absences += client.poll("." * 19).limit.seconds <= 19 * 60
        client.poll(".wla")
    assert absences < 3
    assert client.record.silences.count > 1000
    assert client.record.observation.limit.seconds > 20 * 60


def test_a_limit_of_a_clock_that_was_ahead_is_derived_again() -> None:
    silences = Silences(since=POSIX + 365 * DAY, last=POSIX + 365 * DAY, answered=1e6)
    client = Lived(silences=silences)
    client.poll("a")
    assert client.record.silences.since == client.record.silences.last == POSIX + client.now
    client.record.limit_due = POSIX + 365 * DAY
    client.record.silences = silences
    client.poll("a")
    assert client.record.silences.since == POSIX + client.now


@pytest.mark.parametrize(
    ("silences", "proves"),
    [
        (Silences(), True),
        (Silences(card_at=POSIX - 3600), False),
        (Silences(card_at=POSIX - 40 * DAY), True),
    ],
)
def test_the_card_of_a_sleeping_pc_is_known_after_a_restart(silences: Silences, *, proves: bool) -> None:
    record = new_record(silences, POSIX, phone=False)
    assert arp_proves_presence("auto", record.observation) is proves
    assert arp_proves_presence("always", record.observation)


def test_the_card_of_a_dozing_phone_keeps_it_there() -> None:
    client = Lived(STEADY)
    observation = client.poll("c" * 600)
    assert observation.silent_since is None
    assert observation.last_seen == client.now
    assert client.poll("...").silent_since is not None, "the phone has left"


def test_the_card_of_a_sleeping_pc_counts_for_an_hour_and_then_no_more() -> None:
    client = Lived(STEADY, phone=False)
    assert client.poll("c" * 59).silent_since is None
    assert client.poll("c" * 60).silent_since is not None
    client.poll(STEADY)
    assert client.poll("cc").silent_since is not None, "it is known now"


def test_a_phone_that_may_be_in_a_nap_is_watched() -> None:
    """Also after its limit, or a nap that has become longer would never be learned."""
    napping, pc = Lived(STEADY + ".."), Lived(phone=False)
    pc.poll("a" * 60 * 24 * 11 + "..")
    phone, third, watch = ClientId("phone"), ClientId("pc"), NapWatch()
    assert clients_to_watch({third: pc.record}, pc.now) == frozenset(), "it never naps"
    since = napping.record.observation.silent_since
    assert since is not None
    for seconds, watched in ((60, {phone}), (UPPER_LIMIT, {phone}), (UPPER_LIMIT + 1, set())):
        watch.update({phone: napping.record}, since + seconds, every=60, timeout=1)
        assert watch.clients == watched


def test_a_silence_in_which_the_client_may_have_answered_is_no_nap() -> None:
    client = Lived("a.....a")
    assert client.nap_lengths == [360]
    client.is_watched = False
    client.poll("..........a" + "." * 50 + "a")
    assert client.nap_lengths == [360]
    assert client.record.silences.surprises == 0
    client.is_watched = True
    client.poll("..........a")
    assert client.nap_lengths == [360, 660]


def test_the_first_nap_of_a_client_that_always_answers_counts_although_it_was_not_watched() -> None:
    """No client is watched of which no nap is known."""
    client = Lived(phone=False, silences=Silences(since=POSIX - 11 * DAY, last=POSIX, answered=80 * 3600.0))
    client.is_watched = False
    client.poll("a.....a")
    assert client.nap_lengths == [360]


@pytest.mark.parametrize(("minutes", "lengths"), [(61, []), (30, [1260])])
def test_a_phone_whose_card_has_answered_for_an_hour_was_carried_out(
    minutes: int, lengths: list[float]
) -> None:
    client = Lived(STEADY + "c" * minutes + "." * 20 + "a" + "c" * 5)
    assert client.nap_lengths == lengths
    napping = Lived("a.....a" + "c" * minutes + "....a" + "c" * 5)
    assert napping.nap_lengths == [300, 360], "as long as its naps"
    client.poll("c" * 61 + "." * 20 + "a" + "c" * 5)
    assert client.nap_lengths == [1260], "the second in a day"


def test_a_nap_whose_kind_is_not_known_yet_is_not_lost() -> None:
    client = Lived("a.......aw" + "." * 20 + "w")
    restart_silence(client.record)
    assert client.nap_lengths == [480, 1260]


def test_a_phone_that_is_carried_out_in_a_doze_now_and_then_has_a_short_limit() -> None:
    client = Lived(STEADY)
    for _ in range(20):
        client.poll("w....." * 320 + "." * 40 + "wl....")
    client.poll("w....." * 20)
    assert client.record.observation.limit.seconds < 900
    assert client.record.silences.surprises == 0


@pytest.mark.parametrize(
    "day",
    [
        "lacccccc" + "." * 20,
        "l" + "c" * 30 + "." * 20,
        "l" + "c" * 15 + "." * 45,
        "a" + "c" * 65 + "." * 20,
        ("a" + "c" * 40) * 34 + "." * 30,
        "a....." * 235 + "." * 25 + "lw",
    ],
)
def test_a_nap_is_learned_whatever_the_card_answers(day: str) -> None:
    """It leaves the Wi-Fi in its naps, or its card answers for long between two of them."""
    client = Lived(STEADY)
    client.poll(day * (16 * 24 * 60 // len(day)))
    longest_nap = max(len(silence) for silence in re.findall(r"\.+", day)) + 1
    assert client.record.observation.limit.seconds > 60 * longest_nap


@pytest.mark.parametrize("phone", [True, False])
def test_a_client_that_has_never_answered_is_watched_before_its_absence_only(phone: bool) -> None:  # noqa: FBT001 - by pytest
    silent, id_ = Lived("..", phone=phone), ClientId("old lease")
    limit = silent.record.observation.limit.seconds

    def watched_after(seconds: float) -> bool:
        return bool(clients_to_watch({id_: silent.record}, silent.now - 60 + seconds))

    watched = [watched_after(share * limit) for share in (0, 0.49, 0.5, 1, 1.01)]
    assert watched == [False, False, True, True, False]


def test_a_client_that_has_answered_before_a_restart_is_watched_from_the_start() -> None:
    known = Lived("..", silences=Silences(since=POSIX - DAY, last=POSIX))
    phone = ClientId("phone")
    assert clients_to_watch({phone: known.record}, known.now) == {phone}


_polls = st.lists(
    st.sampled_from(
        ["a", "a", "w", ".", ".", ".....", "." * 20, "c", "l", "x", "a" * 59, "a" * 61, "c" * 61]
    ),
    max_size=60,
)


_tails = st.lists(st.sampled_from([".", ".....", "a", "w", "c", "l"]), min_size=1, max_size=20)


@st.composite
def _statistics(draw: st.DrawFn) -> Silences:
    """What has been learned before, so that a limit may fall far at the next answer.

    Its longest nap, or its last surprise, is forgotten soon, or was just now.
    """
    silences = Silences(
        since=POSIX - draw(st.floats(0, 40)) * DAY,
        last=POSIX,
        answered=draw(st.sampled_from([0.0, 11.9, 71.9])) * 3600,
    )
    for length, age in draw(st.lists(st.tuples(st.floats(180, 3500), _ages), max_size=4)):
        for _ in range(draw(st.sampled_from([1, 60]))):
            silences = add_nap(silences, length, POSIX - age)
    for age in draw(st.lists(_ages, max_size=2)):
        silences = add_surprise(silences, POSIX - age)
    return silences


_ages = st.sampled_from([0.0, SURPRISE_PERIOD, MEMORY]).flatmap(
    lambda age: st.floats(0, 2 * 3600).map(lambda left: max(age - left, 0.0))
)


@settings(deadline=None)
@given(_polls, _tails, st.booleans(), _statistics())
@example(
    polls=["a" * 59],
    tail=["a"],
    phone=False,
    silences=add_surprise(Silences(since=POSIX), POSIX + 3000 - SURPRISE_PERIOD),
).via("a surprise is forgotten, and the limit is derived again at the last answer")
@example(
    polls=["a" * 4, ".....", "a", "x"],
    tail=[".", "l"],
    phone=False,
    silences=Silences(since=POSIX, last=POSIX),
).via("a failed probe has interrupted the silence before the last answer")
def test_more_evidence_never_makes_a_client_absent_sooner(
    polls: list[str],
    tail: list[str],
    phone: bool,  # noqa: FBT001 - drawn
    silences: Silences,
) -> None:
    """Whatever it answers, it is absent no sooner than if it had been silent since.

    Of two answers: the first one after a start brings the limit up to date.
    """
    silent = Lived("a" + "".join(polls), phone=phone, silences=silences)
    seen = deepcopy(silent)
    silent.poll("." * len("".join(tail)))
    seen.poll("".join(tail))
    assert seen.absent_at >= silent.absent_at


def test_what_is_known_of_a_client_follows_its_mac() -> None:
    """Its lease has expired, and it is still known as a host that was learned."""
    mac = "d8:00:00:00:00:01"
    leased = Client(ClientId(mac), ("10.0.0.1",), mac)
    learned = Client(ClientId(f"{mac}/10.0.0.1"), ("10.0.0.1",), mac)
    other = Client(ClientId(f"{mac}/10.0.0.2"), ("10.0.0.2",), mac)
    assert find_known({leased.id: 1}, learned, {learned.id: learned}) == 1
    assert find_known({learned.id: 1}, leased, {leased.id: leased}) == 1
    both = {leased.id: leased, other.id: other}
    assert find_known({leased.id: 1}, other, both) is None, "a repeater has the MAC of many hosts"
