"""Files that clients of Samba have open.

What counts: each open file, while at least one client is connected to the ports of SMB and has sent a segment
within ``stale_after``: data, an acknowledgement or a reply to a keep-alive. A client that was switched off or
that sleeps sends none, and Samba keeps its files open for hours. Directories that a file manager shows are
open too and count; the root of a share and what matches ``ignore`` does not.

The source is Samba's own table of open files, ``locking.tdb`` in its lock directory, which Debian puts in
/run; it is world readable, so no privilege and no child process is needed (smbstatus(1) demands root). The
format of the file is that of tdb (lib/tdb/common/tdb_private.h of Samba); a record has the key of 24 bytes of
a file, and in its value, as NDR strings one after the other, the path of the share and the name below it
(open_files.idl, share_mode_data; checked with Samba 4.17). Which client has opened a file is in tables that
only root may read. Samba in a container has files of its own: this check does not see them, the check
"traffic" sees its flows.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.config.declare import absolute_path, duration, option, string_list
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import HostError

_PORTS: Final = frozenset({139, 445})
_MAX_SIZE: Final = 64 << 20
"""Bytes; a record has about 400."""
_MAGIC: Final = b"TDB file\n"
_HEADER: Final = struct.Struct("=32s2I20x2I100x")
"""magic, version, buckets, 5 fields of no use here, feature_flags, mutex_size."""
_RECORD: Final = struct.Struct("=6I")
"""next, rec_len, key_len, data_len, full_hash, magic."""
_RECORD_IN_USE: Final = 0x26011999
_FEATURE_MUTEX: Final = 1
_KEY_LENGTH: Final = 24
_SHARE_PATH: Final = re.compile(rb"\0{4}(.{4})(/[^\0]*)\0", re.DOTALL)
"""The end of an NDR string: its offset of 0, its length with the final NUL, and the text."""
_NDR_STRING: Final = struct.Struct("=3I")
_READS: Final = 3
"""How often a file is read that changes meanwhile."""


@dataclass(frozen=True, slots=True)
class Options:
    """Files that clients of Samba have open."""

    stale_after: float = option(
        1800.0, "silence of all clients after which their open files do not count", duration(60, 7 * 86400)
    )
    ignore: tuple[str, ...] = option((), "paths, `*` is any text", string_list())
    lock_directory: str = option("/run/samba", "`lock directory` of smb.conf", absolute_path())


class OpenFile(NamedTuple):
    """A file in Samba's table: the path of its share, and its name there; "" = unknown."""

    share: str
    name: str


def parse_open_files(data: bytes) -> tuple[OpenFile, ...]:
    """The open files in the content of ``locking.tdb``.

    Raises:
        ValueError: the content is inconsistent, or has another format.
    """
    try:
        return tuple([_parse_value(value) for key, value in _records(data) if len(key) == _KEY_LENGTH])
    except struct.error as error:
        raise ValueError("it is truncated") from error


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record. With mutexes, all offsets count from the end of their area."""
    magic, _, buckets, features, mutex_size = _HEADER.unpack_from(data)
    if not magic.startswith(_MAGIC):
        raise ValueError("it is not a tdb file of this machine")
    base = mutex_size if features & _FEATURE_MUTEX else 0
    remaining = len(data) // _RECORD.size
    for offset in struct.unpack_from(f"={buckets}I", data, base + _HEADER.size + 4):
        while offset:
            start = base + offset + _RECORD.size
            offset, _, key_length, length, _, magic = _RECORD.unpack_from(data, base + offset)  # noqa: PLW2901 - a chain
            remaining -= 1
            if start + key_length + length > len(data) or not remaining:
                raise ValueError("a record exceeds it")
            if magic == _RECORD_IN_USE:
                value = start + key_length
                yield data[start:value], data[value : value + length]


def _parse_value(value: bytes) -> OpenFile:
    """The two strings in the value of a record."""
    for found in _SHARE_PATH.finditer(value):
        share = found[2]
        if int.from_bytes(found[1], "little") != len(share) + 1:
            continue
        start = found.end() + -found.end() % 4
        if len(value) < start + _NDR_STRING.size:
            break
        _, _, length = _NDR_STRING.unpack_from(value, start)
        start += _NDR_STRING.size
        name = value[start : start + length].rstrip(b"\0")
        return OpenFile(share.decode(errors="replace"), name.decode(errors="replace"))
    return OpenFile("", "")


class SambaCheck:
    """Compares the table of open files with the connections of clients."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._files = ports.files
        self._network = ports.network

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each share with an open file.

        Raises:
            NotApplicableError: Samba does not run here, or has another lock directory.
            HostError: its table cannot be read.
        """
        del depth
        open_files = self._read()
        if not open_files:
            return ()
        clients = [
            each
            for each in await self._network.tcp_connections()
            if each.local_port in _PORTS and each.state == "established"
        ]
        connected = {each.remote for each in clients if each.last_received_ago < self._options.stale_after}
        shares: defaultdict[str, list[str]] = defaultdict(list)
        for share, name in open_files:
            if name != "." and not self._is_ignored(f"{share}/{name}"):
                shares[share].append(name)
        return tuple([_activity(share, names, sorted(connected)) for share, names in sorted(shares.items())])

    def _is_ignored(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self._options.ignore)

    def _read(self) -> tuple[OpenFile, ...]:
        path = f"{self._options.lock_directory}/locking.tdb"
        reason = ""
        for _ in range(_READS):
            data = self._files.read_bytes(path, _MAX_SIZE)
            if data is None and self._files.stat_signature(path):
                raise HostError(f"cannot read {path}; let others read it: chmod o+r {path}")
            if data is None:
                raise NotApplicableError(
                    f"Samba does not run here: there is no {path}; "
                    "its directory is `lock directory` in `testparm -v`"
                )
            try:
                return parse_open_files(data)
            except ValueError as error:
                reason = str(error)
        raise HostError(f"{path} cannot be understood: {reason}; report the version of Samba")


def _activity(share: str, names: list[str], clients: list[str]) -> Activity:
    names = sorted(names)
    what = names[0] or "a file"
    if len(names) > 1:
        what += f" and {len(names) - 1} more"
    if clients:
        text = f"{what} open by a client of Samba; connected: {', '.join(clients)}"
    else:
        text = f"{what} open, but no client of Samba has sent anything for long"
    return Activity(share or "Samba", text, bool(clients), float(len(names)), "files")


KIND: Final = CheckKind("samba", Options, SambaCheck)
