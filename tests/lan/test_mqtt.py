"""Two servers with powerd that need each other, and a real broker: mosquitto."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.broker import PASSWORD, USER, Broker
from rig.daemon import Daemon, SleepCommand
from rig.lan import Host, Lan
from rig.udp_listener import udp_listener
from rig.wait import until

from powerd.linux.magic_packet import magic_packet

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = [pytest.mark.lan, pytest.mark.process]


class Server:
    """A server with powerd whose sleep lasts until somebody wakes it."""

    def __init__(self, host: Host, name: str, broker: Host, scratch: Path, needs: str) -> None:
        scratch.mkdir()
        password, self._bed = scratch / "password", scratch / "asleep"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        sleep = SleepCommand(scratch)
        sleep.script.write_text(f"#!/bin/sh\n: >{self._bed}\nwhile [ -e {self._bed} ]; do sleep 0.1; done\n")
        config = sleep.config(clients='leases = []\nlearn = "0s"\nhosts = ["10.77.1.9"]').replace(
            'warn = "0s"\n', 'warn = "0s"\ntimeout = "1h"\n'
        )
        mqtt = (
            f'[mqtt]\nbroker = "mqtt://{broker.address}"\nuser = "{USER}"\npassword_file = "{password}"\n'
            f'name = "{name}"\nneeds = {needs}\n'
        )
        self.host, self.name, self._script = host, name, sleep.script
        self.daemon = Daemon(host.inside, scratch / "powerd", config + mqtt)

    @property
    def is_asleep(self) -> bool:
        """Whether its sleep command runs."""
        return self._bed.exists()

    def wake(self) -> None:
        """End its sleep; powerd sees the end of the command, which it would abandon at its own end."""
        log = self.daemon.log
        before = log.read_text().count(f"ran {self._script}")
        self._bed.unlink()
        until(lambda: log.read_text().count(f"ran {self._script}") > before, f"{self.name} has woken up")


@contextmanager
def two_servers(scratch: Path) -> Iterator[tuple[Broker, Server, Server, Host]]:
    """They need each other; the broker is on a third machine. The laptop is home, so both stay up."""
    with Lan(scratch) as lan:
        hub, second, laptop = lan.join("hub"), lan.join("nas"), lan.join("laptop")
        laptop.take("10.77.1.9/24")
        hub.take("10.77.1.3/24")
        second.take("10.77.1.2/24")
        with Broker(hub, scratch) as broker:
            media = Server(lan.server, "media", hub, scratch / "media", '["nas"]')
            nas = Server(second, "nas", hub, scratch / "nas", '["media"]')
            with nas.daemon, media.daemon:
                yield broker, media, nas, laptop


def two_servers_need_each_other(scratch: Path) -> None:
    with two_servers(scratch) as (broker, media, nas, laptop):
        media.daemon.run_command("keep", "1h")
        nas.daemon.awake_because("media: is up and needs this server")
        laptop.leave()
        until(lambda: not any("10.77.1.9" in each for each in nas.daemon.reasons()), "nobody is home")
        assert not nas.is_asleep

        # Released before it sleeps, and woken when the other one is busy again.
        broker.publish("powerd/media/command", "sleep")
        (keep,) = media.daemon.status()["keep_awake"]
        media.daemon.run_command("keep", "--drop", keep["id"])
        until(lambda: media.is_asleep, "media sleeps")
        assert broker.states("media")[-1] == "asleep"
        until(lambda: nas.is_asleep, "nas sleeps")
        assert broker.states("nas")[-1] == "asleep"
        with udp_listener(nas.host) as packets:
            media.daemon.run_command("keep", "1h")
            media.wake()
            (first, *_) = packets()
            assert first.data == magic_packet(nas.host.mac)
        nas.wake()
        nas.daemon.awake_because("media: is up and needs this server")

        # Without the broker nobody knows.
        broker.stop()
        nas.daemon.awake_because("it is unknown whether media needs this server")
        media.daemon.awake_because("it is unknown whether nas needs this server")
        broker.start()
        nas.daemon.awake_because("media: is up and needs this server")

        # The broker publishes the will of a server that is gone a minute later; here it comes at once.
        media.daemon.process.terminate()
        assert media.daemon.process.wait(60) == 0
        broker.publish("powerd/media/server", '{"state": "gone", "needs": ["nas"]}')
        nas.daemon.awake_because("media: has needed this server, and is no longer connected")
        broker.publish("powerd/media/server", '{"state": "asleep", "needs": ["nas"]}')
        until(lambda: nas.is_asleep, "nas sleeps")
        nas.daemon.run_command("keep", "1h")
        nas.wake()


@pytest.mark.parametrize("scenario", [two_servers_need_each_other], ids=lambda scenario: scenario.__name__)
def test_servers(scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]) -> None:
    started_scenarios[scenario].result()
