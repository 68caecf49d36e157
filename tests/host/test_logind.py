"""logind is python-dbusmock's on a bus of our own; inhibitors are held by the real systemd-inhibit(1)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from powerd.host import logind
from powerd.host.values import HostError

MOCK = ("/usr/bin/python3", "-m", "dbusmock")
REMEDY = "install the polkit rule from contrib/ or run powerd as its service"
ACTIONS = {
    "suspend": "Suspend",
    "hibernate": "Hibernate",
    "hybrid-sleep": "HybridSleep",
    "suspend-then-hibernate": "SuspendThenHibernate",
    "poweroff": "PowerOff",
}


class Bus:
    """A private bus; what it starts ends with it."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:path={directory}/bus"
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "LC_ALL": "C"}
        self.log = directory / "calls"
        self.mock: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self.start("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self.address}")
        wait_for((directory / "bus").exists)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(argv, env=self.environment, stdin=subprocess.DEVNULL)
        self._children.append(child)
        return child

    def logind(self, **answers: str) -> None:
        """Start a logind that answers Can… as told."""
        parameters = "{" + ", ".join(f'"{name}": "{answer}"' for name, answer in answers.items()) + "}"
        log = ("--logfile", str(self.log))
        self.mock = self.start(*MOCK, "--system", *log, "--template", "logind", "--parameters", parameters)
        wait_for(lambda: self.call("ListInhibitors").returncode == 0)

    def method(self, name: str, signature: str, code: str, interface: str = "") -> None:
        """Have logind's method ``name`` do something else."""
        added = self.call("AddMethod", "sssss", interface, name, signature, "", code, mock=True)
        assert added.returncode == 0, added.stderr

    def inhibit(self, what: str, who: str, why: str, mode: str) -> None:
        """Hold an inhibitor until the bus ends."""
        before = self.call("ListInhibitors").stdout
        hold = (f"--what={what}", f"--who={who}", f"--why={why}", f"--mode={mode}")
        self.start("systemd-inhibit", *hold, "sleep", "60")
        wait_for(lambda: self.call("ListInhibitors").stdout != before)

    def call(self, method: str, *arguments: str, mock: bool = False) -> subprocess.CompletedProcess[str]:
        interface = "org.freedesktop.DBus.Mock" if mock else "org.freedesktop.login1.Manager"
        return subprocess.run(
            ["busctl", f"--address={self.address}", "call", "org.freedesktop.login1",
             "/org/freedesktop/login1", interface, method, *arguments],
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """The methods that were called and change anything, with their arguments."""
        called = re.findall(r"^[\d.]+ (\w+) ?(.*)$", self.log.read_text(), re.MULTILINE)
        return [f"{name} {arguments}" for name, arguments in called if name in ACTIONS.values()]

    def close(self) -> None:
        for child in reversed(self._children):
            child.send_signal(signal.SIGCONT)
            child.terminate()
            child.wait(10)


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    if subprocess.run([*MOCK, "--help"], capture_output=True, check=False).returncode:
        pytest.skip("python-dbusmock is not installed: apt-get install python3-dbusmock")
    one = Bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", one.address)
    yield one
    one.close()


def sleep(action: str) -> None:
    asyncio.run(logind.sleep(action))


def refusal(action: str) -> str:
    with pytest.raises(HostError) as error:
        sleep(action)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_each_action_is_logind_s_method_and_asks_nobody_for_a_password(bus: Bus) -> None:
    bus.logind()
    for action in ACTIONS:
        sleep(action)
    assert bus.calls() == [f"{method} False" for method in ACTIONS.values()]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("na", "this machine cannot do it: logind answers 'na' for suspend; choose another action"),
        ("no", "this machine cannot do it: logind answers 'no' for suspend; choose another action"),
        ("challenge", f"logind answers 'challenge' for suspend: user {os.getuid()} may not; " + REMEDY),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_not_tried(bus: Bus, answer: str, text: str) -> None:
    bus.logind(CanSuspend=answer)
    assert refusal("suspend") == text
    assert bus.calls() == []
    sleep("poweroff")
    assert bus.calls() == ["PowerOff False"]


def test_whoever_blocks_it_is_named_with_the_reason(bus: Bus) -> None:
    bus.logind()
    bus.inhibit("sleep", "backup", "nightly backup", "block")
    assert re.fullmatch(r"backup \(pid \d+\) blocks it: nightly backup", refusal("suspend"))
    assert bus.calls() == []
    sleep("poweroff")
    assert bus.calls() == ["PowerOff False"], "it blocks sleep, not shutdown"


def test_an_inhibitor_may_block_both(bus: Bus) -> None:
    bus.logind()
    bus.inhibit("shutdown:sleep", "apt", "upgrading", "block")
    for action in ACTIONS:
        assert refusal(action).endswith("blocks it: upgrading")
    assert bus.calls() == []


def test_an_inhibitor_that_only_delays_does_not_refuse(bus: Bus) -> None:
    bus.logind()
    bus.inhibit("sleep:shutdown", "NetworkManager", "turns off networks", "delay")
    sleep("suspend")
    assert bus.calls() == ["Suspend False"]


def test_blocking_inhibitors_are_read_word_by_word() -> None:
    rows = [
        logind.Inhibitor("idle:handle-lid-switch", "a", "", "block", 0, 1),
        logind.Inhibitor("sleep", "b", "", "delay", 0, 2),
        logind.Inhibitor("shutdown", "c", "", "block-weak", 0, 3),
    ]
    assert logind.blocking(rows, "sleep") is None
    assert logind.blocking(rows, "shutdown") == rows[2]


def test_a_refused_method_is_a_sentence(bus: Bus) -> None:
    bus.logind()
    name = "org.freedesktop.DBus.Error.AccessDenied"
    code = f'raise dbus.exceptions.DBusException("Permission denied", name="{name}")'
    bus.method("Suspend", "b", code, "org.freedesktop.login1.Manager")
    text = refusal("suspend")
    assert text.startswith("logind refused: ")
    assert "Permission denied" in text


def test_without_a_bus_it_is_a_sentence_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    text = refusal("suspend")
    assert text == "cannot reach the system D-Bus: No such file or directory; is dbus running?"


@pytest.mark.usefixtures("bus")
def test_without_a_logind_it_is_a_sentence() -> None:
    text = refusal("suspend")
    assert text.startswith("systemd-logind is not running")
    assert text.endswith("start it, or use a command")


def test_a_logind_that_hangs_is_waited_for_no_longer_than_the_bound(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.logind()
    monkeypatch.setattr(logind, "_BOUND", 0.3)
    assert bus.mock is not None
    bus.mock.send_signal(signal.SIGSTOP)
    assert refusal("suspend") == "logind did not answer within 0.3 s"


def test_a_bus_that_goes_away_meanwhile_is_a_sentence(bus: Bus) -> None:
    bus.logind()
    assert bus.mock is not None
    bus.mock.send_signal(signal.SIGSTOP)

    async def main() -> None:
        act = asyncio.create_task(logind.sleep("suspend"))
        await asyncio.sleep(0.2)
        bus.close()
        with pytest.raises(HostError) as error:
            await act
        assert re.fullmatch(r"logind refused: [A-Z][\w ]+", str(error.value))

    asyncio.run(main())


def test_nothing_is_left_open_and_the_loop_is_left_in_peace(bus: Bus) -> None:
    """A connection per call: each must give back its descriptor and its place in the loop."""
    bus.logind(CanSuspend="no")

    async def main() -> tuple[set[str], float]:
        for _ in range(3):
            with pytest.raises(HostError):
                await logind.sleep("suspend")
        before = open_descriptors()
        for _ in range(20):
            with pytest.raises(HostError):
                await logind.sleep("suspend")
        more = open_descriptors() - before
        spent = time.process_time()
        await asyncio.sleep(0.5)
        return more, time.process_time() - spent

    more, spent = asyncio.run(main())
    assert more == set()
    assert spent < 0.2, "a descriptor that is always ready spins the loop"
