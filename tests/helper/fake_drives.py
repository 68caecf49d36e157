"""A machine with drives: sysfs, udev's links, and an hdparm and a smartctl that speak as the real ones do.

What the tools print was taken from hdparm 9.65 and smartctl 7.3. What a drive is like is said in its mode:
well, hang, garbage, flood, gone, deaf (no CHECK POWER MODE), bridge (wakes when it is asked), nosense and
badsense (bridges that give no registers, so that hdparm says "standby"), noapm, refuses (any setting),
testing (runs a self-test), nosmart, smarthang.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from powerd.helper.disks.requests import DiskRequests
from powerd.helper.protocol.messages import DiskRequest, DiskResponse
from powerd.helper.subprocess import Tools

IDENTITY: Final = {49: 0x2F00, 83: 0x7D09, 86: 0xBC09, 91: 254, 119: 0x4000, 120: 0x4000, 255: 0xA5}

_HDPARM: Final = r"""#!/bin/sh
here=${0%/*}
echo "hdparm $*" >> "$here/log"
for device; do name=${device##*/}; done
all=" $*"
options=${all%"$device"}  # the path of the device may contain "-y"
mode=$(cat "$here/$name.mode")
state=$(cat "$here/$name.state")
case $mode in
hang) trap '' TERM; echo $$ > "$here/$name.pid"; exec sleep 600 ;;
garbage) printf '\377\000 drive is state: 7\n'; exit 0 ;;
flood) yes "hdparm: more and more"; exit 0 ;;
gone) echo "$device: No such device or address" >&2; exit 6 ;;
deaf) printf '\n%s:\n drive state is:  unknown\n' "$device"; exit 22 ;;
esac
registers() {
    echo "outgoing cdb:  85 06 20 00 00 00 00 00 00 00 00 00 00 40 $1 00" >&2
    echo "SG_IO: ATA_16 status=0x2, host_status=0x0, driver_status=0x8" >&2
    echo "      ATA_16 stat=$2 err=00 nsect=$3 lbal=00 lbam=00 lbah=00 dev=40" >&2
}
printf '\n%s:\n' "$device"
case $options in
*" --verbose -C "*)
    case $mode:$state in
    nosense:*) word=standby; registers e5 00 00 ;;
    badsense:*)
        word=standby
        printf 'SG_IO: bad/missing sense data, sb[]:  70 00 05 00 00 00 00 0a 00 00 00 00 20 00 00 00\n' >&2
        registers e5 00 00 ;;
    *:standby) word=standby; registers e5 50 00 ;;
    *:standby_y) word=unknown; registers e5 50 01 ;;
    *:idle_b) word=unknown; registers e5 50 82 ;;
    *:sleeping) word=sleeping ;;
    *:odd) word=unknown; registers e5 50 77 ;;
    *) word=active/idle; registers e5 50 ff ;;
    esac
    printf ' drive state is:  %s\n' "$word"
    [ $mode = bridge ] && echo active > "$here/$name.state" ;;
*" -y "*)
    printf ' issuing standby command\n'
    [ $mode = refuses ] && { echo ' HDIO_DRIVE_CMD(standby) failed: Input/output error' >&2; exit 5; }
    echo standby > "$here/$name.state" ;;
*" -S "*)
    printf ' setting standby to %s\n' "$2"
    [ $mode = refuses ] && { echo ' HDIO_DRIVE_CMD(setidle) failed: Input/output error' >&2; exit 5; }
    echo active > "$here/$name.state" ;;
*" --Istdout "*)
    case $options in *" -B "*)
        printf ' setting Advanced Power Management level to 0x%x (%s)\n' "$2" "$2"
        [ $mode = noapm ] && { echo ' HDIO_DRIVE_CMD failed: Input/output error' >&2; exit 5; }
        [ $mode = refuses ] || echo "$2" > "$here/$name.apm"
        printf ' APM_level\t= %s\n' "$(cat "$here/$name.apm")" ;;
    esac
    echo active > "$here/$name.state"
    cat "$here/$name.identity.$(cat "$here/$name.apm")" ;;
esac
exit 0
"""
_SMARTCTL: Final = r"""#!/bin/sh
here=${0%/*}
echo "smartctl $*" >> "$here/log"
for device; do name=${device##*/}; done
echo active > "$here/$name.state"
value=0
case $(cat "$here/$name.mode") in
testing) value=249 ;;
nosmart) echo '{"smartctl": {"exit_status": 2}}'; exit 2 ;;
smarthang) trap '' TERM; exec sleep 600 ;;
esac
printf '{"smartctl":{"version":[7,3],"exit_status":0},'
printf '"ata_smart_data":{"self_test":{"status":{"value":%s}}}}\n' $value
"""


def dump(words: dict[int, int]) -> str:
    """256 words as hdparm --Istdout writes them, the checksum made right where there is a signature."""
    table = [words.get(place, 0) for place in range(256)]
    if table[255] & 0xFF == 0xA5:
        total = sum((value & 0xFF) + (value >> 8) for value in table[:255]) + 0xA5
        table[255] |= (-total & 0xFF) << 8
    rows = (table[at : at + 8] for at in range(0, 256, 8))
    return "".join(" ".join(f"{value:04x}" for value in row) + "\n" for row in rows)


class FakeDrives:
    """Fake drives below ``base``; ``root`` and ``tools`` are arguments of the helper.

    Args:
        base: an empty directory.
        names: of the devices, e.g. ``sda``; each gets the by-id name ``ata-SDA``.
    """

    def __init__(self, base: Path, *names: str) -> None:
        self.root = base / "machine"
        self.tools = base / "tools"
        self.tools.mkdir(parents=True)
        for tool, text in (("hdparm", _HDPARM), ("smartctl", _SMARTCTL)):
            (self.tools / tool).write_text(text)
            (self.tools / tool).chmod(0o755)
        (self.root / "dev/disk/by-id").mkdir(parents=True)
        for number, name in enumerate(names):
            self.add(name, number)

    def add(self, name: str, number: int = 0) -> None:
        """One more drive, spinning and well."""
        sysfs = self.root / "sys/block" / name
        (sysfs / "device/power").mkdir(parents=True)
        for attribute, text in {
            "dev": f"8:{number * 16}\n",
            "size": "16384\n",
            "inflight": "       0        0\n",
            "stat": "1 0 8 1 1 0 8 1 0 2 2 0 0 0 0 0 0\n",
            "device/vendor": "ATA     \n",
            "device/type": "0\n",
            "device/power/runtime_status": "active\n",
        }.items():
            (sysfs / attribute).write_text(text)
        (self.root / "dev" / name).write_text("")
        (self.root / "dev/disk/by-id" / f"ata-{name.upper()}").symlink_to(f"../../{name}")
        for level in (100, 128, 254):
            (self.tools / f"{name}.identity.{level}").write_text(dump({**IDENTITY, 91: level}))
        (self.tools / f"{name}.apm").write_text("254\n")
        self.set_state(name, "active")

    def set_state(self, name: str, state: str, mode: str = "well") -> None:
        """Put a drive into a state."""
        (self.tools / f"{name}.state").write_text(f"{state}\n")
        (self.tools / f"{name}.mode").write_text(f"{mode}\n")

    def state(self, name: str) -> str:
        """What a drive does."""
        return (self.tools / f"{name}.state").read_text().strip()

    def behind_usb(self, name: str) -> None:
        """Move a drive behind a USB bridge."""
        device = self.root / "sys/block" / name / "device"
        real = self.root / "sys/devices/pci0000:00/usb2/2-1/host6/target6:0:0/6:0:0:0"
        real.parent.mkdir(parents=True)
        device.rename(real)
        device.symlink_to(real)

    def write(self, path: str, text: str) -> Path:
        """A file of the machine."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def tool_calls(self) -> list[str]:
        """The command lines of the tools since the last call."""
        log = self.tools / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.replace(f"{self.root}/dev/", "") for line in lines]


def serve(drives: FakeDrives, request: DiskRequest) -> DiskResponse:
    """The response to a request about one of the drives."""

    async def main() -> DiskResponse:
        return await DiskRequests(drives.root, Tools([drives.tools])).execute(request)

    return asyncio.run(main())
