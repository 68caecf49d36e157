"""A stock Debian in a container of the server, with its root file system on a drive (systemd-nspawn(1))."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vm.drives import Drives
from vm.recipe import CONTAINER_DISK, CONTAINER_SIZE

if TYPE_CHECKING:
    from vm.server import Server

NAME: Final = "debian"
ROOT: Final = f"/var/lib/machines/{NAME}"
UNIT: Final = f"systemd-nspawn@{NAME}.service"
_SETTINGS: Final = """\
[Exec]
Boot=yes
NotifyReady=yes
PrivateUsers=no
LinkJournal=no
Capability=CAP_SYS_TIME
[Network]
VirtualEthernet=no
Private=yes
[Files]
Bind=/run/powerd
BindReadOnly=/run/udev
"""
"""The doctor in the container asks the server's powerd, and reads what udev knows of the drive."""
_FILES: Final = {
    "etc/hostname": f"{NAME}\n",
    "etc/systemd/system/systemd-timesyncd.service.d/container.conf": "[Unit]\nConditionVirtualization=\n",
}
"""A container has no clock of its own, so timesyncd is left out there."""
_SHORT: Final = "[Timer]\nOnBootSec=1min\nOnUnitActiveSec=1min\nAccuracySec=1s\n"
_SHORTENED: Final = (
    r"sed -i 's/^17 \*/* */' etc/crontab && sed -i -E '/^qmgr/s/ 300 / 60 /' etc/postfix/master.cf && "
    r"grep -q '^\* .*cron.hourly' etc/crontab && grep -q '^qmgr.* 60 ' etc/postfix/master.cf"
)


class Container:
    """The container of ``server``, which has not been started yet.

    Attributes:
        drive: holds its root file system, mounted at ROOT.
    """

    def __init__(self, server: Server, drives: Drives, *, shortened: bool) -> None:
        """Attach the drive.

        Args:
            server: the server.
            drives: its drive bays.
            shortened: each timer of the Debian elapses once a minute, the shortest interval of cron.
        """
        self._server = server
        system = {"image": CONTAINER_DISK, "size": CONTAINER_SIZE, "spin_up": 1.0}
        (self.drive,) = drives.plug_in(system=system)
        server.run("mkdir", "--parents", ROOT)
        server.run("mount", self.drive.path, ROOT)
        for path, text in _FILES.items():
            server.lay(f"{ROOT}/{path}", text)
        if shortened:
            server.lay(f"{ROOT}/etc/systemd/system/systemd-tmpfiles-clean.timer.d/often.conf", _SHORT)
            server.run("sh", "-c", f"cd {ROOT} && {_SHORTENED}")

    def boot(self) -> None:
        """Start the container, and wait until systemd has reached its target."""
        self._server.lay(f"/etc/systemd/nspawn/{NAME}.nspawn", _SETTINGS)
        self._server.lay(f"/run/systemd/system/{UNIT}.d/slow.conf", "[Service]\nTimeoutStartSec=10min\n")
        self._server.run("systemctl", "daemon-reload")
        self._server.run("mkdir", "--parents", "/run/powerd")
        self._server.run("systemctl", "start", UNIT, within=600)

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command in the container as root."""
        within = ("systemd-run", "--quiet", "--pipe", "--wait", f"--machine={NAME}")
        return self._server.run(*within, *argv, check=check, within=300)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the container's processes; systemd-nspawn runs on and feeds the watchdog of its unit."""
        freeze = f"/sys/fs/cgroup/machine.slice/{UNIT}/payload/cgroup.freeze"
        self._server.run("sh", "-c", f"echo 1 >{freeze}")
        try:
            yield
        finally:
            self._server.run("sh", "-c", f"echo 0 >{freeze}")

    def configuration(self) -> str:
        """Mode, owner and content of each file of the container's /etc and of the doctor's records."""
        listed = "find etc var/lib/powerd-doctor -printf '%p %m %U %G %l\\n'"
        return self._server.run(
            "sh", "-c", f"cd {ROOT} && {listed} | sort; find etc -type f -exec sha256sum {{}} + | sort"
        )

    def remove(self) -> None:
        """Stop the container, and unmount its drive."""
        self._server.run("systemctl", "stop", UNIT)
        self._server.run("umount", ROOT)
