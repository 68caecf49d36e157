from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.source import udev_database

DISK = """\
S:disk/by-id/ata-WDC_WD20EFRX-68EUZN0_WD-WCC4M0XYZ123
S:disk/by-id/wwn-0x50014ee2b1234567
S:disk/by-path/pci-0000:00:17.0-ata-2
W:12
I:3456789
E:ID_ATA=1
E:ID_MODEL=WDC_WD20EFRX-68EUZN0
E:ID_MODEL_ENC=WDC\\x20WD20EFRX-68EUZN0\\x20\\x20
E:ID_SERIAL_SHORT=WD-WCC4M0XYZ123
E:ID_FS_LABEL=a=b
E:ID_PART_TABLE_UUID=
G:systemd
Q:systemd
V:1
"""


def test_links_and_properties_are_read() -> None:
    record = udev_database.parse_record(DISK)
    assert record.links == (
        "disk/by-id/ata-WDC_WD20EFRX-68EUZN0_WD-WCC4M0XYZ123",
        "disk/by-id/wwn-0x50014ee2b1234567",
        "disk/by-path/pci-0000:00:17.0-ata-2",
    )
    assert record.get("ID_SERIAL_SHORT") == "WD-WCC4M0XYZ123"
    assert record.get("ID_FS_LABEL") == "a=b"
    assert "ID_PART_TABLE_UUID" not in record.properties
    assert record.get("ID_SCSI_SERIAL", "ID_MODEL") == "WDC_WD20EFRX-68EUZN0"
    assert record.get("NONE") == ""


def test_no_file_is_an_empty_record() -> None:
    assert udev_database.parse_record(None) == udev_database.parse_record("") == udev_database.UdevRecord()
    assert udev_database.record_path("8:16") == "/run/udev/data/b8:16"


def test_encoded_values_become_plain() -> None:
    assert udev_database.unescape_hex("WDC\\x20WD20EFRX-68EUZN0\\x20\\x20") == "WDC WD20EFRX-68EUZN0"
    assert udev_database.unescape_hex("caf\\xc3\\xa9") == "café"
    assert udev_database.unescape_hex("a\\x00\\x1b[31mb") == "a [31mb"
    assert udev_database.unescape_hex("\\x20\\x20") == ""
    assert udev_database.unescape_hex("back\\slash \\x2") == "back\\slash \\x2"


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    record = udev_database.parse_record(text)
    assert all(key and value for key, value in record.properties.items())
    assert all(f"S:{link}" in text for link in record.links)
    assert udev_database.unescape_hex(text).isprintable()


@given(st.lists(st.sampled_from(DISK.splitlines()) | st.text(st.characters(exclude_characters="\n"))))
def test_lines_do_not_disturb_each_other(lines: list[str]) -> None:
    whole = udev_database.parse_record("\n".join(lines))
    assert whole.links == tuple(link for line in lines for link in udev_database.parse_record(line).links)
