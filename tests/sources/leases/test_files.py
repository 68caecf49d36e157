from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sources.leases.trees import TreeEyes

from powerd.sources.leases.files import LeaseFiles, Named, Report
from powerd.sources.leases.found import Lead
from powerd.sources.leases.kept import GRACE

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
DNSMASQ, CONF, DHCPD = "/var/lib/misc/dnsmasq.leases", "/etc/dhcp/dhcpd.conf", "/var/lib/dhcp/dhcpd.leases"
A, B = f"0 {MAC} 10.0.0.1 a *\n", f"0 {OTHER} 10.0.0.2 b *\n"


def host(name: str, address: str, mac: str = MAC) -> str:
    return f"host {name} {{ hardware ethernet {mac}; fixed-address {address}; }}\n"


class House:
    """A tree of files, and what LeaseFiles says of it."""

    def __init__(self, root: Path, *paths: str) -> None:
        self.eyes = TreeEyes(root)
        self.files = LeaseFiles(paths)
        self.now = 1_000_000.0

    def look(self, after: float = 60) -> Report:
        self.now += after
        return asyncio.run(self.files.look(self.eyes, self.now))

    def names(self, after: float = 60) -> list[tuple[str | None, str, bool]]:
        """Names, labels and whether they are stale."""
        return [(named.lead.name, named.label, named.stale) for named in self.look(after).leads]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, "auto")


def test_an_empty_house_is_no_trouble(house: House) -> None:
    assert house.look() == Report()


def test_the_usual_files_of_all_servers(house: House) -> None:
    house.eyes.put(DNSMASQ, A)
    house.eyes.put(CONF, host("tv", "10.0.0.2", OTHER))
    house.eyes.put(DHCPD, f"lease 10.0.0.3 {{\n  ends never;\n  hardware ethernet {MAC};\n}}\n")
    house.eyes.put("/etc/pihole/dhcp.leases", B)
    house.eyes.put("/etc/pihole/pihole.toml", f'[dhcp]\nhosts = ["{MAC},10.0.0.5,pi"]\n')
    house.eyes.put("/etc/dnsmasq.d/lan", f"dhcp-host={MAC},10.0.0.6,pc\n")
    house.eyes.put("/etc/dnsmasq.d/lan.bak", f"dhcp-host={MAC},10.0.0.7,old\n")
    house.eyes.put(
        "/var/lib/kea/kea-leases4.csv", f"address,hwaddr,valid_lifetime,expire\n10.0.0.8,{MAC},1,2\n"
    )
    house.eyes.put(
        "/etc/kea/kea-dhcp4.conf", f'{{"Dhcp4": {{"reservations": [{{"hw-address": "{OTHER}"}}]}}}}'
    )
    house.eyes.put(
        "/var/lib/systemd/network/dhcp-server-lease/eth0", '{"Leases": [{"Address": [10, 0, 0, 9]}]}'
    )
    house.eyes.put("/run/hostapd/wlan0")
    house.eyes.air["/run/hostapd/wlan0"] = MAC
    report = house.look()
    assert (report.warnings, report.blind) == ((), None)
    assert {(named.label, named.lead.key) for named in report.leads} == {
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


def test_an_unchanged_house_costs_one_stat_per_file_and_gives_the_same_report(house: House) -> None:
    house.eyes.put(DNSMASQ, A)
    house.eyes.put(CONF, 'include "hosts";\n')
    house.eyes.put("/etc/dhcp/hosts", host("tv", "10.0.0.2"))
    report = house.look()
    house.eyes.forget()
    for _ in range(20):
        assert house.look() is report
    assert not house.eyes.opened
    assert set(house.eyes.marked.values()) == {20}
    assert {DNSMASQ, CONF, "/etc/dhcp/hosts"} <= house.eyes.marked.keys()
    house.eyes.add(DNSMASQ, B)
    assert house.look() is not report
    assert house.eyes.opened == {DNSMASQ: 1}


def test_named_files_of_any_format_at_any_place(tmp_path: Path) -> None:
    house = House(tmp_path, "/srv/my.leases", "/srv/more/*")
    house.eyes.put("/srv/my.leases", A)
    house.eyes.put("/srv/more/x", host("x", "10.0.0.7"))
    house.eyes.put("/srv/more/y", host("y", "10.0.0.8"))
    house.eyes.put(DNSMASQ, B)
    assert house.names() == [("a", "my.leases", False), ("x", "x", False), ("y", "y", False)]


def test_a_named_file_that_never_existed(tmp_path: Path) -> None:
    house = House(tmp_path, "auto", "/srv/my.leases", "/srv/*.csv")
    blind = house.look().blind
    assert blind
    assert "/srv/my.leases: there is no such lease file; " in blind
    assert "/srv/*.csv: no file fits this pattern; " in blind
    house.eyes.put("/srv/my.leases", A)
    house.eyes.put("/srv/k.csv", "address,hwaddr\n")
    assert house.look().blind is None


def test_a_usual_path_that_is_named_must_exist(tmp_path: Path) -> None:
    assert House(tmp_path, "auto", DNSMASQ).look().blind
    assert House(tmp_path, "auto", f"/var//lib/misc/../{DNSMASQ[9:]}").look().blind


def test_same_names_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    house = House(tmp_path, "/a/leases", "/b/leases")
    house.eyes.put("/a/leases", A)
    house.eyes.put("/b/leases", B)
    assert house.names() == [("a", "/a/leases", False), ("b", "/b/leases", False)]


def test_garbled_entries_are_a_warning_with_the_first_of_them(house: House) -> None:
    house.eyes.put(DNSMASQ, A, "x\n", "y\n", B)
    report = house.look()
    assert len(list(report.leads)) == 2
    assert report.warnings == (
        f'{DNSMASQ}: 2 entries skipped, the first: line 2: "x" has not the five fields of a lease',
    )
    house.eyes.put(DNSMASQ, A, "x\n", B)
    assert house.look().warnings[0].startswith(f"{DNSMASQ}: 1 entry skipped, ")


def test_unreadable_files_blind_or_warn(house: House) -> None:
    house.eyes.put(DNSMASQ, A)
    house.eyes.put("/etc/dnsmasq.conf", "port=0\n")
    house.eyes.barred |= {DNSMASQ, "/etc/dnsmasq.conf"}
    report = house.look()
    assert report.blind == f"cannot read {DNSMASQ}: Permission denied; be somebody else"
    assert report.warnings == ("cannot read /etc/dnsmasq.conf: Permission denied; be somebody else",)
    house.eyes.barred = {"/var/lib/systemd/network/dhcp-server-lease/*"}
    assert (house.look().blind or "").startswith("cannot look into /var/lib/systemd/network")


def test_stations_that_cannot_be_asked_are_a_warning(house: House) -> None:
    house.eyes.put("/run/hostapd/wlan0")
    house.eyes.air["/run/hostapd/wlan0"] = None
    report = house.look()
    assert report.blind is None
    assert report.warnings == ("/run/hostapd/wlan0 does not answer; is hostapd still running?",)


def test_a_named_control_socket_is_asked_not_read(tmp_path: Path) -> None:
    house = House(tmp_path, "/run/hostapd/wlan1")
    house.eyes.put("/run/hostapd/wlan1")
    house.eyes.air["/run/hostapd/wlan1"] = MAC
    assert list(house.look().leads) == [Named(Lead(None, MAC, kind="station"), "hostapd", stale=False)]


class TestIncludes:
    def test_relative_absolute_and_in_each_other(self, house: House) -> None:
        house.eyes.put(CONF, 'include "more/one";\n', host("zero", "10.0.0.1"))
        house.eyes.put(
            "/etc/dhcp/more/one", 'include "two"; include "/etc/dhcp/dhcpd.conf"; include "one";\n'
        )
        house.eyes.put("/etc/dhcp/more/two", host("two", "10.0.0.2"))
        assert house.names() == [("zero", "dhcpd.conf", False), ("two", "two", False)]
        house.eyes.put("/etc/dhcp/more/two", host("new", "10.0.0.3"))
        assert house.names()[1] == ("new", "two", False)

    def test_a_missing_one_is_a_warning(self, house: House) -> None:
        house.eyes.put(CONF, 'include "gone";\n', 'lease-file-name "/srv/not-yet";\n')
        report = house.look()
        assert report.blind is None
        assert report.warnings == (
            "/etc/dhcp/gone: another file includes it, but it does not exist; correct that one",
        )

    def test_no_longer_included_its_clients_go(self, house: House) -> None:
        house.eyes.put(CONF, 'include "more";\n')
        house.eyes.put("/etc/dhcp/more", host("pc", "10.0.0.1"))
        assert house.names() == [("pc", "more", False)]
        house.eyes.put(CONF, "authoritative;\n")
        assert house.names() == [("pc", "more", True)]
        for _ in range(int(GRACE // 60)):
            house.look()
        assert house.look() == Report()
        house.eyes.put(CONF, 'include "more";\n')
        assert house.names() == [("pc", "more", False)]

    def test_directories_and_lease_files_of_dnsmasq(self, house: House) -> None:
        conf = "conf-dir=/etc/my.d,*.conf\ndhcp-hostsfile=hosts\ndhcp-leasefile=/srv/leases\n"
        house.eyes.put("/etc/dnsmasq.conf", conf)
        house.eyes.put("/etc/my.d/a.conf", f"dhcp-host={MAC},10.0.0.5,pc\n")
        house.eyes.put("/etc/my.d/a.txt", f"dhcp-host={MAC},10.0.0.6,no\n")
        house.eyes.put("/etc/hosts", f"{MAC},10.0.0.7,tv\n")
        house.eyes.put("/srv/leases", A)
        assert {name for name, _label, _stale in house.names()} == {"pc", "tv", "a"}
        house.eyes.remove("/etc/my.d/a.conf")
        assert ("pc", "a.conf", True) in house.names()
        assert house.look(GRACE * 9).blind is None

    def test_leases_and_pieces_of_kea(self, house: House) -> None:
        house.eyes.put(
            "/etc/kea/kea-dhcp4.conf",
            '{"Dhcp4": {"lease-database": {"type": "memfile", "name": "/srv/kea.csv"},'
            ' "reservations": [<?include "hosts.json"?>]}}',
        )
        house.eyes.put("/etc/kea/hosts.json", f'{{"hw-address": "{MAC}", "hostname": "pc"}},')
        house.eyes.put("/srv/kea.csv", "address,hwaddr,valid_lifetime,expire,hostname\n")
        house.eyes.put(
            "/srv/kea.csv.2", f"address,hwaddr,valid_lifetime,expire,hostname\n10.0.0.8,{MAC},1,2,x\n"
        )
        assert house.names() == [("pc", "hosts.json", False), ("x", "kea.csv", False)]

    @pytest.mark.parametrize("name", ["a\0b", "\N{ESCAPE}[2J", "x" * 5000])
    def test_an_impossible_one_is_told_and_not_tried(self, house: House, name: str) -> None:
        house.eyes.put(CONF, f'include "{name}";\n', host("tv", "10.0.0.2"))
        report = house.look()
        assert report.blind
        assert report.blind.isprintable()
        assert house.look() is report

    def test_there_is_an_end_to_them(self, house: House) -> None:
        house.eyes.put(CONF, *(f'include "{number}";\n' for number in range(2000)))
        report = house.look()
        assert report.blind
        assert "more than 1000 files" in report.blind


class TestTime:
    def test_a_vanished_file_blinds_after_an_hour(self, house: House) -> None:
        house.eyes.put(DNSMASQ, A)
        house.look()
        house.eyes.remove(DNSMASQ)
        for _ in range(61):
            report = house.look()
            assert report.blind is None
            assert [named.stale for named in report.leads] == [True]
        assert (house.look().blind or "").startswith(f"{DNSMASQ}: has vanished; ")

    def test_a_file_that_comes_back_the_same_is_stale_no_more(self, house: House) -> None:
        house.eyes.put(DNSMASQ, A)
        house.look()
        house.eyes.remove(DNSMASQ)
        assert house.names() == [("a", "dnsmasq.leases", True)]
        house.eyes.put(DNSMASQ, A)
        assert house.names() == [("a", "dnsmasq.leases", False)]

    @pytest.mark.parametrize("step", [9 * 3600.0, -9 * 3600.0, 30 * 86400.0])
    def test_a_step_of_the_clock_makes_nobody_forgotten(self, house: House, step: float) -> None:
        house.eyes.put(DNSMASQ, A, B)
        house.look()
        house.eyes.put(DNSMASQ, B)
        house.look()
        assert ("a", "dnsmasq.leases", True) in house.names(step)
        for _ in range(int(GRACE // 60)):
            house.look()
        assert house.names() == [("b", "dnsmasq.leases", False)]

    def test_a_file_found_by_a_pattern_may_vanish_too(self, tmp_path: Path) -> None:
        house = House(tmp_path, "/srv/*.leases")
        house.eyes.put("/srv/a.leases", A)
        house.eyes.put("/srv/b.leases", B)
        house.look()
        house.eyes.remove("/srv/a.leases")
        assert house.names() == [("a", "a.leases", True), ("b", "b.leases", False)]
        for _ in range(20):
            house.look(300)
        assert "/srv/a.leases: has vanished" in (house.look().blind or "")
