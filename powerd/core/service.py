"""What a domain runs on a host: sources, actuators and tasks; and the execution of an action."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from powerd.config.options import Options
from powerd.core.actions import Action, ActionResult, Mode
from powerd.core.clock import Clock
from powerd.core.dataclass import dataclass
from powerd.core.poller import Poller, Source
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.linux.values import HostError


class Actuator(NamedTuple):
    """How actions of one kind are executed. Its functions take actions of that kind only.

    Attributes:
        execute: executes the action; may raise HostError. Called in enforce mode only.
        describe: describes the action in the past tense, for observe mode.
    """

    execute: Callable[[Any], Awaitable[ActionResult]]
    describe: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Environment:
    """What a service gets from the daemon besides its ports.

    Attributes:
        clock: of the host.
        state: the facts.
        options: returns the configuration in force.
        storage: the documents that outlive a restart.
        on_error: called with one sentence for each error that no Status contains.
        boot_id: identifies the present boot of the machine; "" = unknown.
    """

    clock: Clock
    state: StateStore
    options: Callable[[], Options]
    storage: Storage
    on_error: Callable[[str], None]
    boot_id: str

    def new_poller(self, source: Source) -> Poller:
        """The poller of a source."""
        return Poller(source, self.state, self.clock)


class DomainService:
    """What one domain runs on a host; each domain overrides what it needs.

    Attributes:
        pollers: of the sources; the daemon polls each at its interval, and all of them before a sleep.
        actuators: of each kind of action of the domain.
        memory: parts of the first Memory, from storage.
        is_essential: without it the server might sleep when it must not, so an exception in on_decision() or
            on_reconfigure() keeps the server awake for a while. That of any other service is only reported.
    """

    is_essential: ClassVar[bool] = True

    pollers: Sequence[Poller] = ()
    actuators: Mapping[type[Action], Actuator] = MappingProxyType({})
    memory: Sequence[object] = ()

    def tasks(self) -> Mapping[str, Coroutine[None, None, None]]:
        """What runs until the daemon stops, by the activity: ``polling disks``."""
        return {}

    def on_decision(self, status: Status) -> None:
        """A decision has been made."""

    def on_reconfigure(self) -> None:
        """The options have changed; the daemon polls the sources again after this."""

    def close(self) -> None:
        """The daemon stops: release what tasks() does not, and store what is not stored yet."""


async def execute(action: Action, actuators: Mapping[type[Action], Actuator], mode: Mode) -> ActionResult:
    """Execute ``action`` with the actuator of its class or of the nearest base class that has one."""
    actuator = next((actuators[kind] for kind in type(action).__mro__ if kind in actuators), None)
    if actuator is None:
        return ActionResult(False, f"no actuator is registered for {type(action).__name__}")
    if mode == "observe":
        return ActionResult(True, f"would have {actuator.describe(action)}")
    try:
        return await actuator.execute(action)
    except HostError as error:
        return ActionResult(False, str(error))
