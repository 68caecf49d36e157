"""Random configurations of DHCP servers, each with the hosts that it reserves; see test_real_servers.py.

Hypothesis draws the number of hosts, the variations of the syntax that may occur and a seed, so that a
failure shrinks to a few hosts and to the variation that it needs. All else comes from the seed, since that is
quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

Reservation = tuple[str | None, str | None, str | None]
"""Address, MAC and name of an entry."""
VARIATIONS = ("case", "files", "gaps", "names", "noise", "numbers", "shape")
_LETTERS = 'ab{};#,"\\/*<>= \t\u00fc'


class Host(NamedTuple):
    """One host of a model; no two have an address, a MAC or a name in common."""

    name: str
    mac: str
    addresses: tuple[str, ...]


@dataclass
class Configuration:
    """A configuration and what it reserves.

    Attributes:
        text: of the main file.
        files: further files, by name.
        reservations: of all files.
    """

    text: str
    reservations: set[Reservation]
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path, name: str) -> Path:
        """Write all files; ``@`` in a text stands for the folder."""
        for file, text in (*self.files.items(), (name, self.text)):
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("@", str(folder)), encoding="utf-8", newline="")
        return folder / name


class Writer:
    """Makes the choices of one configuration.

    Args:
        seed: of all choices.
        size: number of hosts in one place, at most.
        variations: those of VARIATIONS that occur; without one, the first of its alternatives is chosen.
    """

    def __init__(self, seed: int, size: int, variations: set[str]) -> None:
        self.random = Random(seed)  # noqa: S311 - for texts of tests
        self.variations = variations
        self._size = size
        self._names = 0

    def pick(self, variation: str, *alternatives: _T) -> _T:
        """One of the alternatives; an alternative that is given several times is likelier."""
        return self.random.choice(alternatives) if variation in self.variations else alternatives[0]

    def chance(self, variation: str, one_in: int) -> bool:
        """Whether something happens that happens once in ``one_in`` times."""
        return variation in self.variations and self.random.randrange(one_in) == 0

    def shuffled(self, items: Sequence[_T]) -> list[_T]:
        """The items in any sequence."""
        return self.random.sample(items, len(items)) if "shape" in self.variations else list(items)

    def text(self) -> str:
        """Any text of up to eight characters."""
        letters = _LETTERS if "names" in self.variations else "ab"
        return "".join(self.random.choices(letters, k=self.random.randint(0, 8)))

    def hosts(self, network: int) -> list[Host]:
        """Some hosts, of which each has a network of its own within 10.0.0.0/8."""
        count = self.random.randint(0, self._size)
        numbers = self.random.sample(range(2, 100), 2 * count)
        hosts = []
        for index in range(count):
            self._names += 1
            name = self.pick("names", "pc", "a-b", "tv2", "host", "include") + str(self._names)
            mac = f"02:00:00:0a:{network:02x}:{numbers[2 * index]:02x}"
            addresses = [f"10.0.{network}.{number}" for number in numbers[2 * index : 2 * index + 2]]
            hosts.append(Host(name, mac, tuple(addresses[: self.random.randint(0, 2)])))
        return hosts

    def octet(self, octet: str, *, zeros: bool = True) -> str:
        """Two hexadecimal digits in another notation."""
        return self.pick(
            "numbers", octet, octet.upper(), octet.lstrip("0") or "0", f"0{octet}" if zeros else octet
        )

    def mac(self, mac: str, *, zeros: bool = True) -> str:
        """A MAC in another notation."""
        return ":".join(self.octet(octet, zeros=zeros) for octet in mac.split(":"))


_T = TypeVar("_T")


def configurations(build: Callable[[Writer], Configuration]) -> st.SearchStrategy[Configuration]:
    """Random configurations that ``build`` makes."""
    variations = st.sets(st.sampled_from(VARIATIONS)).map(lambda omitted: {*VARIATIONS} - omitted)
    writers = st.builds(Writer, st.integers(0, 2**32), st.integers(0, 5), variations)
    return writers.map(build)


# ISC dhcpd

_GAPS = (" ", "\t", "\n", "\r\n", "  ", ' # x;{"\n', "#\n", "\v")


def _keyword(writer: Writer, word: str) -> str:
    return writer.pick("case", word, word.upper(), word.title(), word.swapcase())


def _dhcpd_string(writer: Writer, text: str) -> str:
    octets = []
    for octet in text.encode():
        plain = chr(octet) if chr(octet) not in '"\\' else f"\\{octet:c}"
        octal = f"\\{octet:03o}"
        octets.append(writer.pick("names", *([plain] * 4 if octet < 0x80 else ()), octal, f"\\x{octet:02x}"))
    return f'"{"".join(octets)}"'


def _join(writer: Writer, tokens: Iterable[str]) -> str:
    """The tokens with white space and comments between them, where two words need some."""
    text = ""
    for token in tokens:
        needs_gap = re.match(r"[\w-][\w-]", text[-1:] + token[0], re.ASCII)
        gaps = _GAPS if needs_gap else ("", "", "", *_GAPS)
        text += (writer.pick("gaps", *gaps) if text else "") + token
    return text


def _address_tokens(writer: Writer, address: str) -> list[str]:
    numbers = [writer.pick("numbers", number, f"0{number}", f"00{number}") for number in address.split(".")]
    return _separated(numbers, ".")


def _separated(tokens: Iterable[str], separator: str) -> list[str]:
    return [part for token in tokens for part in (token, separator)][:-1]


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _dhcpd_host(writer: Writer, host: Host) -> tuple[list[str], set[Reservation]]:
    name, statements = host.name, []
    mac = host.mac if not host.addresses else writer.pick("shape", host.mac, None)
    if mac:
        octets = _separated((writer.octet(octet) for octet in mac.split(":")), ":")
        statements.append([_keyword(writer, "hardware"), _keyword(writer, "ethernet"), *octets])
    if host.addresses:
        addresses = [token for each in host.addresses for token in (*_address_tokens(writer, each), ",")]
        addresses += writer.pick(
            "noise", [], ["tv", ".", "lan", ","]
        )  # a name counts only without an address
        statements.append([_keyword(writer, "fixed-address"), *addresses[:-1]])
    if kind := writer.pick("shape", None, ["option", "host-name"], ["ddns-hostname"]):
        name = f"n{writer.text()}x"
        statements.append([*(_keyword(writer, word) for word in kind), _dhcpd_string(writer, name)])
    tokens = [_keyword(writer, "host"), host.name, "{"]
    for statement in writer.shuffled(statements):
        tokens += [*_dhcpd_noise(writer), *statement, ";"]
    tokens += [*_dhcpd_noise(writer), "}"]
    return tokens, {(address, mac, _printable(name)) for address in host.addresses or (None,)}


def _dhcpd_noise(writer: Writer) -> list[str]:
    string = _dhcpd_string(writer, writer.text())
    condition = [
        "if",
        "known",
        "{",
        "filename",
        string,
        ";",
        "}",
        "else",
        "{",
        "option",
        "host-name",
        string,
        ";",
        "}",
    ]
    return writer.pick(
        "noise",
        [],
        [],
        [_keyword(writer, "filename"), string, ";"],
        ["option", "domain-name", string, ";"],
        ["default-lease-time", "600", ";"],
        condition,
    )


def dhcpd_configuration(writer: Writer) -> Configuration:
    """``host`` in groups, subnets, shared networks and pools, and in included files."""
    tokens: list[str] = []
    files: dict[str, str] = {}
    reservations: set[Reservation] = set()

    def hosts(network: int) -> list[str]:
        parts: list[str] = []
        for host in writer.hosts(network):
            host_tokens, entries = _dhcpd_host(writer, host)
            reservations.update(entries)
            if writer.chance("files", 4):
                name = f"included {len(files)}"
                files[name] = _join(writer, host_tokens) + writer.pick("gaps", "\n", "", "# x")
                host_tokens = [_keyword(writer, "include"), f'"@/{name}"', ";"]
            parts += host_tokens
        return parts

    def group(children: list[str]) -> list[str]:
        name = writer.pick("names", [], ["a"], ['"a b"'])
        return [_keyword(writer, "group"), *name, "{", *_dhcpd_noise(writer), *children, "}"]

    for network in range(writer.random.randint(1, 3)):
        pool = ["pool", "{", "range", f"10.0.{network}.200", f"10.0.{network}.210", ";", "}"]
        body = [*_dhcpd_noise(writer), *hosts(network), *writer.pick("noise", [], pool)]
        place = [f"10.0.{network}.0", "netmask", "255.255.255.0"]
        subnet = [_keyword(writer, "subnet"), *place, "{", *body, "}"]
        shape = writer.pick("shape", "subnet", "shared", "group")
        if shape == "shared":
            subnet = [
                _keyword(writer, "shared-network"),
                f"n{network}",
                "{",
                *subnet,
                *hosts(network + 10),
                "}",
            ]
        tokens += group(subnet) if shape == "group" else subnet
        children = hosts(network + 20)
        tokens += writer.pick("shape", children, group(children))
    return Configuration(_join(writer, tokens) + writer.pick("gaps", "\n", "", " # end"), reservations, files)


def dhcpd_leases(writer: Writer) -> Configuration:
    """A lease file: blocks in the form in which dhcpd writes them, and in others that it reads."""
    tokens: list[str] = []
    leases: dict[str | None, Reservation] = {}
    ends = [["ends", "never"], ["ends", "6", "2026/11/21", "10:00:00"], ["ends", "epoch", "1795255200"]]
    for host in writer.hosts(0):
        address = host.addresses[0] if host.addresses else "10.0.0.1"
        octets = _separated((writer.octet(octet) for octet in host.mac.split(":")), ":")
        statements = [
            ["starts", "6", "2026", "/", "11", "/", "21", "09", ":", "00", ":", "00"],
            writer.pick("shape", *ends),
            ["binding", "state", "active"],
            ["next", "binding", "state", "free"],
            ["hardware", "ethernet", *octets],
            ["uid", _dhcpd_string(writer, writer.text())],
            ["set", "x", "=", _dhcpd_string(writer, writer.text())],
        ]
        name = writer.pick("names", None, f"n{writer.text()}x")
        if name:
            statements.append(["client-hostname", _dhcpd_string(writer, name)])
        tokens += [_keyword(writer, "lease"), *_address_tokens(writer, address), "{"]
        for statement in writer.shuffled(statements):
            tokens += [_keyword(writer, statement[0]), *statement[1:], ";"]
        tokens += ["}"]
        leases[address] = (address, host.mac, _printable(name) if name else None)
    return Configuration(_join(writer, tokens) + "\n", set(leases.values()))


# dnsmasq


def _dnsmasq_string(writer: Writer, text: str) -> str:
    """The text with some of it in quotes, in which a backslash and a quote are escaped."""
    parts: list[str] = []
    for letter in text:
        escaped = letter.replace("\\", "\\\\").replace('"', '\\"')
        quoted = f'"{escaped}"'
        after_quote = bool(parts) and parts[-1].endswith('"')  # there dnsmasq takes a quote as it is
        may_be_quoted = letter in " #\t" or writer.chance("names", 4)
        parts.append(quoted if may_be_quoted and not after_quote else letter)
    return "".join(parts)


def _dnsmasq_value(writer: Writer, host: Host) -> tuple[str, set[Reservation]]:
    """One value of ``dhcp-host``."""
    macs = (host.mac, host.mac.replace("02:", "06:", 1))[: writer.random.randint(0, 2)]
    name = writer.pick("names", None, host.name, f"b\u00fcro{host.name}", f"{host.name}.lan")
    parts = [writer.pick("numbers", "", "1-", "06-") + writer.mac(mac) for mac in macs]
    parts += host.addresses[:1]
    parts += [_dnsmasq_string(writer, name)] if name else []
    noise = (
        "set:a",
        "tag:b",
        "12h",
        "2W",
        "infinite",
        "600",
        "id:01:2f",
        "id:foo",
        "ID:*",
        "[fd00::/64]",
        "[::7]",
        "02:00:00:01",
        "",
    )
    parts += writer.random.sample(noise, writer.pick("noise", 0, 1, 2))
    pads = ("", "", " ", "\t")
    text = ",".join(
        writer.pick("gaps", *pads) + part + writer.pick("gaps", *pads) for part in writer.shuffled(parts)
    )
    if writer.chance("noise", 4):
        return f"{text},ignore", set()
    entries = product(host.addresses[:1] or (None,), macs or (None,), (name,))
    return text, {entry for entry in entries if entry[0] or entry[1]}


def dnsmasq_configuration(writer: Writer) -> Configuration:
    """``dhcp-host`` in the configuration, in files that it includes, and in directories."""
    texts: dict[str, str] = {}
    reservations: set[Reservation] = set()
    files = {
        "main": "",
        "more.conf": "conf-file={}",
        "dir one/a.conf": "conf-dir={},*.conf",
        "dir two/x#": "conf-dir={},.bak",
        "hosts": "dhcp-hostsfile={}",
        "hosts d/b": writer.pick("shape", "dhcp-hostsfile={}", "dhcp-hostsdir={}"),
    }
    main = [writer.pick("noise", "", "domain-needed", "# dhcp-host=x", "port=0 # x", 'domain="lan"')]
    for network, (file, option) in enumerate(files.items()):
        lines = []
        for host in writer.hosts(network) if file == "main" or "files" in writer.variations else ():
            value, entries = _dnsmasq_value(writer, host)
            reservations |= entries
            key = (
                "" if file.startswith("hosts") else "dhcp-host" + writer.pick("gaps", "=", " = ", "\t=", "= ")
            )
            end = writer.pick("noise", "", " # x", "\t#")
            lines.append(writer.pick("gaps", "", " ", "\t") + key + value + end)
        if file == "main":
            main += lines
        elif lines:
            texts[file] = "\n".join(lines) + writer.pick("gaps", "\n", "")
            folder = file.rpartition("/")[0]
            path = f"@/{folder or file}"
            if folder.startswith("dir"):
                texts |= {f"{folder}/{name}": "bogus\n" for name in (".hidden", "#x#", "x~", "x.bak")}
            main.append(option.replace("{}", _dnsmasq_string(writer, path)))
    newline = writer.pick("gaps", "\n", "\r\n")
    return Configuration(newline.join(writer.shuffled(main)) + newline, reservations, texts)
