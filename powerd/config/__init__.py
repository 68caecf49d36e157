"""The configuration: declared in options, read by load, written by sample."""

from powerd.config.disks import DiskOptions, DiskRule, DiskSettings, settings_for_disk
from powerd.config.load import ConfigError, load, parse
from powerd.config.options import (
    AwakeOptions,
    ClientClass,
    ClientOptions,
    HookOptions,
    HttpOptions,
    Options,
    SleepRule,
    WakeOptions,
)
from powerd.config.sample import effective_toml, sample_toml
from powerd.config.smart import SelfTestOptions, SmartOptions
from powerd.config.values import ClientPattern, TimeWindow, WeeklyTime, format_duration

__all__ = [
    "AwakeOptions",
    "ClientClass",
    "ClientOptions",
    "ConfigError",
    "DiskSettings",
    "DiskRule",
    "DiskOptions",
    "HookOptions",
    "HttpOptions",
    "Options",
    "ClientPattern",
    "SelfTestOptions",
    "SleepRule",
    "SmartOptions",
    "WakeOptions",
    "WeeklyTime",
    "TimeWindow",
    "effective_toml",
    "load",
    "parse",
    "settings_for_disk",
    "sample_toml",
    "format_duration",
]
