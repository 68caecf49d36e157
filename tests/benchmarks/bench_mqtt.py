"""Costs of a connection to an MQTT broker: memory and wake-ups, without and with TLS.

Needs root: a broker and three idle daemons run in network namespaces; one daemon has no broker.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rig.daemon import NO_CHECKS, Daemon
from rig.lan import Lan
from rig.wait import until

MAX_MB: Final = 6.0
SECONDS: Final = 120
CONFIG: Final = '[http]\nlisten = []\n[clients]\nleases = []\nlearn = "0s"\n'
BROKER: Final = """\
listener 1883
listener 8883
certfile {directory}/cert.pem
keyfile {directory}/key.pem
allow_anonymous true
user root
"""


def start_broker(lan: Lan, directory: Path) -> str:
    """A broker on a machine of its own; returns its address."""
    hub = lan.join("hub")
    address = hub.take(f"{lan.net}.3/24")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "2"),
            *("-subj", "/CN=broker", "-addext", f"subjectAltName=IP:{address}"),
        ],
        check=True,
        capture_output=True,
    )
    config = directory / "mosquitto.conf"
    config.write_text(BROKER.format(directory=directory))
    hub.inside.start("mosquitto", "-c", str(config))
    return address


def wake_ups(daemon: Daemon) -> int:
    """Voluntary context switches so far (proc(5), status)."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("voluntary_ctxt_switches:")[2].split()[0])


def main() -> int:
    """Print the table; returns 1 if a limit is exceeded."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        lan = stack.enter_context(Lan(directory))
        address = start_broker(lan, directory)
        tables = {
            "no broker": "",
            "a broker": f'[mqtt]\nbroker = "mqtt://{address}"\nname = "a"\n',
            "a broker, TLS": f'[mqtt]\nbroker = "mqtts://{address}"\nname = "b"\n'
            f'ca_file = "{directory / "cert.pem"}"\n',
        }
        daemons = {
            label: stack.enter_context(
                Daemon(lan.server.inside, directory / str(n), CONFIG + table + NO_CHECKS)
            )
            for n, (label, table) in enumerate(tables.items())
        }
        argv = ("mosquitto_sub", "-h", address, "-t", "powerd/+/server", "-C", "2")
        until(lambda: lan.server.inside.run(*argv, check=False).returncode == 0, "both are connected")
        before = {label: wake_ups(daemon) for label, daemon in daemons.items()}
        time.sleep(SECONDS)
        base = daemons["no broker"].resident_mb()
        print(f"{'':16}{'RSS, MB':>10}{'more':>8}{'wake-ups/h':>12}")
        for label, daemon in daemons.items():
            count = (wake_ups(daemon) - before[label]) * 3600 // SECONDS
            print(f"{label:16}{daemon.resident_mb():10.1f}{daemon.resident_mb() - base:8.1f}{count:12}")
        return int(any(daemon.resident_mb() - base > MAX_MB for daemon in daemons.values()))


if __name__ == "__main__":
    sys.exit(main())
