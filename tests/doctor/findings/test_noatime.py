from __future__ import annotations

import os
import shlex
import subprocess

import pytest
from doctor.server import Server


def test_every_writable_mount_on_a_hard_disk(server: Server) -> None:
    server.mount("8:1", "/quiet", "ext4", "/dev/sda1", options="rw,noatime")
    server.mount("8:1", "/boot", "ext4", "/dev/sda1", options="ro,relatime")
    server.mount("8:1", "/bound", "ext4", "/dev/sda1", root="/srv", options="rw,relatime")
    server.mount("0:30", "/run", "tmpfs", "tmpfs", options="rw,relatime")
    server.mount("8:1", "/usb", "fuseblk", "/dev/sda1", options="rw,relatime")
    (diagnosis,) = server.diagnose("noatime")
    assert diagnosis.subject == "/"
    assert [command.inverse for command in diagnosis.commands[1:]] == [
        ("mount", "-o", "remount,atime,relatime", "/")
    ]


def test_a_path_with_a_blank_is_one_word_of_the_unit(server: Server) -> None:
    server.mount("8:1", "/srv/my\\040data%", "ext4", "/dev/sda1", options="rw")
    (diagnosis,) = server.diagnose("noatime")
    assert 'remount,noatime "/srv/my data%%"\n' in diagnosis.files[0].text
    assert diagnosis.commands[-1].inverse == ("mount", "-o", "remount,atime,strictatime", "/srv/my data%")


def test_the_fix(server: Server) -> None:
    server.check_fix("noatime")
    assert "mount -o remount,noatime /" in server.commands


def test_a_subvolume_counts(server: Server) -> None:
    server.udev("8:1", (), ID_FS_TYPE="btrfs", ID_FS_UUID="u")
    server.mount("0:41", "/home", "btrfs", "/dev/sda1", root="/@home", options="rw,relatime")
    server.remount("/", "noatime")
    assert [each.subject for each in server.diagnose("noatime")] == ["/home"]


@pytest.mark.parametrize(("octal", "shown"), [("\\012", "\\x0a"), ("\\011", "\\x09"), ("\\033", "\\x1b")])
def test_a_path_does_not_begin_another_setting_of_the_unit(server: Server, octal: str, shown: str) -> None:
    server.mount("8:1", f"/media/x{octal}ExecStart=/x", "ext4", "/dev/sda1", options="rw")
    (diagnosis,) = server.diagnose("noatime")
    unit = diagnosis.files[0].text
    assert f'"/media/x{shown}ExecStart=/x"\n' in unit
    assert unit.count("\nExecStart=") == 2


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: run as root")
@pytest.mark.parametrize("option", ["relatime", "strictatime", "nodiratime,relatime"])
def test_the_real_mount_is_restored(server: Server, option: str) -> None:
    """A mount that is not in fstab keeps each option that is not named by its opposite."""
    server.remount("/", "noatime")
    server.mount("8:1", "/mnt", "ext4", "/dev/sda1", options=f"rw,{option}".removesuffix(",strictatime"))
    (diagnosis,) = server.diagnose("noatime")
    command = diagnosis.commands[-1]
    show = "grep ' / /mnt ' /proc/self/mountinfo | cut -d' ' -f6"
    script = f"mount -t tmpfs -o nosuid,{option} x /mnt\n{show}\n{shlex.join(command.argv)}\n{show}\n"
    script += f"{shlex.join(command.inverse)}\n{show}\n"
    run = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True, check=True)
    before, during, after = run.stdout.splitlines()
    assert "noatime" in during.split(",")
    assert after == before
