"""An excursion report as CSV (RFC 4180): one table of section, item, value and unit. Pure."""

import csv
import io
from collections.abc import Iterator

from .alerts.sentence import moment
from .report import ChannelReport, Report
from .spreadsheet import inert

HEAD = ("section", "channel", "item", "value", "unit", "from", "to")
Cell = str | int | float | None
Line = tuple[str, str, str, Cell, str, int | None, int | None]


def render(report: Report) -> bytes:
    """UTF-8. Times are ISO 8601 UTC, durations ms; a text that would be a formula has an apostrophe in front."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEAD)
    for section, channel, item, value, unit, begin, end in _lines(report):
        writer.writerow(
            [inert(section), inert(channel), inert(item), _cell(value), inert(unit), _moment(begin), _moment(end)]
        )
    return out.getvalue().encode()


def _lines(report: Report) -> Iterator[Line]:
    asked = report.asked
    yield "report", "", "device", asked.device, "", asked.since, asked.until
    yield "report", "", "label", report.label, "", None, None
    yield "report", "", "place", report.place, "", None, None
    yield "report", "", "made by", asked.made_by, "", None, None
    yield "report", "", "made at", moment(asked.made_at), "", None, None
    yield (
        "report",
        "",
        "activation energy of the mean kinetic temperature",
        report.activation_energy,
        "J/mol",
        None,
        None,
    )
    for channel in report.channels:
        yield from _channel(channel)
    for stream in report.ledger:
        for item in ("sampled", "stored", "archived", "waiting_for_archive", "waiting_on_device", "lost"):
            yield "ledger", stream.stream, item.replace("_", " "), getattr(stream, item), "readings", None, None
    for one in report.objects:
        yield "archive", "", one.key, one.sha256, "SHA-256", None, None


def _channel(channel: ChannelReport) -> Iterator[Line]:
    name, unit, told = f"{channel.sensor} {channel.unit}", channel.unit, channel.statistics
    yield "calibration", name, "revision", channel.revision, "", None, None
    yield "calibration", name, "gain", channel.gain, "", None, None
    yield "calibration", name, "offset", channel.offset, unit, None, None
    yield "statistics", name, "readings", told.readings, "", None, None
    yield "statistics", name, "faults", told.faults, "", None, None
    yield "statistics", name, "minimum", told.min, unit, told.min_t, None
    yield "statistics", name, "mean", told.mean, unit, None, None
    yield "statistics", name, "maximum", told.max, unit, told.max_t, None
    yield "statistics", name, "mean kinetic temperature", told.mkt, "Cel", None, None
    yield "limits", name, "lower", channel.low, unit, None, None
    yield "limits", name, "upper", channel.high, unit, None, None
    yield "limits", name, "a value lasts at most", channel.hold, "ms", None, None
    for item in ("above", "below", "within", "unknown"):
        yield "exposure", name, item, getattr(channel.exposure, item), "ms", None, None
    for found in channel.rules:
        rule = f"rule {found.rule.id}: {found.rule.name}: {found.rule.sentence}"
        beyond = found.exposure.above + found.exposure.below
        yield "rule", name, rule, beyond, "ms beyond its limit", None, None
        for episode in found.episodes:
            peak, one = episode.episode.peak, episode.episode
            item = f"episode {episode.id} of rule {found.rule.id}"
            who = f", acknowledged by {episode.acknowledged_by}" if episode.acknowledged_by else ""
            yield "episode", name, item + who, peak, f"{unit} at its worst", one.start, one.end
    for gap in channel.gaps:
        item = (
            f"gap of {gap.last - gap.first + 1} readings, {gap.cause} (stream {gap.stream} seq {gap.first}-{gap.last})"
        )
        yield "gap", name, item, "unknown", "", gap.begin, gap.end


def _cell(value: Cell) -> Cell:
    return inert(value) if isinstance(value, str) else value


def _moment(t: int | None) -> str:
    return "" if t is None else moment(t)
