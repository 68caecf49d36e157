"""What went wrong in other power managers, each on the whole daemon in virtual time.

Every test names the fault after the list that it comes from: P1 "unknown read as idle" to P14 "wake noise".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from facts import new_snapshot
from simulation.household import BERLIN, HOUR, SimulationLog, daily, person, simulate

from powerd.config.load import ConfigError, parse
from powerd.core.time import Moment
from powerd.linux.values import HostError, Neighbour, ProbeOutcome, ProbeReply
from powerd.power.model import Inhibitor, SystemdTimer
from powerd.power.wake_schedule import next_wake_time
from powerd.simulation.lan import link, make_lan
from powerd.simulation.world import Household, posix_time

NIGHT = "2026-06-01 23:00"
AWAY = [person("anna", 11, daily(8, 20))]
QUICK = b"""
mode = "enforce"
[clients]
learn = "0s"
absent_after = "5min"
[[sleep]]
idle_for = "5min"
"""
"""Nobody there: the server sleeps about 12 minutes after the start, but for [awake] after_start."""


def live(
    prepare: Callable[[Household], None] = lambda _: None, *, hours: float = 0.6, config: bytes = QUICK
) -> SimulationLog:
    return simulate(AWAY, begin=NIGHT, days=hours / 24, config=config, prepare=prepare)


def test_without_a_fault_it_sleeps() -> None:
    """Otherwise the tests below would prove nothing."""
    assert len(live().household.performed) == 1


def _no_leases(household: Household) -> None:
    household.files.clear()


def _no_carrier(household: Household) -> None:
    household.link_up = False


def _no_links(household: Household) -> None:
    household.links = make_lan()


def _no_address(household: Household) -> None:
    household.links = make_lan(link(address=""))


def _damaged_leases(household: Household) -> None:
    path = next(path for path in household.files if path.endswith(".leases"))
    household.files[path] = "\x00\xff no lease at all\n"


@pytest.mark.parametrize("fault", [_no_leases, _no_carrier, _no_links, _no_address, _damaged_leases])
def test_peer_p1_what_cannot_be_read_is_not_idle(fault: Callable[[Household], None]) -> None:
    log = live(fault)
    assert log.household.performed == []
    assert log.statuses[-1].decision.phase == "awake"
    assert log.statuses[-1].decision.reasons


def test_peer_p1_a_probe_that_cannot_be_sent_is_not_silence() -> None:
    failed = ProbeReply(icmp=ProbeOutcome.FAILED, arp=ProbeOutcome.FAILED, error="Operation not permitted")
    log = live(lambda household: household.replies.update({"10.0.0.11": failed}))
    assert log.household.performed == []


def test_peer_p2_a_source_that_raises_is_polled_again() -> None:
    """One exception ended all checks, and the process lived on."""
    failures: list[float] = []

    def prepare(household: Household) -> None:
        real = household.neighbours

        async def neighbours() -> tuple[Neighbour, ...]:
            if len(failures) < 3:
                failures.append(household.clock.mono())
                raise ZeroDivisionError
            return await real()

        household.neighbours = neighbours  # type: ignore[method-assign] # the fault

    log = live(prepare, hours=1)
    assert len(failures) == 3
    assert len(log.household.performed) == 1, "it works again"
    assert log.household.performed[0][0] - posix_time(BERLIN, NIGHT) > 12 * 60


@pytest.mark.parametrize("hours", [9, -9])
def test_peer_p3_a_step_of_the_clock_is_no_idle_time(hours: int) -> None:
    def step(household: Household) -> None:
        household.clock.step = hours * HOUR

    log = simulate(AWAY, begin=NIGHT, days=0.02, config=QUICK, events=[(0.15, step)])
    slept = [at for at, _ in log.household.performed]
    assert all(at - log.household.clock.started_at >= 10 * 60 for at in slept)
    assert len(slept) <= 1


def test_peer_p4_a_monotonic_timer_is_due_by_the_monotonic_clock() -> None:
    """The stamp was added to the present time, so after ten days of uptime the alarm was ten days late."""
    wall = live(hours=0.02).statuses[0].now.wall
    now = Moment(10 * 86400.0, 0.0, wall)
    options = parse(b'[wake]\ntimers = ["backup.timer"]\nbefore = "0s"\n', "test")
    timer = SystemdTimer("backup.timer", mono=now.mono + 3600)
    wake = next_wake_time(new_snapshot(timers=(timer,)), options, now)
    assert wake is not None
    assert wake.at.mono - now.mono == pytest.approx(3600)


def test_peer_p5_the_alarm_is_set_before_another_program_s_sleep() -> None:
    """Without a delay lock logind does not wait, and a lock is taken again after the wake-up."""

    def suspend(household: Household) -> None:
        assert household.own_locks("delay")
        household.fall_asleep("by hand")

    def woken(household: Household) -> None:
        assert len(household.wakeup_times) == 1
        assert household.own_locks("delay")

    config = QUICK + b'[wake]\nat = ["00:30"]\n'
    events = [(0.1, suspend), (1.55, woken)]
    log = simulate(AWAY, begin=NIGHT, days=1.6 / 24, config=config, events=events)
    assert [what for _, what in log.household.performed] == ["by hand"]
    assert log.household.alarm_distances[0] is not None


def test_peer_p6_an_alarm_that_is_not_set_keeps_it_awake() -> None:
    config = QUICK + b'[wake]\nat = ["06:30"]\n'
    log = live(lambda household: setattr(household, "alarm_error", "EBUSY"), config=config)
    assert log.household.performed == []
    assert any("EBUSY" in reason for reason in log.reasons())


def test_peer_p7_a_block_inhibitor_is_respected() -> None:
    lock = Inhibitor(frozenset({"sleep"}), "backup", "nightly backup", "block", 0, 7)
    log = live(lambda household: setattr(household, "other_locks", (lock,)))
    assert log.household.performed == []
    assert live().household.calls.count(("logind", "suspend")) == 1, "it sleeps through logind only"


@pytest.mark.parametrize("silent", [60, 120, 240])
def test_peer_p8_a_moment_of_silence_is_no_absence(silent: float) -> None:
    """Two lost packets at the wrong moment put the server to sleep."""
    begin = posix_time(BERLIN, NIGHT)
    anna = [person("anna", 11, lambda true: (true - begin) % 600 >= silent)]
    log = simulate(anna, begin=NIGHT, days=0.1, config=QUICK)
    assert log.household.performed == []


def test_peer_p8_an_answer_at_the_last_moment_cancels_the_sleep() -> None:
    slept = live().household.performed[0][0]
    anna = [person("anna", 11, lambda true: true >= slept - 30)]
    assert simulate(anna, begin=NIGHT, days=0.03, config=QUICK).household.performed == []


@pytest.mark.parametrize("name", ["wlp2s0", "enx00e04c680001", "lan_0.7"])
def test_peer_p9_interfaces_may_have_any_name(name: str) -> None:
    log = live(lambda household: setattr(household, "links", make_lan(link(name=name))))
    assert len(log.household.performed) == 1


@pytest.mark.parametrize("address", ["0.0.0.0:8787", "[::]:8787", "10.0.0.253:8787"])
def test_peer_p10_no_control_port_for_other_machines(address: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        parse(f'[http]\nlisten = ["{address}"]\n'.encode(), "test")


def test_peer_p11_silent_hosts_are_probed_in_one_sweep() -> None:
    people = [person(f"client-{n}", n, daily(8, 20)) for n in range(11, 61)]
    log = simulate(people, begin=NIGHT, days=0.5 / 24, config=QUICK)
    assert {len(sweep.probes) for sweep in log.household.sweeps} == {50}
    assert all(sweep.deadline <= 60 for sweep in log.household.sweeps)
    assert len(log.household.performed) == 1


def test_peer_p12_an_idle_hour_costs_a_round_a_minute_and_no_process() -> None:
    log = simulate([person("anna", 11, daily(0, 24))], begin=NIGHT, days=1 / 24, config=QUICK)
    assert len(log.statuses) <= 66
    assert len(log.household.sweeps) <= 62
    assert {sweep.addresses[0] for sweep in log.household.sweeps} == {"10.0.0.11"}, "no scan of the network"
    assert not [call for call in log.household.calls if call[0] == "run"]


def test_peer_p14_a_card_that_wakes_the_server_at_once_ends_in_a_pause() -> None:
    config = QUICK + b'[awake]\nafter_start = "0s"\nafter_resume = "0s"\n'
    log = live(
        lambda household: setattr(household, "network_wake_at", lambda at: at + 20), hours=4, config=config
    )
    slept = [at for at, _ in log.household.performed]
    gaps = [b - a for a, b in pairwise(slept)]
    assert len(slept) >= 4
    assert max(gaps) > HOUR / 2
    assert len(slept) <= 12


def test_peer_p1_a_name_that_does_not_resolve_is_not_absent() -> None:
    config = QUICK.replace(b"[clients]", b'[clients]\nhosts = ["nas-client"]')
    log = live(
        lambda household: household.dns.update({"nas-client": HostError("no resolver")}), config=config
    )
    assert log.household.performed == []
