"""Messages on virtual time: who gets them, with what, and until when; and that no failure is fatal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from facts import changed
from fakes.storage import MemoryStorage
from fakes.unused_ports import UnusedPorts
from ui.disk_statuses import active, standby
from ui.smart_statuses import HEALTH, PENDING, RED, WORN, report, status_of_drives
from ui.statuses import HOSTILE_NAME, make_status, warning

from powerd.config.load import parse
from powerd.core.actions import RequestRefusedError
from powerd.core.service import Environment
from powerd.core.snapshot import Decision, Snapshot, Status
from powerd.core.state import StateStore
from powerd.core.time import Reading, add_seconds
from powerd.disks.model import DISKS, Mount
from powerd.disks.state import DisksReport
from powerd.linux.values import HostError, ProcessResult
from powerd.messages.delivery import APPRISE
from powerd.messages.model import MAX_PENDING, MessageFacts
from powerd.messages.service import MessageService
from powerd.simulation.clock import SimulatedClock
from powerd.simulation.virtual_loop import run
from powerd.smart.model import Finding, SmartReports

HOOK = 'mode = "enforce"\n[hooks]\nalert = ["/usr/local/bin/notify", "--loud"]\ntimeout = "20s"\n'
SECRET = "tk_very-secret"  # noqa: S105 - a secret of these tests alone
URLS = f'mode = "enforce"\n[hooks]\nnotify = ["ntfy://{SECRET}", "mailto://user:{SECRET}@example.org"]\n'
QUIET = '[messages]\nquiet = ["00:00-24:00"]\n'


class Recipients(UnusedPorts):
    """A hook and a child process of Apprise.

    Attributes:
        calls: argv, and standard input.
        seconds: how long each takes.
        down: the network is down, so each fails.
        refused: the scheme of a URL that always fails.
        poison: a text with which the hook fails.
        output: what the child prints; None = what it should.
        most: how many ever ran at the same time.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], Any]] = []
        self.seconds = 2.0
        self.down = False
        self.refused = self.poison = "none"
        self.output: str | None = None
        self.error: str | None = None
        self.running = self.most = 0

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as Processes.run
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        assert env is None
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(min(self.seconds, timeout))
        self.running -= 1
        document = json.loads(stdin or b"null")
        self.calls.append((tuple(argv), document))
        if self.error:
            raise HostError(self.error)
        if argv != APPRISE:
            return ProcessResult(int(self.down or document["text"] == self.poison), "", "no network\n")
        errors = [
            ["it does not answer" if self.down or self.refused in url else "" for url in row["urls"]]
            for row in document["messages"]
        ]
        return ProcessResult(0, json.dumps(errors) if self.output is None else self.output, "")


def with_disk_of(given: Status, smart: Decision) -> Decision:
    """The decision ``smart`` with the other disks of ``given``."""
    disks = (*smart.part(DisksReport).disks, *given.decision.part(DisksReport).disks)
    return changed(smart, disks=disks)


class Scenario:
    """A MessageService, and the decisions that it gets."""

    def __init__(self, config: str, storage: MemoryStorage | None = None) -> None:
        self.options = parse(config.encode(), "test")
        self.clock = SimulatedClock()
        self.recipients = Recipients()
        self.errors: list[str] = []
        self.storage = storage or MemoryStorage()
        self.state = StateStore()
        self.may_write = True
        self.given = make_status()
        environment = Environment(
            self.clock, self.state, lambda: self.options, self.storage, self.errors.append, ""
        )
        self.service = MessageService(self.recipients, environment, lambda: self.may_write)

    def decide(self, given: Status | None = None) -> None:
        """A decision with these findings and facts; the findings are recorded after it."""
        given = given or self.given
        self.service.on_decision(replace(given, now=self.clock.now()))

    def find(self, *findings: Finding) -> None:
        """A check has found something."""
        smart = status_of_drives({RED: report(RED, HEALTH, *findings)}).decision
        self.decide(replace(self.given, decision=with_disk_of(self.given, smart)))
        self.decide()

    async def wait(self, minutes: int) -> None:
        """Decisions go on, once a minute; attempts that they start end within the last one."""
        for _ in range(minutes):
            self.decide()
            await asyncio.sleep(60)

    def sent(self) -> list[str]:
        """The texts of the messages that each call was given."""
        return [
            row["text"] if "text" in row else row["body"]
            for _, document in self.recipients.calls
            for row in document.get("messages", [document])
        ]


def scenario(
    test: Callable[[Scenario], Awaitable[None]], config: str, storage: MemoryStorage | None = None
) -> None:
    async def main() -> None:
        await test(Scenario(config, storage))

    run(main())


def test_the_hook_gets_the_finding_on_standard_input() -> None:
    async def test(s: Scenario) -> None:
        s.find(PENDING)
        await s.wait(1)
        ((argv, document),) = s.recipients.calls
        assert argv == s.options.hooks.alert
        assert document.pop("at")
        assert document == {
            "event": "finding",
            "severity": "alarm",
            "subject": "sda",
            "text": PENDING.text,
            "advice": PENDING.advice_for("sda"),
            "disk": RED.id,
            "device": "sda",
            "model": RED.model,
            "serial": "S1",
            "kind": "pending",
        }
        assert s.errors == []

    scenario(test, HOOK)


def test_one_child_sends_all_messages_to_all_urls_and_gets_secrets_on_standard_input_only() -> None:
    async def test(s: Scenario) -> None:
        s.find(PENDING, WORN)
        await s.wait(1)
        ((argv, document),) = s.recipients.calls
        assert SECRET not in str(argv), "an argument is there for all to see"
        assert [row["urls"] for row in document["messages"]] == [list(s.options.hooks.notify)] * 2
        assert document["messages"][0] == {
            "urls": list(s.options.hooks.notify),
            "title": "sda: finding",
            "body": f"{PENDING.text}; {PENDING.advice_for('sda')}",
            "severity": "alarm",
        }
        assert SECRET not in str(s.storage.written)

    scenario(test, URLS)


@pytest.mark.parametrize("config", ['mode = "enforce"', HOOK.replace("enforce", "observe")])
def test_nothing_is_sent_without_a_recipient_or_in_observe_mode(config: str) -> None:
    async def test(s: Scenario) -> None:
        s.find(PENDING)
        await s.wait(1)
        assert (s.recipients.calls, s.errors) == ([], [])
        assert all(not each["pending"] for each in s.storage.written)

    scenario(test, config)


@pytest.mark.parametrize("before", ["", HOOK.replace("enforce", "observe")])
@pytest.mark.parametrize("restart", [True, False])
def test_what_still_stands_at_the_switch_to_enforce_is_sent_once(
    before: str,
    restart: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    storage = MemoryStorage()

    def stands(s: Scenario) -> None:
        other = replace(PENDING, kind="acknowledged")
        given = report(RED, HEALTH, PENDING, WORN, other)
        given = replace(
            given,
            record=replace(given.record, notified_findings=given.findings),
            acknowledged=frozenset({other.kind}),
        )
        smart = status_of_drives({RED: given}).decision
        decision = with_disk_of(make_status(), smart)
        s.given = replace(make_status(), decision=decision)

    async def observe(s: Scenario) -> None:
        s.find(PENDING, WORN)
        stands(s)
        await s.wait(2)
        assert s.recipients.calls == []
        if not restart:
            s.options = parse(HOOK.encode(), "test")
            await enforce(s)

    async def enforce(s: Scenario) -> None:
        stands(s)
        await s.wait(2)
        assert s.sent() == [], "the disks have not been polled"
        complete = s.given = replace(s.given, snapshot=Snapshot(sources={DISKS: Reading(0.0, ())}))
        s.given = replace(complete, decision=complete.decision.with_parts(SmartReports()))
        await s.wait(2)
        assert s.sent() == [], "the first decision with a drive does not have its findings yet"
        s.given = complete
        await s.wait(30)
        assert s.sent() == [PENDING.text], "a note is no alarm"

    scenario(observe, before, storage)
    if restart:
        scenario(enforce, HOOK, storage)

    async def enforce_again(s: Scenario) -> None:
        stands(s)
        s.given = replace(s.given, snapshot=Snapshot(sources={DISKS: Reading(0.0, ())}))
        await s.wait(2)
        assert s.sent() == []

    scenario(enforce_again, HOOK, storage)


@pytest.mark.parametrize("config", [HOOK, URLS])
def test_after_a_wake_up_without_network_a_message_is_tried_again_until_it_arrives(config: str) -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        s.find(PENDING)
        await s.wait(4)
        failures = len(s.recipients.calls)
        assert failures == 3, "at once, after 30 s and after 60 s, with decisions each minute"
        assert len(s.errors) == len(s.options.hooks.notify or ("hook",)), "each failure is logged once"
        assert not any(SECRET in error for error in s.errors)
        s.recipients.down = False
        await s.wait(5)
        assert len(s.recipients.calls) == failures + 1
        await s.wait(60)
        assert len(s.recipients.calls) == failures + 1

    scenario(test, config)


def test_a_resume_makes_messages_due_at_once() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        s.find(PENDING)
        await s.wait(180)
        calls = len(s.recipients.calls)
        await s.wait(1)
        assert len(s.recipients.calls) == calls, "the next attempt is due in an hour"
        s.recipients.down = False
        memory = replace(s.given.decision.memory, resumed_at=1.0)
        s.given = replace(s.given, decision=replace(s.given.decision, memory=memory))
        await s.wait(1)
        assert len(s.recipients.calls) == calls + 1

    scenario(test, HOOK)


def test_only_the_recipient_that_has_not_got_it_gets_it_again() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.refused = "mailto"
        s.find(PENDING)
        await s.wait(3)
        first, *others = (row["messages"][0]["urls"] for _, row in s.recipients.calls)
        assert first == list(s.options.hooks.notify)
        assert others
        assert all(urls == [s.options.hooks.notify[1]] for urls in others)
        (error,) = s.errors
        assert error.startswith("hooks.notify[2] (mailto://): ")

    scenario(test, URLS)


def test_people_see_that_messages_do_not_arrive() -> None:
    async def test(s: Scenario) -> None:
        assert s.state.snapshot().part(MessageFacts) == MessageFacts()
        s.recipients.down = True
        s.find(PENDING)
        await s.wait(2)
        facts = s.state.snapshot().part(MessageFacts)
        assert facts.waiting == 1
        assert str(facts.error).startswith("hooks.notify[1] (ntfy://): ")
        assert facts.failing_since is not None
        s.recipients.down = False
        await s.wait(5)
        assert s.state.snapshot().part(MessageFacts) == MessageFacts()

    scenario(test, URLS)
    run(unconfigured())


async def unconfigured() -> None:
    assert not Scenario('mode = "enforce"').state.snapshot().part(MessageFacts).configured


def test_a_restart_loses_nothing() -> None:
    storage = MemoryStorage()

    async def first(s: Scenario) -> None:
        s.recipients.down = True
        s.find(PENDING)
        await s.wait(2)
        s.service.close()

    async def second(s: Scenario) -> None:
        s.decide()
        await s.wait(1)
        assert s.sent() == [f"{PENDING.text}; {PENDING.advice_for('sda')}"]
        s.service.close()

    async def third(s: Scenario) -> None:
        await s.wait(5)
        assert s.recipients.calls == []

    for test in (first, second, third):
        scenario(test, URLS, storage)


def test_quiet_hours_hold_back_all_but_alarms() -> None:
    async def test(s: Scenario) -> None:
        s.find(PENDING, WORN)
        await s.wait(5)
        assert s.sent() == [PENDING.text]
        s.options = parse(HOOK.encode(), "test")
        await s.wait(1)
        assert s.sent() == [PENDING.text, WORN.text]

    scenario(test, HOOK + QUIET)


def on_disk(given: Status, *, asleep: bool) -> Status:
    """The server's only disk is in standby, or spins."""
    disk = standby() if asleep else active()
    mounted = disk._replace(disk=replace(disk.disk, mounts=(Mount("/", "ext4"),)))
    return replace(given, decision=changed(given.decision, disks=(mounted,)))


def test_a_disk_is_started_for_an_alarm_only() -> None:
    async def test(s: Scenario) -> None:
        s.given = on_disk(s.given, asleep=True)
        s.find(WORN, PENDING)
        await s.wait(5)
        assert s.sent() == [PENDING.text]
        s.given = on_disk(s.given, asleep=False)
        await s.wait(1)
        assert s.sent() == [PENDING.text, WORN.text]

    scenario(test, HOOK)


def test_what_is_stored_waits_for_a_disk_that_may_be_written() -> None:
    async def test(s: Scenario) -> None:
        s.may_write, s.recipients.down = False, True
        s.find(WORN)
        await s.wait(3)
        assert s.storage.written == []
        s.may_write = True
        s.decide()
        assert len(s.storage.written[-1]["pending"]) == 1

    scenario(test, HOOK)


def test_a_sleep_waits_a_moment_for_a_message() -> None:
    async def test(s: Scenario) -> None:
        loop = asyncio.get_running_loop()
        await s.service.flush()
        assert loop.time() < 1e-3, "nothing is being sent"
        s.recipients.seconds = 1.0
        s.find(PENDING)
        await s.service.flush()
        assert s.sent() == [PENDING.text]
        s.recipients.seconds, start = 15.0, loop.time()
        s.find(WORN)
        await s.service.flush()
        assert loop.time() - start == pytest.approx(2, abs=0.01)

    scenario(test, HOOK.replace("20s", "1h"))


@pytest.mark.parametrize("output", ["", "nonsense", "[]", '[["a"]]', "[[0, 0], [0, 0]]", "{}", "[5]"])
def test_an_answer_of_the_child_that_cannot_be_used_is_a_failure(output: str) -> None:
    async def test(s: Scenario) -> None:
        s.recipients.output = output
        s.find(PENDING)
        await s.wait(1)
        assert len(s.errors) == len(s.options.hooks.notify)
        s.recipients.output = None
        await s.wait(2)
        assert len(s.recipients.calls) == 2

    scenario(test, URLS)


def test_a_hook_that_hangs_delays_no_message_but_its_own() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.error = "no such program"
        s.find(PENDING, WORN)
        await s.wait(1)
        assert len(s.recipients.calls) == 1, "the second message would fail as well"
        (error,) = s.errors
        assert error.startswith(f"hooks.alert: {s.recipients.error}; ")

    scenario(test, HOOK)


def test_a_failure_inside_powerd_is_tried_again_later() -> None:
    async def test(s: Scenario) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("powerd.messages.service.send_messages", lambda *_: 1 / 0)
            s.find(PENDING)
            await s.wait(1)
            assert len(s.errors) == 1
            assert "ZeroDivisionError" in s.errors[0]
        await s.wait(2)
        assert s.sent() == [PENDING.text]

    scenario(test, HOOK)


def test_one_at_a_time_and_a_bound() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        many = [replace(WORN, kind=f"kind {n}", text=f"text {n}") for n in range(MAX_PENDING + 3)]
        s.find(*many)
        await s.wait(30)
        assert s.recipients.most == 1
        assert sum("too many" in error for error in s.errors) == 3
        s.recipients.down = False
        await s.wait(60)
        assert set(s.sent()) >= {each.text for each in many[3:]}
        calls = len(s.recipients.calls)
        await s.wait(60)
        assert len(s.recipients.calls) == calls

    scenario(test, HOOK)


def test_what_has_waited_through_an_outage_arrives_as_a_few_messages() -> None:
    """Nobody reads fifty of them, and a service may take them for spam."""

    async def test(s: Scenario) -> None:
        s.recipients.down = True
        many = [replace(WORN, kind=f"kind {n}", text=f"text {n}") for n in range(50)]
        s.find(*many)
        for _ in range(24):
            await s.wait(1)
            await asyncio.sleep(3540)
        s.recipients.down = False
        s.recipients.calls.clear()
        await s.wait(90)
        bodies = s.sent()
        assert len(bodies) <= 3
        lines = [line for body in bodies for line in body.splitlines()]
        assert len(lines) == 50
        assert all(any(each.text in line for line in lines) for each in many)
        assert {row["title"] for _, call in s.recipients.calls for row in call["messages"]} <= {
            "20 messages",
            "10 messages",
        }
        assert s.state.snapshot().part(MessageFacts).waiting == 0

    scenario(test, URLS)


def test_a_message_with_which_the_hook_fails_holds_up_no_other() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.poison = PENDING.text
        s.find(PENDING, WORN)
        await s.wait(2)
        assert s.sent().count(WORN.text) == 1

    scenario(test, HOOK)


def test_a_hook_that_fails_is_not_run_for_each_message() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        s.find(*(replace(WORN, kind=f"kind {n}", text=f"text {n}") for n in range(15)))
        s.decide()
        await asyncio.sleep(20)
        assert len(s.recipients.calls) == 3

    scenario(test, HOOK)


def test_a_test_message_that_arrives_has_the_others_tried_again() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        s.find(PENDING)
        await s.wait(180)
        s.recipients.down = False
        await s.service.send_test()
        await s.wait(1)
        assert s.sent()[-1] == PENDING.text
        assert s.state.snapshot().part(MessageFacts) == MessageFacts()

    scenario(test, HOOK)


def test_a_warning_of_a_sleep_that_was_called_off_is_not_sent_late() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.down = True
        plan = warning().decision.planned_sleep
        assert plan is not None
        plan = replace(plan, at=add_seconds(s.clock.now(), 600))
        s.decide(replace(warning(), decision=replace(warning().decision, planned_sleep=plan)))
        await asyncio.sleep(5)
        assert len(s.recipients.calls) == 1
        s.recipients.down = False
        await s.wait(2)
        assert len(s.recipients.calls) == 1

    scenario(test, HOOK + '[messages]\nevents = ["warning"]\n')


def test_a_hostile_drive() -> None:
    async def test(s: Scenario) -> None:
        s.find(replace(PENDING, text=HOSTILE_NAME * 99, advice=HOSTILE_NAME))
        await s.wait(1)
        ((_, document),) = s.recipients.calls
        assert all(str(value).isprintable() for value in document.values())

    scenario(test, HOOK)


def test_a_test_message_shows_what_became_of_it_also_in_observe_mode() -> None:
    async def test(s: Scenario) -> None:
        s.recipients.refused = "mailto"
        assert await s.service.send_test() == (
            ("hooks.alert", ""),
            ("hooks.notify[1] (ntfy://)", ""),
            ("hooks.notify[2] (mailto://)", "it does not answer"),
        )
        assert s.storage.written == []

    hook = HOOK.partition("alert")[2]
    scenario(test, f"{URLS}alert{hook}".replace("enforce", "observe"))


def test_a_test_message_without_a_recipient_is_refused() -> None:
    async def test(s: Scenario) -> None:
        with pytest.raises(RequestRefusedError, match=r"hooks\.notify"):
            await s.service.send_test()

    scenario(test, 'mode = "enforce"')
