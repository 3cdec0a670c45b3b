"""From readings to conditions: spans of time in which a rule's signal is wrong, fine, or unknown. Pure.

A value lasts until the next one, but no longer than the rule's hold; what is not known is unknown, never fine. The
same function serves a whole history and its continuation: it starts from a Signal that remembers what it has seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from .rule import Rule

State = Literal["wrong", "fine", "unknown"]


@dataclass(frozen=True)
class Sample:
    """t: Unix ms. value: None when the sensor told of a fault."""

    t: int
    value: float | None


@dataclass(frozen=True)
class Span:
    """From start to end (Unix ms, start < end) the signal was `state`; value: how far it went, None when unknown."""

    start: int
    end: int
    state: State
    value: float | None


@dataclass
class Signal:
    """What has been seen so far. reached: up to here its spans have been told."""

    reached: int | None = None
    last: Sample | None = None
    wrong: bool = False
    recent: list[Sample] = field(default_factory=list)

    def copy(self) -> "Signal":
        return Signal(self.reached, self.last, self.wrong, list(self.recent))


def spans(rule: Rule, signal: Signal, samples: list[Sample], until: int) -> Iterator[Span]:
    """The spans from what the signal has reached to `until`. samples: by time, none before what it has reached."""
    for sample in samples:
        yield from _advance(rule, signal, sample.t)
        _take(rule, signal, sample)
    yield from _advance(rule, signal, until)


def _advance(rule: Rule, signal: Signal, to: int) -> Iterator[Span]:
    if signal.reached is None or signal.last is None or to <= signal.reached:
        return
    for end, state, value in _phases(rule, signal, signal.last):
        end = to if end is None else min(end, to)
        if end > signal.reached:
            yield Span(signal.reached, end, state, value)
            signal.reached = end


def _phases(rule: Rule, signal: Signal, last: Sample) -> list[tuple[int | None, State, float | None]]:
    """What the last sample means for the time after it: (until when, state, value)."""
    if rule.kind == "silent":
        return [(last.t + int(rule.limit), "fine", None), (None, "wrong", None)]
    shown = _shown(rule, signal, last)
    if shown is None:
        return [(None, "unknown", None)]
    return [(last.t + rule.hold, "wrong" if signal.wrong else "fine", shown), (None, "unknown", None)]


def _take(rule: Rule, signal: Signal, sample: Sample) -> None:
    if rule.kind == "silent":
        if sample.value is not None:
            signal.last = sample
            signal.reached = sample.t if signal.reached is None else signal.reached
        return
    signal.last = sample
    signal.reached = sample.t if signal.reached is None else signal.reached
    if rule.kind in ("rise", "fall"):
        while signal.recent and signal.recent[0].t < sample.t - rule.window:
            del signal.recent[0]
        if sample.value is not None:
            signal.recent.append(sample)
    shown = _shown(rule, signal, sample)
    if shown is not None:
        signal.wrong = _beyond(rule, shown, signal.wrong)


def _shown(rule: Rule, signal: Signal, last: Sample) -> float | None:
    """What is compared with the limit: the value, or its change over the window; None: unknown."""
    if last.value is None:
        return None
    if rule.kind not in ("rise", "fall"):
        return last.value
    values = [sample.value for sample in signal.recent if sample.value is not None]
    return last.value - (min(values) if rule.kind == "rise" else max(values))


def _beyond(rule: Rule, value: float, was: bool) -> bool:
    """Is it wrong? Once wrong, the value must come back by more than the hysteresis."""
    sign = -1 if rule.kind in ("low", "fall") else 1
    limit = -rule.limit if rule.kind == "fall" else rule.limit
    return sign * value > sign * limit - (rule.clear if was else 0)
