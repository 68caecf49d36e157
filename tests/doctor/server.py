"""A server with its root on a hard disk, as a tree of files; Debian's own files are added by package."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rig.hardware import Hardware

from powerd.doctor.machine import Machine
from powerd.doctor.model import Diagnosis, DoctorReport, DoctorRequest
from powerd.doctor.service import finding_modules, run
from powerd.linux.files import HostFiles
from powerd.linux.values import ProcessResult

PACKAGES: Final = Path(__file__).parents[1] / "fixtures/debian12"
"""Files of packages of Debian 12, as they install them: one tree per package."""
_UNITS: Final = "/sys/fs/cgroup/system.slice"


class Server(Hardware):
    """A machine with systemd 252: sda, a hard disk with the root; sdb, an SSD with /fast.

    It is the Processes port too: it records commands, and does what sysctl(8) and mount(8) do to its files.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.commands: list[str] = []
        self.failing_command = ""
        self.sata(0, "WD-1")
        self.partition(0, 1, ID_FS_TYPE="ext4")
        self.sata(1, "S-1", model="Samsung SSD 870", rpm=0, rotational="0")
        self.partition(1, 1, ID_FS_TYPE="ext4")
        self.mount_root()
        self.mount("8:17", "/fast", "ext4", "/dev/sdb1")
        self.at("/var/lib").mkdir(parents=True)
        self.put("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", "")

    def mount_root(self) -> None:
        self.mount("8:1", "/", "ext4", "/dev/sda1", options="rw,relatime")

    def remount(self, where: str, option: str) -> None:
        """Change how a mount treats times of access."""
        path, rows = "/proc/self/mountinfo", []
        for row in self.at("/proc/self/mountinfo").read_text().splitlines():
            fields = row.split()
            if fields[4] == where:
                options = [each for each in fields[5].split(",") if not each.endswith("atime")]
                fields[5] = ",".join([*options, *([option] if option != "strictatime" else [])])
            rows.append(" ".join(fields))
        self.put(path, "\n".join(rows) + "\n")

    def move_to_ssd(self, directory: str) -> None:
        """Mount a filesystem of the SSD at a directory."""
        self.mount("8:17", directory, "ext4", "/dev/sdb1", root=f"/{directory.replace('/', '-')}")

    def install(self, package: str) -> None:
        """Install the files of a package; its units are neither enabled nor started."""
        shutil.copytree(PACKAGES / package, self.root, dirs_exist_ok=True, symlinks=True)

    def enable(self, unit: str, target: str = "multi-user.target") -> None:
        """Link a unit to a target, as systemctl(1) does."""
        link = self.at(f"/etc/systemd/system/{target}.wants/{unit}")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/lib/systemd/system/{unit}")

    def start(self, unit: str) -> None:
        """Give a unit the control group of a running one."""
        self.put(f"{_UNITS}/{unit}/cgroup.procs", "")

    def stop(self, unit: str) -> None:
        self.at(f"{_UNITS}/{unit}/cgroup.procs").unlink()
        self.at(f"{_UNITS}/{unit}").rmdir()

    def diagnose(self, name: str) -> list[Diagnosis]:
        """What one finding yields."""
        return self._diagnose(name)[0]

    def notes(self, name: str) -> list[str]:
        """What one finding could not read."""
        return self._diagnose(name)[1]

    def _diagnose(self, name: str) -> tuple[list[Diagnosis], list[str]]:
        files = HostFiles(self.root)
        try:
            machine = asyncio.run(Machine.read(files))
            return list(finding_modules()[name].detect(machine)), list(machine.notes)
        finally:
            files.close()

    def request(self, request: DoctorRequest) -> DoctorReport:
        return asyncio.run(run(request, self.root, self))

    def fix(self, id_: str) -> DoctorReport:
        return self.request(DoctorRequest("fix", id_))

    def undo(self, id_: str) -> DoctorReport:
        return self.request(DoctorRequest("undo", id_))

    def check_fix(self, name: str) -> Diagnosis:
        """Assert that a finding yields one diagnosis, its fix removes it, and its undo restores all."""
        (diagnosis,) = self.diagnose(name)
        before, remaining = self.tree(), [each.id for each in self.diagnose(name)]
        self.fix(diagnosis.id)
        assert self.diagnose(name) == []
        assert all(self.at(file.path).read_text() == file.text for file in diagnosis.files if file.text)
        assert all("powerd" in file.path or file.link == "/dev/null" for file in diagnosis.files)
        self.undo(diagnosis.id)
        assert self.tree() == before
        assert [each.id for each in self.diagnose(name)] == remaining
        return diagnosis

    def tree(self) -> dict[str, tuple[int, int, int, str]]:
        """Mode, owner and content of everything."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            else:
                content = path.read_bytes().decode(errors="replace") if path.is_file() else ""
            found[str(path.relative_to(self.root))] = (status.st_mode, status.st_uid, status.st_gid, content)
        return found

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,  # noqa: ASYNC109 - as the port has it
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        del timeout, stdin, env
        command, argv = " ".join(argv), tuple(argv)
        self.commands.append(command)
        if self.failing_command and command.startswith(self.failing_command):
            return ProcessResult(1, "", "it failed\n")
        if argv[:2] == ("systemctl", "stop"):
            self.stop(argv[2])
        if argv[:2] == ("systemctl", "start"):
            self.start(argv[2])
        if argv[0] == "mount":
            self.remount(argv[3], argv[2].rpartition(",")[2])
        if argv[:2] == ("sh", "-c"):
            text, _, path = argv[2].removeprefix("echo ").partition(" >")
            self.put(path, f"{text}\n")
        if argv[0] == "sysctl":
            self._sysctl(argv)
        return ProcessResult(0, "", "")

    def _sysctl(self, argv: Sequence[str]) -> None:
        rows = self.at(argv[2]).read_text().splitlines() if argv[1] == "-p" else argv[2:]
        for row in rows:
            key, _, value = row.partition("=")
            self.put(f"/proc/sys/{key.strip().replace('.', '/')}", f"{value.strip()}\n")

    async def broadcast(self, text: str) -> None:
        raise NotImplementedError(text)
