"""The text of ``/metrics``: what a Prometheus server scrapes, in the text format 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ specifies the format. Written here, and not by
prometheus-client, which imports ssl and takes 3.1 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from powerd.activity.model import ActivityReport
from powerd.core.snapshot import Phase, SourceId, Status
from powerd.core.time import Reading
from powerd.disks.state import DisksReport, DiskState
from powerd.history.model import Counters
from powerd.presence.model import CLIENTS, ClientState, PresenceReport
from powerd.smart.model import SmartReports

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


class MetricSample(NamedTuple):
    """One value of a metric; ``labels`` are by name."""

    value: float
    labels: Mapping[str, str] = MappingProxyType({})


class Metric(NamedTuple):
    """One metric with all its samples.

    Attributes:
        name: without the prefix ``powerd_``.
        kind: the type, of the format.
        text: one line of help, which is also the line of docs/metrics.md.
        samples: each combination of labels once; () = the metric is left out.
    """

    name: str
    kind: Literal["gauge", "counter"]
    text: str
    samples: tuple[MetricSample, ...]


def metrics_text(
    status: Status | None, error: str | None, poll_seconds: Mapping[SourceId, float], counters: Counters
) -> str:
    """The response of ``/metrics``.

    Args:
        status: the last decision; None = there is none yet.
        error: why no decisions are being made; None = they are.
        poll_seconds: how long the last poll of each source has taken.
        counters: what restarts do not reset.
    """
    metrics = (
        Metric("up", "gauge", "1 while decisions are being made.", (MetricSample(error is None),)),
        *(_metrics(status, poll_seconds) if status else ()),
        *_totals(counters),
    )
    return "".join(line for metric in metrics if metric.samples for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = f"powerd_{metric.name}"
    yield f"# HELP {name} {metric.text}\n# TYPE {name} {metric.kind}\n"
    for value, labels in metric.samples:
        pairs = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        yield f"{name}{f'{{{pairs}}}' if pairs else ''} {float(value)!r}\n"


def _metrics(status: Status, poll_seconds: Mapping[SourceId, float]) -> Iterator[Metric]:
    decision = status.decision
    yield Metric(
        "state",
        "gauge",
        f"1 for the present state: {', '.join(get_args(Phase))}.",
        _one_hot("state", get_args(Phase), decision.phase),
    )
    clients = Counter(
        each.state.value for each in decision.part(PresenceReport).client_statuses if each.blocks_sleep
    )
    yield Metric(
        "clients",
        "gauge",
        "Clients that count, by their state: present, dozing, unknown or absent.",
        _by("state", {state.value: clients[state] for state in ClientState}),
    )
    subjects = Counter(reason.subject for reason in decision.reasons if reason.blocks_sleep)
    yield Metric(
        "awake_reasons",
        "gauge",
        "Reasons that keep the server awake, by what or whom they are about.",
        _by("subject", subjects),
    )
    yield _activity(status)
    yield Metric(
        "source_up",
        "gauge",
        "1 if the last poll of the source has succeeded.",
        tuple(
            MetricSample(isinstance(each, Reading), {"source": source})
            for source, each in status.snapshot.sources.items()
        ),
    )
    yield Metric(
        "source_poll_seconds",
        "gauge",
        "Duration of the last poll of the source.",
        _by("source", {str(name): took for name, took in poll_seconds.items()}),
    )
    sweep = poll_seconds.get(CLIENTS)
    yield Metric(
        "sweep_seconds",
        "gauge",
        "Duration of the last poll of all clients.",
        () if sweep is None else (MetricSample(sweep),),
    )
    yield from _disks(status)


def _totals(counters: Counters) -> Iterator[Metric]:
    yield _total("decisions", "Decisions made.", (MetricSample(counters.decisions),))
    yield _total("sleeps", "Sleeps of the server, by how it slept.", _by("action", counters.sleeps))
    yield _total("asleep_seconds", "Time asleep.", (MetricSample(counters.asleep_seconds),))
    yield _total(
        "wakeups",
        "Wake-ups of the server, by the cause: alarm, network, button or unknown.",
        _by("cause", counters.wakeups),
    )
    yield _total(
        "disk_state_seconds",
        "Time in each state of the disk, while the server was awake.",
        _by_disk("state", counters.disk_state_seconds),
    )
    yield _total("disk_spinups", "Starts of the disk.", _by("disk", counters.spin_ups))
    yield _total(
        "disk_wakes",
        "Accesses that have started the disk, by the systemd unit; empty = it is not known.",
        _by_disk("unit", counters.disk_wakes),
    )


def _total(name: str, text: str, samples: tuple[MetricSample, ...]) -> Metric:
    return Metric(f"{name}_total", "counter", text, samples)


def _by(
    label: str, values: Mapping[str, float], labels: Mapping[str, str] = MappingProxyType({})
) -> tuple[MetricSample, ...]:
    """A sample for each value, by the key."""
    return tuple(MetricSample(value, {**labels, label: key}) for key, value in values.items())


def _by_disk(label: str, values: Mapping[str, Mapping[str, float]]) -> tuple[MetricSample, ...]:
    """A sample for each disk and each of its values."""
    return tuple(sample for disk, each in values.items() for sample in _by(label, each, {"disk": disk}))


def _activity(status: Status) -> Metric:
    checks: dict[str, bool] = {}
    for row in status.decision.part(ActivityReport).rows:
        checks[row.check] = checks.get(row.check, False) or row.keeps_awake
    return Metric("activity", "gauge", "1 if the check keeps the server awake.", _by("check", checks))


def _disks(status: Status) -> Iterator[Metric]:
    disks, smart = status.decision.part(DisksReport).disks, status.decision.part(SmartReports).smart
    yield Metric(
        "disk_state",
        "gauge",
        "1 for the present state of the disk.",
        tuple(
            sample
            for report in disks
            for sample in _one_hot("state", tuple(DiskState), report.state, {"disk": report.disk.id})
        ),
    )
    yield Metric(
        "smart_healthy",
        "gauge",
        "0 if an unacknowledged finding on the drive's health is more than a note.",
        tuple(
            MetricSample(report.healthy, {"disk": id_})
            for id_, report in smart.items()
            if report.healthy is not None
        ),
    )
    yield Metric(
        "smart_temperature_celsius",
        "gauge",
        "Temperature of the drive at its last health check.",
        tuple(
            MetricSample(last.temperature, {"disk": id_})
            for id_, report in smart.items()
            if (last := report.record.last) is not None and last.temperature is not None
        ),
    )


def _one_hot(
    label: str, values: tuple[str, ...], present: str, labels: Mapping[str, str] = MappingProxyType({})
) -> tuple[MetricSample, ...]:
    """A sample for each value, 1 for the present one."""
    return _by(label, {value: value == present for value in values}, labels)
