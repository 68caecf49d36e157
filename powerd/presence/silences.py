"""How long a present client stays silent, and the silence after which it is absent.

A silence lasts from the last answer of a client to its next one, with nothing but unanswered probes in
between. Most silences are of one of two kinds:

- *Naps*: the device is present and saves power. Naps come in series, many in an hour, with an answer for a
  moment between them, and the firmware of the device bounds their length.
- *Departures*: the device has left, or is off, or in flight mode. They are few a day, of any length up to
  days, and mostly lie between two times in which the device answers steadily.

A single silence does not show its kind, and when it ends, the decision on it has been made. So the limit
comes from the distribution of the earlier ones:

- A silence of more than ``UPPER_LIMIT`` is a departure, whatever it was: a client that naps for longer
  counts as absent meanwhile. A phone that is off all night and one in flight mode are of this kind.
- A silence after which, or before which, the client answers for less than ``STEADY_TIME`` is a nap. One
  between two steady times counts as a nap if it is at most ``BREAK_FACTOR`` times as long as the longest
  nap; longer ones are short absences, or a PC in standby.
- Even so, a phone that is picked up and carried out at once leaves a false nap. Naps have no gap in the
  distribution of their lengths, while false ones are rare and lie far out. So the longest naps are
  dropped if no nap is between them and the others over a factor of 1.7, they are fewer than
  ``OUTLIER_SHARE`` of all, and lie within one day: a repeated one is a habit. After two
  surprises within ``MEMORY`` none is dropped.
- The limit is the longest nap of the last ``MEMORY`` times a margin that grows with the tail of the
  distribution: 1.06, and 0.15 for each factor of two between the longest nap and the 90th percentile. Of
  naps with a sharp bound (the two are nearly equal) almost none exceeds it; of 1,000 naps of exponential
  distribution the longest is about three times the 90th percentile, and one in 9,000 exceeds the limit.
- Few naps prove little: if n have been observed, one in n may be longer than all of them (rule of three:
  3 / n with 95 %). So the limit falls from its start value only with the number of naps and the days of
  observation.
- A client whose lease is renewed before half of its time has joined the network again: one that has stayed
  renews it after that. Such a silence is not a nap if the client then answers for ``STEADY_TIME``. Otherwise
  it is a *short absence* of a dozing phone, if it is the first within ``SHORT_ABSENCE_INTERVAL``. A second
  one is a nap, since some phones leave the Wi-Fi in each nap, and so is one that is hardly longer than the
  silence after it.
- A silence is a short absence, too, if the network card has answered for ``UPPER_LIMIT`` before it and for
  ``STEADY_TIME`` after it.
- A client that answers again after less than ``UPPER_LIMIT`` and was absent by its limit is a *surprise*
  if the silence was a nap. Its limit is ``UPPER_LIMIT`` for ``SURPRISE_PERIOD``; the nap is in the
  distribution, too.

New habits replace old ones: a longer nap counts at once, and a nap is forgotten after ``MEMORY``. The
weight of a nap in the percentiles halves every ``HALF_LIFE``. Once the last nap is forgotten, or the client
was away for ``MEMORY``, learning restarts.

A limit falls at an answer only, by at most the silence that the answer has ended. So an answer never
makes a client absent sooner than silence in its place would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import floor, log2
from typing import Annotated, Final, Literal, NamedTuple

from powerd.core.codec import ROW, span
from powerd.core.dataclass import dataclass

LOWER_LIMIT: Final = 300.0
"""Least learned limit, seconds: a client that never naps may restart."""
UPPER_LIMIT: Final = 3600.0
"""Greatest learned limit, seconds. Silences above are not learned from."""
START_LIMIT: Final = 1800.0
"""Limit of a client without statistics; it is UPPER_LIMIT if it may be a phone."""
NAP_TIME: Final = 180.0
"""Least length of a nap, seconds. Lost packets make shorter silences."""
STEADY_TIME: Final = 240.0
"""Seconds of answers without a miss that end a doze."""
MEMORY: Final = 28 * 86400.0
"""Seconds for which a nap is remembered."""
HALF_LIFE: Final = 7 * 86400.0
SURPRISE_PERIOD: Final = 3 * 86400.0
BREAK_FACTOR: Final = 1.5
SHORT_ABSENCE_INTERVAL: Final = 30 * 3600.0
"""Least seconds between two short absences of a dozing phone: what happens every day is a habit."""
OUTLIER_SHARE: Final = 0.02
_CLASSES_PER_OCTAVE: Final = 4
_SHORTEST: Final = 60.0
"""Seconds of class 0."""
_GAP: Final = 3
"""Empty classes that separate outliers: a factor of at least 1.7."""
_OUTLIER_MIN_WEIGHT: Final = 50
_OUTLIER_PERIOD: Final = 86400.0
"""Seconds within which all outliers lie; later ones are a habit."""
_TRUSTED_COUNT: Final = 200
_TRUSTED_AGE: Final = 10 * 86400.0
"""Naps, and seconds since the first, after which the limit depends on the distribution alone."""
_TRUSTED_ANSWERS: Final = 12 * 3600.0
_TRUSTED_ANSWERS_PHONE: Final = 72 * 3600.0
"""Seconds of answers without a nap after which a client has none."""
MAX_TIME: Final = 1e11


@dataclass(frozen=True, slots=True)
class NapClass:
    """The naps of one length: class ``n`` begins at 60 s * 2 ** (n / 4).

    Attributes:
        number: n.
        weight: decayed number of naps, at ``last``.
        longest: seconds.
        last: POSIX time of the latest.
        first: POSIX time of the first that is remembered; None = unknown, ``last`` is taken for it.
    """

    number: Annotated[int, span(0, 32)]
    weight: Annotated[float, span(0, 1e9)]
    longest: Annotated[float, span(0, 1e6)]
    last: Annotated[float, span(0, MAX_TIME)]
    first: Annotated[float, span(0, MAX_TIME)] | None = None


@dataclass(frozen=True, slots=True)
class Silences:
    """What is known of the silences of one client.

    Attributes:
        nap_classes: the remembered naps, by length.
        count: all naps ever observed.
        answered: seconds in which it, or its network card, answered every probe.
        since, last: POSIX times of the first answer, and of a recent one; None = none yet.
        surprises: how often it was absent by its limit although it was present.
        surprised_at: POSIX time of the last surprise.
        surprised_again_at: POSIX time of the last one that came within MEMORY of another.
        card_at: POSIX time of the last spell in which only its network card answered for UPPER_LIMIT, as that
            of a sleeping PC does.
    """

    nap_classes: tuple[Annotated[NapClass, ROW], ...] = ()
    count: Annotated[int, span(0, 1e12)] = 0
    answered: Annotated[float, span(0, MAX_TIME)] = 0.0
    since: Annotated[float, span(0, MAX_TIME)] | None = None
    last: Annotated[float, span(0, MAX_TIME)] | None = None
    surprises: Annotated[int, span(0, 1e12)] = 0
    surprised_at: Annotated[float, span(0, MAX_TIME)] | None = None
    surprised_again_at: Annotated[float, span(0, MAX_TIME)] | None = None
    card_at: Annotated[float, span(0, MAX_TIME)] | None = None


LimitBasis = Literal["start", "naps", "answers", "surprise"]
"""Why a limit is what it is: nothing is known yet; its naps; it always answers; a recent surprise."""


class Limit(NamedTuple):
    """The silence after which a client is absent.

    Attributes:
        seconds: the limit.
        basis: why.
        longest_nap: the longest nap on which it is based, seconds; 0 = none.
        surprises: see Silences.
    """

    seconds: float = LOWER_LIMIT
    basis: LimitBasis = "start"
    longest_nap: float = 0.0
    surprises: int = 0


def add_nap(silences: Silences, length: float, now: float) -> Silences:
    """With one more nap of ``length`` seconds, which ended at ``now`` (POSIX seconds)."""
    silences = without_forgotten(silences, now)
    number = max(floor(_CLASSES_PER_OCTAVE * log2(max(length, _SHORTEST) / _SHORTEST)), 0)
    others = [each for each in silences.nap_classes if now - each.last < MEMORY and each.number != number]
    before = next((each for each in silences.nap_classes if each.number == number), None)
    weight, longest, first = 1.0, length, now
    if before is not None and now - before.last < MEMORY:
        weight += _weight(before, now)
        longest = max(longest, before.longest)
        first = before.last if before.first is None else before.first
    others.append(NapClass(number, weight, longest, now, first))
    return replace(
        silences, nap_classes=tuple(sorted(others, key=lambda each: each.number)), count=silences.count + 1
    )


def add_surprise(silences: Silences, now: float) -> Silences:
    """With one more surprise at ``now``, POSIX seconds."""
    before = silences.surprised_at
    again_at = silences.surprised_again_at if before is None or now - before >= MEMORY else now
    return replace(silences, surprises=silences.surprises + 1, surprised_at=now, surprised_again_at=again_at)


def without_forgotten(silences: Silences, now: float) -> Silences:
    """Without all that is learned, if every nap has been forgotten or the client was away for ``MEMORY``."""
    latest = max((each.last for each in silences.nap_classes), default=now)
    if now - min(latest, silences.last or now) < MEMORY:
        return silences
    return replace(silences, nap_classes=(), count=0, answered=0.0, since=now)


def longest_nap(silences: Silences, now: float) -> float:
    """The longest nap that is not an outlier, seconds; 0.0 = none is remembered."""
    classes = _remembered(silences, now)
    return classes[-1].longest if classes else 0.0


def learned_limit(silences: Silences, now: float, *, may_be_phone: bool) -> Limit:
    """The limit of a client.

    Args:
        silences: of the client.
        now: POSIX seconds.
        may_be_phone: its MAC address is locally administered, or it is a station of an access point.
    """
    silences = without_forgotten(silences, now)
    age = 0.0 if silences.since is None else now - silences.since
    classes = _remembered(silences, now)
    longest = classes[-1].longest if classes else 0.0
    if silences.surprised_at is not None and 0 <= now - silences.surprised_at < SURPRISE_PERIOD:
        return Limit(UPPER_LIMIT, "surprise", longest, silences.surprises)
    needed = _TRUSTED_ANSWERS_PHONE if may_be_phone or classes else _TRUSTED_ANSWERS
    trust = min(max(silences.count / _TRUSTED_COUNT, silences.answered / needed), age / _TRUSTED_AGE, 1.0)
    basis: LimitBasis = "answers"
    learned, start = LOWER_LIMIT, UPPER_LIMIT if may_be_phone else START_LIMIT
    if classes:
        tail = log2(longest / _percentile(classes, 0.9, now))
        learned, start = max(longest * (1.06 + 0.15 * tail), longest + 60.0), UPPER_LIMIT
        basis = "naps"
    seconds = max(learned, start * (1 - trust))
    if seconds > learned:
        basis = "start"
    return Limit(min(max(seconds, LOWER_LIMIT), UPPER_LIMIT), basis, longest, silences.surprises)


def may_be_phone(macs: Iterable[str], stations: frozenset[str]) -> bool:
    """Whether a client may be a phone: one of its MACs is locally administered (IEEE 802), or a station."""
    return any(mac[1] in "2367abef" or mac in stations for mac in macs)


def last_time(silences: Silences) -> float:
    """POSIX time of a recent answer; 0.0 = none is known."""
    return silences.last or 0.0


def shift_times(silences: Silences, seconds: float, latest: float) -> Silences:
    """With all times later by ``seconds``, at most ``latest``, POSIX seconds: a clock may have been ahead."""

    def shifted(at: float | None) -> float | None:
        return None if at is None else min(max(at + seconds, 0.0), latest)

    return replace(
        silences,
        nap_classes=tuple(
            replace(each, last=shifted(each.last) or 0.0, first=shifted(each.first))
            for each in silences.nap_classes
        ),
        since=shifted(silences.since),
        last=shifted(silences.last),
        surprised_at=shifted(silences.surprised_at),
        surprised_again_at=shifted(silences.surprised_again_at),
        card_at=shifted(silences.card_at),
    )


def is_sleeping_card(silences: Silences, now: float) -> bool:
    """Whether its network card has answered ARP for the sleeping client within ``MEMORY``."""
    return silences.card_at is not None and 0 <= now - silences.card_at < MEMORY


def _weight(nap: NapClass, now: float) -> float:
    return float(nap.weight * 0.5 ** (max(now - nap.last, 0.0) / HALF_LIFE))


def _remembered(silences: Silences, now: float) -> Sequence[NapClass]:
    """The classes of the last MEMORY, the shortest first, without outliers."""
    classes = [each for each in silences.nap_classes if now - each.last < MEMORY]
    if silences.surprised_again_at is not None and now - silences.surprised_again_at < MEMORY:
        return classes
    weights = [_weight(each, now) for each in classes]
    total, above = sum(weights), 0.0
    for index in range(len(classes) - 1, 0, -1):
        above += weights[index]
        if total < _OUTLIER_MIN_WEIGHT or above > OUTLIER_SHARE * total:
            break
        first = min(each.last if each.first is None else each.first for each in classes[index:])
        if max(each.last for each in classes[index:]) - first > _OUTLIER_PERIOD:
            break
        if classes[index].number - classes[index - 1].number > _GAP:
            return classes[:index]
    return classes


def _percentile(classes: Sequence[NapClass], share: float, now: float) -> float:
    """The length that ``share`` of the naps do not exceed, seconds, to the class."""
    weights = [_weight(each, now) for each in classes]
    remaining = share * sum(weights)
    for nap, weight in zip(classes, weights, strict=True):
        remaining -= weight
        if remaining <= 0:
            return nap.longest
    return classes[-1].longest
