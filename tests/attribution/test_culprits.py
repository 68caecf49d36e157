"""The culprit of an event, and the unit and owner of a control group."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.attribution.culprits import Culprits, UnitOwner, find_unit, find_user
from powerd.attribution.join import join
from powerd.attribution.model import Culprit, TracedProcess, TraceEvent, TraceReading
from powerd.disks.model import DiskId

ID = "3f2a9c" + "0" * 58
USERS = {1000: "alice"}

CASES = [
    ("", "", ""),
    ("/", "", ""),
    ("/init.scope", "init.scope", ""),
    ("/system.slice/cron.service", "cron.service", ""),
    ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ""),
    ("/system.slice/smbd.service/payload", "smbd.service", ""),
    ("/system.slice/_notify.service", "notify.service", ""),
    ("/system.slice/snap.nextcloud.apache.service", "snap.nextcloud.apache.service", ""),
    ("/system.slice/srv-media.mount", "srv-media.mount", ""),
    (f"/system.slice/docker-{ID}.scope", f"docker-{ID}.scope", "container 3f2a9c000000"),
    (f"/docker/{ID}", "", "container 3f2a9c000000"),
    (f"/docker/{ID}/system.slice/cron.service", "cron.service", "container 3f2a9c000000"),
    (f"/machine.slice/libpod-{ID}.scope/container", f"libpod-{ID}.scope", "container 3f2a9c000000"),
    (f"/machine.slice/libpod-conmon-{ID}.scope", f"libpod-conmon-{ID}.scope", "container 3f2a9c000000"),
    (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        f"libpod-{ID}.scope",
        "container 3f2a9c000000",
    ),
    (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{ID}.scope",
        f"cri-containerd-{ID}.scope",
        "container 3f2a9c000000",
    ),
    (f"/kubepods/burstable/pod7d1f/{ID}", "", "container 3f2a9c000000"),
    (
        f"/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:{ID}",
        "containerd.service",
        "container 3f2a9c000000",
    ),
    ("/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn@web.service", "container web"),
    (
        r"/machine.slice/systemd-nspawn@my\x2dbox.service/payload/system.slice/cron.service",
        "cron.service",
        "container my-box",
    ),
    (
        "/machine.slice/machine-web.scope/payload/system.slice/system-postfix.slice/postfix@-.service",
        "postfix@-.service",
        "container web",
    ),
    (
        "/machine.slice/systemd-nspawn@web.service/payload/init.scope",
        "systemd-nspawn@web.service",
        "container web",
    ),
    (r"/machine.slice/machine-deb12.scope", "machine-deb12.scope", "container deb12"),
    (
        r"/machine.slice/machine-qemu\x2d3\x2dnas2.scope/libvirt/emulator",
        r"machine-qemu\x2d3\x2dnas2.scope",
        "virtual machine nas2",
    ),
    (
        r"/machine.slice/machine-lxc\x2d41\x2dweb\x2d1.scope",
        r"machine-lxc\x2d41\x2dweb\x2d1.scope",
        "container web-1",
    ),
    ("/qemu.slice/100.scope", "100.scope", "virtual machine 100"),
    ("/lxc/101/ns/system.slice/cron.service", "cron.service", "container 101"),
    ("/lxc.payload.web/system.slice/cron.service", "cron.service", "container web"),
    ("/lxc.monitor.web", "", "container web"),
    ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "alice's session 3"),
    ("/user.slice/user-1001.slice/session-c2.scope", "session-c2.scope", "user 1001's session c2"),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service",
        "syncthing.service",
        "alice",
    ),
    ("/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service", "alice"),
    ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service", "alice"),
    ("/unknown/group", "", ""),
]


@pytest.mark.parametrize(("cgroup", "unit", "owner"), CASES)
def test_the_unit_of_a_control_group(cgroup: str, unit: str, owner: str) -> None:
    assert find_unit(cgroup, USERS) == UnitOwner(unit, owner)


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        ("/system.slice/cron.service", None),
        ("/user.slice/user-1000.slice/session-3.scope", 1000),
        ("/user.slice/user-1001.slice/user@1001.service/init.scope", 1001),
    ],
)
def test_the_user_whose_name_is_needed(cgroup: str, expected: int | None) -> None:
    assert find_user(cgroup) == expected


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=12), max_size=6).map("/".join))
def test_every_path_has_an_answer(cgroup: str) -> None:
    find_unit(cgroup, USERS)


FIRST = TracedProcess(501, "worker", "/system.slice/a.service", is_thread=True)
SECOND = TracedProcess(502, "worker", "/system.slice/b.service", is_thread=True)


def changed_by(process: TracedProcess, at: float) -> TraceEvent:
    return TraceEvent("dirty", "8:16", process.pid, process.comm, "write", 12, first_at=at, last_at=at)


def test_a_thread_has_a_unit_but_no_process_id() -> None:
    culprit = Culprits([FIRST], {}).of(changed_by(FIRST, 1.0))
    assert culprit == Culprit("a.service", "worker")


def test_two_threads_without_a_process_id_are_two_culprits() -> None:
    written = TraceEvent("writeback", "8:16", 2, "kworker/u8:1", "write", 12, "", 3.0, 3.0)
    events = (
        *(changed_by(FIRST, 1.0), changed_by(SECOND, 2.0)),
        *(written, replace(written, kind="io", inode=0)),
    )
    kernel = TracedProcess(2, "kworker/u8:1", "/")
    reading = TraceReading(events, (FIRST, SECOND, kernel), {"8:16": (DiskId("ata-A"),)})
    found = join(reading).accesses
    assert {(access.culprit.unit, access.certainty) for access in found} == {
        ("a.service", "likely"),
        ("b.service", "likely"),
    }
