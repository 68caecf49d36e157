"""Every preset against answers of its server, in the form of the source or document that the preset names."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.registry import find_kind
from powerd.config import load
from powerd.config.activity_options import ConfiguredCheck
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, ProcessResult, UnitProcess

PRESETS: Final = sorted((Path(load.__file__).parent / "presets").glob("*.toml"))
NAMES: Final = [path.stem for path in PRESETS]


def is_untested(path: Path) -> bool:
    return path.read_text().startswith("# untested: ")


def configured(path: Path) -> ConfiguredCheck:
    """The one check of a preset; its header file exists in no test."""
    content = path.read_bytes()
    default = {check.kind for check in load.parse(b"", "none").activity.checks}
    (check,) = [
        each
        for each in load.parse(content, str(path)).activity.checks
        if each.name or each.kind not in default
    ]
    return check


@dataclass(slots=True)
class AnsweringPorts(RecordingPorts):
    """Every server answers ``body``, every command prints it, and ``processes`` run."""

    body: str = ""
    status: str = "200 OK"
    processes: Sequence[UnitProcess] = field(default_factory=tuple)

    async def exchange(self, server: tuple[str, int], request: bytes, **_: object) -> bytes:
        self._record("exchange", server, request)
        length = len(self.body.encode())
        return f"HTTP/1.1 {self.status}\r\nContent-Length: {length}\r\n\r\n{self.body}".encode()

    async def resolve(self, name: str) -> tuple[str, ...]:
        return ("10.0.0.5",) if name else ()

    async def run(self, argv: Sequence[str], **_: object) -> ProcessResult:
        self._record("run", tuple(argv))
        return ProcessResult(0 if self.status == "200 OK" else 1, self.body, "")

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        assert unit == "-.slice"
        return tuple(self.processes)


def keeps_awake(preset: str, ports: AnsweringPorts, root: Path | None = None) -> bool:
    check = configured(PRESETS[NAMES.index(preset)])
    options: Any = check.options
    if check.kind == "http":  # without its key; a child process asks over TLS
        options = replace(options, header_file="", url=options.url.replace("https:", "http:"))
    kind = find_kind(check.kind)
    given = check_ports(ports.ports())
    if root is not None:
        given = replace(given, files=HostFiles(root))
    activities = asyncio.run(kind.new(options, given).poll(PollDepth.BEFORE_SLEEP))
    return any(each.keeps_awake for each in activities)


def emby_session(user: str | None, *, paused: bool = False, playing: bool = True) -> Mapping[str, object]:
    session: dict[str, object] = {
        "PlayState": {"CanSeek": playing, "IsPaused": paused, "IsMuted": False, "RepeatMode": "RepeatNone"},
        "Id": "8f3c",
        "Client": "Jellyfin Android TV",
        "LastActivityDate": "2026-06-04T18:22:31.0000000Z",
    }
    if user:
        session["UserName"] = user
    if playing:
        session["NowPlayingItem"] = {"Name": "Dune", "Type": "Movie", "RunTimeTicks": 18_000_000_000}
    return session


def plex(*states: str) -> Mapping[str, object]:
    if not states:
        return {"MediaContainer": {"size": 0}}
    metadata = [{"title": "Dune", "User": {"title": "alice"}, "Player": {"state": each}} for each in states]
    return {"MediaContainer": {"size": len(states), "Metadata": metadata}}


def nextcloud(users: int, status: str = "ok") -> Mapping[str, object]:
    active = {"last5minutes": users, "last1hour": 4, "last24hours": 5}
    data = {"nextcloud": {"system": {}}, "server": {"webserver": "Apache"}, "activeUsers": active}
    return {"ocs": {"meta": {"status": status, "statuscode": 200, "message": "OK"}, "data": data}}


def sonarr(*states: tuple[str, str]) -> Mapping[str, object]:
    records = [
        {"title": "Show", "status": status, "trackedDownloadStatus": "ok", "trackedDownloadState": state}
        for status, state in states
    ]
    return {"page": 1, "pageSize": 200, "totalRecords": len(records), "records": records}


def transmission(speed: int, result: str = "success") -> Mapping[str, object]:
    arguments = {
        "activeTorrentCount": 3,
        "downloadSpeed": speed,
        "pausedTorrentCount": 1,
        "uploadSpeed": 5000,
    }
    return {"result": result, "arguments": arguments}


def bigbluebutton(*attendees: int) -> str:
    meetings = "".join(
        f"<meeting><meetingName>m</meetingName><running>true</running><attendees>"
        f"{'<attendee><userID>u</userID><fullName>Ann</fullName></attendee>' * count}</attendees></meeting>"
        for count in attendees
    )
    return f"<response><returncode>SUCCESS</returncode><meetings>{meetings}</meetings></response>"


def ceph(**rates: int) -> Mapping[str, object]:
    return {
        "fsid": "x",
        "health": {"status": "HEALTH_OK"},
        "pgmap": {"num_pgs": 129, "num_pools": 3, **rates},
    }


def bacula(*rows: str) -> str:
    """As bconsole 9.6.7 prints it, shortened."""
    jobs = " JobId  Type Level     Files     Bytes  Name              Status\n" + "=" * 70 + "\n"
    running = jobs + "".join(rows) if rows else "No Jobs running.\n"
    return f"""\
Connecting to Director localhost:9101
1000 OK: 103 nas-dir Version: 9.6.7 (10 December 2020)
Enter a period to cancel a command.
status dir running
nas-dir Version: 9.6.7 (10 December 2020) x86_64-pc-linux-gnu debian bookworm/sid
Daemon started 29-Nov-26 09:36, conf reloaded 29-Nov-2026 09:36:44
 Jobs: run=1, running={len(rows)} mode=0,0
 Heap: heap=536,576 smbytes=79,088 max_bytes=79,088 bufs=366 max_bufs=366

Scheduled Jobs:
Level          Type     Pri  Scheduled          Job Name           Volume
===================================================================================
Full           Backup    11  29-Nov-26 23:10    BackupCatalog      *unknown*
====

Running Jobs:
Console connected at 29-Nov-26 09:36
{running}====

Terminated Jobs:
 JobId  Level      Files    Bytes   Status   Finished        Name
====================================================================
     2  Full           0         0   Cancel   29-Nov-26 09:37 BackupClient1

====
You have messages.
"""


def minecraft(players: int) -> Mapping[str, object]:
    status = {
        "players": {"online": players, "max": 20, "sample": []},
        "version": {"name": "1.21", "protocol": 767},
    }
    return {"online": True, "kind": "Java", "status": status}


def ovirt(*states: str) -> str:
    machine = "<vm href='/ovirt-engine/api/vms/{0}' id='{0}'><name>vm{0}</name><status>{1}</status></vm>"
    return f"<vms>{''.join(machine.format(n, state) for n, state in enumerate(states))}</vms>"


def home_assistant(state: str) -> Mapping[str, object]:
    return {"attributes": {}, "entity_id": "input_boolean.keep_server_awake", "state": state}


AWAKE: Final[list[tuple[str, object]]] = [
    ("jellyfin", [emby_session("alice")]),
    ("jellyfin", [emby_session(None)]),
    ("jellyfin", [emby_session("bob", paused=True), emby_session("alice")]),
    ("emby", [emby_session("alice")]),
    ("plex", plex("playing")),
    ("plex", plex("buffering")),
    ("plex", {"MediaContainer": {"size": 1, "Metadata": [{"Player": {}}]}}),
    ("nextcloud", nextcloud(1)),
    ("sonarr", sonarr(("downloading", "downloading"))),
    ("sonarr", sonarr(("completed", "importPending"), ("completed", "importing"))),
    ("qbittorrent", {"dl_info_speed": 2_000_000, "up_info_speed": 0, "connection_status": "connected"}),
    ("transmission", transmission(2_000_000)),
    ("bigbluebutton", bigbluebutton(0, 2)),
    ("home-assistant", home_assistant("on")),
    ("home-assistant", home_assistant("unavailable")),
    ("bacula", bacula("     5  Back Full          0         0  BackupClient1     is running\n")),
    ("bacula", bacula("    17  Job           0         0  Copy              is waiting execution\n")),
    ("ceph", ceph(read_bytes_sec=20_000, write_bytes_sec=20_000)),
    ("ceph", ceph(recovering_bytes_per_sec=9_000_000)),
    ("kubernetes", "NAMESPACE     NAME\nkube-system   coredns-1\ndefault       web-5d\n"),
    ("htcondor", "slot1@nas Claimed Busy\nslot2@nas Unclaimed Idle\n"),
    ("htcondor", "slot1_1@nas Claimed Suspended\n"),
    ("minecraft", minecraft(2)),
    ("ovirt", ovirt("down", "up")),
    ("ovirt", ovirt("powering_up")),
    *(("ovirt", ovirt("suspended", each)) for each in ("saving_state", "image_locked", "not_responding")),
]
IDLE: Final[list[tuple[str, object]]] = [
    ("jellyfin", []),
    ("jellyfin", [emby_session("alice", playing=False), emby_session("bob", paused=True)]),
    ("emby", [emby_session("alice", playing=False)]),
    ("plex", plex()),
    ("plex", plex("paused")),
    ("nextcloud", nextcloud(0)),
    ("sonarr", sonarr()),
    ("sonarr", sonarr(("warning", "downloading"), ("paused", "downloading"), ("completed", "importBlocked"))),
    ("qbittorrent", {"dl_info_speed": 900, "up_info_speed": 90_000, "connection_status": "connected"}),
    ("transmission", transmission(0)),
    ("bigbluebutton", bigbluebutton()),
    ("bigbluebutton", bigbluebutton(0)),
    ("home-assistant", home_assistant("off")),
    ("bacula", bacula()),
    ("ceph", ceph()),
    ("ceph", ceph(read_bytes_sec=900, write_bytes_sec=4_000)),
    ("kubernetes", "NAMESPACE     NAME\nkube-system   coredns-1\nkube-flannel  kube-flannel-ds-x\n"),
    ("htcondor", "slot1@nas Unclaimed Idle\nslot2@nas Owner Idle\n"),
    ("minecraft", minecraft(0)),
    ("ovirt", ovirt()),
    ("ovirt", ovirt("down", "suspended")),
]
FAILS: Final[list[tuple[str, object]]] = [
    ("jellyfin", {"error": "x"}),
    ("plex", {"MediaContainer": {}}),
    ("plex", {"errors": []}),
    ("nextcloud", nextcloud(0, "failure")),
    ("sonarr", {"records": []}),
    ("qbittorrent", "Forbidden"),
    ("transmission", transmission(0, "no such method")),
    (
        "bigbluebutton",
        "<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>",
    ),
    ("home-assistant", {"message": "Entity not found."}),
    ("bacula", "Connecting to Director localhost:9101\nDirector authorization error.\n"),
    ("ceph", {"health": {}}),
    ("kubernetes", ""),
    ("kubernetes", "NAMESPACE   NAME\n"),
    ("kubernetes", "No resources found\n"),
    ("htcondor", ""),
    ("ovirt", "<fault><reason>Operation Failed</reason></fault>"),
    ("minecraft", {"online": False, "kind": "Java", "error": "timed out"}),
]


def text_of(answer: object) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


@pytest.mark.parametrize(("preset", "answer"), AWAKE)
def test_work_keeps_awake(preset: str, answer: object) -> None:
    assert keeps_awake(preset, AnsweringPorts(body=text_of(answer)))


@pytest.mark.parametrize(("preset", "answer"), IDLE)
def test_no_work_does_not(preset: str, answer: object) -> None:
    assert not keeps_awake(preset, AnsweringPorts(body=text_of(answer)))


@pytest.mark.parametrize(("preset", "answer"), FAILS)
def test_an_error_of_the_server_is_a_failure(preset: str, answer: object) -> None:
    with pytest.raises(HostError):
        keeps_awake(preset, AnsweringPorts(body=text_of(answer)))


ASKED: Final = sorted({preset for preset, _ in AWAKE})


# kubectl lists lines of any form, so only its exit status shows an error.
@pytest.mark.parametrize("preset", [name for name in ASKED if name != "kubernetes"])
@pytest.mark.parametrize(
    "body", ["<html><title>Login</title></html>", "[" * 100_000, '{"a": NaN}', "null", '"x"']
)
def test_a_hostile_answer_is_a_failure(preset: str, body: str) -> None:
    with pytest.raises(HostError):
        keeps_awake(preset, AnsweringPorts(body=body))


@pytest.mark.parametrize("preset", ASKED)
def test_a_refusal_is_a_failure(preset: str) -> None:
    with pytest.raises(HostError):
        keeps_awake(preset, AnsweringPorts(body="{}", status="401 Unauthorized"))


@pytest.mark.parametrize(
    ("preset", "command", "awake"),
    [
        ("borg", "/usr/bin/python3 /usr/bin/borg create ::now /home", True),
        ("borg", "/usr/bin/python3 /usr/bin/borgmatic --verbosity 1", True),
        ("borg", "borg serve --restrict-to-path /srv", True),
        ("borg", "/usr/bin/borgweb", False),
        ("restic", "/usr/bin/restic backup /home", True),
        ("restic", "/usr/bin/rest-server --path /srv", False),
        ("rsync", "rsync --server -logDtpre.iLsfxCIvu . /srv", True),
        ("rsync", "/usr/bin/rsync --archive /a /b", True),
        ("rsync", "rsync -a /a /b", True),
        ("rsync", "rsync --server --daemon .", True),
        ("rsync", "/usr/bin/rsync --server --daemon --config=/etc/nas.conf .", True),
        ("rsync", "rsync --config=/etc/nas.conf --server --daemon .", True),
        ("rsync", "/usr/bin/rsync --daemon --no-detach", False),
        ("rsync", "/usr/bin/rsync --no-detach --daemon", False),
        ("rsync", "rsync --daemon", False),
        ("ddclient", "/usr/bin/perl /usr/bin/ddclient -daemon=0 -force", True),
        ("ddclient", "ddclient - sleeping for 290 seconds", False),
    ],
)
def test_processes(preset: str, command: str, *, awake: bool) -> None:
    shlex.split(command)
    ports = AnsweringPorts(processes=[UnitProcess("/system.slice/x.service", 7, command)])
    assert keeps_awake(preset, ports) is awake


def test_xen_guests(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("22 21 0:21 / /sys rw - sysfs sysfs rw\n")
    assert not keeps_awake("xen", AnsweringPorts(), tmp_path)
    (tmp_path / "sys/bus/xen-backend/devices/vif-1-0").mkdir(parents=True)
    (tmp_path / "sys/bus/xen-backend/devices/vif-1-0/devtype").write_text("vif\n")
    assert keeps_awake("xen", AnsweringPorts(), tmp_path)


def test_all_presets_can_be_included_together(tmp_path: Path) -> None:
    file = tmp_path / "powerd.toml"
    names = [f"presets/{name}.toml" for name in NAMES if name != "lizardfs"]  # sets the same key as gluster
    file.write_text(f"include = {json.dumps(names)}")
    named = {check.name for check in load.load(file).activity.checks if check.name}
    assert named == set(NAMES) - {"gluster", "lizardfs"}


@pytest.mark.parametrize("path", PRESETS, ids=NAMES)
def test_each_preset_is_valid_and_tested_or_says_so(path: Path) -> None:
    options = load.parse(path.read_bytes(), str(path))
    assert options != load.parse(b"", "none") or is_untested(path)
    tested = {*ASKED, "borg", "ddclient", "restic", "rsync", "xen"}
    assert is_untested(path) is (path.stem not in tested)
    if path.stem in ASKED:
        assert any(preset == path.stem for preset, _ in IDLE)
