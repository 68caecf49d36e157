from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes.lease_files import CountingFiles

from powerd.presence.leases.files import LabelledEntry, LeaseFiles, LeaseReport
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import GRACE_PERIOD

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
DNSMASQ, CONF, DHCPD = "/var/lib/misc/dnsmasq.leases", "/etc/dhcp/dhcpd.conf", "/var/lib/dhcp/dhcpd.leases"
A, B = f"0 {MAC} 10.0.0.1 a *\n", f"0 {OTHER} 10.0.0.2 b *\n"


def host(name: str, address: str, mac: str = MAC) -> str:
    return f"host {name} {{ hardware ethernet {mac}; fixed-address {address}; }}\n"


class LeaseServer:
    """A tree of files, and what LeaseFiles says of it."""

    def __init__(self, root: Path, *paths: str) -> None:
        self.eyes = CountingFiles(root)
        self.files = LeaseFiles(paths)
        self.now = 1_000_000.0

    def poll(self, after: float = 60) -> LeaseReport:
        self.now += after
        return asyncio.run(self.files.poll(self.eyes, self.now))

    def names(self, after: float = 60) -> list[tuple[str | None, str, bool]]:
        """Names, labels and whether they are stale."""
        return [(named.entry.name, named.label, named.stale) for named in self.poll(after).entries]


@pytest.fixture
def lease_server(tmp_path: Path) -> LeaseServer:
    return LeaseServer(tmp_path, "auto")


def test_missing_lease_files_are_no_error(lease_server: LeaseServer) -> None:
    assert lease_server.poll() == LeaseReport()


def test_the_usual_files_of_all_servers(lease_server: LeaseServer) -> None:
    lease_server.eyes.replace_file(DNSMASQ, A)
    lease_server.eyes.replace_file(CONF, host("tv", "10.0.0.2", OTHER))
    lease_server.eyes.replace_file(
        DHCPD, f"lease 10.0.0.3 {{\n  ends never;\n  hardware ethernet {MAC};\n}}\n"
    )
    lease_server.eyes.replace_file("/etc/pihole/dhcp.leases", B)
    lease_server.eyes.replace_file("/etc/pihole/pihole.toml", f'[dhcp]\nhosts = ["{MAC},10.0.0.5,pi"]\n')
    lease_server.eyes.replace_file("/etc/dnsmasq.d/lan", f"dhcp-host={MAC},10.0.0.6,pc\n")
    lease_server.eyes.replace_file("/etc/dnsmasq.d/lan.bak", f"dhcp-host={MAC},10.0.0.7,old\n")
    lease_server.eyes.replace_file(
        "/var/lib/kea/kea-leases4.csv", f"address,hwaddr,valid_lifetime,expire\n10.0.0.8,{MAC},1,2\n"
    )
    lease_server.eyes.replace_file(
        "/etc/kea/kea-dhcp4.conf", f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{OTHER}"}}]}}}}'
    )
    lease_server.eyes.replace_file(
        "/var/lib/systemd/network/dhcp-server-lease/eth0", '{"Leases": [{"Address": [10, 0, 0, 9]}]}'
    )
    lease_server.eyes.replace_file("/run/hostapd/wlan0")
    lease_server.eyes.station_lists["/run/hostapd/wlan0"] = MAC
    report = lease_server.poll()
    assert (report.warnings, report.unavailable_reason) == ((), None)
    assert {(named.label, named.entry.key) for named in report.entries} == {
        ("dnsmasq.leases", "10.0.0.1"),
        ("dhcpd.conf", "10.0.0.2"),
        ("dhcpd.leases", "10.0.0.3"),
        ("dhcp.leases", "10.0.0.2"),
        ("pihole.toml", "10.0.0.5"),
        ("lan", "10.0.0.6"),
        ("kea-leases4.csv", "10.0.0.8"),
        ("kea-dhcp4.conf", OTHER),
        ("eth0", "10.0.0.9"),
        ("hostapd", MAC),
    }


def test_unchanged_files_cost_one_stat_each_and_give_the_same_report(lease_server: LeaseServer) -> None:
    lease_server.eyes.replace_file(DNSMASQ, A)
    lease_server.eyes.replace_file(CONF, 'include "hosts";\n')
    lease_server.eyes.replace_file("/etc/dhcp/hosts", host("tv", "10.0.0.2"))
    report = lease_server.poll()
    lease_server.eyes.reset_counts()
    for _ in range(20):
        assert lease_server.poll() is report
    assert not lease_server.eyes.open_counts
    assert set(lease_server.eyes.stat_counts.values()) == {20}
    assert {DNSMASQ, CONF, "/etc/dhcp/hosts"} <= lease_server.eyes.stat_counts.keys()
    lease_server.eyes.append(DNSMASQ, B)
    assert lease_server.poll() is not report
    assert lease_server.eyes.open_counts == {DNSMASQ: 1}


def test_named_files_of_any_format_at_any_place(tmp_path: Path) -> None:
    house = LeaseServer(tmp_path, "/srv/my.leases", "/srv/more/*")
    house.eyes.replace_file("/srv/my.leases", A)
    house.eyes.replace_file("/srv/more/x", host("x", "10.0.0.7"))
    house.eyes.replace_file("/srv/more/y", host("y", "10.0.0.8"))
    house.eyes.replace_file(DNSMASQ, B)
    assert house.names() == [("a", "my.leases", False), ("x", "x", False), ("y", "y", False)]


def test_a_named_file_that_never_existed(tmp_path: Path) -> None:
    house = LeaseServer(tmp_path, "auto", "/srv/my.leases", "/srv/*.csv")
    blind = house.poll().unavailable_reason
    assert blind
    assert "/srv/my.leases: there is no such lease file; " in blind
    assert "/srv/*.csv: no file fits this pattern; " in blind
    house.eyes.replace_file("/srv/my.leases", A)
    house.eyes.replace_file("/srv/k.csv", "address,hwaddr\n")
    assert house.poll().unavailable_reason is None


def test_a_usual_path_that_is_named_must_exist(tmp_path: Path) -> None:
    assert LeaseServer(tmp_path, "auto", DNSMASQ).poll().unavailable_reason
    assert LeaseServer(tmp_path, "auto", f"/var//lib/misc/../{DNSMASQ[9:]}").poll().unavailable_reason


def test_same_names_are_distinguished_by_their_paths(tmp_path: Path) -> None:
    house = LeaseServer(tmp_path, "/a/leases", "/b/leases")
    house.eyes.replace_file("/a/leases", A)
    house.eyes.replace_file("/b/leases", B)
    assert house.names() == [("a", "/a/leases", False), ("b", "/b/leases", False)]


def test_garbled_entries_are_a_warning_with_the_first_of_them(lease_server: LeaseServer) -> None:
    lease_server.eyes.replace_file(DNSMASQ, A, "x\n", "y\n", B)
    report = lease_server.poll()
    assert len(list(report.entries)) == 2
    assert report.warnings == (
        f'{DNSMASQ}: 2 entries skipped, the first: line 2: "x" has not the five fields of a lease',
    )
    lease_server.eyes.replace_file(DNSMASQ, A, "x\n", B)
    assert lease_server.poll().warnings[0].startswith(f"{DNSMASQ}: 1 entry skipped, ")


def test_unreadable_files_make_unavailable_or_warn(lease_server: LeaseServer) -> None:
    lease_server.eyes.replace_file(DNSMASQ, A)
    lease_server.eyes.replace_file("/etc/dnsmasq.conf", "port=0\n")
    lease_server.eyes.unreadable |= {DNSMASQ, "/etc/dnsmasq.conf"}
    report = lease_server.poll()
    assert report.unavailable_reason == f"cannot read {DNSMASQ}: Permission denied; be somebody else"
    assert report.warnings == ("cannot read /etc/dnsmasq.conf: Permission denied; be somebody else",)
    lease_server.eyes.unreadable = {"/var/lib/systemd/network/dhcp-server-lease/*"}
    assert (lease_server.poll().unavailable_reason or "").startswith(
        "cannot look into /var/lib/systemd/network"
    )


def test_stations_that_cannot_be_asked_are_a_warning(lease_server: LeaseServer) -> None:
    lease_server.eyes.replace_file("/run/hostapd/wlan0")
    lease_server.eyes.station_lists["/run/hostapd/wlan0"] = None
    report = lease_server.poll()
    assert report.unavailable_reason is None
    assert report.warnings == ("/run/hostapd/wlan0 does not answer; is hostapd still running?",)


def test_a_named_control_socket_is_asked_not_read(tmp_path: Path) -> None:
    house = LeaseServer(tmp_path, "/run/hostapd/wlan1")
    house.eyes.replace_file("/run/hostapd/wlan1")
    house.eyes.station_lists["/run/hostapd/wlan1"] = MAC
    assert list(house.poll().entries) == [
        LabelledEntry(HostEntry(None, MAC, kind="station"), "hostapd", stale=False)
    ]


class TestIncludes:
    def test_relative_absolute_and_in_each_other(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(CONF, 'include "more/one";\n', host("zero", "10.0.0.1"))
        lease_server.eyes.replace_file(
            "/etc/dhcp/more/one", 'include "two"; include "/etc/dhcp/dhcpd.conf"; include "one";\n'
        )
        lease_server.eyes.replace_file("/etc/dhcp/more/two", host("two", "10.0.0.2"))
        assert lease_server.names() == [("zero", "dhcpd.conf", False), ("two", "two", False)]
        lease_server.eyes.replace_file("/etc/dhcp/more/two", host("new", "10.0.0.3"))
        assert lease_server.names()[1] == ("new", "two", False)

    def test_a_missing_one_is_a_warning(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(CONF, 'include "gone";\n', 'lease-file-name "/srv/not-yet";\n')
        report = lease_server.poll()
        assert report.unavailable_reason is None
        assert report.warnings == (
            "/etc/dhcp/gone: another file includes it, but it does not exist; correct that one",
        )

    def test_no_longer_included_its_clients_go(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(CONF, 'include "more";\n')
        lease_server.eyes.replace_file("/etc/dhcp/more", host("pc", "10.0.0.1"))
        assert lease_server.names() == [("pc", "more", False)]
        lease_server.eyes.replace_file(CONF, "authoritative;\n")
        assert lease_server.names() == [("pc", "more", True)]
        for _ in range(int(GRACE_PERIOD // 60)):
            lease_server.poll()
        assert lease_server.poll() == LeaseReport()
        lease_server.eyes.replace_file(CONF, 'include "more";\n')
        assert lease_server.names() == [("pc", "more", False)]

    def test_directories_and_lease_files_of_dnsmasq(self, lease_server: LeaseServer) -> None:
        conf = "conf-dir=/etc/my.d,*.conf\ndhcp-hostsfile=hosts\ndhcp-leasefile=/srv/leases\n"
        lease_server.eyes.replace_file("/etc/dnsmasq.conf", conf)
        lease_server.eyes.replace_file("/etc/my.d/a.conf", f"dhcp-host={MAC},10.0.0.5,pc\n")
        lease_server.eyes.replace_file("/etc/my.d/a.txt", f"dhcp-host={MAC},10.0.0.6,no\n")
        lease_server.eyes.replace_file("/etc/hosts", f"{MAC},10.0.0.7,tv\n")
        lease_server.eyes.replace_file("/srv/leases", A)
        assert {name for name, _label, _stale in lease_server.names()} == {"pc", "tv", "a"}
        lease_server.eyes.remove("/etc/my.d/a.conf")
        assert ("pc", "a.conf", True) in lease_server.names()
        assert lease_server.poll(GRACE_PERIOD * 9).unavailable_reason is None

    def test_leases_and_pieces_of_kea(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(
            "/etc/kea/kea-dhcp4.conf",
            '{"Dhcp4": {"lease-database": {"type": "memfile", "name": "/srv/kea.csv"},'
            ' "reservations": [<?include "hosts.json"?>]}}',
        )
        lease_server.eyes.replace_file("/etc/kea/hosts.json", f'{{"hw-address": "{MAC}", "hostname": "pc"}},')
        lease_server.eyes.replace_file("/srv/kea.csv", "address,hwaddr,valid_lifetime,expire,hostname\n")
        lease_server.eyes.replace_file(
            "/srv/kea.csv.2", f"address,hwaddr,valid_lifetime,expire,hostname\n10.0.0.8,{MAC},1,2,x\n"
        )
        assert lease_server.names() == [("pc", "hosts.json", False), ("x", "kea.csv", False)]

    @pytest.mark.parametrize("name", ["a\0b", "\N{ESCAPE}[2J", "x" * 5000])
    def test_an_impossible_one_is_reported_and_not_tried(self, lease_server: LeaseServer, name: str) -> None:
        lease_server.eyes.replace_file(CONF, f'include "{name}";\n', host("tv", "10.0.0.2"))
        report = lease_server.poll()
        assert report.unavailable_reason
        assert report.unavailable_reason.isprintable()
        assert lease_server.poll() is report

    def test_there_is_an_end_to_them(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(CONF, *(f'include "{number}";\n' for number in range(2000)))
        report = lease_server.poll()
        assert report.unavailable_reason
        assert "more than 1000 files" in report.unavailable_reason


class TestTime:
    def test_a_vanished_file_makes_unavailable_after_an_hour(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(DNSMASQ, A)
        lease_server.poll()
        lease_server.eyes.remove(DNSMASQ)
        for _ in range(61):
            report = lease_server.poll()
            assert report.unavailable_reason is None
            assert [named.stale for named in report.entries] == [True]
        assert (lease_server.poll().unavailable_reason or "").startswith(f"{DNSMASQ}: has vanished; ")

    def test_a_file_that_comes_back_the_same_is_stale_no_more(self, lease_server: LeaseServer) -> None:
        lease_server.eyes.replace_file(DNSMASQ, A)
        lease_server.poll()
        lease_server.eyes.remove(DNSMASQ)
        assert lease_server.names() == [("a", "dnsmasq.leases", True)]
        lease_server.eyes.replace_file(DNSMASQ, A)
        assert lease_server.names() == [("a", "dnsmasq.leases", False)]

    @pytest.mark.parametrize("step", [9 * 3600.0, -9 * 3600.0, 30 * 86400.0])
    def test_a_step_of_the_clock_makes_nobody_forgotten(self, lease_server: LeaseServer, step: float) -> None:
        lease_server.eyes.replace_file(DNSMASQ, A, B)
        lease_server.poll()
        lease_server.eyes.replace_file(DNSMASQ, B)
        lease_server.poll()
        assert ("a", "dnsmasq.leases", True) in lease_server.names(step)
        for _ in range(int(GRACE_PERIOD // 60)):
            lease_server.poll()
        assert lease_server.names() == [("b", "dnsmasq.leases", False)]

    def test_a_file_found_by_a_pattern_may_vanish_too(self, tmp_path: Path) -> None:
        house = LeaseServer(tmp_path, "/srv/*.leases")
        house.eyes.replace_file("/srv/a.leases", A)
        house.eyes.replace_file("/srv/b.leases", B)
        house.poll()
        house.eyes.remove("/srv/a.leases")
        assert house.names() == [("a", "a.leases", True), ("b", "b.leases", False)]
        for _ in range(20):
            house.poll(300)
        assert "/srv/a.leases: has vanished" in (house.poll().unavailable_reason or "")
