"""Random configurations of Kea; see configurations.py."""

from __future__ import annotations

import json
from collections.abc import Sequence

from presence.leases.configurations import Configuration, Reservation, Writer

_KEA_GAPS = ("", "", "", " ", "\n", "\t", "\r\n", " // x\n", "# x {\n", '/* " */', "/**/")


def _kea_string(writer: Writer, text: str) -> str:
    letters = (
        writer.pick("names", json.dumps(letter, ensure_ascii=False)[1:-1], f"\\u{ord(letter):04x}")
        for letter in text
    )
    return f'"{"".join(letters)}"'


def _kea_mac(writer: Writer, mac: str) -> str:
    plain, separated = mac.replace(":", ""), writer.mac(mac, zeros=False)
    writings = (separated, separated.replace(":", " "), plain, plain[1:], plain.upper(), f"0x{plain}")
    return writer.pick("numbers", mac, *writings)


class _KeaText:
    """Writes values as Kea's lexer accepts them.

    Attributes:
        files: included files, by name.
    """

    def __init__(self, writer: Writer) -> None:
        self.files: dict[str, str] = {}
        self._writer = writer

    def gap(self) -> str:
        return self._writer.pick("gaps", *_KEA_GAPS)

    def text(self, value: object, *, whole: bool = False) -> str:
        """The text of a value; a ``whole`` one has no part in another file."""
        if isinstance(value, dict):
            whole = whole or not _MAY_NOT_BE_DIVIDED.isdisjoint(value)
            members = [
                f'"{key}"{self.gap()}:{self.text(each, whole=whole or key == "user-context")}'
                for key, each in value.items()
            ]
            return self._items(members, "{}", whole=whole)
        if isinstance(value, list):
            return self._items([self.text(each, whole=whole) for each in value], "[]", whole=whole)
        text = str(value)
        written = _kea_string(self._writer, text[1:]) if text.startswith("'") else text
        return self.gap() + written + self.gap()

    def _items(self, items: Sequence[str], brackets: str, *, whole: bool) -> str:
        """The items with commas, of which there may be more behind an item; some of them in another file."""
        texts = []
        for number, item in enumerate(items):
            commas = ("", ",") if number == len(items) - 1 else (",", ",,", ", ,")
            text = item + self._writer.pick("gaps", *commas)
            if not whole and self._writer.chance("files", 4):
                name = f"part {len(self.files)}.json"
                self.files[name] = text
                gap = self._writer.pick("gaps", "", " ", "\n")
                text = f'<?{gap}include {gap}"@/{name}"{gap}?>'
            texts.append(text + self.gap())
        return self.gap() + brackets[0] + self.gap() + "".join(texts) + brackets[1] + self.gap()


def kea_configuration(writer: Writer) -> Configuration:
    """Reservations of all levels. In the model a string is ``'`` and its text, and all else is as written."""
    reservations: set[Reservation] = set()

    def number() -> str:
        return writer.pick("numbers", "0.5", ".5", "5.e-1", "00.5", "0.", "1.0E-1")

    def items(network: int) -> list[dict[str, object]]:
        result = []
        for host in writer.hosts(network):
            item: dict[str, object] = {"hw-address": f"'{_kea_mac(writer, host.mac)}"}
            address = host.addresses[0] if host.addresses else None
            names = [host.name, f"b\u00fc{host.name}"]
            name = writer.pick("names", *([None] if address else []), *names)
            if address:
                item["ip-address"] = f"'{address}"
            if name:
                item["hostname"] = f"'{name}"
            if writer.chance("noise", 2):
                item["user-context"] = {"reservations": [{"hw-address": "'02:00:00:00:99:99"}], "a": number()}
            result.append({key: item[key] for key in writer.shuffled(list(item))})
            reservations.add((address, host.mac, name))
        return result

    def subnet(network: int) -> dict[str, object]:
        return {"subnet": f"'10.0.{network}.0/24", "id": str(network + 1), "reservations": items(network)}

    parts: dict[str, object] = {"reservations": items(0), "t1-percent": number()}
    if writer.chance("shape", 2):
        parts["subnet4"] = [subnet(network) for network in range(1, writer.random.randint(1, 3))]
        parts["shared-networks"] = [{"name": "'net", "subnet4": [subnet(3)], "user-context": {"x": "[ ]"}}]
    if writer.chance("noise", 2):
        word = writer.pick("numbers", "true", "null", "1e5", "-7")
        parts["user-context"] = {"lease-database": {"type": "'mysql"}, "x": word}
    kea = _KeaText(writer)
    text = kea.text({"Dhcp4": {key: parts[key] for key in writer.shuffled(list(parts))}})
    return Configuration(text, reservations, kea.files)


_MAY_NOT_BE_DIVIDED = frozenset({"hw-address", "Dhcp4"})
"""Objects with these keys stay in one file: powerd reads the reservations of each file by itself."""
