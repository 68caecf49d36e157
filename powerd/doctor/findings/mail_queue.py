"""A mail server looks into its queue on a hard disk every few minutes.

Cause: Postfix starts pickup(8) every 60 seconds and qmgr(8) every 300 seconds (master(5), wake-up time). Up
to Postfix 2.10 it does so through a FIFO, and a file keeps that type after an upgrade: each wake-up then
changes the FIFO's modification time on the disk. With a socket, as in Debian 12, it reads the queue's
directories, which stay in memory unless other files displace them, and times of access are written once a
day (relatime). Mail that cannot be delivered is tried again every ``queue_run_delay``. exim4 starts a queue
run every ``QUEUEINTERVAL``, 30 minutes, and logs its start and its end. sendmail does so every
``QUEUE_INTERVAL``, 10 minutes.

Cost: with a FIFO the disk with /var/spool/postfix never stops; with a socket it is started when the
directories have been displaced; exim4 and sendmail start theirs at each queue run.

Remedy: by hand, because the mail server owns its configuration.

Source: master(5), postconf(1) and postconf(5); /etc/init.d/exim4 (QUEUEINTERVAL, QUEUERUNNER) of Debian 12;
the comments in Debian's /etc/mail/sendmail.conf (QUEUE_MODE, QUEUE_INTERVAL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments, seconds
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_SERVICE: Final = re.compile(r"^(pickup|qmgr)\s+(fifo|unix)\s+\S+\s+\S+\s+\S+\s+(\d+)", re.MULTILINE)
_DELAY: Final = re.compile(r"^(queue_run_delay|minimal_backoff_time)\s*=\s*(\S+)", re.MULTILINE)
_HOUR: Final = 3600


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per mail server while it runs and its queue is scanned more often than once an hour."""
    yield from _postfix(machine)
    yield from _exim(machine)
    yield from _sendmail(machine)


def _postfix(machine: Machine) -> Iterator[Diagnosis]:
    services = _SERVICE.findall(machine.text("/etc/postfix/master.cf"))
    fifos = [name for name, kind, _ in services if kind == "fifo"]
    often = [name for name, _, wakeup in services if 0 < int(wakeup) < _HOUR]
    delays = dict(_DELAY.findall(machine.text("/etc/postfix/main.cf")))
    scans = (seconds(delays.get("queue_run_delay", "300s")) or 0) < _HOUR
    disks = machine.disks_of("/var/spool/postfix")
    running = any(
        machine.running(unit) for unit in ("system-postfix.slice", "postfix.service", "postfix@-.service")
    )
    if not disks or not (running or machine.enabled("postfix.service")) or not (fifos or often or scans):
        return
    lines = [f"postconf -M {name}/unix=\"$(postconf -M {name}/fifo | sed 's/fifo/unix/')\"" for name in fifos]
    lines += [f"postconf -MX {name}/fifo" for name in fifos]
    lines += [f"postconf -F {name}/unix/wakeup={_HOUR}" for name in often]
    lines += ["postconf -e queue_run_delay=1h minimal_backoff_time=1h"] if scans else []
    lines.append("systemctl restart postfix")
    if fifos:
        effect = (
            f"{' and '.join(fifos)} have FIFOs: each wake-up of them changes a file on {', '.join(disks)}."
        )
    else:
        names = " and ".join(often) or "qmgr"
        verb = "reads" if len(often) < 2 else "read"  # noqa: PLR2004 - the plural
        effect = f"Every few minutes {names} {verb} /var/spool/postfix on {', '.join(disks)}."
    yield Diagnosis(
        "mail_queue:postfix",
        "postfix",
        effect,
        "Look once an hour. Mail that a program of this server sends is still delivered at once; mail that "
        "is deferred is tried again once an hour.",
        disks=disks,
        by_hand="\n".join(lines),
        accesses=AccessPattern(
            units=("postfix@-.service", "postfix.service"),
            comms=("master", "qmgr", "pickup"),
            paths=("/var/spool/postfix/", "/var/lib/postfix/"),
        ),
    )


def _exim(machine: Machine) -> Iterator[Diagnosis]:
    settings = assignments(machine.text("/etc/default/exim4"))
    interval = settings.get("QUEUEINTERVAL", "30m")
    runs = settings.get("QUEUERUNNER", "combined") not in {"no", "ppp", "nodaemon"}
    disks = tuple(sorted({*machine.disks_of("/var/spool/exim4"), *machine.disks_of("/var/log/exim4")}))
    if not machine.running("exim4.service") or not (disks and runs and _is_frequent(interval)):
        return
    yield Diagnosis(
        "mail_queue:exim4",
        "exim4.service",
        f"It runs its queue every {interval} and logs that to /var/log/exim4 on {', '.join(disks)}.",
        "Run the queue every 6 hours; new mail is delivered at once as before.",
        disks=disks,
        by_hand="In /etc/default/exim4: QUEUEINTERVAL='6h'\nsystemctl restart exim4",
        accesses=AccessPattern(
            units=("exim4.service",), comms=("exim4",), paths=("/var/spool/exim4/", "/var/log/exim4/")
        ),
    )


def _is_frequent(interval: str) -> bool:
    return (seconds(interval) or 0) < 6 * _HOUR


def _sendmail(machine: Machine) -> Iterator[Diagnosis]:
    settings = assignments(machine.text("/etc/mail/sendmail.conf").replace(";", " "))
    interval = settings.get("QUEUE_INTERVAL", "10m")
    disks = machine.disks_of("/var/spool/mqueue")
    off = settings.get("QUEUE_MODE", "") == "none"
    if not machine.running("sendmail.service") or off or not (disks and _is_frequent(interval)):
        return
    yield Diagnosis(
        "mail_queue:sendmail",
        "sendmail.service",
        f"It runs its queue in /var/spool/mqueue on {', '.join(disks)} every {interval}.",
        "Run the queue every 6 hours; new mail is delivered at once as before.",
        disks=disks,
        by_hand='In /etc/mail/sendmail.conf: QUEUE_INTERVAL="6h";\nsendmailconfig',
        accesses=AccessPattern(
            units=("sendmail.service",), comms=("sendmail", "sendmail-mta"), paths=("/var/spool/mqueue",)
        ),
    )
