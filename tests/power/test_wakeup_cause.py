"""The names are those of a Debian 12 in QEMU, which slept and woke; a server's cards are added by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.power.model import WakeupCause, WakeupSource, WakeupState
from powerd.power.wakeup_cause import find_cause

ROOT_PORT = "/devices/pci0000:00/0000:00:1c.0"
CARD = f"{ROOT_PORT}/0000:01:00.0"
HOST = "/devices/LNXSYSTM:00/LNXSYBUS:00/PNP0A03:00"
BUTTON = WakeupSource("LNXPWRBN:00", "/devices/LNXSYSTM:00/LNXPWRBN:00", "button")
CLOCK = WakeupSource("00:04", "/devices/pnp0/00:04", "rtc_cmos")
TIMER = WakeupSource("alarmtimer.0.auto", "/devices/pnp0/00:04/rtc/rtc0/alarmtimer.0.auto", "alarmtimer")
ETHERNET = WakeupSource("0000:01:00.0", CARD, "r8169")
BRIDGE = WakeupSource("0000:00:1c.0", ROOT_PORT, "pcieport")
USB = WakeupSource("0000:00:14.0", "/devices/pci0000:00/0000:00:14.0", "xhci_hcd")
KEYBOARD = WakeupSource("serio0", "/devices/platform/i8042/serio0", "atkbd")
NAMELESS = WakeupSource("device:00", f"{HOST}/device:00")
BEFORE = WakeupState(
    (NAMELESS, BUTTON, CLOCK, TIMER, ETHERNET, BRIDGE, USB, KEYBOARD), cards=(("enp1s0", CARD),)
)


def after(*stirred: WakeupSource, irq: str = "") -> WakeupState:
    """The kernel's counters after a wake-up at which these sources have fired."""
    sources = tuple(
        replace(source, events=source.events + 1) if source in stirred else source
        for source in BEFORE.sources
    )
    return replace(BEFORE, sources=sources, irq=irq)


@pytest.mark.parametrize(
    ("stirred", "kind", "detail"),
    [
        ((CLOCK,), WakeupCause.ALARM, "wake-up source 00:04 (rtc_cmos)"),
        ((TIMER,), WakeupCause.ALARM, "wake-up source alarmtimer.0.auto (alarmtimer)"),
        ((BUTTON,), WakeupCause.BUTTON, "wake-up source LNXPWRBN:00 (button)"),
        ((KEYBOARD,), WakeupCause.BUTTON, "wake-up source serio0 (atkbd)"),
        ((ETHERNET,), WakeupCause.NETWORK, "wake-up source 0000:01:00.0 (enp1s0)"),
        ((BRIDGE,), WakeupCause.NETWORK, "wake-up source 0000:00:1c.0 (pcieport)"),
        ((BRIDGE, BUTTON), WakeupCause.BUTTON, "wake-up source LNXPWRBN:00 (button)"),
        ((BUTTON, BRIDGE, ETHERNET), WakeupCause.NETWORK, "wake-up source 0000:01:00.0 (enp1s0)"),
        ((BUTTON, ETHERNET, CLOCK), WakeupCause.ALARM, "wake-up source 00:04 (rtc_cmos)"),
        (
            (USB, NAMELESS),
            WakeupCause.UNKNOWN,
            "wake-up source device:00, wake-up source 0000:00:14.0 (xhci_hcd)",
        ),
        ((), WakeupCause.UNKNOWN, ""),
    ],
)
def test_the_most_specific_source_with_events_is_the_cause(
    stirred: tuple[WakeupSource, ...], kind: WakeupCause, detail: str
) -> None:
    assert find_cause(BEFORE, after(*stirred), alarm_due=False) == (kind, detail)


@pytest.mark.parametrize(
    ("irq", "kind"),
    [
        ("8 (rtc0)", WakeupCause.ALARM),
        ("9 (acpi)", WakeupCause.UNKNOWN),
        ("128 (enp1s0)", WakeupCause.NETWORK),
        ("129 (enp1s0-TxRx-0)", WakeupCause.NETWORK),
        ("16 (enp1s01,ehci_hcd:usb1)", WakeupCause.UNKNOWN),
        ("44", WakeupCause.UNKNOWN),
    ],
)
def test_without_a_source_the_interrupt_is_the_cause(irq: str, kind: WakeupCause) -> None:
    assert find_cause(BEFORE, after(irq=irq), alarm_due=False) == (kind, f"interrupt {irq}")
    assert find_cause(WakeupState(), after(CLOCK, irq=irq), alarm_due=False) == (kind, f"interrupt {irq}")
    assert find_cause(BEFORE, after(BUTTON, irq=irq), alarm_due=False)[0] is WakeupCause.BUTTON


def test_a_due_alarm_is_the_cause_if_the_kernel_names_no_other() -> None:
    assert find_cause(BEFORE, after(), alarm_due=True) == (WakeupCause.ALARM, "")
    assert find_cause(WakeupState(), WakeupState(), alarm_due=True) == (WakeupCause.ALARM, "")
    assert find_cause(BEFORE, after(irq="9 (acpi)"), alarm_due=True) == (
        WakeupCause.ALARM,
        "interrupt 9 (acpi)",
    )
    assert find_cause(BEFORE, after(USB), alarm_due=True)[0] is WakeupCause.ALARM
    assert find_cause(BEFORE, after(ETHERNET), alarm_due=True)[0] is WakeupCause.NETWORK
    assert find_cause(BEFORE, after(irq="128 (enp1s0)"), alarm_due=True)[0] is WakeupCause.NETWORK
    assert find_cause(BEFORE, after(BUTTON), alarm_due=True)[0] is WakeupCause.BUTTON


def test_a_part_of_the_card_is_the_card_and_its_neighbour_is_not() -> None:
    phy = WakeupSource("r8169-0-100:00", f"{CARD}/mdio_bus/r8169-0-100/r8169-0-100:00")
    other = WakeupSource("0000:01:00.00", f"{CARD}0")
    assert (
        find_cause(BEFORE, replace(BEFORE, sources=(replace(phy, events=1),)), alarm_due=False)[0]
        is WakeupCause.NETWORK
    )
    assert (
        find_cause(BEFORE, replace(BEFORE, sources=(replace(other, events=1),)), alarm_due=False)[0]
        is WakeupCause.UNKNOWN
    )


def test_a_source_without_a_device_is_no_card() -> None:
    nowhere = WakeupSource("autosleep", events=1)
    assert find_cause(BEFORE, replace(BEFORE, sources=(nowhere,)), alarm_due=False) == (
        WakeupCause.UNKNOWN,
        "wake-up source autosleep",
    )


def test_an_event_before_the_sleep_is_no_cause() -> None:
    busy = after(BUTTON, ETHERNET)
    assert busy.sources_fired_since(busy) == ()
    assert busy.sources_fired_since(BEFORE) == (replace(BUTTON, events=1), replace(ETHERNET, events=1))
    assert busy.sources_fired_since(WakeupState()) == ()
    assert BEFORE.sources_fired_since(busy) == (), "a source whose counter restarts"


SOURCES = st.builds(
    WakeupSource,
    st.sampled_from([source.name for source in BEFORE.sources] + ["", "x"]),
    st.sampled_from([source.device for source in BEFORE.sources] + ["", "/"]),
    st.text(max_size=5),
    st.integers(0, 3),
)
READINGS = st.builds(
    WakeupState,
    st.lists(SOURCES, max_size=5).map(tuple),
    st.sampled_from(["", "8 (rtc0)", "9 (acpi)", "x"]),
    st.lists(st.tuples(st.text(max_size=5), st.sampled_from([CARD, ROOT_PORT, "/"])), max_size=2).map(tuple),
)


@given(READINGS, READINGS)
def test_whatever_is_read_there_is_a_cause(before: WakeupState, now: WakeupState) -> None:
    kind, _ = find_cause(before, now, alarm_due=False)
    due, _ = find_cause(before, now, alarm_due=True)
    assert due in {kind, WakeupCause.ALARM}
    assert due is not WakeupCause.UNKNOWN
    assert find_cause(now, now, alarm_due=False)[1] in {"", f"interrupt {now.irq}"}


@pytest.mark.parametrize(
    ("before", "now", "slept"), [(3, 4, True), (3, 3, False), (None, 4, False), (3, None, False)]
)
def test_a_sleep_is_detected_by_the_kernel_s_count(
    before: int | None, now: int | None, *, slept: bool
) -> None:
    assert WakeupState(suspend_count=now).slept_since(WakeupState(suspend_count=before)) is slept
