"""The file that answers lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from powerd.config.disk_options import DiskOptions, DiskRule, parse_disk_pattern
from powerd.config.load import parse
from powerd.config.options import ClientName, ClientOptions, HookOptions, Options, SleepRule, WakeOptions
from powerd.config.values import parse_client_pattern, parse_weekly_time, parse_window
from powerd.setup.configuration import configuration_text
from powerd.setup.model import Answers, Pattern

MAC = "aa:bb:cc:00:11:22"
NIGHT = (parse_window("Mon-Fri 00:30-06:00"), parse_window("Sat,Sun 02:00-09:00"))
TIMES = (parse_weekly_time("06:30"),)
DISK = "ata-WDC_WD20EFRX-68EUZN0_WD-1"


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        (Answers(), Options()),
        (Answers(enforce=True), Options(mode="enforce")),
        (
            Answers(ignore=(Pattern(MAC, "tv"), Pattern("10.0.0.5", ""))),
            Options(
                clients=ClientOptions(ignore=(parse_client_pattern(MAC), parse_client_pattern("10.0.0.5")))
            ),
        ),
        (
            Answers(names=(Pattern(MAC, 'the "big" TV'),)),
            Options(clients=ClientOptions(name=(ClientName(parse_client_pattern(MAC), 'the "big" TV'),))),
        ),
        (
            Answers(action="poweroff", during=NIGHT, wake_at=TIMES),
            Options(
                sleep=(SleepRule(action="poweroff", during=NIGHT, idle_for=1800, dozing="ignored"),),
                wake=WakeOptions(at=TIMES),
            ),
        ),
        (Answers(spin_down=()), Options(disks=DiskOptions(spin_down_after=0))),
        (
            Answers(spin_down=(Pattern(DISK, "WD"),), spin_down_after=3600),
            Options(
                disks=DiskOptions(
                    spin_down_after=0,
                    rule=(DiskRule(match=(parse_disk_pattern(DISK),), spin_down_after=3600),),
                )
            ),
        ),
        (Answers(notify=("ntfy://x",)), Options(hooks=HookOptions(notify=("ntfy://x",)))),
    ],
)
def test_the_file_means_the_answers(answers: Answers, options: Options) -> None:
    text = configuration_text(answers)
    assert parse(text.encode(), "f") == options
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "comment", ["x\ny = 1", "\x1b[2J", '"', "]\r\n[sleep]", "\u2028", "\u202eabc", "y" * 300]
)
def test_a_name_from_the_network_is_only_a_comment(comment: str) -> None:
    answers = Answers(ignore=(Pattern(MAC, comment),), spin_down=(Pattern(DISK, comment),), action="suspend")
    text = configuration_text(answers)
    harmless = configuration_text(
        replace(answers, ignore=(Pattern(MAC, ""),), spin_down=(Pattern(DISK, ""),))
    )
    assert parse(text.encode(), "f") == parse(harmless.encode(), "f")
    assert text.replace("\n", "").isprintable()
