"""nmbd writes the list of Windows computers to a hard disk, and Samba its logs.

Cause: each announcement of another computer, every 12 minutes from each of them, makes nmbd(8) write
browse.dat again, at most every 5 seconds; it lies in ``cache directory``, /var/cache/samba. With ``wins
support``, each registration is written to wins.dat. smbd(8) logs each client to ``log file``,
/var/log/samba.

Cost: with two Windows computers in the LAN, a disk write every few minutes.

Remedy: nmbd keeps its cache in /run/samba, in memory; the list is complete again after 12 minutes. Where
nobody needs the old network browsing, because all clients know SMB 2, ``systemctl disable --now nmbd`` is
better.

Source: nmbd(8) (--option), smb.conf(5) (cache directory, log file, wins support), nmbd.service of Debian 12
(reads NMBDOPTIONS from /etc/default/samba).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile, restart

FIX: Final = "keeps nmbd's list in memory, by a drop-in of nmbd.service"
_NMBD: Final = "nmbd.service"
_SMBD: Final = "smbd.service"
_PARAMETER: Final = re.compile(r"^\s*([a-zA-Z][a-zA-Z ]*?)\s*=\s*(.*?)\s*$", re.MULTILINE)
_NMBD_OPTIONS: Final = re.compile(r"NMBDOPTIONS=([^\"']*)")
_OPTION: Final = "--option=cachedirectory=/run/samba"
"""smb.conf(5): blanks in names of parameters do not count, and a word of NMBDOPTIONS must not have one."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per daemon while it is enabled and writes to a hard disk."""
    found = _PARAMETER.findall(
        machine.text("/etc/samba/smb.conf").partition("[global]")[2].partition("\n[")[0]
    )
    parameters = {re.sub(r"\s", "", name.lower()): value for name, value in found}
    yield from _nmbd(machine, parameters.get("cachedirectory", "/var/cache/samba"))
    log = parameters.get("logfile", "/var/log/samba/log.%m")
    directory = log.partition("%")[0].rpartition("/")[0]
    logs_to_file = "file" in parameters.get("logging", "file")
    disks = machine.disks_of(directory) if directory else ()
    if machine.enabled(_SMBD) and logs_to_file and disks:
        yield Diagnosis(
            "samba:log",
            _SMBD,
            f"It logs each client to {log} on {', '.join(disks)}.",
            "Log to memory, to one file: names of clients must not make it more; it is lost at a restart.",
            disks=disks,
            by_hand="In /etc/samba/smb.conf, [global]: log file = /run/samba/log\nsystemctl restart "
            "smbd nmbd",
            accesses=AccessPattern(paths=(f"{directory}/",)),
        )


def _nmbd(machine: Machine, cache: str) -> Iterator[Diagnosis]:
    environment = " ".join(machine.unit(_NMBD).get("Service.Environment", ()))
    configured = assignments(machine.text("/etc/default/samba")).get("NMBDOPTIONS")
    disks = machine.disks_of(cache)
    if (
        not machine.enabled(_NMBD)
        or _OPTION in (environment if configured is None else configured)
        or not disks
    ):
        return
    fixable = configured is None and "NMBDOPTIONS" not in environment
    in_unit = _NMBD_OPTIONS.search(environment)
    owned = configured if configured is not None else in_unit[1] if in_unit else ""
    yield Diagnosis(
        "samba:nmbd",
        _NMBD,
        f"It writes {cache}/browse.dat on {', '.join(disks)} at announcements of other computers, every "
        "few minutes.",
        "nmbd keeps the list of computers in memory; it is complete again 12 minutes after a restart. If "
        "all clients know SMB 2, nmbd is not needed: systemctl disable --now nmbd.",
        disks=disks,
        files=(
            OwnFile(
                f"/etc/systemd/system/{_NMBD}.d/zz-powerd.conf",
                f'[Service]\nEnvironment="NMBDOPTIONS={_OPTION}"\n',
            ),
        )
        if fixable
        else (),
        commands=(DAEMON_RELOAD, restart(_NMBD)) if fixable else (),
        by_hand="" if fixable else f'In /etc/default/samba: NMBDOPTIONS="{owned} {_OPTION}"',
        accesses=AccessPattern(units=(_NMBD,), comms=("nmbd",), paths=(f"{cache}/",)),
    )
