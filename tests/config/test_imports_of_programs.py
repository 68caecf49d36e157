"""Configurations of other programs, in the form of their own manuals, become one that powerd accepts."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.config.imports import convert
from powerd.config.imports.sleep_command import sleep_actions
from powerd.config.load import parse
from powerd.config.options import Options
from powerd.ui.cli.main import main

AUTOSUSPEND = r"""
[general]
interval = 30
idle_time = 900
min_sleep_time = 1200
wakeup_delta = 60
suspend_cmd = /usr/bin/systemctl suspend
wakeup_cmd = echo {timestamp:.0f} > /sys/class/rtc/rtc0/wakealarm
notify_cmd_wakeup = su myuser -c notify-send -a autosuspend 'Wake up at {iso}'
[check.Ping]
enabled = true
hosts = 192.168.0.7, desktop.lan
[check.Others]
class = Ping
enabled = yes
hosts = 192.168.0.8
[check.RemoteUsers]
class = Users
enabled = true
host = [0-9].*
[check.Smb]
enabled = false
[check.Processes]
enabled = true
processes = rsync, borg
[check.ActiveConnection]
enabled = true
ports = 22, 445
[check.Kodi]
enabled = true
[check.Mpd]
enabled = true
host = localhost
[check.ExternalCommand]
enabled = true
command = test -e /run/busy && true
[check.ActiveCalendarEvent]
enabled = true
url = http://127.0.0.1/a.ics
match = backup
[check.JsonPath]
enabled = true
url = http://127.0.0.1:8096/Sessions
jsonpath = $[?(@.x)]
[check.LastLogActivity]
enabled = true
log_file = /var/log/nginx/access.log
pattern = \[(.*)\] "GET
minutes = 5
[check.Own]
class = my.module.Thing
enabled = true
[wakeup.SystemdTimer]
enabled = true
match = ^backup\.timer$
[wakeup.File]
enabled = true
path = /run/wakeup
"""
HD_IDLE = (
    'START_HD_IDLE=true\nHD_IDLE_OPTS="-i 0 -a sda -i 300 -a sdb -i 1200 -c ata -l /var/log/hd-idle.log"\n'
)
HDPARM = "quiet\n/dev/sda {\n\tspindown_time = 242\n\tapm = 127\n}\n/dev/sdb { write_cache = off }\n"
SMARTD = "DEVICESCAN -d removable -a -n standby,q -s (S/../.././02|L/../../6/03) -m root -M exec /bin/mail\n"
CRON = "*/10 1-7 * * * root /usr/local/bin/ping-leases /var/lib/dhcp/dhcpd.leases || /sbin/poweroff\n"
TEXTS = {
    "autosuspend.conf": AUTOSUSPEND,
    "hd-idle": HD_IDLE,
    "hdparm.conf": HDPARM,
    "smartd.conf": SMARTD,
    "crontab": CRON,
}


def imported(text: str, name: str = "file") -> tuple[Options, str]:
    """The options, and the comment on what could not be carried over."""
    toml = convert(name, text, lambda device: f"ata-{device[-3:]}" if device != "/dev/sdb" else None)
    return parse(toml.encode(), name), toml.partition("# Not carried over:")[2]


def test_autosuspend() -> None:
    options, notes = imported(AUTOSUSPEND)
    (rule,) = options.sleep
    assert (rule.action, rule.idle_for) == ("suspend", 900.0)
    assert (options.clients.every, options.wake.min_sleep, options.wake.before) == (30.0, 1200.0, 60.0)
    assert [str(host) for host in options.clients.hosts] == ["192.168.0.7", "desktop.lan", "192.168.0.8"]
    assert (options.clients.leases, options.clients.learn) == ((), 0.0), "only these hosts count"
    assert options.wake.timers == ("backup.timer",)
    checks = tomllib.loads(convert("x", AUTOSUSPEND, lambda _: None))["activity"]
    assert checks["process"] == [{"name": "Processes", "match": ["rsync", "borg"]}]
    assert checks["tcp"] == {"ports": [22, 445]}
    assert checks["command"][0]["command"] == ["/bin/sh", "-c", "( test -e /run/busy && true\n) || exit 1"]
    assert checks["kodi"][0]["paused"] == "counts", "as autosuspend does by default"
    (log,) = checks["log"]
    assert (log["paths"], log["regex"], log["within"]) == (
        ["/var/log/nginx/access.log"],
        r'\[(.*)\] "GET',
        "5min",
    )
    assert checks["calendar"][0]["match"] == ["*backup*"]
    assert {"mpd", "samba"} & checks.keys() == {"mpd"}, "the other one is not enabled"
    for each in (
        "wakeup_cmd",
        "notify_cmd_wakeup",
        "RemoteUsers",
        "$[?(@.x)]",
        "[check.Own]",
        "[wakeup.File]",
    ):
        assert each in notes


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("systemctl hibernate", "hibernate"),
        ("systemctl suspend-then-hibernate", "suspend-then-hibernate"),
        ("/sbin/shutdown -h now", "poweroff"),
        ("pm-suspend-hybrid", "hybrid-sleep"),
        ("echo mem > /sys/power/state", "suspend"),
        ("/usr/local/bin/nap", "command"),
        ("sync; systemctl suspend", "command"),
        ("/usr/local/bin/notify-then-suspend.sh", "command"),
    ],
)
def test_the_command_becomes_an_action(command: str, action: str) -> None:
    options, _ = imported(f"[general]\nsuspend_cmd = {command}\n")
    assert options.sleep[0].action == action


def test_what_powerd_does_not_accept_is_in_the_notes() -> None:
    options, notes = imported("[general]\ninterval = 1\n[check.Ping]\nenabled = 1\nhosts = a b, 10.0.0.1\n")
    assert options.clients.every == 60.0
    assert [str(host) for host in options.clients.hosts] == ["10.0.0.1"]
    assert "clients.every" in notes
    assert "a b" in notes


def test_hd_idle() -> None:
    options, notes = imported(HD_IDLE)
    assert options.disks.spin_down_after == 0.0
    assert [([str(each) for each in rule.match], rule.spin_down_after) for rule in options.disks.rule] == [
        (["ata-sda"], 300.0)
    ]
    assert "/dev/sdb -i 1200" in notes
    assert "-l /var/log/hd-idle.log" in notes


def test_hdparm() -> None:
    options, notes = imported(HDPARM)
    (rule,) = options.disks.rule
    assert (rule.spin_down_after, rule.method, rule.apm) == (3600.0, "timer", 127)
    assert "/dev/sdb" in notes


def test_smartd() -> None:
    options, notes = imported(SMARTD)
    assert (options.smart.self_test.short, options.smart.self_test.long) == (86400.0, 7 * 86400.0)
    assert options.smart.at == 120
    assert "-m root" in notes
    assert "/bin/mail" in notes
    assert "other intervals" not in notes


def test_of_different_intervals_of_smartd_the_shortest_is_taken_and_the_others_are_noted() -> None:
    lines = [f"/dev/sd{name} -a -s {when}\n" for name, when in (("a", "L/../../6/03"), ("b", "L/../01/./04"))]
    for text in ("".join(lines), "".join(reversed(lines))):
        options, notes = imported(text)
        assert options.smart.self_test.long == 7 * 86400.0
        assert "long self-tests at other intervals, 30d" in notes


@pytest.mark.parametrize(
    ("line", "windows"),
    [
        (CRON, ["01:00-07:51"]),
        (
            "0 22,23,0-6 * * mon-fri ping -c1 pc || systemctl suspend",
            ["Mon-Fri 00:00-06:01", "Mon-Fri 22:00-23:01"],
        ),
        ("30 2 * * 0,6 ping -c1 pc || shutdown -h now", ["Sat,Sun 02:30-02:31"]),
        ("*/5 * * * * ping -c1 pc || systemctl suspend", []),
        ("*/5 * * * sat ping -c1 pc || systemctl suspend", ["Sat 00:00-24:00"]),
        ("*/5 0-23 * * * systemctl suspend", []),
        ("5 22-23,0-6 * * 0-6 root if ! ping -c1 pc; then /sbin/poweroff; fi", ["22:05-06:06"]),
        ("59 20-23,0 * * 6-7 systemctl suspend", ["Sat,Sun 00:59-01:00", "Sat,Sun 20:59-24:00"]),
        ("@daily root /sbin/poweroff", ["00:00-00:01"]),
        ("@weekly\tping -c1 pc || systemctl suspend", ["Sun 00:00-00:01"]),
        ("@hourly /sbin/poweroff", []),
    ],
)
def test_a_cron_line(line: str, windows: list[str]) -> None:
    options, _ = imported("# m h dom\n17 * * * * root run-parts /etc/cron.hourly\n" + line)
    (rule,) = options.sleep
    assert [str(window) for window in rule.during] == windows
    assert rule.dozing == ("ignored" if windows else "counts"), "as one echo request did at night"


def test_the_wake_up_time_of_rtcwake_is_in_the_notes() -> None:
    options, notes = imported("0 1 * * * root ping -c1 pc || rtcwake -m mem -s 21600\n")
    assert options.sleep[0].action == "suspend"
    assert "wake.at" in notes


@pytest.mark.parametrize(
    "times",
    [
        "0 x * * *",
        "0 25 * * *",
        "70 1 * * *",
        "0 1 * * sun-tue",
        "0 1 * * 9",
        "0 1 1 * *",
        "0 1 * 12 *",
        "0 1 * * 1#2",
        "@monthly",
    ],
)
def test_a_cron_line_with_other_times_is_in_the_notes_only(times: str) -> None:
    options, notes = imported(f"{times} ping -c1 pc || systemctl suspend")
    assert options.sleep == Options().sleep
    assert times in notes


@pytest.mark.parametrize(
    ("command", "actions"),
    [
        ("sudo -n systemctl --no-block suspend", ["suspend"]),
        ("FORCE=1 nice -n 19 /usr/sbin/pm-hibernate", ["hibernate"]),
        ("ping -c1 pc >/dev/null 2>&1 || (sync; shutdown -fh now)", [None, None, "poweroff"]),
        ("/bin/sh -c 'ping -c1 pc || init 0'", [None, "poweroff"]),
        ("echo disk > /sys/power/state", ["hibernate"]),
        ("/usr/sbin/rtcwake -u -m mem -t 1700000000", ["suspend"]),
        ("rtcwake --mode=off -s 3600 && true", ["poweroff", None]),
        ("rtcwake -s 60", ["suspend"]),
        ("rtcwake -m show", [None]),
        ("echo mem > /sys/power/disk", [None]),
        ("shutdown -r now", [None]),
        ("shutdown -fr +5", [None]),
        ("poweroff --reboot", [None]),
        ("init 6", [None]),
        ("systemctl -H nas2 poweroff", [None]),
        ("systemctl start suspend-report.service", [None]),
        ("/usr/bin/backup --halt-on-error", [None]),
        ("/usr/local/bin/notify-then-suspend.sh", [None]),
        ("echo shutdown -h now", [None]),
        ("echo 'no closing quotation mark; systemctl suspend", [None]),
    ],
)
def test_what_a_command_causes(command: str, actions: list[str | None]) -> None:
    assert sleep_actions(command) == actions


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("class = ExternalCommand\ncommand = pgrep -f restic", ("activity.process", "user powerd")),
        (
            "class = ExternalCommand\ncommand = test -e '/tmp/busy'",
            ("user powerd", "not see /tmp/busy ", "PrivateTmp"),
        ),
        ("class = LastLogActivity\nlog_file = /home/a/x.log", ("not see /home/a/x.log ", "ProtectHome")),
        ("class = LastLogActivity\nlog_file = /srv/tmp/x.log", ()),
    ],
)
def test_what_the_service_does_not_see_is_in_the_notes(section: str, words: tuple[str, ...]) -> None:
    _, notes = imported(f"[check.A]\nenabled = true\n{section}\n")
    for word in words:
        assert word in notes
    assert ("does not see" in notes) is any("not see" in word for word in words)


@pytest.mark.process
@pytest.mark.parametrize(("command", "status"), [("true # x", 0), ("exit 7", 1), ("no-such-program", 1)])
def test_every_status_but_0_is_idle_as_for_autosuspend(command: str, status: int) -> None:
    toml = convert("x", f"[check.ExternalCommand]\nenabled = true\ncommand = {command}\n", lambda _: None)
    (check,) = tomllib.loads(toml)["activity"]["command"]
    assert subprocess.run(check["command"], check=False, stderr=subprocess.DEVNULL).returncode == status


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "17 * * * * root run-parts /etc/cron.hourly",
        "0 4 * * 1 root shutdown -r now",
        "[Unit]\nA=b\n",
    ],
)
def test_another_file_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^x "):
        convert("x", text, lambda _: None)


@pytest.mark.parametrize("text", ["[general]\n[general]\n", "[general]\nx\n", "HD_IDLE_OPTS=\"-a '\n"])
def test_a_damaged_file_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        convert("x", text, lambda _: None)


@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_no_damage_leads_to_another_error_or_to_a_configuration_that_powerd_rejects(
    name: str, data: st.DataObject
) -> None:
    text = TEXTS[name]
    at = data.draw(st.integers(0, len(text)))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[data.draw(st.integers(at, at + 5)) :]
    try:
        toml = convert("x", damaged, lambda _: "ata-x")
    except ValueError:
        return
    parse(toml.encode(), "x")


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hdparm.conf"
    file.write_text(HDPARM)
    unused = NotImplementedError
    assert main(["import", str(file)], unused, unused) == 0  # type: ignore[arg-type] # neither is called
    parse(capsys.readouterr().out.encode(), "x")
    with pytest.raises(SystemExit) as error:
        main(["import", str(tmp_path / "absent")], unused, unused)  # type: ignore[arg-type] # neither is called
    assert error.value.code == 2
    assert f"cannot read {tmp_path}/absent" in capsys.readouterr().err
