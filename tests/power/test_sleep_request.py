"""A person's request to sleep: what it passes over, what it waits for, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core.snapshot_strategies import sleep_actions
from facts import changed, new_snapshot
from power.decision_scenario import SLEEP, SUSPEND, WARN, DecisionScenario, reasons, with_facts

from powerd.activity.model import Activity, ActivityFacts, CheckId, CheckResult, CheckState
from powerd.core.actions import CancelWarning, Sleep, WarnUsers
from powerd.core.snapshot import Decision
from powerd.core.time import Unavailable, add_seconds
from powerd.power.actuator import announcement_text
from powerd.power.model import LOGIND, Inhibitor, KeyPress, SleepMemory, SleepRequest
from powerd.presence.model import CLIENTS
from powerd.requests.model import KeepAwake, KeepAwakeId

ONE_HOUR = 3600.0
AT_ONCE = SUSPEND.replace('"1min"', '"0s"')
IN_THE_MORNING = AT_ONCE + 'during = ["05:00-06:00"]\n'
TWO_RULES = AT_ONCE + '[[sleep]]\naction = "poweroff"\nidle_for = "1h"\nwarn = "0s"\n'
LOCK = Inhibitor(frozenset({"sleep"}), "apt", "installs", "block", 0, 9)
DISK_IO = CheckId("disk_io")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning is needed: it is the subject of a test of its own."""
    monkeypatch.setattr("powerd.power.sleep_rules.MIN_WARNING_OVER_CLIENTS", 0.0)


pytestmark = pytest.mark.usefixtures("at_once")


class RequestScenario(DecisionScenario):
    """A request ``made_at`` seconds after the beginning; ``somebody`` is home from the beginning."""

    def __init__(
        self,
        config: str = AT_ONCE,
        *,
        over_clients: bool = False,
        somebody: bool = False,
        made_at: float = 0.0,
    ) -> None:
        super().__init__(config)
        self.somebody_home = somebody
        self.request(over_clients=over_clients, made_at=made_at)

    def request(self, *, over_clients: bool, made_at: float) -> None:
        since = add_seconds(self.now, made_at)
        self.edit_snapshot = with_facts(
            self.edit_snapshot, sleep_request=SleepRequest(since, add_seconds(since, ONE_HOUR), over_clients)
        )

    def cancel(self) -> None:
        self.edit_snapshot = with_facts(self.edit_snapshot, sleep_request=None)

    def sleeps(self, at: float) -> bool:
        return bool(sleep_actions(self.decide(at)))


@pytest.mark.parametrize("config", [AT_ONCE, IN_THE_MORNING, TWO_RULES])
@pytest.mark.parametrize("over_clients", [False, True])
def test_it_passes_over_idle_time_and_windows(config: str, over_clients: bool) -> None:  # noqa: FBT001 - a parameter
    without = DecisionScenario(config)
    assert not sleep_actions(without.decide(0))
    scenario = RequestScenario(config, over_clients=over_clients)
    assert sleep_actions(scenario.decide(0)) == {SLEEP}


def test_only_now_passes_over_a_client() -> None:
    assert not RequestScenario(somebody=True).sleeps(0)
    scenario = RequestScenario(somebody=True, over_clients=True)
    decision = scenario.decide(0)
    assert sleep_actions(decision) == {SLEEP}
    assert not [each for each in decision.reasons if "home" in each.text and each.blocks_sleep]


def test_now_has_a_warning_also_if_the_rule_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is there has to have a chance to prevent it; without clients nobody needs one."""
    monkeypatch.setattr("powerd.power.sleep_rules.MIN_WARNING_OVER_CLIENTS", 30.0)
    scenario = RequestScenario(somebody=True, over_clients=True)
    decision = scenario.decide(0)
    warning = WarnUsers(0, "suspend", 30.0, over_clients=True)
    assert (decision.actions, decision.phase) == ((warning,), "warning")
    scenario.action_completed(warning)
    assert not scenario.sleeps(29)
    assert scenario.sleeps(30)
    assert RequestScenario().sleeps(0)


def test_it_waits_until_the_last_client_is_gone() -> None:
    scenario = RequestScenario(somebody=True)
    assert not scenario.sleeps(1200)
    scenario.somebody_home = False
    assert scenario.sleeps(1201)


def _blocked(scenario: RequestScenario, what: str) -> None:
    """Add a blocker that no request passes over."""
    before = scenario.edit_snapshot
    keep = KeepAwake(
        KeepAwakeId("1"), "film", scenario.now, None if what == "hold" else add_seconds(scenario.now, 60)
    )
    if what in {"keep", "hold"}:
        scenario.edit_snapshot = with_facts(before, keep_awake={keep.id: keep})
    elif what == "lock":
        scenario.edit_snapshot = with_facts(before, inhibitors=(LOCK,))
    elif what == "work":
        busy = CheckResult(
            scenario.at, CheckState.MEASURED, (Activity("sda", "is written to", keeps_awake=True),)
        )
        results = {**new_snapshot().part(ActivityFacts).results, DISK_IO: busy}
        scenario.edit_snapshot = with_facts(before, results=results)
    elif what == "key":
        scenario.edit_snapshot = with_facts(before, key_press=KeyPress(scenario.at, "anna on tty1"))
    else:
        source = CLIENTS if what == "clients unknown" else LOGIND
        scenario.edit_snapshot = lambda snapshot: changed(
            before(snapshot), sources={**snapshot.sources, source: Unavailable(scenario.at, "no answer")}
        )


@pytest.mark.parametrize("over_clients", [False, True])
@pytest.mark.parametrize("what", ["keep", "hold", "lock", "work", "key", "clients unknown", "logind unknown"])
def test_it_passes_over_nothing_else(what: str, over_clients: bool) -> None:  # noqa: FBT001 - a parameter
    scenario = RequestScenario(over_clients=over_clients, somebody=over_clients)
    assert scenario.sleeps(0)
    scenario = RequestScenario(over_clients=over_clients, somebody=over_clients)
    _blocked(scenario, what)
    decision = scenario.decide(0)
    assert not sleep_actions(decision)
    waits_for = [each for each in decision.reasons if each.blocks_sleep]
    assert waits_for
    assert not any("home" in each.text for each in waits_for), "it does not wait for clients"
    assert not scenario.decide(0).actions


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ('after_start = "5min"', "until powerd has been up for 5min"),
        ('after_start = "0s"\n[wake]\nat = ["22:06"]', "stays up for wake.at"),
    ],
)
def test_every_other_delay_applies(table: str, text: str) -> None:
    scenario = RequestScenario(AT_ONCE.replace('after_start = "0s"', table), over_clients=True, somebody=True)
    decision = scenario.decide(0)
    assert not sleep_actions(decision)
    assert any(text in each and each.startswith("sleep rule 1") for each in reasons(decision))
    assert scenario.sleeps(1800)


@pytest.mark.parametrize("somebody", [False, True])
def test_a_key_press_delays_it(somebody: bool) -> None:  # noqa: FBT001 - a parameter
    """Of the person who has requested it, or of another one; typing on keeps the server up."""
    scenario = RequestScenario(over_clients=True, somebody=somebody)
    press = KeyPress(scenario.at, "anna on tty1")
    scenario.edit_snapshot = with_facts(scenario.edit_snapshot, key_press=press)
    assert not scenario.sleeps(0)
    assert not scenario.sleeps(30)
    assert not scenario.sleeps(67)
    assert scenario.sleeps(68)


def test_present_clients_are_warned_in_other_words() -> None:
    scenario = RequestScenario(SUSPEND, over_clients=True, somebody=True)
    announcement = replace(WARN, over_clients=True)
    assert scenario.decide(0).actions == (announcement,)
    assert "keep" in announcement_text(announcement)
    scenario.action_completed(announcement)
    assert scenario.decide(1).phase == "warning"
    assert not scenario.sleeps(59)
    assert scenario.sleeps(60)


def test_a_usual_announcement_is_none_of_a_sleep_over_clients() -> None:
    scenario = RequestScenario(SUSPEND, over_clients=True)
    scenario.action_completed(WARN)
    assert isinstance(scenario.decide(60).actions[0], WarnUsers)


def _warned(*, over_clients: bool) -> RequestScenario:
    scenario = RequestScenario(SUSPEND, over_clients=over_clients, somebody=over_clients)
    (warning,) = scenario.decide(0).actions
    scenario.action_completed(warning)
    scenario.decide(1)
    return scenario


@pytest.mark.parametrize("over_clients", [False, True])
def test_calling_it_off_cancels_the_announcement(over_clients: bool) -> None:  # noqa: FBT001 - a parameter
    scenario = _warned(over_clients=over_clients)
    scenario.cancel()
    decision = scenario.decide(30)
    assert [type(each) for each in decision.actions] == [CancelWarning]
    assert not scenario.sleeps(61)


def test_work_that_cancels_it_is_named_and_not_the_clients() -> None:
    scenario = _warned(over_clients=True)
    scenario.edit_snapshot = with_facts(scenario.edit_snapshot, inhibitors=(LOCK,))
    (action,) = scenario.decide(30).actions
    assert isinstance(action, CancelWarning)
    assert action.reason.startswith("apt")


def _ends(scenario: RequestScenario, decision: Decision) -> None:
    """No sleep follows, whatever the clients do."""
    assert not sleep_actions(decision)
    assert not scenario.sleeps(scenario.at - scenario.memory.started_at.mono + 60)
    assert scenario.memory.part(SleepMemory).free_since is None


def test_it_ends_with_its_time() -> None:
    scenario = RequestScenario(over_clients=True, somebody=True)
    assert scenario.sleeps(ONE_HOUR - 1)
    _ends(scenario, scenario.decide(ONE_HOUR))


@pytest.mark.parametrize("somebody", [False, True])
def test_it_ends_with_an_accepted_sleep(somebody: bool) -> None:  # noqa: FBT001 - a parameter
    scenario = RequestScenario(over_clients=True, somebody=somebody)
    scenario.decide(0)
    scenario.decide(5)
    scenario.action_completed(SLEEP)
    _ends(scenario, scenario.decide(6))


def test_it_ends_with_any_sleep_of_the_server() -> None:
    config = AT_ONCE.replace("[awake]", '[awake]\nafter_resume = "0s"')
    scenario = RequestScenario(config, over_clients=True, somebody=True)
    assert scenario.sleeps(1)
    scenario.slept += 600
    _ends(scenario, scenario.decide(2))


def test_a_failed_sleep_is_tried_again_later() -> None:
    scenario = RequestScenario(over_clients=True, somebody=True)
    scenario.decide(0)
    scenario.action_completed(SLEEP, ok=False, observed="the alarm is not confirmed")
    decision = scenario.decide(1)
    assert not sleep_actions(decision)
    assert any("alarm is not confirmed" in each for each in reasons(decision))
    assert not scenario.sleeps(59)
    assert scenario.sleeps(60)


def test_a_failure_before_the_request_delays_nothing() -> None:
    scenario = DecisionScenario(AT_ONCE)
    scenario.decide(0)
    scenario.decide(600)
    scenario.action_completed(SLEEP, ok=False)
    assert not sleep_actions(scenario.decide(601))
    since = add_seconds(scenario.now, 1)
    scenario.edit_snapshot = with_facts(
        scenario.edit_snapshot,
        sleep_request=SleepRequest(since, add_seconds(since, ONE_HOUR), over_clients=False),
    )
    assert sleep_actions(scenario.decide(602))


def test_a_rule_that_has_acted_acts_again_by_request() -> None:
    scenario = DecisionScenario(AT_ONCE)
    scenario.decide(0)
    scenario.decide(600)
    scenario.action_completed(SLEEP)
    assert not sleep_actions(scenario.decide(700))
    since = add_seconds(scenario.now, 1)
    scenario.edit_snapshot = with_facts(
        scenario.edit_snapshot,
        sleep_request=SleepRequest(since, add_seconds(since, ONE_HOUR), over_clients=False),
    )
    assert sleep_actions(scenario.decide(702))


@pytest.mark.parametrize("dozing", ["counts", "ignored"])
def test_a_client_that_it_passes_over_restarts_the_idle_time(dozing: str) -> None:
    """Of the rules, once it has been called off and the client is gone."""
    scenario = RequestScenario(f'{SUSPEND}dozing = "{dozing}"\n')
    scenario.cancel()
    scenario.decide(0)
    scenario.decide(500)
    scenario.request(over_clients=True, made_at=0)
    scenario.somebody_home = True
    assert not scenario.sleeps(501), "it warns first"
    scenario.cancel()
    scenario.somebody_home = False
    assert scenario.decide(502).phase == "idle"
    assert scenario.decide(1040).phase == "idle"
    assert scenario.decide(1042).phase == "warning"


@pytest.mark.parametrize("dozing", ["counts", "ignored"])
def test_a_client_lets_the_rules_act_again_that_do_not_pass_over_it(dozing: str) -> None:
    scenario = RequestScenario(f'{TWO_RULES}dozing = "{dozing}"\n', over_clients=True, somebody=True)
    scenario.memory = changed(scenario.memory, completed_rules=frozenset({1}))
    assert scenario.decide(1).memory.part(SleepMemory).completed_rules == set()


@pytest.mark.parametrize("somebody", [False, True])
def test_calling_it_off_stops_a_sleep_in_preparation(somebody: bool) -> None:  # noqa: FBT001 - a parameter
    scenario = RequestScenario(over_clients=True, somebody=somebody)
    scenario.in_flight = frozenset(sleep_actions(scenario.decide(0)))
    assert scenario.decide(20).phase == "going-down"
    scenario.cancel()
    decision = scenario.decide(30)
    assert decision.phase not in {"warning", "going-down"}, "the last check does not let it happen"


@pytest.mark.parametrize("leaves", [False, True])
def test_who_comes_or_leaves_during_the_preparation_changes_nothing(leaves: bool) -> None:  # noqa: FBT001 - a parameter
    scenario = RequestScenario(over_clients=True, somebody=leaves)
    scenario.in_flight = frozenset(sleep_actions(scenario.decide(0)))
    began_at = scenario.at
    scenario.somebody_home = not leaves
    decision = scenario.decide(30)
    assert decision.phase == "going-down"
    quiet_since = decision.memory.part(SleepMemory).quiet_since
    assert quiet_since is not None
    assert quiet_since <= began_at


@pytest.mark.parametrize("action", [SLEEP, Sleep(1, "poweroff")])
@pytest.mark.parametrize("asleep", [True, False])
def test_a_request_does_not_let_another_sleep_pass_over_clients(action: Sleep, asleep: bool) -> None:  # noqa: FBT001 - a parameter
    """Who comes during the preparation of a usual sleep is warned before that of the request."""
    scenario = DecisionScenario(TWO_RULES.replace('warn = "0s"', 'warn = "0s"\ndozing = "ignored"'))
    scenario.decide(0)
    scenario.decide(3600)
    scenario.in_flight = frozenset({action})
    assert scenario.decide(3610).phase == "going-down"
    scenario.somebody_home = not asleep
    since = add_seconds(scenario.now, 1)
    request = SleepRequest(since, add_seconds(since, ONE_HOUR), over_clients=True)
    scenario.edit_snapshot = with_facts(scenario.edit_snapshot, sleep_request=request)
    decision = scenario.decide(3612)
    assert (decision.phase == "going-down") == asleep
    assert asleep or "host1 is there" in decision.reasons[0].text


def test_a_key_press_during_the_preparation_restarts_idleness() -> None:
    scenario = RequestScenario(over_clients=True, somebody=True)
    scenario.in_flight = frozenset(sleep_actions(scenario.decide(0)))
    began_at = scenario.at
    scenario.edit_snapshot = with_facts(
        scenario.edit_snapshot, key_press=KeyPress(scenario.at + 5, "anna on tty1")
    )
    quiet_since = scenario.decide(20).memory.part(SleepMemory).quiet_since
    assert quiet_since is not None
    assert quiet_since > began_at


def test_without_a_rule_it_does_nothing() -> None:
    scenario = RequestScenario('[awake]\nafter_start = "0s"\n', over_clients=True, somebody=True)
    decision = scenario.decide(0)
    assert decision.phase == "awake"
    assert not decision.actions
