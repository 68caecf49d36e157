"""Keep-awake requests and Wake-on-LAN with the real daemon and its command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.daemon import Daemon, SleepCommand, command, wait_for_rounds
from rig.lan import Host, Lan, stop
from rig.udp_listener import Datagram, udp_listener
from rig.wait import until

from powerd.linux.magic_packet import magic_packet

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = pytest.mark.lan
SECRET = "tk_very-secret"  # noqa: S105 - a secret of these tests alone


def a_sleeper_gets_three_magic_packets(scratch: Path) -> None:
    with Lan(scratch) as lan:
        server = lan.server.address
        assert server is not None
        laptop = lan.join("laptop")
        address, everybody = laptop.take("10.77.1.9/24"), "10.77.1.255"
        laptop.say_hello(server)
        urls = [f"json://{address}:8080/{SECRET}", f"json://127.0.0.1:9/{SECRET}"]
        config = f"{SleepCommand(scratch).config(mode='observe')}[hooks]\nnotify = {json.dumps(urls)}\n"
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            powerd.sees(**{address: "present"})
            if find_spec("apprise") is not None:
                a_test_message_arrives(laptop, address, powerd)
            text = f"Sent three magic packets for {address} ({laptop.mac}) to {everybody} (eth0)."
            assert packets_at(laptop, powerd, address) == (
                text,
                [Datagram(everybody, magic_packet(laptop.mac))] * 3,
            )
            stranger = "02:aa:bb:cc:dd:ee"
            text = f"Sent three magic packets for {stranger} to {everybody} (eth0)."
            assert packets_at(laptop, powerd, stranger) == (
                text,
                [Datagram(everybody, magic_packet(stranger))] * 3,
            )
            done = command("wake", "nobody", "--socket", str(powerd.socket))
            assert (done.returncode, done.stdout) == (1, "")
            assert "`powerd clients` lists all" in done.stderr


_RECEIVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
server = HTTPServer((sys.argv[1], 8080), Handler)
print("listens", flush=True)
server.handle_request()
"""


def a_test_message_arrives(laptop: Host, address: str, powerd: Daemon) -> None:
    """One recipient of the daemon's is a server on the LAN; nothing listens where the other one is."""
    argv = [*laptop.inside.prefix(), sys.executable, "-c", _RECEIVER, address]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "listens\n"
            done = command("notify", "--test", "--socket", str(powerd.socket))
            message = json.loads(receiver.stdout.readline())
        finally:
            receiver.kill()
    assert message["title"].endswith(": powerd: test")
    sent, refused = done.stdout.splitlines()
    assert sent == "hooks.notify[1] (json://): sent"
    assert refused.startswith("hooks.notify[2] (json://): not sent")
    assert (done.returncode, done.stderr) == (1, "")
    assert SECRET not in powerd.log.read_text()


def packets_at(host: Host, powerd: Daemon, who: str) -> tuple[str, list[Datagram]]:
    """What ``powerd wake`` prints, and the packets that arrive at ``host``."""
    with udp_listener(host) as packets:
        text = powerd.run_command("wake", who)
        return " ".join(text.split()), packets()


def a_keep_outlives_the_daemon_and_ends_when_it_is_dropped(scratch: Path) -> None:
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        laptop = lan.join("laptop")
        address = laptop.take("10.77.1.9/24")
        config = sleep_command.config(clients=f'learn = "0s"\nleases = []\nhosts = ["{address}"]\n')
        with Daemon(lan.server.inside, scratch / "first", config) as powerd:
            powerd.sees(**{address: "present"})
            powerd.run_command("sleep", "--now")
            until(lambda: sleep_command.run_count() == 1, "it sleeps despite the laptop", within=60)
            assert powerd.states() == {address: "present"}
            assert "Kept awake until " in powerd.run_command("keep", "1h", "--because", "backup")
            powerd.awake_because("backup")
            laptop_and_keep = powerd.run_command("sleep")
            assert address in laptop_and_keep
            assert ": backup" in laptop_and_keep
            assert address not in powerd.run_command("sleep", "--now"), "the laptop does not delay it"
            powerd.run_command("keep", "1min")
            assert powerd.status()["sleep_request"] is None
            laptop.leave()
            state = scratch / "at the crash"  # killed without a shutdown: the state is already written
            shutil.copytree(powerd.state, state)
            powerd.run_command("keep", "--drop", "1")
        before = sleep_command.run_count()
        with Daemon(lan.server.inside, scratch / "second", config, state=state) as restarted:
            until(
                lambda: restarted.states() == {address: "absent"}, "the laptop is gone", within=180, every=0.5
            )
            wait_for_rounds(restarted, 2)
            assert sleep_command.run_count() == before
            assert any(": backup" in reason for reason in restarted.reasons())
            assert "backup" in restarted.run_command("keep", "--list")
            assert "1: backup" in restarted.run_command("keep", "--drop", "1")
            until(lambda: sleep_command.run_count() > before, "the command has been run", within=180)


def a_hold_lasts_as_long_as_its_command(scratch: Path) -> None:
    with Lan(scratch) as lan:
        config = SleepCommand(scratch).config(mode="observe")
        argv = [sys.executable, "-m", "powerd", "hold", "--socket"]
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            for kill in (False, True):
                holding = subprocess.Popen([*argv, str(powerd.socket), "--", "sleep", "3600"])
                try:
                    powerd.awake_because("hold: awake while it runs: sleep")
                    children = Path(f"/proc/{holding.pid}/task/{holding.pid}/children")
                    child = int(until(children.read_text, "its command runs"))
                    if kill:
                        holding.kill()
                    else:
                        holding.terminate()
                    assert holding.wait(60) == (-9 if kill else 143)
                finally:
                    stop(holding)
                until(lambda: not powerd.status()["keep_awake"], "the hold is gone")
                if kill:
                    subprocess.run(["kill", str(child)], check=True)


@pytest.mark.parametrize(
    "scenario",
    [
        a_sleeper_gets_three_magic_packets,
        a_keep_outlives_the_daemon_and_ends_when_it_is_dropped,
        a_hold_lasts_as_long_as_its_command,
    ],
)
def test_on_purpose(scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]) -> None:
    started_scenarios[scenario].result()
