"""logind is python-dbusmock's on a bus of our own; inhibitors are held by the real systemd-inhibit(1)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from linux.private_bus import ACTIONS, PrivateBus, wait_for

from powerd.linux import dbus as host_bus
from powerd.linux.dbus import NoReplyError, NotRunningError
from powerd.linux.values import HostError, LogindEvent
from powerd.power.logind import LogindClient, find_blocking, latest_key_press, parse_signal
from powerd.power.model import Inhibitor, KeyPress

pytestmark = pytest.mark.process

T = TypeVar("T")
REMEDY = "install the polkit rule from contrib/ or run powerd as its service"
MANAGER = "org.freedesktop.login1.Manager"


def asked(question: Callable[[LogindClient], Awaitable[T]]) -> T:
    """What logind answers, on a connection of its own."""

    async def ask() -> T:
        logind = LogindClient()
        try:
            return await question(logind)
        finally:
            logind.close()

    return asyncio.run(ask())


def sleep(action: str) -> None:
    async def check_and_request(logind: LogindClient) -> None:
        await logind.check_sleep(action)
        await logind.request_sleep(action)

    asked(check_and_request)


def refusal(action: str) -> str:
    with pytest.raises(HostError) as error:
        sleep(action)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_each_action_is_logind_s_method_and_asks_nobody_for_a_password(bus: PrivateBus) -> None:
    bus.logind()
    for action in ACTIONS:
        sleep(action)
    assert bus.calls() == [f"{method} False" for method in ACTIONS.values()]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("na", "this machine does not support it: logind answers 'na' for suspend; choose another action"),
        ("no", "this machine does not support it: logind answers 'no' for suspend; choose another action"),
        ("challenge", f"logind answers 'challenge' for suspend: user {os.getuid()} may not; " + REMEDY),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_not_tried(bus: PrivateBus, answer: str, text: str) -> None:
    bus.logind(CanSuspend=answer)
    assert refusal("suspend") == text
    assert bus.calls() == []
    sleep("poweroff")
    assert bus.calls() == ["PowerOff False"]


def cannot(bus: PrivateBus, name: str) -> None:
    """CanSuspend ends in an error, as of a logind that may not write to /sys/power/state."""
    code = f'raise dbus.exceptions.DBusException("Read-only file system", name="{name}")'
    bus.method("CanSuspend", "", code, "s")


def test_what_the_kernel_forbids_is_an_answer(bus: PrivateBus) -> None:
    """As systemd 257 gives it in a container, where /sys is read-only; 252 says "na"."""
    bus.logind()
    cannot(bus, "System.Error.EROFS")
    assert asked(lambda logind: logind.can_sleep("suspend")) == "Read-only file system"
    answers = "logind answers 'Read-only file system' for suspend; choose another action"
    assert answers in refusal("suspend")
    assert bus.calls() == []


def test_a_malformed_kernel_message_is_an_error(bus: PrivateBus) -> None:
    bus.logind()
    cannot(bus, "org.freedesktop.login1.Unheard")
    with pytest.raises(HostError, match=r"^systemd-logind refused: "):
        asked(lambda logind: logind.can_sleep("suspend"))


def test_whoever_blocks_it_is_named_with_the_reason(bus: PrivateBus) -> None:
    bus.logind()
    bus.inhibit("sleep", "backup", "nightly backup", "block")
    assert re.match(r"backup \(pid \d+\).*: nightly backup$", refusal("suspend"))
    assert bus.calls() == []
    sleep("poweroff")
    assert bus.calls() == ["PowerOff False"], "it blocks sleep, not shutdown"


def test_an_inhibitor_may_block_both(bus: PrivateBus) -> None:
    bus.logind()
    bus.inhibit("shutdown:sleep", "apt", "upgrading", "block")
    for action in ACTIONS:
        assert refusal(action).endswith("blocks it: upgrading")
    assert bus.calls() == []


def test_an_inhibitor_that_only_delays_does_not_refuse(bus: PrivateBus) -> None:
    bus.logind()
    bus.inhibit("sleep:shutdown", "NetworkManager", "turns off networks", "delay")
    sleep("suspend")
    assert bus.calls() == ["Suspend False"]


def test_our_own_lock_refuses_nothing(bus: PrivateBus) -> None:
    """What keeps the server awake on purpose is policy's to judge; logind takes no notice of it either."""
    bus.logind()
    bus.method(
        "ListInhibitors", "", f"ret = [('sleep', 'powerd', 'x', 'block', 0, {os.getpid()})]", "a(ssssuu)"
    )
    sleep("suspend")
    assert asked(lambda logind: logind.list_inhibitors()) == ()


def test_blocking_inhibitors_are_split_at_colons() -> None:
    rows = [
        Inhibitor(frozenset({"idle", "handle-lid-switch"}), "a", "", "block", 0, 1),
        Inhibitor(frozenset({"sleep"}), "b", "", "delay", 0, 2),
        Inhibitor(frozenset({"shutdown"}), "c", "", "block-weak", 0, 3),
    ]
    assert find_blocking(rows, "sleep") is None
    assert find_blocking(rows, "shutdown") == rows[2]


def test_the_locks_of_others_are_reported_unchanged(bus: PrivateBus) -> None:
    bus.logind()
    bus.inhibit("sleep:shutdown", "backup", "nightly backup", "block")
    bus.inhibit("sleep", "NetworkManager", "turns off networks", "delay")
    assert [
        (row.what, row.who, row.why, row.mode) for row in asked(lambda logind: logind.list_inhibitors())
    ] == [
        (frozenset({"sleep", "shutdown"}), "backup", "nightly backup", "block"),
        (frozenset({"sleep"}), "NetworkManager", "turns off networks", "delay"),
    ]


def test_a_lock_is_held_until_its_descriptor_is_closed(bus: PrivateBus) -> None:
    bus.logind()

    async def main(logind: LogindClient) -> None:
        lock = await logind.inhibit("sleep:shutdown:idle", "keep for 2h: backup", "block")
        assert os.get_inheritable(lock) is False
        held = bus.call("ListInhibitors").stdout
        assert '"sleep:shutdown:idle" "powerd" "keep for 2h: backup" "block"' in held
        os.close(lock)
        await asyncio.to_thread(wait_for, lambda: "powerd" not in bus.call("ListInhibitors").stdout)

    asked(main)


@pytest.mark.parametrize("modes", [("block", "block-weak"), ("block",)], ids=["systemd 257", "systemd 252"])
def test_a_lock_on_shutdown_lets_root_shut_down(bus: PrivateBus, modes: tuple[str, ...]) -> None:
    """logind refuses an unknown mode before anything else (method_inhibit() in logind-dbus.c)."""
    bus.logind()
    name = "org.freedesktop.DBus.Error.InvalidArgs"
    refuse = f'raise dbus.exceptions.DBusException("Invalid mode: " + args[3], name="{name}")'
    code = f"if args[3] not in {modes}:\n    {refuse}\nret = dbus.types.UnixFd(0)"
    bus.method("Inhibit", "ssss", code, "h")

    async def main(logind: LogindClient) -> None:
        for what in ("sleep", "shutdown", "idle"):
            os.close(await logind.inhibit(what, "keep for 2h", "block"))

    asked(main)
    calls = re.findall(r'Inhibit "(\w+)" "powerd" "keep for 2h" "([\w-]+)"', bus.log.read_text())
    weak = [("shutdown", "block-weak")]
    strong = [("shutdown", "block")] if modes == ("block",) else []
    assert calls == [("sleep", "block"), *weak, *strong, ("idle", "block")]


def test_a_lock_that_is_refused_is_a_sentence(bus: PrivateBus) -> None:
    bus.logind()
    name = "org.freedesktop.DBus.Error.AccessDenied"
    code = f'raise dbus.exceptions.DBusException("Permission denied", name="{name}")'
    bus.method("Inhibit", "ssss", code, "h")
    with pytest.raises(HostError, match=r"^systemd-logind refused: .*Permission denied$"):
        asked(lambda logind: logind.inhibit("sleep", "x", "delay"))


@pytest.mark.usefixtures("bus")
def test_without_a_logind_there_is_no_lock_to_take_and_none_to_fear() -> None:
    with pytest.raises(HostError, match="systemd-logind is not running"):
        asked(lambda logind: logind.inhibit("sleep", "x", "delay"))
    assert asked(lambda logind: logind.list_inhibitors()) == ()
    assert asked(lambda logind: logind.can_sleep("suspend")) == ""
    assert asked(lambda logind: logind.last_key_press()) is None
    assert asked(lambda logind: logind.inhibit_delay()) == 5.0


def test_a_logind_that_was_there_is_missed(bus: PrivateBus) -> None:
    bus.logind()

    async def main(logind: LogindClient) -> None:
        assert await logind.list_inhibitors() == ()
        assert bus.mock is not None
        bus.mock.kill()
        bus.mock.wait(60)
        with pytest.raises(HostError, match=r"^systemd-logind is not running"):
            await logind.list_inhibitors()

    asked(main)


def test_the_inhibit_delay_is_read_from_logind(bus: PrivateBus) -> None:
    bus.logind()
    assert asked(lambda logind: logind.inhibit_delay()) == 5.0
    bus.has("InhibitDelayMaxUSec", "t 30000000")
    assert asked(lambda logind: logind.inhibit_delay()) == 30.0


def test_the_last_key_press_of_all_sessions(bus: PrivateBus) -> None:
    bus.logind()
    assert asked(lambda logind: logind.last_key_press()) is None
    bus.session("alice", "pts/0", IdleSinceHintMonotonic="t 5000000")
    bus.session("bob", "", IdleSinceHintMonotonic="t 4000000")
    assert asked(lambda logind: logind.last_key_press()) == KeyPress(5.0, "alice on pts/0")


DESKTOP: Final[dict[str, Any]] = {
    "Type": "wayland",
    "Active": True,
    "IdleHint": False,
    "TTY": "",
    "Seat": ("seat0", "/x"),
}


@pytest.mark.parametrize(
    ("shown", "press"),
    [
        ({"TTY": "tty1", "Seat": ("seat0", "/x")}, KeyPress(7.5, "ann on tty1")),
        ({"TTY": "", "Seat": ("seat0", "/x")}, KeyPress(7.5, "ann on seat0")),
        ({"TTY": "", "Seat": ("", "/"), "Id": "c3"}, KeyPress(7.5, "ann in session c3")),
        ({"Class": "user-early", "TTY": "pts/1"}, KeyPress(7.5, "ann on pts/1")),
        ({"Class": "greeter"}, None),
        ({"Class": "background"}, None),
        ({"IdleSinceHintMonotonic": 0}, None),
        (DESKTOP, KeyPress(100.0, "ann on seat0")),
        ({**DESKTOP, "IdleHint": True}, KeyPress(7.5, "ann on seat0")),
        ({**DESKTOP, "Active": False}, KeyPress(7.5, "ann on seat0")),
        ({**DESKTOP, "Type": "tty"}, KeyPress(7.5, "ann on seat0")),
        ({**DESKTOP, "IdleSinceHintMonotonic": 0}, None),
        ({"IdleSinceHintMonotonic": 10**12, "TTY": "pts/2"}, KeyPress(100.0, "ann on pts/2")),
    ],
)
def test_where_somebody_is(shown: dict[str, Any], press: KeyPress | None) -> None:
    person = {"Name": "ann", "Class": "user", "IdleSinceHintMonotonic": 7_500_000, **shown}
    gone: dict[str, Any] = {}
    assert latest_key_press([gone, person], now=100.0) == press


@pytest.mark.parametrize(
    ("member", "contents", "what"),
    [
        ("PrepareForSleep", (True,), LogindEvent("sleep")),
        ("PrepareForSleep", (False,), LogindEvent("sleep", start=False)),
        ("PrepareForShutdown", (True,), LogindEvent("shutdown")),
        ("PropertiesChanged", (MANAGER, {"BlockInhibited": ("s", "sleep")}, []), LogindEvent("inhibitors")),
        ("PropertiesChanged", (MANAGER, {}, ["DelayInhibited"]), LogindEvent("inhibitors")),
        ("PropertiesChanged", (MANAGER, {"IdleHint": ("b", True)}, ["Docked"]), None),
    ],
)
def test_signals_are_parsed(member: str, contents: tuple[Any, ...], what: LogindEvent | None) -> None:
    assert parse_signal(member, contents) == what


def test_signals_are_delivered_in_their_order(bus: PrivateBus) -> None:
    bus.logind()

    async def main(logind: LogindClient) -> list[LogindEvent]:
        stream = logind.events()
        events = [await anext(stream)]
        for begins in (True, False):
            await asyncio.to_thread(bus.emit_prepare, "PrepareForSleep", begins=begins)
        await asyncio.to_thread(bus.emit_prepare, "PrepareForShutdown", begins=True)
        await asyncio.to_thread(bus.has, "Docked", "b true")
        await asyncio.to_thread(bus.has, "BlockInhibited", "s sleep:shutdown")
        return events + [await anext(stream) for _ in range(4)]

    message = [
        LogindEvent("sleep"),
        LogindEvent("sleep", start=False),
        LogindEvent("shutdown"),
        LogindEvent("inhibitors"),
    ]
    assert asked(main) == [LogindEvent("found"), *message]


def test_a_refused_method_is_a_sentence(bus: PrivateBus) -> None:
    bus.logind()
    name = "org.freedesktop.DBus.Error.AccessDenied"
    code = f'raise dbus.exceptions.DBusException("Permission denied", name="{name}")'
    bus.method("Suspend", "b", code)
    text = refusal("suspend")
    assert text.startswith("systemd-logind refused: ")
    assert "Permission denied" in text


def test_without_a_bus_it_is_a_sentence_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    text = refusal("suspend")
    assert f"{tmp_path}/nothing" in text
    assert "command" in text


@pytest.mark.usefixtures("bus")
def test_without_a_logind_it_is_a_sentence() -> None:
    text = refusal("suspend")
    assert "systemd-logind is not running" in text
    assert "command" in text


def test_a_logind_that_hangs_is_waited_for_no_longer_than_the_bound(
    bus: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.logind()
    monkeypatch.setattr(host_bus, "BOUND", 3.0)
    assert bus.mock is not None
    bus.mock.send_signal(signal.SIGSTOP)
    with pytest.raises(NoReplyError, match="within 3 s"):
        asked(lambda logind: logind.request_sleep("suspend"))


@pytest.mark.parametrize(
    ("prepares", "state", "expected"),
    [
        ("", "running", ""),
        ("", "degraded", ""),
        ("PreparingForSleep", "running", "sleep"),
        ("PreparingForShutdown", "running", "shutdown"),
        ("", "stopping", "shutdown"),
        ("PreparingForSleep", "stopping", "shutdown"),
    ],
)
def test_a_sleep_or_shutdown_in_progress_is_seen(
    bus: PrivateBus,
    prepares: str,
    state: str,
    expected: str,
) -> None:
    bus.logind()
    bus.systemd(state)
    if prepares:
        bus.has(prepares, "b true")
    assert asked(LogindClient.transition_in_progress) is expected


def test_a_sleep_that_logind_has_forgotten_is_known_to_systemd(bus: PrivateBus) -> None:
    """logind was restarted meanwhile."""
    bus.logind()
    bus.systemd(activating=["systemd-suspend.service"])
    assert asked(LogindClient.transition_in_progress) == "sleep"


@pytest.mark.parametrize(("state", "expected"), [("running", ""), ("stopping", "shutdown")])
def test_a_shutdown_is_known_where_logind_does_not_run(bus: PrivateBus, state: str, expected: str) -> None:
    """A sleep command may power the machine off by systemd; the alarm must outlive that."""
    bus.systemd(state)
    assert asked(LogindClient.transition_in_progress) == expected


def test_without_systemd_nobody_knows_whether_a_shutdown_is_in_progress(bus: PrivateBus) -> None:
    with pytest.raises(HostError):
        asked(LogindClient.transition_in_progress)
    bus.logind()
    with pytest.raises(HostError) as caught:
        asked(LogindClient.transition_in_progress)
    assert not isinstance(caught.value, NotRunningError), "D-Bus was restarted, and systemd is not back yet"


def test_a_command_line_of_two_megabytes_is_cut(bus: PrivateBus) -> None:
    """Each round searches it by many expressions, on the event loop."""
    bus.systemd()
    (process,) = asked(lambda logind: logind.list_processes("x.service"))
    assert (process.cgroup, process.pid) == ("x.service", 7)
    assert process.command.startswith("rm x x")
    assert process.command.endswith("x x last")
    assert len(process.command) == 1 << 15
