"""From conditions to episodes: one alert from its start to its end. Pure.

An episode begins where the exposure began, and is raised once the exposure has reached the rule's duration. Unknown
time neither adds to an exposure nor ends it. Continuous exposure ends with the first fine moment; cumulative exposure
ends when less than the duration is left in the window and the signal is not wrong any more.
"""

import itertools
from dataclasses import dataclass, field, replace

from .conditions import Sample, Signal, Span, spans
from .rule import Rule


@dataclass(frozen=True)
class Episode:
    """Unix ms. raised: when the exposure was enough. end: None while it lasts. peak: the worst value; None: silence."""

    start: int
    raised: int
    end: int | None
    peak: float | None


@dataclass
class Watch:
    """A rule's memory: all that is needed to go on from where it stands.

    exposures: (start, end, worst value) of the time that counts now, oldest first; exposure: their sum in ms.
    """

    signal: Signal = field(default_factory=Signal)
    exposures: list[tuple[int, int, float | None]] = field(default_factory=list)
    exposure: int = 0
    open: Episode | None = None

    def copy(self) -> "Watch":
        return Watch(self.signal.copy(), list(self.exposures), self.exposure, self.open)


def watch(rule: Rule, memory: Watch, samples: list[Sample], until: int) -> list[Episode]:
    """Go on to `until` with these samples (by time); the episodes that ended. An open one is in memory.open."""
    take = _cumulative if rule.is_cumulative else _continuous
    ended: list[Episode] = []
    for span in spans(rule, memory.signal, samples, until):
        for piece in _in_force(rule, span):
            take(rule, memory, piece, ended)
    return ended


def _in_force(rule: Rule, span: Span) -> list[Span]:
    """The span, cut where the schedule begins and ends; outside of it all is fine."""
    if rule.schedule is None:
        return [span]
    pieces, reached = [], span.start
    for start, end in rule.schedule.spans(span.start, span.end):
        if reached < start:
            pieces.append(Span(reached, start, "fine", None))
        pieces.append(replace(span, start=start, end=end))
        reached = end
    if reached < span.end:
        pieces.append(Span(reached, span.end, "fine", None))
    return pieces


def _continuous(rule: Rule, memory: Watch, span: Span, ended: list[Episode]) -> None:
    if span.state == "fine":
        _end(memory, span.start, ended)
        memory.exposure = 0
        memory.exposures.clear()
    elif span.state == "wrong":
        before = memory.exposure
        memory.exposure += span.end - span.start
        start, _, peak = memory.exposures.pop() if memory.exposures else (span.start, 0, None)
        memory.exposures.append((start, span.end, _worse(rule, peak, span.value)))
        if memory.exposure >= rule.duration:
            _raise(rule, memory, span.start + max(rule.duration - before, 0), span.value)


def _cumulative(rule: Rule, memory: Watch, span: Span, ended: list[Episode]) -> None:
    """The exposure changes its slope only where time begins or ends to leave the window: step from one to the next."""
    at = span.start
    while at < span.end:
        to = min([span.end, at + rule.window, *_edges(rule, memory, at)])
        growing = span.state == "wrong"
        leaving = bool(memory.exposures) and memory.exposures[0][0] < to - rule.window
        before = memory.exposure
        memory.exposure += (growing - leaving) * (to - at)
        if growing:
            memory.exposures.append((at, to, span.value))
            if memory.exposure >= rule.duration:
                _raise(rule, memory, at + max(rule.duration - before, 0), span.value)
        elif memory.exposure < rule.duration:
            _end(memory, at + before - rule.duration, ended)
        while memory.exposures and memory.exposures[0][1] <= to - rule.window:
            del memory.exposures[0]
        at = to


def _edges(rule: Rule, memory: Watch, at: int) -> list[int]:
    """The next moments at which the oldest exposures begin or have ended to leave the window."""
    oldest = itertools.islice(memory.exposures, 2)
    return [edge + rule.window for start, end, _ in oldest for edge in (start, end) if edge + rule.window > at][:1]


def _raise(rule: Rule, memory: Watch, raised: int, value: float | None) -> None:
    """Open an episode, or let the open one go on with this value."""
    if memory.open:
        memory.open = replace(memory.open, peak=_worse(rule, memory.open.peak, value))
        return
    start, _, peak = memory.exposures[0]
    for _, _, other in memory.exposures:
        peak = _worse(rule, peak, other)
    memory.open = Episode(max(start, raised - rule.window) if rule.is_cumulative else start, raised, None, peak)


def _end(memory: Watch, at: int, ended: list[Episode]) -> None:
    if memory.open:
        ended.append(replace(memory.open, end=at))
        memory.open = None


def _worse(rule: Rule, peak: float | None, value: float | None) -> float | None:
    if peak is None or value is None:
        return value if peak is None else peak
    return min(peak, value) if rule.kind in ("low", "fall") else max(peak, value)
