"""A Debian server in QEMU, without KVM: real kernel, systemd, logind, S3 sleep, an RTC, a card on a LAN.

/dev/kvm is not used: on some machines it can be opened, and then the guest hangs.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rig.lan import stop
from rig.wait import until
from vm import firmware
from vm.agent import Agent, AgentError
from vm.image import Image
from vm.monitor import Monitor
from vm.recipe import ADDRESS
from vm.run import run

if TYPE_CHECKING:
    from rig.lan import Namespace

_MAC: Final = "52:54:00:77:00:01"
_KERNEL: Final = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 net.ifnames=0"
RTC: Final = "/sys/class/rtc/rtc0"
STALL: Final = 60.0
"""Seconds by which an event may be late on a slow machine that emulates two servers at the same time.

32 s were measured beside other work. Virtual time proves the exact bounds (tests/disks/policy, tests/power).
"""
_BOOT: Final = 600
"""Seconds; about 30 where nothing else is running."""


class Server:
    """One server from its boot to its end; its writes go to an overlay of its own.

    Args:
        image: its kernel and disk.
        network: the namespace that its tap device ``tap`` is in.
        scratch: an empty directory for its overlay, sockets and console.
    """

    def __init__(self, image: Image, network: Namespace, tap: str, scratch: Path) -> None:
        self._image = image
        self._network = network
        self._tap = tap
        self._scratch = scratch
        self._ssdt = scratch / "ssdt.aml"
        self._agent = Agent(scratch / "agent", deaf=lambda: self.asleep)
        self.monitor = Monitor(scratch / "monitor")
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Switch the server on, and wait until systemd has reached its target and the card its address."""
        overlay, plain = self._scratch / "root.qcow2", self._scratch / "plain.img"
        run("truncate", "--size=64M", plain)
        self._ssdt.write_bytes(firmware.card_may_wake())
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self._image.disk, overlay)
        with (self._scratch / "qemu.log").open("wb") as log:
            self.process = self._network.start(*self._argv(overlay, plain), log=log)
        try:
            until(self._up, "the server has booted", within=_BOOT, every=0.5)
        except BaseException as error:
            error.add_note(self.last_words())
            self.end()
            raise

    def end(self) -> None:
        """Switch the server off without a shutdown."""
        if self.process is not None:
            stop(self.process)
        self._agent.close()

    def _argv(self, overlay: Path, plain: Path) -> list[str]:
        here, image = self._scratch, self._image
        return [
            *("setpriv", "--pdeathsig=KILL"),  # QEMU ends with a test run that is killed
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "768"),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{here}/console.log"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", _KERNEL),
            *("-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe"),
            *("-device", "ahci,id=sata", "-drive", f"file={plain},if=none,id=plain,format=raw,cache=unsafe"),
            *("-device", "ide-hd,drive=plain,bus=sata.0,serial=PLAIN,rotation_rate=5400"),
            *("-netdev", f"tap,id=lan,ifname={self._tap},script=no,downscript=no"),
            *("-device", f"e1000,netdev=lan,mac={_MAC},addr={firmware.SLOT}"),
            *("-acpitable", f"sig=SSDT,data={self._ssdt}"),
            *("-chardev", f"socket,path={here}/agent,server=on,wait=off,id=agent"),
            *("-device", "virtio-serial"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-qmp", f"unix:{here}/monitor,server=on,wait=off"),
        ]

    def _up(self) -> bool:
        assert self.on, "QEMU has ended"
        if self.run("systemctl", "is-system-running", check=False) not in {"running", "degraded"}:
            return False
        return ADDRESS in self.run("ip", "-brief", "address", "show", "dev", "eth0", check=False)

    @property
    def on(self) -> bool:
        """Whether the server has power: true if it is asleep, false if it is off."""
        return self.process is not None and self.process.poll() is None

    @property
    def asleep(self) -> bool:
        """Whether it is suspended to RAM."""
        return self.on and self.monitor.state() == "suspended"

    def going_to_sleep(self) -> bool:
        """Whether logind has announced a sleep and not its end (org.freedesktop.login1(5))."""
        manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
        return self.run("busctl", "get-property", *manager, "PreparingForSleep") == "b true"

    def suspend(self) -> None:
        """Suspend the server by systemctl(1), as a person at its console does."""
        self._agent.start(["systemctl", "suspend"])
        until(lambda: self.asleep, "the server is suspended by hand")

    def wake(self) -> None:
        """Press the power button of the sleeping server, and wait until it answers."""
        self.monitor.press_power_button()
        until(lambda: self.run("true") == "", "the server answers after its sleep", within=_BOOT)

    def run(self, *argv: str, given: str = "", check: bool = True, within: float = 300) -> str:
        """Run a command on the server as root; returns its output without the last newline."""
        done = self._agent.run(list(argv), given, within)
        if check and done.status:
            raise AssertionError(f"{' '.join(argv)}: exit {done.status}\n{done.out}{done.err}")
        return done.out.strip()

    def now(self) -> float:
        """POSIX time of the server's clock."""
        return float(self.run("date", "+%s.%N"))

    def uptime(self) -> float:
        """CLOCK_BOOTTIME of the server, seconds."""
        return float(self.run("cat", "/proc/uptime").split()[0])

    def monotonic(self) -> float:
        """CLOCK_MONOTONIC of the server in seconds, the clock of journals and of drives' logs."""
        listed = self.run("grep", "--max-count=1", "^now at ", "/proc/timer_list")
        return int(listed.split()[2]) / 1e9

    def alarm(self) -> int | None:
        """The alarm that is set in the RTC, by the RTC's own clock."""
        return int(self.run("cat", f"{RTC}/wakealarm") or 0) or None

    def locks(self, mode: str) -> list[str]:
        """logind's inhibitor locks of this mode, weak or not, one per line: who, what and why."""
        listed = self.run("systemd-inhibit", "--list", "--no-legend").splitlines()
        return [line for line in listed if line.split()[-1].startswith(mode)]

    def show_journal_on_console(self) -> None:
        """Copy the journal to the console, which can be read when the server is off (journald.conf(5))."""
        self.lay("/run/systemd/journald.conf.d/console.conf", "[Journal]\nForwardToConsole=yes\n")
        self.run("systemctl", "restart", "systemd-journald")

    def console(self) -> str:
        """The output on its serial console, also when it is off."""
        return (self._scratch / "console.log").read_text(errors="replace")

    def lay(self, path: str, text: str) -> None:
        """Write a file on the server, readable for all, and make its directories."""
        self.run("install", "-D", "--mode=644", "/dev/stdin", path, given=text)

    def last_words(self) -> str:
        """What the report of a failure contains: the console, and powerd's journal if it can be read."""
        qemu = (self._scratch / "qemu.log").read_text(errors="replace")
        journal = "not to be had"
        with contextlib.suppress(AgentError, OSError):
            journal = self.run(
                "journalctl", "--unit=powerd", "--output=short-monotonic", "--lines=60", within=60
            )
        return f"console:\n{self.console()[-2000:]}\nqemu: {qemu or 'silent'}\njournal of powerd:\n{journal}"
