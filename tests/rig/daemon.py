"""The real powerd on the LAN's server: started as by a service manager, queried as by users."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from rig.lan import stop
from rig.wait import until

from powerd.activity.registry import DEFAULT_ON
from powerd.ui.cli.client import request

if TYPE_CHECKING:
    from types import TracebackType

    from rig.lan import Namespace

_ENOUGH: Final = b"enough"
NO_CHECKS: Final = "".join(f"[activity.{name}]\nenabled = false\n" for name in DEFAULT_ON)
"""For tests of clients and sleep on a machine whose disks and CPU other tests use."""
_POWERD: Final = (sys.executable, "-m", "powerd")


class Daemon:
    """A running powerd; it is READY inside ``with``.

    Args:
        inside: the namespace that it runs in.
        scratch: a directory of its own, for its socket, state and log; made if missing.
        config: its configuration, TOML.
        prefix: argv before its command, e.g. ``setpriv`` with its options.
        state: the state directory of an earlier daemon; None = its own.
    """

    def __init__(
        self,
        inside: Namespace,
        scratch: Path,
        config: str,
        prefix: tuple[str, ...] = (),
        state: Path | None = None,
    ) -> None:
        scratch.mkdir(exist_ok=True)
        self.config = scratch / "powerd.toml"
        self.socket = scratch / "powerd.sock"
        self.log = scratch / "powerd.log"
        self.state = state or scratch / "state"
        self._inside = inside
        self._prefix = prefix
        self._notified: list[str] = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(scratch / "notify"))
        # Read continuously: the queue holds ten messages, and sd_notify(3) blocks when it is full.
        self._reader = threading.Thread(target=self._receive_notifications, daemon=True)
        self._reader.start()
        self.configure(config)

    def __enter__(self) -> Self:
        env = {
            "NOTIFY_SOCKET": str(self._notify.getsockname()),
            "STATE_DIRECTORY": str(self.state),
            "PYTHONWARNINGS": "error",
            "PYTHONFAULTHANDLER": "1",
        }
        argv = (*self._prefix, *_POWERD, "run", "--config", str(self.config), "--socket", str(self.socket))
        log: IO[bytes]
        with self.log.open("wb") as log:
            self.process = self._inside.start(*argv, env=env, log=log)
        try:
            until(self._ready, "powerd is READY", within=120)
        except BaseException as error:
            self._end()
            error.add_note(f"powerd's own log:\n{self.log.read_text()}")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            why = command("why", "--socket", str(self.socket))
            self.process.send_signal(signal.SIGABRT)  # the log then ends with a traceback (faulthandler)
            self._end()
            error.add_note(f"powerd why:\n{why.stdout}{why.stderr}\nits own log:\n{self.log.read_text()}")
            return
        status = self._end()
        log = self.log.read_text()
        assert status == 0, f"powerd ended with exit status {status}\n{log}"
        assert "Traceback" not in log, log

    def _end(self) -> int:
        status = stop(self.process)
        self._notify.sendto(_ENOUGH, self._notify.getsockname())
        self._reader.join()
        self._notify.close()
        return status

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"powerd ended with {self.process.returncode}"
        return "READY=1" in self.notified()

    def notified(self) -> list[str]:
        """The messages that it has sent to the service manager so far."""
        return list(self._notified)

    def _receive_notifications(self) -> None:
        while (message := self._notify.recv(4096)) != _ENOUGH:
            self._notified += message.decode().splitlines()

    def open_files(self) -> int:
        """Its open file descriptors."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def resident_mb(self) -> float:
        """Its resident memory (proc(5), statm), in MB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def configure(self, config: str) -> None:
        """Write its configuration; it is read at the start, and again at reload()."""
        self.config.write_text(config)
        self.config.chmod(0o644)

    def reload(self) -> None:
        """SIGHUP, and wait until the reload is complete (sd_notify(3), RELOADING=1)."""
        seen = len(self.notified())
        self.process.send_signal(signal.SIGHUP)
        until(lambda: "READY=1" in self.notified()[seen:], "powerd is through with its reload")
        assert "RELOADING=1" in self.notified()[seen:]

    def status(self) -> dict[str, Any]:
        """``/api/status``, by the client that the command line uses."""
        status: dict[str, Any] = self._get("/api/status")
        return status

    def _get(self, path: str) -> Any:  # noqa: ANN401 - the JSON value of a response
        return request("GET", path, socket_path=str(self.socket), response_timeout=120)  # on a slow machine

    def states(self) -> dict[str, str]:
        """The state of each client by name, else by address, after a new sweep."""
        return {row["name"] or row["address"] or row["id"]: row["state"] for row in self.clients()}

    def clients(self) -> list[dict[str, Any]]:
        """``powerd clients --json``, after a new sweep."""
        rows: list[dict[str, Any]] = self._get("/api/clients")
        return rows

    def run_command(self, *words: str, check: bool = True) -> str:
        """The output of a ``powerd`` command."""
        done = command(*words, "--socket", str(self.socket))
        assert not check or done.returncode == 0, done
        return done.stdout

    def reasons(self) -> list[str]:
        """Every reason that keeps it awake, as ``subject: text``."""
        found = self.status()["decision"]["reasons"]
        return [f"{reason['subject']}: {reason['text']}" for reason in found if reason["keeps_awake"]]

    def sees(self, **states: str) -> None:
        """Wait until the known clients and their states are exactly these."""
        until(lambda: self.states() == states, f"the clients are {states}", within=180, every=0.5)

    def awake_because(self, words: str, within: float = 180) -> None:
        """Wait until a reason contains these words."""
        until(lambda: any(words in reason for reason in self.reasons()), f'a reason says "{words}"', within)


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the ``powerd`` command to its end."""
    return subprocess.run(
        [*_POWERD, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "NO_COLOR": "1", **env},
    )


class SleepCommand:
    """A sleep command that records each run.

    Args:
        scratch: the directory of its record.
    """

    def __init__(self, scratch: Path) -> None:
        self._note = scratch / "goodnight"
        self.script = scratch / "goodnight.sh"
        self.script.write_text(f'#!/bin/sh\necho "$1" >>{self._note}\necho "good night"\n')
        self.script.chmod(0o755)

    def run_count(self) -> int:
        """The number of runs."""
        return len(self._note.read_text().splitlines()) if self._note.exists() else 0

    def config(self, *, mode: str = "enforce", clients: str = "", sleep: str = "") -> str:
        """Short times: sweeps every 5 s, absent after 6 s, asleep after 2 s of idleness."""
        return (
            f'mode = "{mode}"\n[clients]\nevery = "5s"\ntimeout = "1s"\nabsent_after = "6s"\n{clients}\n'
            f'[[sleep]]\naction = "command"\ncommand = ["{self.script}", "--quietly"]\nidle_for = "2s"\n'
            f'warn = "0s"\n{sleep}\n[awake]\nafter_start = "0s"\nafter_resume = "0s"\n'
            f"{NO_CHECKS}[http]\nlisten = []\n"
        )


def wait_for_rounds(daemon: Daemon, rounds: int, every: float = 5) -> None:
    """Wait for this number of sweeps; an event that is missing after them is not merely late."""
    time.sleep(rounds * every + 1)
    assert daemon.process.poll() is None
