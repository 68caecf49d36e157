"""What powerd prints of its configuration reads back as the same configuration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from powerd.config.http_options import HttpOptions
from powerd.config.load import parse
from powerd.config.options import AwakeOptions, ClientClass, ClientOptions, Options, SleepRule
from powerd.config.sample import effective_toml, sample_toml
from powerd.config.values import ClientPattern, TimeWindow, parse_client_pattern


def _seconds(least: int, most: int) -> st.SearchStrategy[float]:
    """Durations to the millisecond, as finely as they are shown."""
    return st.integers(least * 1000, most * 1000).map(lambda ms: ms / 1000)


def _is_pattern(text: str) -> bool:
    try:
        parse_client_pattern(text)
    except ValueError:
        return False
    return True


_NAMES = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1).filter(
    lambda text: bool(text.strip())
)
_PATTERNS: st.SearchStrategy[ClientPattern] = (
    (_NAMES | st.ip_addresses().map(str)).filter(_is_pattern).map(parse_client_pattern)
)
_WINDOWS = st.builds(
    TimeWindow, st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440)
).filter(lambda window: window.start != window.end)


def _tuples(item: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(item, max_size=3).map(tuple)


_DAY = 86400
_CLASSES = st.lists(
    st.builds(
        ClientClass,
        name=_NAMES,
        match=st.lists(_PATTERNS, min_size=1, max_size=2).map(tuple),
        absent_after=st.none() | _seconds(1, _DAY),
        keeps_awake=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda row: row.name,
).map(tuple)
_CLIENTS = st.builds(
    ClientOptions,
    leases=_tuples(_NAMES),
    hosts=_tuples(
        st.ip_addresses().map(str) | st.from_regex(r"[a-z][a-z0-9-]{0,9}(\.[a-z]{1,5})?", fullmatch=True)
    ),
    learn=_seconds(0, 365 * _DAY),
    ignore=st.lists(_PATTERNS, max_size=2).map(tuple),
    every=_seconds(40, 3600),
    timeout=_seconds(1, 10),
    absent_after=_seconds(1, _DAY),
    arp=st.sampled_from(["auto", "always", "never"]),
    class_=_CLASSES,
)
_COMMANDS = st.builds(
    SleepRule,
    action=st.just("command"),
    command=_tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"))).map(
        lambda texts: ("/bin/true", *texts)
    ),
    timeout=_seconds(1, 3600),
)
_SLEEPS = st.builds(
    SleepRule,
    action=st.sampled_from(["suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "poweroff"]),
    during=st.lists(_WINDOWS, max_size=2).map(tuple),
    idle_for=_seconds(0, 30 * _DAY),
    warn=_seconds(0, 3600),
    command=st.just(()),
)
_OPTIONS = st.builds(
    Options,
    mode=st.sampled_from(["observe", "enforce"]),
    clients=_CLIENTS,
    sleep=st.lists(_SLEEPS | _COMMANDS, max_size=3).map(tuple),
    awake=st.builds(AwakeOptions, after_start=_seconds(0, _DAY), after_resume=_seconds(0, _DAY)),
    http=st.builds(
        HttpOptions,
        listen=st.sampled_from([(), ("127.0.0.1:80",), ("[::1]:1", "127.0.0.1:65535")]),
        token_file=st.sampled_from(["", "/etc/powerd/token"]),
    ),
)


@given(_OPTIONS)
def test_effective_reads_back(options: Options) -> None:
    assert parse(effective_toml(options).encode(), "f") == options


def test_effective_of_nothing_is_every_default() -> None:
    assert parse(effective_toml(Options()).encode(), "f") == Options()


def test_sample_changes_nothing() -> None:
    assert parse(sample_toml().encode(), "f") == Options()
