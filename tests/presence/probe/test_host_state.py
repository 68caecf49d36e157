from __future__ import annotations

import errno
import os
from ipaddress import IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.linux.values import Link, ProbeOutcome, ProbeRequest
from powerd.presence.probe.host_state import HostProbe, ProtocolProbe

LINK = Link(2, "eth0", "02:00:00:00:00:01", ready=True, addresses=(IPv4Interface("10.0.0.1/24"),))
DOWN = Link(2, "eth0", "02:00:00:00:00:01", ready=False)


def target(
    *, tries: int = 1, link: Link | None = LINK, icmp: bool = True, arp_counts: bool = True
) -> HostProbe:
    return HostProbe(ProbeRequest("10.0.0.9", link, icmp=icmp, arp_sufficient=arp_counts), tries)


def question(made: HostProbe) -> ProtocolProbe:
    assert made.main is not None
    return made.main


def test_an_answer_counts_once_and_only_to_a_question_that_was_asked() -> None:
    asked = ProtocolProbe()
    assert not asked.record_answer(1, 5.0)
    asked.record_sent(1, 5.0, 0)
    assert not asked.record_answer(2, 5.1)
    assert asked.record_answer(1, 5.5)
    assert not asked.record_answer(1, 9.0)
    assert (asked.outcome, asked.rtt) == (ProbeOutcome.ANSWERED, 0.5)


def test_a_late_answer_has_the_time_of_its_own_question() -> None:
    asked = ProtocolProbe()
    asked.record_sent(1, 5.0, 0)
    asked.end_round(waited=True)
    asked.record_sent(2, 6.0, 0)
    assert asked.record_answer(1, 6.1)
    assert asked.rtt == pytest.approx(1.1)


def test_silence_takes_its_full_time() -> None:
    asked = ProtocolProbe()
    asked.record_sent(1, 5.0, 0)
    asked.end_round(waited=False)
    assert not asked.silent
    asked.record_sent(2, 6.0, 0)
    asked.end_round(waited=True)
    assert asked.outcome is ProbeOutcome.SILENT


def test_what_was_never_sent_is_failed_and_what_was_sent_later_is_not() -> None:
    asked = ProtocolProbe()
    asked.record_sent(1, 5.0, errno.ENOBUFS)
    asked.end_round(waited=True)
    assert (asked.outcome, asked.why) == (ProbeOutcome.FAILED, os.strerror(errno.ENOBUFS))
    asked.record_sent(2, 6.0, 0)
    asked.end_round(waited=True)
    assert asked.outcome is ProbeOutcome.SILENT


def test_after_a_router_s_error_only_an_answer_counts() -> None:
    asked = ProtocolProbe()
    asked.record_sent(1, 5.0, 0)
    asked.record_obstruction("a router says: no")
    asked.record_sent(2, 6.0, 0)
    asked.end_round(waited=True)
    assert (asked.outcome, asked.why) == (ProbeOutcome.FAILED, "a router says: no")
    assert asked.record_answer(2, 6.5)
    assert asked.outcome is ProbeOutcome.ANSWERED


def test_a_dead_link_is_never_asked_on() -> None:
    made = target(link=DOWN)
    assert made.settled
    reply = made.reply(cut_short=False)
    assert (reply.icmp, reply.arp) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert reply.error == "eth0 is down or has no carrier"


def test_an_arp_answer_settles_it_after_one_ping_where_it_counts() -> None:
    for counts in (True, False):
        made = target(tries=3, arp_counts=counts)
        assert made.arp is not None
        question(made).record_sent(1, 1.0, 0)
        made.arp.record_sent(1, 1.3, 0)
        made.arp.record_answer(1, 1.4)
        assert (made.answered, made.settled) == (counts, False)
        made.end_round(waited=True)
        assert made.settled is counts


def test_a_transient_refusal_costs_time_not_tries() -> None:
    made = target(tries=2)
    for _ in range(8):
        question(made).record_sent(1, 1.0, errno.ENOBUFS)
        made.end_round(waited=True)
        assert not made.settled
    for _ in range(2):
        question(made).record_sent(1, 1.0, errno.ENOBUFS)
        made.end_round(waited=True)
    assert made.settled
    assert made.reply(cut_short=False).icmp is ProbeOutcome.FAILED


def test_a_lasting_refusal_costs_tries() -> None:
    made = target(tries=2, link=None)
    for _ in range(2):
        assert not made.settled
        question(made).record_sent(1, 1.0, errno.ENETUNREACH)
        made.end_round(waited=True)
    assert made.settled


def test_cut_short_silence_is_not_yet_silence() -> None:
    made = target(tries=2)
    question(made).record_sent(1, 1.0, 0)
    made.end_round(waited=True)
    assert made.reply(cut_short=False).icmp is ProbeOutcome.SILENT
    assert made.reply(cut_short=True).icmp is ProbeOutcome.NOT_PROBED
    question(made).record_sent(2, 2.0, 0)
    made.end_round(waited=True)
    assert made.reply(cut_short=True).icmp is ProbeOutcome.SILENT, "it had all its tries"


def test_out_of_time_keeps_silence_and_makes_the_rest_unknown() -> None:
    silent, waiting = target(tries=3, link=None), target(tries=3, link=None)
    question(silent).record_sent(1, 1.0, 0)
    silent.end_round(waited=True)
    for made in (silent, waiting):
        made.expire("late")
    assert silent.reply(cut_short=False).icmp is ProbeOutcome.SILENT
    assert (waiting.reply(cut_short=False).icmp, waiting.reply(cut_short=False).error) == (
        ProbeOutcome.FAILED,
        "late",
    )


def test_a_lost_link_takes_silence_but_not_answers() -> None:
    made = target()
    assert made.arp is not None
    question(made).record_sent(1, 1.0, 0)
    made.arp.record_sent(1, 1.3, 0)
    made.arp.record_answer(1, 1.4)
    made.end_round(waited=True)
    made.abort("lost")
    reply = made.reply(cut_short=False)
    assert (reply.icmp, reply.arp, reply.error) == (ProbeOutcome.FAILED, ProbeOutcome.ANSWERED, "lost")
    assert reply.rtt == pytest.approx(0.1)


def test_silent_to_arp_implies_silent_to_icmp() -> None:
    made = target(tries=3)
    made.mark_silent()
    assert made.settled
    assert made.reply(cut_short=False).icmp is ProbeOutcome.SILENT


@given(st.lists(st.tuples(st.sampled_from(["ask", "refuse", "end", "cut"]), st.booleans()), max_size=30))
def test_never_silent_without_a_question_that_had_its_full_time(steps: list[tuple[str, bool]]) -> None:
    made, out, earned = target(tries=5, link=None), False, False
    for number, (step, waited) in enumerate(steps):
        if step in {"ask", "refuse"}:
            question(made).record_sent(number, float(number), 0 if step == "ask" else errno.ENOBUFS)
            out = out or step == "ask"
        else:
            earned = earned or (out and waited)
            made.end_round(waited=waited)
            out = False
    assert (made.reply(cut_short=False).icmp is ProbeOutcome.SILENT) == earned
