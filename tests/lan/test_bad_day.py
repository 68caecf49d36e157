"""Bad input, missing permissions and reloads on a real daemon: a clear message, and no client is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.daemon import Daemon, SleepCommand, command, wait_for_rounds
from rig.dhcp import start_dnsmasq
from rig.lan import Lan
from rig.wait import until

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = pytest.mark.lan


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan(tmp_path) as lan:
        yield lan


def test_second_daemon_on_the_same_socket_reports_the_first(lan: Lan, tmp_path: Path) -> None:
    config = SleepCommand(tmp_path).config()
    with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
        second = command("run", "--config", str(powerd.config), "--socket", str(powerd.socket))
        assert (second.returncode, second.stdout) == (1, "")
        assert f"another powerd is running on {powerd.socket}" in second.stderr
        assert second.stderr.count("\n") == 1
        assert powerd.status()["mode"] == "enforce"


def test_sighup_takes_a_good_configuration_and_refuses_a_bad_one(lan: Lan, tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    with Daemon(lan.server.inside, tmp_path / "powerd", sleep_command.config(mode="observe")) as powerd:
        powerd.configure('mode = "enforce"\n[clients]\nevry = "5s"\n')
        powerd.reload()
        assert powerd.status()["mode"] == "observe"
        assert f"{powerd.config}:3: clients.evry: unknown key" in powerd.log.read_text()
        powerd.configure(sleep_command.config(mode="enforce"))
        powerd.reload()
        until(lambda: powerd.status()["mode"] == "enforce", "the good one is in force")


def test_bad_configuration_starts_nothing(tmp_path: Path) -> None:
    config = tmp_path / "powerd.toml"
    config.write_text('mode = "on"\n[clients]\nevry = "5s"\n')
    config.chmod(0o644)
    done = command("run", "--config", str(config), "--socket", str(tmp_path / "powerd.sock"))
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["mode", "clients.evry"]
    assert not (tmp_path / "powerd.sock").exists()


def test_garbled_lease_is_reported_and_keeps_awake(lan: Lan, tmp_path: Path) -> None:
    leases = tmp_path / "dhcpd.leases"
    block = (
        "lease {} {{\n  ends never;\n  binding state active;\n"
        '  hardware ethernet {};\n  client-hostname "{}";\n}}\n'
    )
    leases.write_text(
        block.format("10.77.1.20", "02:77:00:00:00:20", "laptop")
        + block.format("10.77.1.999", "02:77:00:00:00:21", "garbled")
        + block.format("10.77.1.22", "02:77:00:00:00:22", "phone")
    )
    config = SleepCommand(tmp_path).config(clients=f'learn = "0s"\nleases = ["{leases}"]\n')
    with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
        assert set(powerd.states()) == {"laptop", "phone"}
        printed = "".join(powerd.run_command("clients").split())  # lines are folded, within a long path too
        assert f'{leases}:1entryskipped,thefirst:line7:lease"10.77.1.999"' in printed
        assert "1entryskipped" in "".join(powerd.run_command("why").split())


def test_vanished_lease_file_keeps_its_clients(lan: Lan, tmp_path: Path) -> None:
    server = start_dnsmasq(lan)
    laptop = lan.join("laptop")
    laptop.lease()
    sleep_command = SleepCommand(tmp_path)
    config = sleep_command.config(clients=f'learn = "0s"\nleases = ["{server.leases}"]\n')
    with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
        powerd.sees(laptop="present")
        server.leases.rename(tmp_path / "elsewhere")
        until(lambda: [row["stale"] for row in powerd.clients()] == [True], "its client is stale", every=1)
        powerd.sees(laptop="present")
        assert "stale" in powerd.run_command("clients")
        (tmp_path / "elsewhere").rename(server.leases)
        until(lambda: [row["stale"] for row in powerd.clients()] == [False], "it is fresh again", every=1)
        assert sleep_command.run_count() == 0


def test_nobody_to_ask(tmp_path: Path) -> None:
    """Without a daemon every command prints the same clear message."""
    for question in ("status", "why", "clients"):
        done = command(question, "--json", "--socket", str(tmp_path / "none.sock"))
        assert done.returncode == 3
        assert done.stderr.startswith("powerd: ")
        assert str(tmp_path / "none.sock") in done.stderr
        assert done.stderr.count("\n") == 1


def observe_mode_touches_nothing_and_says_what_it_would_do(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    clients = 'learn = "0s"\nleases = []\nhosts = ["10.77.1.99"]\n'
    with (
        Lan(tmp_path) as lan,
        Daemon(
            lan.server.inside, tmp_path / "powerd", sleep_command.config(mode="observe", clients=clients)
        ) as powerd,
    ):
        until(lambda: "would have" in str(powerd.status()), "the command would have been run", within=180)
        assert "would have" in powerd.run_command("why")
        wait_for_rounds(powerd, 1)
        assert sleep_command.run_count() == 0


def without_cap_net_raw_it_stays_awake_and_names_the_remedy(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    config = sleep_command.config(clients='learn = "0s"\nleases = []\nhosts = ["10.77.1.99"]\n')
    powerless = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    with Lan(tmp_path) as lan, Daemon(lan.server.inside, tmp_path / "powerd", config, powerless) as powerd:
        powerd.awake_because("CAP_NET_RAW")
        wait_for_rounds(powerd, 2)
        assert "CAP_NET_RAW" in powerd.run_command("clients")
        assert "present" not in powerd.states().values()
        assert sleep_command.run_count() == 0


def nobody_known_is_no_reason_to_sleep(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    with (
        Lan(tmp_path) as lan,
        Daemon(
            lan.server.inside,
            tmp_path / "powerd",
            sleep_command.config(clients='learn = "0s"\nleases = []\n'),
        ) as powerd,
    ):
        powerd.awake_because("no client is known")
        wait_for_rounds(powerd, 2)
        assert sleep_command.run_count() == 0


@pytest.mark.parametrize(
    "scenario",
    [
        observe_mode_touches_nothing_and_says_what_it_would_do,
        without_cap_net_raw_it_stays_awake_and_names_the_remedy,
        nobody_known_is_no_reason_to_sleep,
    ],
)
def test_waits_in_vain_for_the_command(
    scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]
) -> None:
    started_scenarios[scenario].result()
