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
    *, tries: int = 1, link: Link | None = LINK, icmp: bool = True, arp_sufficient: bool = True
) -> HostProbe:
    return HostProbe(ProbeRequest("10.0.0.9", link, icmp=icmp, arp_sufficient=arp_sufficient), tries)


def main_probe(host: HostProbe) -> ProtocolProbe:
    assert host.main is not None
    return host.main


def test_a_reply_counts_once_and_only_to_a_probe_that_was_sent() -> None:
    probe = ProtocolProbe()
    assert not probe.record_answer(1, 5.0)
    probe.record_sent(1, 5.0, 0)
    assert not probe.record_answer(2, 5.1)
    assert probe.record_answer(1, 5.5)
    assert not probe.record_answer(1, 9.0)
    assert (probe.probe_outcome, probe.rtt) == (ProbeOutcome.ANSWERED, 0.5)


def test_the_rtt_of_a_late_reply_is_that_of_its_own_probe() -> None:
    probe = ProtocolProbe()
    probe.record_sent(1, 5.0, 0)
    probe.end_round(waited=True)
    probe.record_sent(2, 6.0, 0)
    assert probe.record_answer(1, 6.1)
    assert probe.rtt == pytest.approx(1.1)


def test_a_silent_probe_has_had_its_full_time() -> None:
    probe = ProtocolProbe()
    probe.record_sent(1, 5.0, 0)
    probe.end_round(waited=False)
    assert not probe.silent
    probe.record_sent(2, 6.0, 0)
    probe.end_round(waited=True)
    assert probe.probe_outcome is ProbeOutcome.SILENT


def test_a_probe_that_was_never_sent_has_failed_until_a_later_one_is_sent() -> None:
    probe = ProtocolProbe()
    probe.record_sent(1, 5.0, errno.ENOBUFS)
    probe.end_round(waited=True)
    assert (probe.probe_outcome, probe.error) == (ProbeOutcome.FAILED, os.strerror(errno.ENOBUFS))
    probe.record_sent(2, 6.0, 0)
    probe.end_round(waited=True)
    assert probe.probe_outcome is ProbeOutcome.SILENT


def test_after_an_error_of_a_router_only_a_reply_counts() -> None:
    probe = ProtocolProbe()
    probe.record_sent(1, 5.0, 0)
    probe.record_unreachable("a router reports: no")
    probe.record_sent(2, 6.0, 0)
    probe.end_round(waited=True)
    assert (probe.probe_outcome, probe.error) == (ProbeOutcome.FAILED, "a router reports: no")
    assert probe.record_answer(2, 6.5)
    assert probe.probe_outcome is ProbeOutcome.ANSWERED


def test_a_link_without_carrier_is_never_probed() -> None:
    host = target(link=DOWN)
    assert host.settled
    reply = host.reply(cut_short=False)
    assert (reply.icmp, reply.arp) == (ProbeOutcome.FAILED, ProbeOutcome.FAILED)
    assert "eth0 is down" in str(reply.error)


def test_a_sufficient_arp_reply_settles_a_host_after_one_echo_request() -> None:
    for counts in (True, False):
        host = target(tries=3, arp_sufficient=counts)
        assert host.arp is not None
        main_probe(host).record_sent(1, 1.0, 0)
        host.arp.record_sent(1, 1.3, 0)
        host.record_arp_reply("02:00:00:00:00:09", 1.4)
        assert (host.answered, host.settled) == (counts, False)
        host.end_round(waited=True)
        assert host.settled is counts


def test_a_transient_error_costs_time_not_tries() -> None:
    host = target(tries=2)
    for _ in range(8):
        main_probe(host).record_sent(1, 1.0, errno.ENOBUFS)
        host.end_round(waited=True)
        assert not host.settled
    for _ in range(2):
        main_probe(host).record_sent(1, 1.0, errno.ENOBUFS)
        host.end_round(waited=True)
    assert host.settled
    assert host.reply(cut_short=False).icmp is ProbeOutcome.FAILED


def test_a_lasting_error_costs_tries() -> None:
    host = target(tries=2, link=None)
    for _ in range(2):
        assert not host.settled
        main_probe(host).record_sent(1, 1.0, errno.ENETUNREACH)
        host.end_round(waited=True)
    assert host.settled


def test_silence_in_a_sweep_cut_short_is_inconclusive() -> None:
    host = target(tries=2)
    main_probe(host).record_sent(1, 1.0, 0)
    host.end_round(waited=True)
    assert host.reply(cut_short=False).icmp is ProbeOutcome.SILENT
    assert host.reply(cut_short=True).icmp is ProbeOutcome.NOT_PROBED
    main_probe(host).record_sent(2, 2.0, 0)
    host.end_round(waited=True)
    assert host.reply(cut_short=True).icmp is ProbeOutcome.SILENT, "it had all its tries"


def test_at_the_deadline_silence_stays_and_the_rest_fails() -> None:
    silent, waiting = target(tries=3, link=None), target(tries=3, link=None)
    main_probe(silent).record_sent(1, 1.0, 0)
    silent.end_round(waited=True)
    for host in (silent, waiting):
        host.expire("late")
    assert silent.reply(cut_short=False).icmp is ProbeOutcome.SILENT
    assert (waiting.reply(cut_short=False).icmp, waiting.reply(cut_short=False).error) == (
        ProbeOutcome.FAILED,
        "late",
    )


def test_a_lost_link_invalidates_silence_but_not_replies() -> None:
    host = target()
    assert host.arp is not None
    main_probe(host).record_sent(1, 1.0, 0)
    host.arp.record_sent(1, 1.3, 0)
    host.arp.record_answer(1, 1.4)
    host.end_round(waited=True)
    host.abort("lost")
    reply = host.reply(cut_short=False)
    assert (reply.icmp, reply.arp, reply.error) == (ProbeOutcome.FAILED, ProbeOutcome.ANSWERED, "lost")
    assert reply.rtt == pytest.approx(0.1)


def test_silence_to_arp_implies_silence_to_icmp() -> None:
    host = target(tries=3)
    host.mark_silent()
    assert host.settled
    assert host.reply(cut_short=False).icmp is ProbeOutcome.SILENT


@given(st.lists(st.tuples(st.sampled_from(["send", "refuse", "end", "cut"]), st.booleans()), max_size=30))
def test_never_silent_without_a_probe_that_had_its_full_time(steps: list[tuple[str, bool]]) -> None:
    host, out, earned = target(tries=5, link=None), False, False
    for number, (step, waited) in enumerate(steps):
        if step in {"send", "refuse"}:
            main_probe(host).record_sent(number, float(number), 0 if step == "send" else errno.ENOBUFS)
            out = out or step == "send"
        else:
            earned = earned or (out and waited)
            host.end_round(waited=waited)
            out = False
    assert (host.reply(cut_short=False).icmp is ProbeOutcome.SILENT) == earned
