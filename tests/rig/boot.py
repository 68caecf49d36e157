"""A booted Debian in three seconds: real systemd, logind and polkit, by systemd-nspawn(1).

The root is an overlay on that of this machine or on another, so that nothing written in the container
outlives the test, and the network is a namespace of the LAN's. Needs root, systemd-nspawn and an overlay
file system; without one it raises CannotBootError.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rig.lan import stop
from rig.wait import until

if TYPE_CHECKING:
    from types import TracebackType

    from rig.lan import Namespace

REPOSITORY: Final = Path(__file__).parents[2]
_CONTRIB: Final = REPOSITORY / "contrib" / "systemd"
_TARGET: Final = """\
[Unit]
Requires=basic.target dbus.service systemd-logind.service polkit.service
After=basic.target dbus.service systemd-logind.service polkit.service
"""
_DEVELOPMENT: Final = (
    "*.pth",
    "__editable__*",
    "pip*",
    "mypy*",
    "ruff*",
    "hypothesis*",
    "coverage*",
    "*pytest*",
)
_IN_CGROUPS: Final = 'for each in $0; do echo $$ >$each/cgroup.procs; done; exec "$@"'
_SCRIPT: Final = "#!/opt/powerd/bin/python3\nimport sys\nfrom powerd.__main__ import main\nsys.exit(main())\n"


class CannotBootError(Exception):
    """This machine cannot boot a container; one sentence with the reason."""


class Booted:
    """A machine that runs inside ``with``; its files are below ``root`` and can be written before.

    Args:
        scratch: the directory of the overlay.
        network: the namespace whose cards it has.
        lower: the root directory that its own begins as.
    """

    def __init__(self, scratch: Path, network: Namespace, lower: Path = Path("/")) -> None:
        self.root = scratch / "root"
        self._lower = lower
        self._scratch = scratch
        self._network = network
        self._name = f"powerd-test-{os.getpid()}"
        self._undo = contextlib.ExitStack()
        self._leader = ""
        self.nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if shutil.which("systemd-nspawn") is None:
            raise CannotBootError("systemd-nspawn is not installed: apt-get install systemd-container")
        for name in ("root", "upper", "work"):
            (self._scratch / name).mkdir()
        layers = f"lowerdir={self._lower},upperdir={self._scratch / 'upper'},workdir={self._scratch / 'work'}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBootError(f"no overlay on this root: {done.stderr.strip()}")
        self._undo.callback(subprocess.run, ["umount", str(self.root)], check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def install_powerd(self) -> None:
        """Install as the README says: /opt/powerd, units, user, polkit rule; nothing is started."""
        python = _system_python()
        opt = self.root / "opt" / "powerd"
        for stale in (opt, self.root / "var/lib/powerd", self.root / "etc/powerd"):
            shutil.rmtree(stale, ignore_errors=True)
        subprocess.run([python, "-m", "venv", "--without-pip", opt], check=True)
        (packages,) = opt.glob("lib/python3*/site-packages")
        ours = next(Path(path) for path in sys.path if path.endswith("site-packages"))
        skip = shutil.ignore_patterns(*_DEVELOPMENT, "__pycache__")
        shutil.copytree(ours, packages, ignore=skip, dirs_exist_ok=True)
        shutil.copytree(REPOSITORY / "powerd", packages / "powerd", ignore=skip)
        (opt / "bin" / "powerd").write_text(_SCRIPT)
        (opt / "bin" / "powerd").chmod(0o755)
        for unit in (*_CONTRIB.glob("*.service"), *_CONTRIB.glob("*.socket")):
            self.lay(f"etc/systemd/system/{unit.name}", unit.read_text())
        self.lay("etc/sysusers.d/powerd.conf", (_CONTRIB / "powerd.sysusers").read_text())
        self.lay("etc/polkit-1/rules.d/50-powerd.rules", (_CONTRIB / "powerd.rules").read_text())
        subprocess.run(["systemd-sysusers", f"--root={self.root}"], check=True, capture_output=True)

    def lay(self, path: str, text: str) -> None:
        """Write a file of the machine, running or not."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)

    def boot(self) -> None:
        """Start it, and wait until systemd has reached the target with logind and polkit."""
        self.lay("etc/systemd/system/rig.target", _TARGET)
        with (self._scratch / "console.log").open("wb") as console:
            self.nspawn = nspawn = subprocess.Popen(
                [
                    *("sh", "-c", _IN_CGROUPS, self._make_cgroups()),
                    *(
                        "systemd-nspawn",
                        "--quiet",
                        "--boot",
                        "--register=no",
                        "--keep-unit",
                        "--link-journal=no",
                        "--system-call-filter=fanotify_init fanotify_mark open_by_handle_at",
                    ),
                    *("--console=pipe", f"--machine={self._name}", f"--directory={self.root}"),
                    *(f"--network-namespace-path=/run/netns/{self._network.name}", "systemd.unit=rig.target"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self._undo.callback(stop, nspawn, delay=30)
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")

        def is_booted() -> bool:
            # Read each time: the first child only starts init, which is the child from then on.
            self._leader = children.read_text().strip()
            return self.run("systemctl", "is-active", "rig.target", check=False) == "active"

        until(is_booted, "the boot ends", within=300)

    def _make_cgroups(self) -> str:
        """Control groups of its own below those of this process, because containers run at the same time.

        In a shared one the systemd of a container finds processes of another one, which it cannot name.
        """
        made: list[str] = []
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            hierarchies = {"name=systemd": ("systemd",), "": ("unified", "")}.get(controllers, ())
            roots = [Path("/sys/fs/cgroup") / each for each in hierarchies]
            root = next((each for each in roots if (each / "cgroup.procs").exists()), None)
            if root is not None:
                group = root / path.lstrip("/") / self._name
                with contextlib.suppress(OSError):  # read-only: it shares the one of this process
                    group.mkdir(exist_ok=True)
                    self._undo.callback(_remove_cgroups, group)
                    made.append(str(group))
        return " ".join(made)

    def run(self, *argv: str, check: bool = True) -> str:
        """The output of a command that runs in the container as root, without the last newline."""
        done = subprocess.run(
            ["nsenter", "--target", self._leader, "--all", "--root", "--wd", *argv],
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()


def _remove_cgroups(top: Path) -> None:
    """Remove a control group and those below it, which are empty once their processes have ended."""
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):  # systemd may have removed it
            Path(directory).rmdir()


def _system_python() -> str:
    """A Python of the tests' version that the sandboxed service may use: not below a home directory."""
    wanted = sys.version_info[:2]
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        if python.startswith(("/root/", "/home/")) or not Path(python).exists():
            continue
        shown = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
        if tuple(map(int, shown.stdout.split())) == wanted:
            return python
    raise CannotBootError(
        f"no Python {wanted[0]}.{wanted[1]} outside of home directories, which the service cannot see"
    )
