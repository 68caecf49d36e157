from __future__ import annotations

import asyncio
import re
from pathlib import Path
from posixpath import basename

import pytest
from fakes.lease_files import CountingFiles
from presence.leases.parsing import label

from powerd.presence.leases.files import LeaseFiles, LeaseReport
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import GRACE_PERIOD

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
DNSMASQ, CONF, DHCPD = "/var/lib/misc/dnsmasq.leases", "/etc/dhcp/dhcpd.conf", "/var/lib/dhcp/dhcpd.leases"
A, B = f"0 {MAC} 10.0.0.1 a *\n", f"0 {OTHER} 10.0.0.2 b *\n"


def host(name: str, address: str, mac: str = MAC) -> str:
    return f"host {name} {{ hardware ethernet {mac}; fixed-address {address}; }}\n"


class LeaseServer:
    """A tree of files below a temporary root, with its LeaseFiles."""

    def __init__(self, root: Path, *paths: str) -> None:
        self.machine = CountingFiles(root)
        self.files = LeaseFiles(paths)
        self.now = 1_000_000.0

    def poll(self, after: float = 60) -> LeaseReport:
        self.now += after
        return asyncio.run(self.files.poll(self.machine, self.machine, self.now))

    def names(self, after: float = 60) -> list[tuple[str | None, str, bool]]:
        """Host name, file name and staleness of each entry."""
        return [(entry.name, basename(entry.source), entry.stale) for entry in self.poll(after).entries]


@pytest.fixture
def server(tmp_path: Path) -> LeaseServer:
    return LeaseServer(tmp_path, "auto")


def test_missing_lease_files_are_no_error(server: LeaseServer) -> None:
    assert server.poll() == LeaseReport()


def test_the_default_files_of_all_formats(server: LeaseServer) -> None:
    server.machine.replace_file(DNSMASQ, A)
    server.machine.replace_file(CONF, host("tv", "10.0.0.2", OTHER))
    server.machine.replace_file(DHCPD, f"lease 10.0.0.3 {{\n  ends never;\n  hardware ethernet {MAC};\n}}\n")
    server.machine.replace_file("/etc/pihole/dhcp.leases", B)
    server.machine.replace_file("/etc/pihole/pihole.toml", f'[dhcp]\nhosts = ["{MAC},10.0.0.5,pi"]\n')
    server.machine.replace_file("/etc/dnsmasq.d/lan.bak", f"dhcp-host={MAC},10.0.0.77,bak\n")
    server.machine.replace_file("/etc/dnsmasq.d/lan", f"dhcp-host={MAC},10.0.0.6,pc\n")
    for suffix in ("~", ".dpkg-dist", ".dpkg-old", ".dpkg-new"):
        server.machine.replace_file(f"/etc/dnsmasq.d/lan{suffix}", f"dhcp-host={MAC},10.0.0.7,old\n")
    server.machine.replace_file(
        "/var/lib/kea/kea-leases4.csv", f"address,hwaddr,valid_lifetime,expire\n10.0.0.8,{MAC},1,2\n"
    )
    server.machine.replace_file(
        "/etc/kea/kea-dhcp4.conf", f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{OTHER}"}}]}}}}'
    )
    server.machine.replace_file(
        "/var/lib/systemd/network/dhcp-server-lease/eth0", '{"Leases": [{"Address": [10, 0, 0, 9]}]}'
    )
    server.machine.replace_file("/run/hostapd/wlan0")
    server.machine.station_lists["/run/hostapd/wlan0"] = MAC
    report = server.poll()
    assert (report.warnings, report.unavailable_reason) == ((), None)
    assert {(basename(entry.source), label(entry)) for entry in report.entries} == {
        ("dnsmasq.leases", "10.0.0.1"),
        ("dhcpd.conf", "10.0.0.2"),
        ("dhcpd.leases", "10.0.0.3"),
        ("dhcp.leases", "10.0.0.2"),
        ("pihole.toml", "10.0.0.5"),
        ("lan", "10.0.0.6"),
        ("lan.bak", "10.0.0.77"),  # dnsmasq reads it
        ("kea-leases4.csv", "10.0.0.8"),
        ("kea-dhcp4.conf", OTHER),
        ("eth0", "10.0.0.9"),
        ("hostapd", MAC),
    }


def test_unchanged_files_cost_one_stat_each_and_give_the_identical_report(server: LeaseServer) -> None:
    server.machine.replace_file(DNSMASQ, A)
    server.machine.replace_file(CONF, 'include "/etc/dhcp/hosts";\n')
    server.machine.replace_file("/etc/dhcp/hosts", host("tv", "10.0.0.2"))
    report = server.poll()
    server.machine.reset_counts()
    for _ in range(20):
        assert server.poll() is report
    assert not server.machine.open_counts
    assert set(server.machine.stat_counts.values()) == {20}
    assert {DNSMASQ, CONF, "/etc/dhcp/hosts"} <= server.machine.stat_counts.keys()
    server.machine.append(DNSMASQ, B)
    assert server.poll() is not report
    assert server.machine.open_counts == {DNSMASQ: 1}


def test_configured_files_have_any_format_and_path(tmp_path: Path) -> None:
    server = LeaseServer(tmp_path, "/srv/my.leases", "/srv/more/*")
    server.machine.replace_file("/srv/my.leases", A)
    server.machine.replace_file("/srv/more/x", host("x", "10.0.0.7"))
    server.machine.replace_file("/srv/more/y", host("y", "10.0.0.8"))
    server.machine.replace_file(DNSMASQ, B)
    assert server.names() == [("a", "my.leases", False), ("x", "x", False), ("y", "y", False)]


def test_a_configured_file_that_never_existed(tmp_path: Path) -> None:
    server = LeaseServer(tmp_path, "auto", "/srv/my.leases", "/srv/*.csv")
    reason = server.poll().unavailable_reason
    assert reason
    assert "/srv/my.leases: " in reason
    assert "/srv/*.csv: " in reason
    server.machine.replace_file("/srv/my.leases", A)
    server.machine.replace_file("/srv/k.csv", "address,hwaddr\n")
    assert server.poll().unavailable_reason is None


def test_a_configured_default_path_must_exist(tmp_path: Path) -> None:
    assert LeaseServer(tmp_path, "auto", DNSMASQ).poll().unavailable_reason
    assert LeaseServer(tmp_path, "auto", f"/var//lib/misc/../{DNSMASQ[9:]}").poll().unavailable_reason


def test_invalid_entries_make_unavailable_and_the_first_is_described(server: LeaseServer) -> None:
    server.machine.replace_file(DNSMASQ, A, "x\n", "y\n", B)
    report = server.poll()
    assert len(report.entries) == 2
    assert re.match(rf'{DNSMASQ}: 2 entries .*line 2: "x" ', report.unavailable_reason or "")
    server.machine.replace_file(DNSMASQ, A, "x\n", B)
    assert (server.poll().unavailable_reason or "").startswith(f"{DNSMASQ}: 1 entry ")
    server.machine.replace_file(DNSMASQ, A, B)
    assert server.poll().unavailable_reason is None


def test_unreadable_files_make_unavailable(server: LeaseServer) -> None:
    server.machine.replace_file(DNSMASQ, A)
    server.machine.replace_file("/etc/dnsmasq.conf", "port=0\n")
    server.machine.unreadable |= {DNSMASQ, "/etc/dnsmasq.conf"}
    report = server.poll()
    assert report.unavailable_reason
    for path in (DNSMASQ, "/etc/dnsmasq.conf"):
        assert report.unavailable_reason.count(f"cannot read {path}: ") == 1
    server.machine.unreadable = {"/var/lib/systemd/network/dhcp-server-lease/*"}
    assert (server.poll().unavailable_reason or "").startswith("cannot list /var/lib/systemd/network")


def test_an_access_point_that_does_not_answer_is_a_warning(server: LeaseServer) -> None:
    server.machine.replace_file("/run/hostapd/wlan0")
    server.machine.station_lists["/run/hostapd/wlan0"] = None
    report = server.poll()
    assert report.unavailable_reason is None
    (warning,) = report.warnings
    assert warning.startswith("/run/hostapd/wlan0 does not answer")


def test_a_configured_control_socket_is_queried_not_read(tmp_path: Path) -> None:
    server = LeaseServer(tmp_path, "/run/hostapd/wlan1")
    server.machine.replace_file("/run/hostapd/wlan1")
    server.machine.station_lists["/run/hostapd/wlan1"] = MAC
    assert server.poll().entries == (HostEntry(None, MAC, kind="station", source="hostapd"),)


class TestIncludes:
    def test_relative_absolute_and_cyclic_includes(self, server: LeaseServer) -> None:
        """A relative name is relative to the working directory of the server."""
        server.machine.replace_file(CONF, 'include "more/one";\n', host("zero", "10.0.0.1"))
        server.machine.replace_file(
            "/more/one", f'include "/etc/dhcp/more/two"; include "{CONF}"; include "more/one";\n'
        )
        server.machine.replace_file("/etc/dhcp/more/two", host("two", "10.0.0.2"))
        assert server.names() == [("zero", "dhcpd.conf", False), ("two", "two", False)]
        server.machine.replace_file("/etc/dhcp/more/two", host("new", "10.0.0.3"))
        assert server.names()[1] == ("new", "two", False)

    def test_a_missing_include_makes_unavailable(self, server: LeaseServer) -> None:
        server.machine.replace_file(CONF, 'include "gone";\n')
        assert (server.poll().unavailable_reason or "").startswith("/gone: ")

    def test_a_missing_lease_file_that_a_configuration_names_is_a_warning(self, server: LeaseServer) -> None:
        server.machine.replace_file(CONF, 'lease-file-name "/srv/not-yet";\n')
        report = server.poll()
        assert report.unavailable_reason is None
        (warning,) = report.warnings
        assert warning.startswith("/srv/not-yet: ")

    def test_an_include_is_no_pattern(self, server: LeaseServer) -> None:
        server.machine.replace_file(CONF, 'include "/etc/hosts[1]*";\n')
        server.machine.replace_file("/etc/hosts1x", host("no", "10.0.0.1"))
        server.machine.replace_file("/etc/hosts[1]*", host("yes", "10.0.0.2"))
        assert server.names() == [("yes", "hosts[1]*", False)]

    def test_the_entries_of_a_file_no_longer_included_are_removed(self, server: LeaseServer) -> None:
        server.machine.replace_file(CONF, 'include "/etc/dhcp/more";\n')
        server.machine.replace_file("/etc/dhcp/more", host("pc", "10.0.0.1"))
        assert server.names() == [("pc", "more", False)]
        server.machine.replace_file(CONF, "authoritative;\n")
        assert server.names() == [("pc", "more", True)]
        for _ in range(int(GRACE_PERIOD // 60)):
            server.poll()
        assert server.poll() == LeaseReport()
        server.machine.replace_file(CONF, 'include "/etc/dhcp/more";\n')
        assert server.names() == [("pc", "more", False)]

    def test_directories_and_lease_files_of_dnsmasq(self, server: LeaseServer) -> None:
        conf = "conf-dir=/etc/my.d,*.conf\ndhcp-hostsfile=/etc/hosts\ndhcp-leasefile=/srv/leases\n"
        server.machine.replace_file("/etc/dnsmasq.conf", conf)
        server.machine.replace_file("/etc/my.d/a.conf", f"dhcp-host={MAC},10.0.0.5,pc\n")
        server.machine.replace_file("/etc/my.d/a.txt", f"dhcp-host={MAC},10.0.0.6,no\n")
        server.machine.replace_file("/etc/hosts", f"{MAC},10.0.0.7,tv\n")
        server.machine.replace_file("/srv/leases", A)
        assert {name for name, _label, _stale in server.names()} == {"pc", "tv", "a"}
        server.machine.remove("/etc/my.d/a.conf")
        assert ("pc", "a.conf", True) in server.names()
        assert server.poll(GRACE_PERIOD * 9).unavailable_reason is None

    @pytest.mark.parametrize("option", ["dhcp-hostsfile=/srv/hosts", "dhcp-hostsdir=/srv/hosts/"])
    def test_a_directory_of_hosts_of_dnsmasq(self, server: LeaseServer, option: str) -> None:
        server.machine.replace_file("/etc/dnsmasq.conf", f"{option}\n")
        for name in ("a", "b.bak", ".hidden", "c~", "#d#", "sub/e"):
            server.machine.replace_file(f"/srv/hosts/{name}", f"{MAC},10.0.0.7,{name.strip('~#')}\n")
        assert server.names() == [("a", "a", False), ("b.bak", "b.bak", False)]
        assert server.poll().unavailable_reason is None

    @pytest.mark.parametrize(
        "option", ["conf-dir=/srv/no,*.conf", "dhcp-hostsdir=/srv/no", "dhcp-hostsfile=/srv/no"]
    )
    def test_a_missing_directory_makes_unavailable(self, server: LeaseServer, option: str) -> None:
        server.machine.replace_file("/etc/dnsmasq.conf", f"{option}\n")
        assert (server.poll().unavailable_reason or "").startswith("/srv/no: another file includes ")

    def test_leases_and_included_fragments_of_kea(self, server: LeaseServer) -> None:
        server.machine.replace_file(
            "/etc/kea/kea-dhcp4.conf",
            '{"Dhcp4": {"lease-database": {"type": "memfile", "name": "/srv/kea.csv"},'
            ' "reservations": [<?include "/etc/kea/hosts.json"?>]}}',
        )
        server.machine.replace_file("/etc/kea/hosts.json", f'{{"hw-address": "{MAC}", "hostname": "pc"}},')
        server.machine.replace_file("/srv/kea.csv", "address,hwaddr,valid_lifetime,expire,hostname\n")
        server.machine.replace_file(
            "/srv/kea.csv.2", f"address,hwaddr,valid_lifetime,expire,hostname\n10.0.0.8,{MAC},1,2,x\n"
        )
        assert server.names() == [("pc", "hosts.json", False), ("x", "kea.csv", False)]

    @pytest.mark.parametrize("name", ["a\0b", "\N{ESCAPE}[2J", "x" * 5000])
    def test_an_impossible_path_is_reported_and_not_opened(self, server: LeaseServer, name: str) -> None:
        server.machine.replace_file(CONF, f'include "{name}";\n', host("tv", "10.0.0.2"))
        report = server.poll()
        assert report.unavailable_reason
        assert report.unavailable_reason.isprintable()
        assert server.poll() is report

    def test_the_number_of_includes_is_limited(self, server: LeaseServer) -> None:
        server.machine.replace_file(CONF, *(f'include "{number}";\n' for number in range(2000)))
        report = server.poll()
        assert report.unavailable_reason
        assert "more than 1000 files" in report.unavailable_reason


class TestTime:
    def test_a_vanished_file_makes_unavailable_after_an_hour(self, server: LeaseServer) -> None:
        server.machine.replace_file(DNSMASQ, A)
        server.poll()
        server.machine.remove(DNSMASQ)
        for _ in range(61):
            report = server.poll()
            assert report.unavailable_reason is None
            assert [entry.stale for entry in report.entries] == [True]
        assert (server.poll().unavailable_reason or "").startswith(f"{DNSMASQ}: no longer exists")

    def test_an_unchanged_file_that_returns_is_no_longer_stale(self, server: LeaseServer) -> None:
        server.machine.replace_file(DNSMASQ, A)
        server.poll()
        server.machine.remove(DNSMASQ)
        assert server.names() == [("a", "dnsmasq.leases", True)]
        server.machine.replace_file(DNSMASQ, A)
        assert server.names() == [("a", "dnsmasq.leases", False)]

    @pytest.mark.parametrize("step", [9 * 3600.0, -9 * 3600.0, 30 * 86400.0])
    def test_a_clock_step_does_not_end_the_grace_period(self, server: LeaseServer, step: float) -> None:
        server.machine.replace_file(DNSMASQ, A, B)
        server.poll()
        server.machine.replace_file(DNSMASQ, B)
        server.poll()
        assert ("a", "dnsmasq.leases", True) in server.names(step)
        for _ in range(int(GRACE_PERIOD // 60)):
            server.poll()
        assert server.names() == [("b", "dnsmasq.leases", False)]

    def test_a_file_that_a_pattern_matched_may_vanish_too(self, tmp_path: Path) -> None:
        server = LeaseServer(tmp_path, "/srv/*.leases")
        server.machine.replace_file("/srv/a.leases", A)
        server.machine.replace_file("/srv/b.leases", B)
        server.poll()
        server.machine.remove("/srv/a.leases")
        assert server.names() == [("a", "a.leases", True), ("b", "b.leases", False)]
        for _ in range(20):
            server.poll(300)
        assert "/srv/a.leases: no longer exists" in (server.poll().unavailable_reason or "")
