"""The daemon as a service of this machine: sockets, signals, reload, journal and sd_notify."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import socket as Listener  # noqa: N812 - ``socket`` is the name of a parameter
from typing import Final

from powerd.config.http_options import HttpOptions
from powerd.config.load import DEFAULT_PATH, ConfigError, load, locate_clauses, read_token
from powerd.config.options import HookOptions, Options
from powerd.config.password import is_password, read_password_hash
from powerd.core.actions import RequestRefusedError
from powerd.core.clock import Clock, KernelClock, boot_id
from powerd.core.reasons import failure_text
from powerd.core.snapshot import Status
from powerd.core.storage import Storage, state_directory
from powerd.daemon import Daemon
from powerd.disks.model import Disk
from powerd.disks.policy.write_safety import spins_down
from powerd.disks.state import DisksReport
from powerd.linux.files import HostFiles
from powerd.linux.helper_client import helper_for
from powerd.linux.journald import JournalWriter
from powerd.linux.memory_lock import lock_memory
from powerd.linux.mqtt import BrokerLogin, MqttConnection
from powerd.linux.ports import Ports
from powerd.linux.sd_notify import ServiceManager
from powerd.linux.short_thread import run_in_thread
from powerd.linux.subprocess import HostProcesses
from powerd.linux.unix_sockets import listen_tcp, listen_unix
from powerd.linux.values import HostError
from powerd.messages.alarms import NOBODY
from powerd.messages.delivery import find_recipients
from powerd.power.logind import LogindClient
from powerd.power.wakeup_cause import read_wakeup_state
from powerd.presence.probe.network import HostNetwork
from powerd.smart.model import Finding
from powerd.ui import journal
from powerd.ui.events import TransitionDetector, shown_values
from powerd.ui.http.context import RequestHandlers, UiContext
from powerd.ui.http.event_feed import EventFeed
from powerd.ui.http.lazy_server import LazyHttpServer

GC_THRESHOLD: Final = 20_000
"""Allocations before a garbage collection, instead of 700. A decision about a thousand disks allocates 10,000
objects that live until its end, and 15 useless collections took 1 ms of its 11."""
_PROGRAM: Final = (str(Path(sys.executable).resolve()), str(Path(__file__).parent))
"""Python, and powerd."""
_FLUSH_TIMEOUT: Final = 5.0
"""Seconds that the end of the daemon waits for messages that are being sent."""
EXIT_STOPPED: Final = 0
EXIT_NOT_STARTED: Final = 1
EXIT_BAD_CONFIGURATION: Final = 2


def run(config: Path | None, observe: bool, socket: Path) -> int:  # noqa: FBT001 - the command line's contract
    """Run the daemon until SIGTERM or SIGINT.

    Args:
        config: the configuration file; None = the default file, if it exists.
        observe: decide and explain, change nothing, regardless of the mode in the file.
        socket: the Unix socket of the API.

    Returns:
        The exit code: 0 stopped, 1 could not start, 2 the configuration is invalid.
    """

    def options() -> Options:
        read = load(config)
        return replace(read, mode="observe") if observe else read

    listeners: list[Listener] = []
    try:
        first = options()
        listeners.append(listen_unix(socket))
        listeners.extend(listen_tcp(where) for where in first.http.listen)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the journal is not open yet
        return EXIT_BAD_CONFIGURATION
    except HostError as error:
        for listener in listeners:
            listener.close()
        print(f"powerd: {error}", file=sys.stderr)  # noqa: T201 - of a process that ends here
        return EXIT_NOT_STARTED
    file = config or DEFAULT_PATH
    return asyncio.run(Service(first, options, file, socket, listeners).run())


def ui_context(  # noqa: PLR0913 - the daemon, and what only its service has
    daemon: Daemon,
    clock: Clock,
    token: Callable[[], str | None],
    feed: EventFeed,
    *,
    reload: Callable[[], None],
    reload_error: Callable[[], str | None],
    http: Callable[[], HttpOptions],
    configuration: str = "",
) -> UiContext:
    """What the HTTP server gets from a daemon.

    Args:
        daemon: the daemon.
        clock: the clock of the daemon.
        token: returns the token for writing over TCP; None = writing is disabled.
        feed: the events.
        reload: as RequestHandlers.reload.
        reload_error: as UiContext.reload_error.
        http: as UiContext.http.
        configuration: as UiContext.configuration.
    """
    requests = daemon.requests
    request_handlers = RequestHandlers(
        requests.keep,
        requests.drop,
        requests.keep_awake.hold,
        lambda over_clients: requests.sleep(over_clients=over_clients),
        requests.cancel_sleep,
        requests.wake_host,
        requests.spin_down,
        requests.check_health,
        requests.start_self_test,
        daemon.smart.acknowledge,
        daemon.messages.send_test,
        reload,
        token,
    )
    return UiContext(
        lambda: daemon.status,
        clock.now,
        daemon.refresher.poll_all_clients,
        daemon.refresher.poll_all_checks,
        daemon.stall_message,
        request_handlers,
        feed,
        reload_error,
        lambda: daemon.history.blocker_times,
        daemon.poll_seconds,
        lambda: daemon.history.counters,
        daemon.history.read,
        lambda: daemon.history.record,
        lambda: daemon.options().history,
        run_in_thread,
        http=http,
        configuration=configuration,
        password_hash=lambda: read_password_hash(http().password_file),
        check_password=partial(run_in_thread, is_password),
    )


async def _connect_to_broker(login: BrokerLogin) -> MqttConnection:
    from powerd.linux import mqtt_client  # noqa: PLC0415 - only a server with [mqtt] needs it

    return await mqtt_client.connect(login)


class Service:
    """Connects the daemon with signals, the journal, the service manager and the UI."""

    def __init__(
        self,
        options: Options,
        reload_options: Callable[[], Options],
        file: Path,
        socket: Path,
        listeners: list[Listener],
    ) -> None:
        self._options = options
        self._file = file
        self._reload_options = reload_options
        self._socket = socket
        self._listeners = listeners
        self._journal = JournalWriter()
        self._service_manager = ServiceManager()
        self._event_detector = TransitionDetector()
        self._feed = EventFeed()
        self._last_status_line = ""
        self._reload_error: str | None = None
        self._locked_modules = 0
        self._logind = LogindClient()
        self._helper = helper_for(socket)
        self._files = HostFiles()
        self._network = HostNetwork()
        self._clock = KernelClock()
        processes = HostProcesses()
        self._daemon = Daemon(
            options,
            Ports(
                self._files,
                self._network,
                self._logind,
                self._helper,
                processes,
                partial(read_wakeup_state, self._files),
                _connect_to_broker,
            ),
            self._clock,
            storage=Storage(state_directory(), self._log_problem),
            on_status=self._on_status,
            on_error=self._log_problem,
            on_finding=self._on_finding,
            boot_id=boot_id(),
        )

    async def run(self) -> int:
        """Run until a signal requests the stop; returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_exception)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        daemon = self._daemon
        context = ui_context(
            daemon,
            self._clock,
            self._token,
            self._feed,
            reload=self._reload,
            reload_error=lambda: self._reload_error,
            http=lambda: self._options.http,
            configuration=str(self._file.absolute()),
        )
        async with AsyncExitStack() as stack:
            stack.callback(self._journal.close)
            stack.callback(self._service_manager.close)
            stack.callback(self._logind.close)
            stack.callback(self._files.close)
            stack.callback(self._network.close)
            stack.callback(self._helper.close)
            server = LazyHttpServer(self._listeners, context)
            stack.push_async_callback(server.close)
            await server.start()
            self._log(journal.make_entry("listening", self._startup_message()))
            self._log_option_warnings()
            gc.collect()
            gc.freeze()  # objects of the start live until the end; collections skip them
            gc.set_threshold(GC_THRESHOLD)
            async with asyncio.TaskGroup() as tasks:
                daemon_task = tasks.create_task(daemon.run())
                await stop.wait()
                self._service_manager.notify("STOPPING=1")
                await daemon.messages.flush(_FLUSH_TIMEOUT)
                daemon_task.cancel()
        return EXIT_STOPPED

    def _token(self) -> str | None:
        """The token for writing over TCP, read from its file."""
        file = self._options.http.token_file
        return read_token(file) if file else None

    def _startup_message(self) -> str:
        pages = [f"http://{where}/" for where in self._options.http.listen]
        return f"status page: {', '.join(pages) or 'none'}; `powerd why` uses {self._socket}"

    def _on_status(self, status: Status) -> None:
        """After each decision: log the transitions, publish them as events, and feed the watchdog."""
        state = [] if self._last_status_line else ["READY=1"]
        try:
            for entry in self._event_detector.entries(status):
                self._log(entry)
                self._feed.publish(entry, status.now)
            self._feed.publish_change(shown_values(status))
            line = journal.status_line(status)
            if line != self._last_status_line:
                state.append(f"STATUS={line}")
            self._last_status_line = line
        finally:  # the watchdog is fed by decisions, also if showing them fails
            self._service_manager.notify("\n".join((*state, "WATCHDOG=1")))
        self._lock_memory(status)

    def _lock_memory(self, status: Status) -> None:
        """Keep the program in memory if its disk is to be spun down.

        Otherwise a lack of memory evicts the code of powerd, and the next round reads it back and starts the
        disk. Repeated when modules have been loaded, which are mapped files too.
        """
        if len(sys.modules) == self._locked_modules or not spins_down(
            _PROGRAM, status.decision.part(DisksReport).disks
        ):
            return
        try:
            lock_memory()
        except HostError as error:
            self._log_problem(f"{error}, so a lack of memory may start the disk of the program")
        self._locked_modules = len(sys.modules)  # with those that the lock needs

    def _on_hangup(self) -> None:
        """On SIGHUP, whose sender gets no answer: the errors are logged, and shown by the UI."""
        with contextlib.suppress(RequestRefusedError):
            self._reload()

    def _reload(self) -> None:
        """Apply the new configuration, or keep the old one and log the errors.

        Raises:
            RequestRefusedError: the file is invalid, or cannot be applied.
        """
        mono = int(self._clock.now().mono * 1e6)
        self._service_manager.notify(f"RELOADING=1\nMONOTONIC_USEC={mono}")
        try:
            self._apply_configuration()
        finally:  # without it the service manager waits, and then kills the service
            self._service_manager.notify("READY=1")

    def _apply_configuration(self) -> None:
        """Read the configuration and apply it, or log its errors; raises as _reload()."""
        try:
            options = self._reload_options()
            self._daemon.reconfigure(options)
        except ConfigError as error:
            raise self._refuse_reload([str(fault) for fault in error.faults]) from None
        except Exception as error:  # noqa: BLE001 - people see the reason, and the old configuration holds
            raise self._refuse_reload([failure_text(error)]) from None
        if options.http.listen != self._options.http.listen:
            text = "[http] listen takes effect at the next start"
            self._log(journal.make_entry("reload", text, journal.WARNING))
        self._reload_error = None
        self._options = options
        self._log_option_warnings()
        self._log(
            journal.make_entry("reload", f"configuration read again: {options.mode} mode", journal.NOTICE)
        )

    def _refuse_reload(self, faults: list[str]) -> RequestRefusedError:
        """Log why the old configuration remains in force, and return the error for the user."""
        for fault in faults:
            text = f"{fault}; the old configuration remains in force"
            self._log(journal.make_entry("reload-failed", text, journal.ERROR))
        more = len(faults) - 1
        rest = f" (and {more} more: see `powerd check`)" if more else ""
        self._reload_error = f"{faults[0]}{rest}; the old configuration remains in force"
        return RequestRefusedError(self._reload_error)

    def _log_option_warnings(self) -> None:
        """Log the warnings about the configuration."""
        options = self._options
        if options.hooks == HookOptions() and not any(rule.command for rule in options.sleep):
            return
        from powerd.config.machine_check import option_warnings  # noqa: PLC0415 - only commands and messages need it

        warnings = option_warnings(options, self._file)
        for problem in locate_clauses(self._file, warnings, "warning"):
            self._log_problem(str(problem))

    def _log_problem(self, text: str) -> None:
        self._log(journal.make_entry("error", text, journal.WARNING))

    def _on_finding(self, disk: Disk, finding: Finding) -> None:
        """Log a finding, and publish it as an event."""
        options = self._options
        silent = options.mode == "enforce" and not find_recipients(options.hooks)
        entry = journal.finding_entry(disk, finding, NOBODY if silent else "")
        now = self._clock.now()
        self._log(entry)
        self._feed.publish(entry, now)

    def _on_loop_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Exception handler of the event loop: logs one line instead of a traceback."""
        error = context.get("exception")
        text = f"{context.get('message')}" + (f": {type(error).__name__}: {error}" if error else "")
        self._log_problem(text)

    def _log(self, entry: journal.JournalEntry) -> None:
        self._journal.send(entry.message, entry.priority, entry.fields)
