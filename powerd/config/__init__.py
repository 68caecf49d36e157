"""The configuration: declared in options, read by load, written by sample."""

from powerd.config.disks import DiskPlan, DiskRule, Disks, plan_of
from powerd.config.load import ConfigError, load, parse
from powerd.config.options import Awake, ClientClass, Clients, Hooks, Http, Options, SleepRule, Wake
from powerd.config.sample import effective, sample
from powerd.config.smart import SelfTests, Smart
from powerd.config.values import Pattern, WakeTime, Window, show_duration

__all__ = [
    "Awake",
    "ClientClass",
    "Clients",
    "ConfigError",
    "DiskPlan",
    "DiskRule",
    "Disks",
    "Hooks",
    "Http",
    "Options",
    "Pattern",
    "SelfTests",
    "SleepRule",
    "Smart",
    "Wake",
    "WakeTime",
    "Window",
    "effective",
    "load",
    "parse",
    "plan_of",
    "sample",
    "show_duration",
]
