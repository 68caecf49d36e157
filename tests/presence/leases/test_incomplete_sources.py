"""The law of all sources: one that could not read all that it should is not one that saw nobody.

Whatever happens to a file, each address that it named is still known, or the report is unavailable.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from fakes.lease_files import CountingFiles
from hypothesis import given
from hypothesis import strategies as st
from presence.leases.parsing import read
from presence.leases.test_format_contract import READERS, VALID

from powerd.presence.leases import FORMATS
from powerd.presence.leases.files import LeaseFiles, LeaseReport
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import MAX_VANISHED_AGE

POLLS = int(MAX_VANISHED_AGE / 300) + 3
FILE_FORMATS = [file_format.name for file_format in FORMATS]
MAIN = {
    "dhcpd.conf": 'include "/srv/more";\n',
    "dnsmasq.conf": "conf-file=/srv/more\n",
    "dnsmasq hosts": "dhcp-hostsfile=/srv/more\n",
    "kea.conf": '{"Dhcp4": {"reservations": [<?include "/srv/more"?>]}}\n',
    "dhcpd.leases": 'authoritative;\nlease-file-name "/srv/more";\n',
    "dnsmasq": "dhcp-leasefile=/srv/more\n",
    "kea": '{"Dhcp4": {"lease-database": {"name": "/srv/more"}}}\n',
}
"""For each format of files that another file includes: a text that includes one."""


def addresses(entries: tuple[HostEntry, ...]) -> set[str | None]:
    return {entry.address or entry.mac for entry in entries}


def holds(report: LeaseReport, known: set[str | None]) -> bool:
    return report.unavailable_reason is not None or known <= addresses(report.entries)


class Machine:
    """A tree of files with one lease file; each poll is five minutes later."""

    def __init__(self, root: Path, text: str, path: str, watched: str) -> None:
        self.files = CountingFiles(root)
        self.path = path
        self.files.replace_file(path, text)
        self._lease_files = LeaseFiles((watched,))
        self._now = 0.0

    @property
    def local(self) -> Path:
        return self.files.local_path(self.path)

    def poll(self, *, restart: bool = False) -> LeaseReport:
        if restart:
            self._lease_files = LeaseFiles(self._lease_files.paths)
        self._now += 300
        return asyncio.run(self._lease_files.poll(self.files, self.files, self._now))


def deny(machine: Machine) -> None:
    machine.files.unreadable.add(machine.path)


def remove(machine: Machine) -> None:
    machine.local.unlink()


def replace_by_directory(machine: Machine) -> None:
    machine.local.unlink()
    machine.local.mkdir()
    (machine.local / "sub").mkdir()


def replace_by_fifo(machine: Machine) -> None:
    machine.local.unlink()
    os.mkfifo(machine.local)


def replace_by_loop(machine: Machine) -> None:
    machine.local.unlink()
    machine.local.symlink_to(machine.local.name)


def remove_directory(machine: Machine) -> None:
    shutil.rmtree(machine.local.parent)


def fill_with(content: bytes) -> Callable[[Machine], None]:
    def fill(machine: Machine) -> None:
        machine.local.write_bytes(content)

    fill.__name__ = f"fill_with_{content[:4]!r}"
    return fill


def encode_as_utf16(machine: Machine) -> None:
    machine.local.write_bytes(machine.local.read_text().encode("utf-16"))


DAMAGES: list[Callable[[Machine], None]] = [
    deny,
    remove,
    replace_by_directory,
    replace_by_fifo,
    replace_by_loop,
    remove_directory,
    fill_with(b"\0" * 600),
    fill_with(b"\xff\xfe" * 300),
    fill_with(b"Dear diary,\n"),
    encode_as_utf16,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", FILE_FORMATS)
def test_a_configured_file(
    tmp_path: Path, name: str, damage: Callable[[Machine], None], *, restart: bool
) -> None:
    machine = Machine(tmp_path, VALID[name][0].replace("/etc/", "/srv/"), "/srv/leases", "/srv/leases")
    known = addresses(machine.poll().entries)
    assert known
    damage(machine)
    for _ in range(POLLS):
        assert holds(machine.poll(restart=restart), known)
        restart = False


@pytest.mark.parametrize(
    ("name", "damage"),
    [each for each in product(MAIN, DAMAGES) if each != ("dnsmasq hosts", replace_by_directory)],
)
def test_an_included_file(tmp_path: Path, name: str, damage: Callable[[Machine], None]) -> None:
    """The file is damaged while powerd runs; dnsmasq's hosts may be in a directory as well as in a file."""
    machine = Machine(tmp_path, VALID[name][0].replace("/etc/", "/srv/"), "/srv/more", "/etc/main")
    machine.files.replace_file("/etc/main", MAIN[name])
    known = addresses(machine.poll().entries)
    assert known
    damage(machine)
    for _ in range(POLLS):
        assert holds(machine.poll(), known)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_a_part_that_a_power_failure_has_overwritten(name: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(VALID[name]))
    known = addresses(read(READERS[name], text).entries)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    result = read(READERS[name], text[:start] + "\0" * (end - start) + text[end:])
    assert result.skipped or result.cut_off or known <= addresses(result.entries)


@pytest.mark.parametrize("name", ["dhcpd.conf", "kea.conf", "pihole.toml", "systemd-networkd"])
@given(data=st.data())
def test_a_document_that_is_cut_off(name: str, data: st.DataObject) -> None:
    """Its end cannot be missing without notice, unless it is cut between two statements of one level."""
    text = data.draw(st.sampled_from(VALID[name]))
    known = addresses(read(READERS[name], text).entries)
    cut = text[: data.draw(st.integers(1, len(text)))]
    result = read(READERS[name], cut)
    between = name in {"dhcpd.conf", "pihole.toml"} and (
        cut.rstrip()[-1:] in {";", "}", "]"} or not cut.strip()
    )
    assert result.skipped or between or known <= addresses(result.entries)
