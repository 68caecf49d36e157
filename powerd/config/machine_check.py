"""Compares a valid configuration with this machine: what it names and what exists."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final, NamedTuple

from powerd.config.activity_options import ConfiguredCheck, NamedCheckSettings, default_checks
from powerd.config.mqtt_options import broker_address
from powerd.config.options import Options
from powerd.config.problems import Clause
from powerd.core.dataclass import dataclass

_MAX_NAMES: Final = 5
_UNIT_DIRECTORIES: Final = (
    *("etc/systemd/system", "etc/systemd/system.control"),
    *("run/systemd/system", "run/systemd/transient", "run/systemd/generator"),
    *("usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"),
)
"""systemd.unit(5), UNIT FILE LOAD PATH."""
_HIDDEN: Final = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108 - compared, not used
"""What ProtectHome= and PrivateTmp= hide from the service (systemd.exec(5))."""
_LOOPBACK: Final = ("127.", "::1")
_READ, _EXECUTE = 4, 1
_KEY_FILES: Final = ("header_file", "password_file", "ca_file")
_HOOKS: Final = ("before_sleep", "after_wake", "alert")
_MAX_FIRST_LINE: Final = 256


class Account(NamedTuple):
    """The user and the groups of a process."""

    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of this machine.

    Attributes:
        root: its root directory.
        disks: of each disk the names by which rules match it, its id first.
        unresolved: the names among clients.hosts that have no address.
        networks: the LANs of this machine.
        service: the account of the service; None = powerd is not installed as a service.
        refused_urls: the positions, from 1, of the URLs of hooks.notify that Apprise does not accept.
        own_names: the host names and addresses of this machine itself.
        unanswered: the names among clients.hosts of which the name server said nothing in time.
        host_name: of this machine, uname(2).
    """

    root: Path = Path("/")
    disks: Collection[Sequence[str]] = ()
    unresolved: Collection[str] = ()
    networks: Sequence[IPv4Network] = ()
    service: Account | None = None
    refused_urls: Sequence[int] = ()
    own_names: Collection[str] = ()
    unanswered: Sequence[str] = ()
    host_name: str = ""


def missing_on(machine: MachineFacts, options: Options, file: Path) -> Iterator[Clause]:
    """What the configuration names and this machine does not have.

    Args:
        machine: the machine.
        options: the configuration.
        file: its file.
    """
    yield from _missing_clients(machine, options)
    for timer in options.wake.timers:
        if timer != "auto" and not _has_unit(machine.root, timer):
            yield (
                "wake.timers",
                f"there is no {timer}; `systemctl list-timers --all` lists those that exist",
            )
    for number, rule in enumerate(options.disks.rule, 1):
        for pattern in rule.match:
            if not any(pattern.matches(*names) for names in machine.disks):
                known = ", ".join(sorted(f'"{names[0]}"' for names in machine.disks)[:_MAX_NAMES]) or "none"
                yield (
                    f"disks.rule[{number}].match",
                    f'"{pattern}" matches no disk; the disks of this machine: {known}',
                )
    for directory in options.watch.directories:
        if _is_missing(machine.root, f"{directory.strip('/')}/"):
            yield "watch.directories", f"{directory} is not a directory; correct its path"
    yield from _missing_activity(machine, options)
    yield from _doubts_of_mqtt(machine, options)
    for number in machine.refused_urls:
        scheme = options.hooks.notify[number - 1].partition("://")[0]
        clause = f"Apprise does not accept URL {number} ({scheme}://); see https://appriseit.com/services"
        yield "hooks.notify", clause
    yield from _unreadable_files(machine, options, file)
    yield from option_warnings(options, file, machine.service)


def _doubts_of_mqtt(machine: MachineFacts, options: Options) -> Iterator[Clause]:
    broker = options.mqtt.broker
    if options.sleep and broker and broker_address(broker).host in machine.own_names:
        what = "the broker runs on this server, so its state is not available while it sleeps"
        yield "mqtt.broker", f"{what}; run the broker on a machine that is always on"
    own = options.mqtt.server_name(machine.host_name)
    if machine.host_name and own in options.mqtt.needs:
        yield "mqtt.needs", f'"{own}" is this server itself; remove it, or set mqtt.name to another name'


def _missing_clients(machine: MachineFacts, options: Options) -> Iterator[Clause]:
    clients = options.clients
    for lease_file in clients.leases:
        if lease_file != "auto" and _is_missing(machine.root, lease_file.lstrip("/")):
            yield (
                "clients.leases",
                f'{lease_file} does not exist; correct its path, or write "auto"',
            )
    for name in clients.hosts:
        if name in machine.own_names and not name.startswith(_LOOPBACK):
            yield "clients.hosts", f'"{name}" is this server itself, which never counts; remove it'
        elif name in machine.unresolved:
            yield (
                "clients.hosts",
                f'"{name}" has no address, so it keeps the server awake; correct the name, or write its IP',
            )
    if machine.unanswered:
        named = _listed(machine.unanswered)
        what = f"the name server did not answer in time, so it is unknown whether {named} has an address"
        yield "clients.hosts", f"{what}; check the name server (getent hosts NAME), or write the IP"
    for network in machine.networks:
        samples = {network[1], network[network.num_addresses // 2], network[-2]}
        if all(any(each.matches((str(one),), None, None) for each in clients.ignore) for one in samples):
            what = f"every client of {network} is ignored, so absence cannot be detected"
            yield "clients.ignore", f"{what}; name only the devices that are always on"


def _listed(names: Sequence[str]) -> str:
    """Up to five names in quotation marks, and how many others there are."""
    shown = ", ".join(f'"{name}"' for name in names[:_MAX_NAMES])
    return f"{shown} or one of {len(names) - _MAX_NAMES} others" if len(names) > _MAX_NAMES else shown


def _missing_activity(machine: MachineFacts, options: Options) -> Iterator[Clause]:
    """Units, disks and files of the checks."""
    defaults = {check.kind: check.options for check in default_checks()}
    for check in options.activity.enabled_checks:
        own = check.options
        if check.kind == "jobs" and own != defaults["jobs"]:
            for key in ("units", "ignore"):
                yield from _missing_units(
                    machine, f"activity.jobs.{key}", [f"{name}.service" for name in getattr(own, key)]
                )
        if check.kind == "disk_io":
            yield from _missing_units(machine, "activity.disk_io.ignore", own.ignore)  # type: ignore[attr-defined] # the options of this check
        yield from _missing_key_files(machine, options, check)
        if check.kind in {"file", "log"} and machine.service:
            for path in own.paths:  # type: ignore[attr-defined] # the options of these checks
                if path.startswith(_HIDDEN[:3]):
                    where = "/run" if check.kind == "file" else "/var/log"
                    yield f"activity.{check.kind}", f"{path} is hidden from the service; move it to {where}"


def _missing_key_files(machine: MachineFacts, options: Options, check: ConfiguredCheck) -> Iterator[Clause]:
    """Files with keys and certificates that a check names and that do not exist."""
    of_kind = [each for each in options.activity.checks if each.kind == check.kind]
    number = f"[{of_kind.index(check) + 1}]" if isinstance(check.settings, NamedCheckSettings) else ""
    for key in _KEY_FILES:
        path = getattr(check.options, key, "")
        if path and _is_missing(machine.root, path.lstrip("/")):
            create = f"create it by install -m 640 -g powerd /dev/null {path}, and write the key into it"
            remedy = "correct its path" if key == "ca_file" else create
            yield (
                f"activity.{check.kind}{number}.{key}",
                f"{path} does not exist, so the check fails; {remedy}",
            )


def _missing_units(machine: MachineFacts, key: str, names: Iterable[object]) -> Iterator[Clause]:
    """Services without ``*`` in their name that do not exist."""
    for name in map(str, names):
        if re.fullmatch(r"[\w.@-]+\.service", name) and not _has_unit(machine.root, name):
            yield key, f"there is no {name}; `systemctl list-unit-files` lists those that exist"


def _has_unit(root: Path, name: str) -> bool:
    template = re.sub(r"@.*\.", "@.", name)
    return any((root / each / file).exists() for each in _UNIT_DIRECTORIES for file in (name, template))


def _is_missing(root: Path, pattern: str) -> bool:
    """Whether no file matches, or no directory if the pattern ends with a slash.

    False where a directory is closed to this user.
    """
    if not pattern.strip("/"):
        return False
    try:
        if any(each.is_dir() or not pattern.endswith("/") for each in root.glob(pattern)):
            return False
        directory = next((each for each in (root / pattern).parents if each.exists()), root)
    except (OSError, ValueError) as error:  # ValueError: "**" with other characters (pathlib)
        return not isinstance(error, PermissionError)
    return os.access(directory, os.R_OK | os.X_OK)


def _unreadable_files(machine: MachineFacts, options: Options, file: Path) -> Iterator[Clause]:
    """Files that the service cannot read, although this user can."""
    account = machine.service
    if account is None:
        return
    http = options.http
    paths = {"": str(file), "http.token_file": http.token_file, "http.password_file": http.password_file}
    for key, path in paths.items():
        with suppress(OSError):  # it does not exist, or this user may not look
            Path(path).stat()
            if path and not _may(account, Path(path), _READ):
                yield key, f"the service cannot read {path}; run: chgrp powerd {path} && chmod 640 {path}"
        if key and path.startswith(_HIDDEN):
            yield key, f"{path} is hidden from the service; move it to /etc/powerd"


def option_warnings(options: Options, file: Path, service: Account | None = None) -> Iterator[Clause]:
    """Warnings about commands and notifications of a valid configuration, which the daemon logs too.

    Args:
        options: the options of ``file``.
        file: the configuration file; it may be missing.
        service: the account that runs the commands; None = that of this process.
    """
    commands = {f"sleep[{number}].command": rule.command for number, rule in enumerate(options.sleep, 1)}
    commands |= {f"hooks.{name}": getattr(options.hooks, name) for name in _HOOKS}
    for key, command in commands.items():
        if command and (clause := _command_fault(Path(command[0]), service)):
            yield key, clause
    if not options.hooks.notify:
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        what = "it contains secrets, and everybody may read the file"
        yield "hooks.notify", f"{what}; run: chgrp powerd {file} && chmod 640 {file}"
    if find_spec("apprise") is None:
        what = "nothing is sent because Apprise is not installed"
        yield "hooks.notify", f"{what}; run: /opt/powerd/bin/pip install 'powerd[notify]'"


def _command_fault(program: Path, service: Account | None) -> str:
    """Why a program cannot be executed, and the remedy; "" = it can, or this user cannot find out."""
    if service and str(program).startswith(_HIDDEN):
        return f"{program} is hidden from the service; install it in /usr/local/sbin"
    try:
        if stat.S_ISDIR(program.stat().st_mode):
            return f"{program} is a directory; name a program in it"
        if not _may(service, program, _EXECUTE):
            by = " by the service" if service else ""
            return f"{program} cannot be executed{by}; run: chmod a+rx {program}"
        with program.open("rb") as script:
            first_line = script.readline(_MAX_FIRST_LINE)
    except PermissionError:
        return ""
    except OSError:  # ENOENT, ENOTDIR, ENAMETOOLONG
        return f"{program} does not exist; correct its path, or install it"
    return _script_fault(program, first_line)


def _script_fault(program: Path, first_line: bytes) -> str:
    """Why the interpreter of a script is not found, and the remedy; "" = it is, or this is not a script."""
    words = first_line[2:].split()
    if not first_line.startswith(b"#!") or not words:
        return ""
    interpreter = words[0].decode(errors="replace")
    if first_line.endswith(b"\r\n"):
        return f"{program} has line ends of Windows; run: sed -i 's/\\r$//' {program}"
    if not Path(interpreter).exists():
        return f"the interpreter {interpreter} of {program} does not exist; correct its first line"
    return ""


def _may(account: Account | None, path: Path, wanted: int) -> bool:
    """Whether an account may read or execute a file by the modes of the file and its directories.

    Raises:
        OSError: a mode cannot be read.
    """
    if account is None:
        return os.access(path, wanted)
    real = path.resolve()
    return all(_bits(each.stat(), account) & _EXECUTE for each in real.parents) and bool(
        _bits(real.stat(), account) & wanted
    )


def _bits(status: os.stat_result, account: Account) -> int:
    """The permissions of one class, as a digit of chmod(1)."""
    if account.uid == 0:
        return _READ | (status.st_mode | status.st_mode >> 3 | status.st_mode >> 6) & _EXECUTE
    if status.st_uid == account.uid:
        return status.st_mode >> 6 & 7
    return status.st_mode >> 3 & 7 if status.st_gid in account.groups else status.st_mode & 7


def service_account(name: str = "powerd") -> Account | None:
    """The account of the service; None = there is none."""
    import grp  # noqa: PLC0415 - only for a check of the configuration
    import pwd  # noqa: PLC0415 - only for a check of the configuration

    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = {group.gr_gid for group in grp.getgrall() if name in group.gr_mem}
    return Account(user.pw_uid, frozenset({user.pw_gid, *groups}))


def lan_networks(root: Path) -> list[IPv4Network]:
    """The networks of this machine that have a default gateway, from /proc/net/route (proc_pid_net(5))."""
    try:
        lines = (root / "proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return []
    networks, gateways = [], set[IPv4Address]()
    for words in map(str.split, lines):
        address, gateway, mask = (int.from_bytes(bytes.fromhex(words[n]), "little") for n in (1, 2, 7))
        if gateway:
            gateways.add(IPv4Address(gateway))
        else:
            networks.append(IPv4Network((address, mask.bit_count())))
    return [each for each in networks if any(gateway in each for gateway in gateways)]


def own_names(root: Path) -> frozenset[str]:
    """The host names and IPv4 addresses of this machine, from /proc/net/fib_trie and uname(2)."""
    try:
        text = (root / "proc/net/fib_trie").read_text()
    except OSError:
        text = ""
    host = os.uname().nodename
    addresses = re.findall(r"\|-- (\S+)\n +/32 host LOCAL", text)
    return frozenset({"localhost", "127.0.0.1", "::1", host, host.partition(".")[0], *addresses})
