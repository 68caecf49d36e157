"""What a configuration names and the machine does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from powerd.config.load import locate_clauses, parse
from powerd.config.machine_check import (
    Account,
    MachineFacts,
    lan_networks,
    missing_on,
    option_warnings,
    own_names,
)
from powerd.config.options import Options

DISKS = [("ata-WDC_1", "WDC WD20EFRX", "SERIAL")]
NOBODY = Account(65534, frozenset({65534}))


def options(text: str) -> Options:
    return parse(text.encode(), "test")


@pytest.fixture
def machine(tmp_path: Path) -> MachineFacts:
    """A machine with a lease file, units, a directory and scripts."""
    root = tmp_path / "root"
    for directory in ("srv", "etc/systemd/system", "usr/sbin"):
        (root / directory).mkdir(parents=True)
    (root / "srv/my.leases").touch()
    for unit in ("backup.timer", "copy@.timer", "rsync.service"):
        (root / "etc/systemd/system" / unit).touch()
    networks = [IPv4Network("192.168.1.0/24")]
    return MachineFacts(
        *(root, DISKS, {"tv.lan"}, networks),
        own_names={"192.168.1.2", "nas"},
        host_name="nas.home.arpa",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[clients]\nleases = ["auto", "/srv/*.leases"]', None),
        ('[clients]\nleases = ["/srv/none.leases"]', (2, "clients.leases", "/srv/none.leases")),
        ('[clients]\nhosts = ["10.0.0.1", "pc.lan"]', None),
        ('[clients]\nhosts = ["nas"]', (2, "clients.hosts", "itself")),
        ('[clients]\nhosts = ["192.168.1.2"]', (2, "clients.hosts", "itself")),
        ('[clients]\nhosts = [\n"tv.lan"]', (2, "clients.hosts", "tv.lan")),
        ('[clients]\nignore = ["192.168.1.*"]', (2, "clients.ignore", "192.168.1.0/24")),
        ('[clients]\nignore = ["192.168.0.0/16"]', (2, "clients.ignore", "192.168.1.0/24")),
        ('[clients]\nignore = ["192.168.1.0/25"]', None),
        ('[mqtt]\nbroker = "mqtt://192.168.1.2:1884"\n[[sleep]]', (2, "mqtt.broker", "always on")),
        ('[mqtt]\nbroker = "mqtts://nas"\n[[sleep]]', (2, "mqtt.broker", "always on")),
        ('[mqtt]\nbroker = "mqtt://192.168.1.2"', None),
        ('[mqtt]\nbroker = "mqtt://192.168.1.20"\n[[sleep]]', None),
        ('[mqtt]\nbroker = "mqtt://b"\nneeds = ["nas2", "nas"]', (3, "mqtt.needs", '"nas"')),
        ('[mqtt]\nbroker = "mqtt://b"\nneeds = ["nas2"]', None),
        ('[mqtt]\nbroker = "mqtt://b"\nname = "b"\nneeds = ["nas"]', None),
        ('[wake]\ntimers = ["auto", "backup.timer", "copy@home.timer"]', None),
        ('[wake]\n\ntimers = ["bakcup.timer"]', (3, "wake.timers", "bakcup.timer")),
        ('[[disks.rule]]\nmatch = ["ata-WDC*", "WDC WD20EFRX", "SERIAL"]', None),
        (
            '[[disks.rule]]\nmatch = ["SERIAL"]\n[[disks.rule]]\nmatch = ["ata-ST*"]',
            (4, "disks.rule[2].match", "ata-WDC_1"),
        ),
        ('[watch]\ndirectories = ["/srv", "/data"]', (2, "watch.directories", "/data")),
        ('[activity.jobs]\nunits = ["*backup*", "rsync"]', None),
        ('[activity.jobs]\nunits = ["rsnyc"]', (2, "activity.jobs.units", "rsnyc.service")),
        ('[activity.disk_io]\nignore = ["smdb.service"]', (2, "activity.disk_io.ignore", "smdb.service")),
        ('[activity.disk_io]\nignore = ["rsync.service", "*.service"]', None),
        (
            (
                '[[activity.http]]\nname = "a"\nurl = "http://a"\njmespath = "a"\n'
                '[[activity.http]]\nname = "b"\nurl = "http://b"\njmespath = "b"\nheader_file = "/srv/none"'
            ),
            (9, "activity.http[2].header_file", "install -m 640"),
        ),
        (
            '[[activity.http]]\nname = "a"\nurl = "https://a"\njmespath = "a"\nca_file = "/srv/none"',
            (5, "activity.http[1].ca_file", "correct its path"),
        ),
        (
            '[[activity.http]]\nname = "a"\nurl = "http://a"\njmespath = "a"\nheader_file = "/srv/my.leases"',
            None,
        ),
        ('[watch]\ndirectories = ["/srv/my.leases"]', (2, "watch.directories", "/srv/my.leases")),
        ('[watch]\ndirectories = ["/"]', None),
        (f'[watch]\ndirectories = ["/{"d" * 300}"]', (2, "watch.directories", "dd")),
        (f'[clients]\nleases = ["/{"d" * 300}"]', (2, "clients.leases", "dd")),
        ('[clients]\nleases = ["/srv/**x"]', (2, "clients.leases", "**x")),
        (f'[hooks]\nalert = ["/{"d" * 300}"]', (2, "hooks.alert", "dd")),
        ("", None),
    ],
)
def test_what_is_missing(
    text: str, expected: tuple[int, str, str] | None, machine: MachineFacts, tmp_path: Path
) -> None:
    file = tmp_path / "powerd.toml"
    file.write_text(text)
    problems = locate_clauses(file, missing_on(machine, options(text), file), "warning")
    assert [(each.line, each.key, each.severity) for each in problems] == (
        [] if expected is None else [(*expected[:2], "warning")]
    )
    for problem in problems:
        assert problem.file == str(file)
        assert problem.remedy
        assert expected is None or expected[2] in str(problem)


def test_names_without_an_answer_of_the_name_server(machine: MachineFacts, tmp_path: Path) -> None:
    given = replace(machine, unanswered=[f"slow{number}" for number in range(7)])
    clauses = [clause for _, clause in missing_on(given, options(""), tmp_path / "none")]
    assert any('"slow4" or one of 2 others' in clause for clause in clauses)
    one = replace(machine, unanswered=["slow"])
    assert any('whether "slow" has' in clause for _, clause in missing_on(one, options(""), tmp_path))


def test_a_url_that_apprise_refuses_is_named_without_its_secret(
    machine: MachineFacts, tmp_path: Path
) -> None:
    given = options('[hooks]\nnotify = ["ntfy://topic", "mailtoo://secret"]')
    refusing = replace(machine, refused_urls=[2])
    clauses = [clause for _, clause in missing_on(refusing, given, tmp_path / "none")]
    assert any("mailtoo://" in clause for clause in clauses)
    assert not any("secret" in clause.replace("contains secrets", "") for clause in clauses)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Programs in a directory that everybody may enter."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for each in (directory, *directory.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)
    for name, content, mode in (
        ("good", "#!/bin/sh\n", 0o755),
        ("plain", "#!/bin/sh\n", 0o644),
        ("own", "#!/bin/sh\n", 0o700),
        ("windows", "#!/bin/sh\r\n", 0o755),
        ("unknown", "#!/usr/bin/pyhton\n", 0o755),
    ):
        (directory / name).write_text(content, newline="")
        (directory / name).chmod(mode)
    (directory / "directory").mkdir()
    (directory / "closed").mkdir(0o700)
    (directory / "closed/good").write_text("#!/bin/sh\n")
    (directory / "closed/good").chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("name", "service", "remedy"),
    [
        ("good", None, None),
        ("good", NOBODY, None),
        ("none", None, "correct its path"),
        ("good/none", None, "correct its path"),
        ("directory", None, "name a program"),
        ("plain", None, "chmod"),
        ("own", None, None),
        ("own", NOBODY, "chmod"),
        ("own", Account(os.getuid(), frozenset()), None),
        ("closed/good", NOBODY, "chmod"),
        ("windows", None, "sed"),
        ("unknown", None, "first line"),
    ],
)
def test_commands_that_the_service_cannot_run(
    scripts: Path,
    name: str,
    service: Account | None,
    remedy: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("powerd.config.machine_check._HIDDEN", ("/home/",))
    found = list(option_warnings(options(f'[hooks]\nalert = ["{scripts / name}"]'), scripts, service))
    assert [each for each, _ in found] == ([] if remedy is None else ["hooks.alert"])
    assert remedy is None or remedy in found[0][1].partition("; ")[2]


def test_what_the_sandbox_hides(machine: MachineFacts) -> None:
    service = MachineFacts(machine.root, service=NOBODY)
    given = options(
        '[[sleep]]\naction = "command"\ncommand = ["/home/me/sleep"]\n[http]\ntoken_file = "/root/token"\n'
        '[[activity.file]]\nname = "x"\npaths = ["/home/me/lock", "/run/lock"]\n'
    )
    keys = [key for key, _ in missing_on(service, given, machine.root / "none")]
    assert keys == ["activity.file", "http.token_file", "sleep[1].command"]
    assert "http.token_file" not in [key for key, _ in missing_on(machine, given, machine.root / "none")]


def test_files_that_the_service_cannot_read(scripts: Path) -> None:
    token = scripts / "token"
    token.write_text("x" * 20)
    token.chmod(0o640)
    given = options(f'[http]\ntoken_file = "{token}"')
    for account, keys in (
        (NOBODY, ["", "http.token_file"]),
        (Account(65534, frozenset({os.getgid()})), [""]),
        (Account(0, frozenset()), []),
    ):
        found = missing_on(MachineFacts(scripts, service=account), given, scripts / "own")
        assert [key for key, clause in found if "chgrp" in clause] == keys


def test_networks_with_a_default_gateway(tmp_path: Path) -> None:
    assert lan_networks(tmp_path) == []
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert lan_networks(tmp_path) == [IPv4Network("192.168.1.0/24")]


@pytest.mark.process
@pytest.mark.skipif(find_spec("apprise") is None, reason="Apprise is an extra")
def test_apprise_itself_refuses_a_url() -> None:
    urls = ["ntfy://topic", "nosuch://secret", "mailto://user@example.org"]
    argv = (sys.executable, "-I", "-m", "powerd.config.apprise_urls")
    done = subprocess.run(argv, input=json.dumps(urls), capture_output=True, text=True, check=True)
    assert (json.loads(done.stdout), done.stderr) == ([2], "")


def test_own_names(tmp_path: Path) -> None:
    assert "localhost" in own_names(tmp_path)
    trie = tmp_path / "proc/net/fib_trie"
    trie.parent.mkdir(parents=True)
    trie.write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     +-- 10.0.0.0/24 2 0 2\n"
        "        |-- 10.0.0.0\n           /24 link UNICAST\n        |-- 10.0.0.7\n           /32 host LOCAL\n"
        "        |-- 10.0.0.255\n           /32 link BROADCAST\n"
    )
    assert {each for each in own_names(tmp_path) if each.startswith("10.")} == {"10.0.0.7"}
