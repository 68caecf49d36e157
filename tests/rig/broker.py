"""A real MQTT broker, mosquitto, on a host of the LAN, and what arrives at a subscriber."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final, Self

from rig.lan import Host, stop
from rig.wait import until

USER, PASSWORD = "powerd", "correct horse"
_CONFIG: Final = (
    "listener 1883\nallow_anonymous false\npassword_file {password}\npersistence false\nuser root\n"
)


class Broker:
    """A broker inside ``with``, and a subscriber to all of its topics.

    Args:
        host: where it runs.
        scratch: a directory for its files.
    """

    def __init__(self, host: Host, scratch: Path) -> None:
        self._host, self._config, self._log = host, scratch / "mosquitto.conf", scratch / "mqtt.log"
        password = scratch / "mosquitto.password"
        password.touch(0o600)
        subprocess.run(["mosquitto_passwd", "-b", password, USER, PASSWORD], check=True, capture_output=True)
        self._config.write_text(_CONFIG.format(password=password))
        self.login = ("-h", str(host.address), "-V", "mqttv5", "-u", USER, "-P", PASSWORD)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and the subscriber."""
        self._process = self._host.inside.start("mosquitto", "-c", str(self._config))
        until(lambda: self.publish("test", "ready", check=False), "mosquitto accepts messages")
        with self._log.open("wb") as log:
            topics = ("-t", "powerd/#", "-t", "homeassistant/#")
            self._subscriber = self._host.inside.start(
                "mosquitto_sub", *self.login, *topics, "-F", "%j", log=log
            )

    def stop(self) -> None:
        """Stop both; what was stored at the broker is lost."""
        stop(self._subscriber)
        stop(self._process)

    def publish(self, topic: str, payload: str, *, check: bool = True) -> bool:
        """Publish a message; False if the broker does not take it."""
        argv = ("mosquitto_pub", *self.login, "-q", "1", "-t", topic, "-m", payload)
        return self._host.inside.run(*argv, check=check).returncode == 0

    def received(self, topic: str) -> list[dict[str, Any]]:
        """The messages on a topic so far, each a JSON object."""
        lines = self._log.read_text().splitlines()
        messages = [json.loads(line) for line in lines if line.endswith("}")]
        return [json.loads(each["payload"]) for each in messages if each["topic"] == topic]

    def states(self, name: str) -> list[str]:
        """The states of a server so far."""
        return [each["state"] for each in self.received(f"powerd/{name}/server")]
