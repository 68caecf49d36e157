"""The options of ``[activity]``; each check declares those of its own table."""

from __future__ import annotations

from dataclasses import field
from functools import cache
from typing import Literal

from powerd.activity.model import CheckId
from powerd.activity.registry import default_kinds
from powerd.config.declare import boolean, choice, nonempty_string, option
from powerd.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The options that every check has."""

    enabled: bool = option(True, "false = the check does not run", boolean())
    on_error: Literal["awake", "ignore"] | None = option(
        None, "of this check, instead of activity.on_error", choice("awake", "ignore")
    )


@dataclass(frozen=True, slots=True)
class NamedCheckSettings(CheckSettings):
    """The options that every check of a list has."""

    name: str = option("", "distinguishes the checks of a list", nonempty_string())


@dataclass(frozen=True, slots=True)
class ConfiguredCheck:
    """One table of a check, or a check that is on by default.

    Attributes:
        kind: the name of the check.
        settings: what every check has.
        options: those that the check declares.
        id: of this check among all.
    """

    kind: str
    settings: CheckSettings
    options: object
    id: CheckId = field(init=False)

    def __post_init__(self) -> None:
        # Each decision reads it several times.
        object.__setattr__(self, "id", CheckId(f"{self.kind}:{self.name}" if self.name else self.kind))

    @property
    def name(self) -> str:
        """Of one of a list; "" for a check with one table."""
        return self.settings.name if isinstance(self.settings, NamedCheckSettings) else ""


@cache
def default_checks() -> tuple[ConfiguredCheck, ...]:
    """The checks that run without a table, by name."""
    checks = [ConfiguredCheck(each.name, CheckSettings(), each.options()) for each in default_kinds()]
    return tuple(sorted(checks, key=lambda each: each.kind))


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """Work in progress that keeps the server awake. Each check has a table of its own."""

    on_error: Literal["awake", "ignore"] = option(
        "awake",
        'a check that fails: "awake" = keeps the server awake, "ignore" = is only shown',
        choice("awake", "ignore"),
    )
    checks: tuple[ConfiguredCheck, ...] = field(
        default_factory=default_checks, metadata={"doc": "the tables of the checks, by name", "checks": True}
    )

    @property
    def enabled_checks(self) -> tuple[ConfiguredCheck, ...]:
        """The checks that run."""
        return tuple([each for each in self.checks if each.settings.enabled])

    def error_policy(self, check: ConfiguredCheck) -> Literal["awake", "ignore"]:
        """What a failure of ``check`` means."""
        return check.settings.on_error or self.on_error
