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
CHECKS: Final[Mapping[str, ConfiguredCheck]] = {
    check.name: check
    for path in PRESETS
    for check in load.parse(path.read_bytes(), str(path)).activity.checks
    if check.name
}
"""The checks of all presets, by name."""


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


def keeps_awake(name: str, ports: AnsweringPorts, root: Path | None = None) -> bool:
    check = CHECKS[name]
    options: Any = check.options
    if check.kind == "http":  # no test has its header file; a child process asks over TLS
        options = replace(options, header_file="", url=options.url.replace("https:", "http:"))
    kind = find_kind(check.kind)
    given = check_ports(ports.ports())
    if root is not None:
        given = replace(given, files=HostFiles(root))
    activities = asyncio.run(kind.new(options, given).poll(PollDepth.BEFORE_SLEEP))
    return any(each.keeps_awake for each in activities)


def emby_session(user: str | None, *, paused: bool = False, playing: bool = True) -> Mapping[str, object]:
    session: dict[str, object] = {
        "PlayState": {
            "CanSeek": playing,
            "IsPaused": paused,
            "IsMuted": False,
            "RepeatMode": "RepeatNone",
            "PlaybackRate": 1,
        },
        "AdditionalUsers": [],
        "RemoteEndPoint": "192.168.1.44",
        "PlayableMediaTypes": ["Audio", "Video"],
        "Id": "8f3c",
        "Client": "Jellyfin Android TV",
        "LastActivityDate": "2026-06-04T18:22:31.0000000Z",
        "SupportsRemoteControl": True,
    }
    if user:
        session["UserName"] = user
    if playing:
        session["NowPlayingItem"] = {"Name": "Dune", "Type": "Movie", "RunTimeTicks": 18_000_000_000}
    return session


def plex(*states: str) -> Mapping[str, object]:
    if not states:
        return {"MediaContainer": {"size": 0}}
    metadata = [
        {
            "title": "Dune",
            "type": "movie",
            "User": {"id": "1", "title": "alice", "thumb": "https://plex.tv/users/1/avatar"},
            "Player": {"address": "192.168.1.44", "local": True, "product": "Plex Web", "state": each},
            "Session": {"id": "c9gh", "bandwidth": 8000, "location": "lan"},
        }
        for each in states
    ]
    return {"MediaContainer": {"size": len(states), "Metadata": metadata}}


def nextcloud(users: int, status: str = "ok") -> Mapping[str, object]:
    active = {"last5minutes": users, "last1hour": 4, "last24hours": 5}
    data = {"nextcloud": {"system": {}}, "server": {"webserver": "Apache"}, "activeUsers": active}
    return {"ocs": {"meta": {"status": status, "statuscode": 200, "message": "OK"}, "data": data}}


def sonarr(*states: tuple[str, str]) -> Mapping[str, object]:
    """Of Sonarr and Radarr."""
    records = [
        {
            "title": "Show",
            "status": status,
            "trackedDownloadStatus": "ok",
            "trackedDownloadState": state,
            "protocol": "torrent",
            "sizeleft": 1_000_000,
            "timeleft": "00:10:00",
            "id": 1,
        }
        for status, state in states
    ]
    return {
        "page": 1,
        "pageSize": 100,
        "sortKey": "timeleft",
        "sortDirection": "ascending",
        "totalRecords": len(records),
        "records": records,
    }


def sabnzbd(status: str) -> Mapping[str, object]:
    queue = {"version": "4.5.1", "paused": status == "Paused", "kbpersec": "0.00", "noofslots_total": 1}
    return {"queue": {**queue, "status": status, "timeleft": "0:00:00", "slots": []}}


def sabnzbd_history(*states: str, version: str = "4.5.0") -> Mapping[str, object]:
    """As SABnzbd 3.7.1 and 4.5.0 answer, shortened; 3.7.1 does not count the jobs that have not ended."""
    slots = [
        {"nzo_id": "SABnzbd_nzo_1", "name": "film", "nzb_name": "film.nzb", "status": state, "category": "*"}
        for state in states
    ]
    unfinished = [state for state in states if state not in {"Completed", "Failed"}]
    counted = {} if version == "3.7.1" else {"ppslots": len(unfinished)}
    sizes = {"total_size": "23.8 M", "month_size": "23.8 M", "week_size": "23.8 M", "day_size": "23.8 M"}
    history = {**sizes, "slots": slots, **counted, "noofslots": len(slots), "last_history_update": 8}
    return {"history": {**history, "version": version}}


def nzbget(*, standby: bool = True, jobs: int = 0, scripts: int = 0, paused: bool = False) -> str:
    """With the line breaks and spaces of the server."""
    return f"""\
{{
"version" : "1.1",
"result" : {{
"RemainingSizeMB" : 0,
"DownloadRate" : 0,
"ThreadCount" : 7,
"ParJobCount" : {jobs},
"PostJobCount" : {jobs},
"UrlCount" : 0,
"DownloadPaused" : false,
"ServerStandBy" : {json.dumps(standby)},
"PostPaused" : {json.dumps(paused)},
"ScanPaused" : false,
"FeedActive" : false,
"QueueScriptCount" : {scripts},
"NewsServers" : [
{{
"ID" : 1,
"Active" : true
}}
]
}}
}}"""


def transmission(speed: int, result: str = "success") -> Mapping[str, object]:
    stats = {"downloadedBytes": 1, "filesAdded": 1, "secondsActive": 1, "sessionCount": 1, "uploadedBytes": 1}
    arguments = {
        "activeTorrentCount": 3,
        "cumulative-stats": stats,
        "current-stats": stats,
        "downloadSpeed": speed,
        "pausedTorrentCount": 1,
        "torrentCount": 4,
        "uploadSpeed": 5000,
    }
    return {"result": result, "arguments": arguments}


def navidrome(*states: str | None) -> Mapping[str, object]:
    """``None``: of a version without states."""
    song = {"id": "1", "isDir": False, "title": "Song", "username": "alice", "minutesAgo": 2, "playerId": 1}
    entry = [{**song, "state": each, "positionMs": 120_000} if each else song for each in states]
    playing: Mapping[str, object] = {"entry": entry} if entry else {}
    return {"subsonic-response": {"status": "ok", "version": "1.16.1", "nowPlaying": playing}}


def immich(active: int, waiting: int = 0) -> Mapping[str, Mapping[str, object]]:
    """Of /api/jobs, with two of its queues."""
    idle = {"active": 0, "completed": 0, "failed": 3, "delayed": 0, "waiting": 0, "paused": waiting}
    state = {"isActive": active > 0, "isPaused": waiting > 0}
    return {
        "thumbnailGeneration": {"queueStatus": state, "jobCounts": {**idle, "active": active}},
        "library": {"queueStatus": {"isActive": False, "isPaused": False}, "jobCounts": idle},
    }


def immich_queues(active: int) -> list[object]:
    """Of /api/queues."""
    return [
        {"name": name, "isPaused": False, "statistics": queue["jobCounts"]}
        for name, queue in immich(active).items()
    ]


def tvheadend(*titles: str) -> Mapping[str, object]:
    entries = [
        {
            "id": number,
            "start": 1_780_000_000,
            "errors": 0,
            "state": "Läuft",
            "title": title,
            "service": "DVB-T/1",
            "in": 400_000,
            "out": 400_000,
        }
        for number, title in enumerate(titles)
    ]
    return {"entries": entries, "totalCount": len(entries)}


def bigbluebutton(*attendees: int) -> str:
    attendee = (
        "<attendee><userID>u</userID><fullName>Ann</fullName><role>MODERATOR</role>"
        "<isPresenter>true</isPresenter></attendee>"
    )
    meetings = "".join(
        "<meeting><meetingName>m</meetingName><meetingID>m</meetingID>"
        f"<running>{str(count > 0).lower()}</running>"
        f"<participantCount>{count}</participantCount><attendees>{attendee * count}</attendees>"
        "<metadata></metadata><isBreakout>false</isBreakout></meeting>"
        for count in attendees
    )
    listed = f"<meetings>{meetings}</meetings>" if attendees else ""
    return f"<response><returncode>SUCCESS</returncode>{listed}</response>"


GLUSTER_STATUS: Final = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<cliOutput>
  <opRet>0</opRet>
  <opErrno>0</opErrno>
  <opErrstr/>
  <volStatus>
    {}
  </volStatus>
</cliOutput>
"""


def gluster(*tasks: str) -> str:
    """As gluster 10.3 prints it, with one of its nodes."""
    listed = "".join(
        f"""
          <task>
            <type>Rebalance</type>
            <id>32669569-698f-4466-b98a-7427b2243b0c</id>
            <status>{1 if task == "in progress" else 3}</status>
            <statusStr>{task}</statusStr>
          </task>"""
        for task in tasks
    )
    return GLUSTER_STATUS.format(f"""<volumes>
      <volume>
        <volName>gv</volName>
        <nodeCount>2</nodeCount>
        <node>
          <hostname>nas</hostname>
          <path>/srv/brick</path>
          <peerid>66c679f9-c5cf-4a6f-96df-d40a8957c77a</peerid>
          <status>1</status>
          <port>55233</port>
          <ports>
            <tcp>55233</tcp>
            <rdma>N/A</rdma>
          </ports>
          <pid>87</pid>
        </node>
        <tasks>{listed}</tasks>
      </volume>
    </volumes>""")


NO_VOLUMES: Final = GLUSTER_STATUS.format("<volumes/>")
"""As gluster 10.3 prints it without a volume, and while all are stopped."""


def ceph(**rates: int) -> Mapping[str, object]:
    return {
        "fsid": "x",
        "health": {"status": "HEALTH_OK", "checks": {}, "mutes": []},
        "pgmap": {
            "pgs_by_state": [{"state_name": "active+clean", "count": 129}],
            "num_pgs": 129,
            "num_pools": 3,
            "num_objects": 9001,
            "data_bytes": 1_230_716_754_607,
            "bytes_used": 1_861_238_087_680,
            "bytes_avail": 2_535_859_327_381_504,
            "bytes_total": 2_537_720_565_469_184,
            **rates,
        },
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
        "raw": {"players": {"online": players, "max": 20}},
        "players": {"online": players, "max": 20, "sample": None},
        "version": {"name": "1.21", "protocol": 767},
        "motd": "A Minecraft Server",
        "latency": 0.6,
        "enforces_secure_chat": True,
        "icon": None,
        "forge_data": None,
    }
    return {"online": True, "kind": "Java", "status": status}


def gamedig(counted: int, *names: str) -> Mapping[str, object]:
    server = {"name": "Home", "map": "", "password": True, "version": "1.0", "maxplayers": 64}
    players = [{"name": name, "raw": {"score": 0, "time": 9.5}} for name in names]
    return {**server, "numplayers": counted, "players": players, "bots": [], "queryPort": 2457, "ping": 9}


def ovirt(*states: str) -> str:
    machine = "<vm href='/ovirt-engine/api/vms/{0}' id='{0}'><name>vm{0}</name><status>{1}</status></vm>"
    return f"<vms>{''.join(machine.format(n, state) for n, state in enumerate(states))}</vms>"


def home_assistant(state: str) -> Mapping[str, object]:
    return {
        "attributes": {"editable": True, "friendly_name": "Keep the server awake"},
        "entity_id": "input_boolean.keep_server_awake",
        "last_changed": "2026-05-30T21:43:29.204838+00:00",
        "last_updated": "2026-05-30T21:50:30.529465+00:00",
        "state": state,
    }


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
    ("radarr", sonarr(("downloading", "downloading"))),
    ("radarr", sonarr(("completed", "importing"))),
    ("sabnzbd", sabnzbd("Downloading")),
    *(("sabnzbd-jobs", sabnzbd_history(each)) for each in ("Queued", "Verifying", "Extracting", "Running")),
    ("sabnzbd-jobs", sabnzbd_history("Running", version="3.7.1")),
    ("nzbget", nzbget(standby=False)),
    ("nzbget", nzbget(jobs=1)),
    ("nzbget", nzbget(scripts=1, jobs=1, paused=True)),
    ("navidrome", navidrome("playing")),
    ("navidrome", navidrome("paused", "starting")),
    ("navidrome", navidrome(None)),
    ("immich", immich(2)),
    ("immich", immich_queues(1)),
    ("tvheadend", tvheadend("DVR: News")),
    ("qbittorrent", {"dl_info_speed": 2_000_000, "up_info_speed": 0, "connection_status": "connected"}),
    ("transmission", transmission(2_000_000)),
    ("bigbluebutton", bigbluebutton(0, 2)),
    ("home-assistant", home_assistant("on")),
    ("home-assistant", home_assistant("unavailable")),
    ("bacula", bacula("     5  Back Full          0         0  BackupClient1     is running\n")),
    ("bacula", bacula("    17  Job           0         0  Copy              is waiting execution\n")),
    ("ceph", ceph(read_bytes_sec=20_000, write_bytes_sec=20_000)),
    ("ceph", ceph(write_bytes_sec=13_392_573, read_op_per_sec=0, write_op_per_sec=204)),
    ("ceph", ceph(recovering_bytes_per_sec=9_000_000)),
    ("kubernetes", "NAMESPACE     NAME\nkube-system   coredns-1\ndefault       web-5d\n"),
    ("htcondor", "slot1@nas Claimed Busy\nslot2@nas Unclaimed Idle\n"),
    ("htcondor", "slot1@nas.lan Unclaimed Idle\nslot1_1@nas.lan Claimed Busy\n"),
    ("htcondor", "slot1_1@nas Claimed Suspended\n"),
    ("gluster", gluster("completed", "in progress")),
    ("lizardfs", "Id: 0x1    -  Recursive remove: /srv/old\n"),
    ("lizardfs", "Id: 0x1f   -  Creating snapshot: /a -> /b\n"),
    ("minecraft", minecraft(2)),
    ("gamedig", gamedig(1, "Ann")),
    ("gamedig", gamedig(0, "Ann")),
    ("gamedig", gamedig(3)),
    ("ovirt", ovirt("down", "up")),
    ("ovirt", ovirt("powering_up")),
    *(("ovirt", ovirt("suspended", each)) for each in ("saving_state", "image_locked", "not_responding")),
]
IDLE: Final[list[tuple[str, object]]] = [
    ("jellyfin", []),
    ("jellyfin", [emby_session("alice", playing=False), emby_session("bob", paused=True)]),
    ("emby", [emby_session("alice", playing=False), emby_session("bob", paused=True)]),
    ("plex", plex()),
    ("plex", plex("paused")),
    ("nextcloud", nextcloud(0)),
    ("sonarr", sonarr()),
    ("sonarr", sonarr(("warning", "downloading"), ("paused", "downloading"), ("completed", "importBlocked"))),
    ("radarr", sonarr()),
    ("radarr", sonarr(("warning", "downloading"), ("paused", "downloading"), ("completed", "importBlocked"))),
    *(("sabnzbd", sabnzbd(each)) for each in ("Idle", "Paused")),
    *(("sabnzbd-jobs", sabnzbd_history(*each)) for each in ((), ("Completed",), ("Failed",))),
    *(("sabnzbd-jobs", sabnzbd_history(*each, version="3.7.1")) for each in ((), ("Completed",))),
    ("nzbget", nzbget()),
    ("nzbget", nzbget(jobs=3, paused=True)),
    ("navidrome", navidrome()),
    ("navidrome", navidrome("paused")),
    ("immich", immich(0, waiting=40)),
    ("immich", immich_queues(0)),
    ("tvheadend", tvheadend()),
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
    ("htcondor", "slot1@nas.lan Unclaimed Benchmarking\n"),
    *(("gluster", answer) for answer in (NO_VOLUMES, gluster(), gluster("completed", "stopped", "failed"))),
    ("lizardfs", "No tasks are being executed\n"),
    ("minecraft", minecraft(0)),
    ("gamedig", gamedig(0)),
    ("ovirt", ovirt()),
    ("ovirt", ovirt("down", "suspended")),
]
FAILS: Final[list[tuple[str, object]]] = [
    ("jellyfin", {"error": "x"}),
    ("emby", {"error": "x"}),
    ("plex", {"MediaContainer": {}}),
    ("plex", {"errors": []}),
    ("nextcloud", nextcloud(0, "failure")),
    ("sonarr", {"records": []}),
    ("radarr", {"error": "Unauthorized"}),
    *((name, {"status": False, "error": "API Key Incorrect"}) for name in ("sabnzbd", "sabnzbd-jobs")),
    ("sabnzbd-jobs", {"history": False}),
    (
        "nzbget",
        {"version": "1.1", "error": {"name": "JSONRPCError", "code": 1, "message": "Invalid procedure"}},
    ),
    ("navidrome", {"subsonic-response": {"status": "failed", "error": {"code": 40, "message": "Wrong"}}}),
    ("immich", {"message": "Forbidden", "error": "Forbidden", "statusCode": 403}),
    ("immich", {}),
    ("immich", []),
    ("tvheadend", {}),
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
    ("gluster", NO_VOLUMES.replace("<opRet>0", "<opRet>-1")),
    ("gluster", "<cliOutput><opRet>-1</opRet><opErrno>30800</opErrno><cliOp>volStatus</cliOp></cliOutput>"),
    ("lizardfs", ""),
    ("gamedig", {"error": "Failed all 1 attempts"}),
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
        ("borg", "/usr/bin/python3 /usr/bin/borgbackup create /srv/repo::a2 -", True),
        ("borg", "/usr/bin/python3 /usr/bin/borg2 -r /srv/repo2 create a -", True),
        ("borg", "/usr/bin/python3 /usr/bin/borgfs /srv/repo /mnt", True),
        ("borg", "/usr/bin/python3 /usr/bin/borg serve", True),
        ("borg", "borg serve --restrict-to-path /srv", True),
        ("borg", "/usr/bin/borgweb", False),
        ("restic", "/usr/bin/restic backup /home", True),
        ("restic", "/usr/local/bin/restic_0.14.0_linux_amd64 -r /srv/rrepo backup --stdin", True),
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
        ("ddclient", '"ddclient - sleeping for 290 seconds"', False),
        ("ddclient", '"ddclient - updating nas.example.org"', True),
        ("proxmox", '"task UPID:pve:0001F2A4:00A7B3C1:6740E1F0:vzdump:101:root@pam:"', True),
        ("proxmox", "/usr/bin/perl -T /usr/bin/vzdump 101 --mode snapshot", True),
        ("proxmox", '"pvedaemon worker"', False),
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
    file.write_text(f"include = {json.dumps([f'presets/{name}.toml' for name in NAMES])}")
    assert {check.name for check in load.load(file).activity.checks if check.name} == set(CHECKS)


@pytest.mark.parametrize("path", PRESETS, ids=NAMES)
def test_each_preset_is_valid_and_tested_or_says_so(path: Path) -> None:
    checks = {check.name for check in load.parse(path.read_bytes(), str(path)).activity.checks if check.name}
    assert path.stem in checks
    is_tested = checks <= {*ASKED, "borg", "ddclient", "proxmox", "restic", "rsync", "xen"}
    assert path.read_text().startswith("# untested: ") is not is_tested
    assert {*checks} & {*ASKED} <= {name for name, _ in IDLE} & {name for name, _ in FAILS}
