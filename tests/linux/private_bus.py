"""A system D-Bus of a test's own, with python-dbusmock's logind and systemd on it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

_MOCK: Final = ("/usr/bin/python3", "-m", "dbusmock")
_MOCKED: Final = "org.freedesktop.DBus.Mock"
_PATH: Final = "/org/freedesktop/login1"
_MANAGER: Final = "org.freedesktop.login1.Manager"
ACTIONS: Final = {
    "suspend": "Suspend",
    "hibernate": "Hibernate",
    "hybrid-sleep": "HybridSleep",
    "suspend-then-hibernate": "SuspendThenHibernate",
    "poweroff": "PowerOff",
}

_CONFIG: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{address}</listen>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  {limits}
</busconfig>
"""
_SERVICE: Final = """\
[D-BUS Service]
Name=org.freedesktop.systemd1
Exec=/bin/false
"""
"""As shipped: systemd cannot be started by bus activation."""
_NOISE: Final = """\
import sys
import dbus
import dbus.lowlevel
bus = dbus.SystemBus()
session = bus.get_object("org.freedesktop.login1", "/org/freedesktop/login1/session/alice")
for n in range(int(sys.argv[1])):
    session.UpdateProperties("org.freedesktop.login1.Session", {"VTNr": dbus.UInt32(n)})
    for name in ("PropertiesChanged", "PrepareForSleep"):
        bus.send_message(dbus.lowlevel.SignalMessage("/org/freedesktop/login1", "no.login1.Manager", name))
"""
_SYSTEMD: Final = """\
import dbus
from dbusmock import mockobject

BUS_NAME = "org.freedesktop.systemd1"
MAIN_OBJ = "/org/freedesktop/systemd1"
MAIN_IFACE = BUS_NAME + ".Manager"
SYSTEM_BUS = True
UINT64 = ("NextElapseUSecRealtime", "NextElapseUSecMonotonic")


def load(mock, parameters):
    rows, paths = [], {}
    for name, given in parameters["timers"].items():
        path = paths[name + ".timer"] = f"{MAIN_OBJ}/unit/{name}_2etimer"
        shown = {key: dbus.UInt64(value) if key in UINT64 else value for key, value in given.items()}
        mock.AddObject(path, BUS_NAME + ".Unit", {"LoadState": "loaded"}, [])
        mockobject.objects[path].AddProperties(BUS_NAME + ".Timer", shown)
        rows.append((name + ".timer", "", "loaded", "active", "waiting", "", path, 0, "", "/"))
    for name in parameters["activating"]:
        rows.append((name, "", "loaded", "activating", "start", "", MAIN_OBJ + "/unit/none", 0, "", "/"))
    mock.AddObject(MAIN_OBJ + "/unit/none", BUS_NAME + ".Unit", {"LoadState": "not-found"}, [])
    mock.AddProperty(MAIN_IFACE, "SystemState", parameters["state"])
    matching = (
        "import fnmatch\\nret = dbus.Array([], signature='(ssssssouso)')\\nfor row in %r:\\n"
        "  for pattern in args[1]:\\n    if row[3] in args[0] and fnmatch.fnmatch(row[0], pattern):\\n"
        "      ret.append(row)" % rows
    )
    found = "%r.get(str(args[0]), %r)" % (paths, MAIN_OBJ + "/unit/none")
    mock.AddMethod(MAIN_IFACE, "ListUnitsByPatterns", "asas", "a(ssssssouso)", matching)
    mock.AddMethod(MAIN_IFACE, "LoadUnit", "s", "o", "ret = " + found)
    long = "dbus.Array([(args[0], dbus.UInt32(7), 'rm' + 1000000 * ' x' + ' last')], signature='(sus)')"
    mock.AddMethod(MAIN_IFACE, "GetUnitProcesses", "s", "a(sus)", "ret = " + long)
"""


def has_dbusmock() -> bool:
    """Whether this machine can have such a logind: apt-get install python3-dbusmock."""
    return not subprocess.run([*_MOCK, "--help"], capture_output=True, check=False).returncode


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


class PrivateBus:
    """What it starts ends with it; the bus itself can end before, and come back."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "bus"
        self.address = f"unix:path={self._socket}"
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "LC_ALL": "C"}
        self.log = directory / "calls"
        self.mock: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes]
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, limits: str = "") -> None:
        """Start the bus, with nobody on it, and a systemd that cannot be started.

        Args:
            limits: elements of its configuration (dbus-daemon(1)), e.g. ``<limit name="...">1</limit>``.
        """
        config = self._socket.with_name("bus.conf")
        config.write_text(_CONFIG.format(address=self.address, services=config.parent, limits=limits))
        service = config.with_name("org.freedesktop.systemd1.service")
        service.write_text(_SERVICE)
        self._daemon = self.launch("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}")
        wait_for(self._socket.exists)

    def hang(self) -> None:
        """Have the bus answer nobody until it may go on."""
        self._daemon.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have the bus answer again."""
        self._daemon.send_signal(signal.SIGCONT)

    def launch(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a program that lives on this bus."""
        child = subprocess.Popen(
            argv, env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._children.append(child)
        return child

    def logind(self, **answers: str) -> None:
        """Start a logind with these replies to Can…."""
        parameters = "{" + ", ".join(f'"{name}": "{answer}"' for name, answer in answers.items()) + "}"
        template = ("--template", "logind", "--parameters", parameters)
        self.mock = self.launch(*_MOCK, "--system", "--logfile", str(self.log), *template)
        wait_for(lambda: self.call("ListInhibitors").returncode == 0)

    def systemd(
        self, state: str = "running", activating: Sequence[str] = (), **timers: Mapping[str, object]
    ) -> None:
        """Start a systemd with these active timers: names without ``.timer``, and their properties.

        ``activating``: units that are being started. Each unit has a process whose command line has 2 MB.
        """
        template = self._socket.with_name("systemd_mock.py")
        template.write_text(_SYSTEMD)
        parameters = json.dumps({"timers": timers, "state": state, "activating": activating})
        self.launch(*_MOCK, "--system", "--template", str(template), "--parameters", parameters)
        wait_for(lambda: "systemd1" in self.names())

    def method(self, name: str, arguments: str, code: str, result: str = "") -> None:
        """Have logind's method ``name`` do something else."""
        self._mocked("AddMethod", "sssss", _MANAGER, name, arguments, result, code)

    def session(self, name: str, tty: str, **properties: str) -> None:
        """Add a session of ``name``; its properties are busctl's words for a variant: ``t 5000000``."""
        self._mocked("AddSession", "ssusb", name, "seat0", "500", name, "true")
        path = f"/org/freedesktop/login1/session/{name}"
        interface = "org.freedesktop.login1.Session"
        for key, value in {"TTY": f"s {tty}", **properties}.items():
            self._mocked("UpdateProperties", "sa{sv}", interface, "1", key, *value.split(" "), at=path)

    def has(self, name: str, value: str) -> None:
        """Change a property of logind's manager, to busctl's words for a variant: ``t 5000000``."""
        self._busctl(_PATH, _MOCKED, "AddProperty", "ssv", _MANAGER, name, *value.split(" "))
        self._mocked("UpdateProperties", "sa{sv}", _MANAGER, "1", name, *value.split(" "))

    def emit_prepare(self, signal: str, *, begins: bool) -> None:
        """Have logind's manager send PrepareForSleep or PrepareForShutdown."""
        value = "true" if begins else "false"
        self._mocked("EmitSignal", "sssav", _MANAGER, signal, "b", "1", "b", value)

    def noise(self, signals: int) -> subprocess.Popen[bytes]:
        """Change this number of properties of sessions, and send other signals, until the program ends."""
        return self.launch("/usr/bin/python3", "-c", _NOISE, str(signals))

    def inhibit(self, what: str, who: str, why: str, mode: str) -> subprocess.Popen[bytes]:
        """Hold an inhibitor until the program ends that is given back."""
        before = self.call("ListInhibitors").stdout
        hold = (f"--what={what}", f"--who={who}", f"--why={why}", f"--mode={mode}")
        child = self.launch("systemd-inhibit", *hold, "sleep", "60")
        wait_for(lambda: self.call("ListInhibitors").stdout != before)
        return child

    def call(self, method: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call a method of logind's manager, by busctl(1)."""
        return self._busctl(_PATH, _MANAGER, method, *arguments)

    def calls(self) -> list[str]:
        """The methods that were called and change anything, with their arguments."""
        called = re.findall(r"^[\d.]+ (\w+) ?(.*)$", self.log.read_text(), re.MULTILINE)
        return [f"{name} {arguments}" for name, arguments in called if name in ACTIONS.values()]

    def names(self, which: str = "--acquired") -> str:
        """Who is on the bus, in lines of busctl(1)."""
        listed = ["busctl", f"--address={self.address}", "list", which, "--no-pager", "--no-legend"]
        return subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60).stdout

    def clients(self) -> int:
        """How many connections this process has to it."""
        return len(re.findall(rf"^:\S+ +{os.getpid()} ", self.names("--unique"), re.MULTILINE))

    def end(self) -> None:
        """End the bus and everything on it, at once."""
        for child in self._children:  # the bus first, so nobody is seen to leave it
            child.kill()
            child.wait(60)
        self._children.clear()
        self._socket.unlink(missing_ok=True)

    def _mocked(self, method: str, *arguments: str, at: str = _PATH) -> None:
        done = self._busctl(at, _MOCKED, method, *arguments)
        assert done.returncode == 0, done.stderr

    def _busctl(
        self, path: str, interface: str, method: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["busctl", f"--address={self.address}", "call", "org.freedesktop.login1",
             path, interface, method, *arguments],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
