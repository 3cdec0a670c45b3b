"""A channel's range as a chart of lines and areas in a PDF: band, mean, limits, gaps. It scales."""

import math
from dataclasses import dataclass

from fpdf import FPDF

from .alerts.sentence import moment
from .report import Asked, ChannelReport

BAND, EDGE, LINE, LIMIT, GAP, GRID, INK = (
    (190, 222, 219),
    (110, 180, 174),
    (11, 110, 105),
    (184, 50, 58),
    (225, 225, 225),
    (215, 222, 219),
    (40, 50, 48),
)
LEFT = 14.0  # mm for the axis' numbers
# A break of the line: as many widths of a bucket without one.
BREAK = 2.5


@dataclass(frozen=True)
class _Frame:
    x: float
    y: float
    width: float
    height: float
    since: int
    until: int
    low: float
    high: float

    def at(self, t: int) -> float:
        part = (min(max(t, self.since), self.until) - self.since) / (self.until - self.since)
        return self.x + part * self.width

    def of(self, value: float) -> float:
        return self.y + self.height - (value - self.low) / (self.high - self.low) * self.height


def draw(pdf: FPDF, asked: Asked, channel: ChannelReport, height: float = 55.0) -> None:
    """At the current position, as wide as the page's text; moves below it."""
    known = [bucket for bucket in channel.buckets if bucket.min is not None and bucket.max is not None]
    if not known:
        pdf.cell(0, 6, "No value in this range.", new_x="LMARGIN", new_y="NEXT")
        return
    limits = [limit for limit in (channel.low, channel.high) if limit is not None]
    low = min([bucket.min for bucket in known if bucket.min is not None] + limits)
    high = max([bucket.max for bucket in known if bucket.max is not None] + limits)
    room = (high - low or 1.0) * 0.08
    frame = _Frame(
        pdf.l_margin + LEFT, pdf.get_y(), pdf.epw - LEFT, height, asked.since, asked.until, low - room, high + room
    )
    _grid(pdf, frame)
    _gaps(pdf, frame, channel)
    _band(pdf, frame, channel)
    pdf.set_draw_color(*LIMIT)
    pdf.set_line_width(0.3)
    pdf.set_dash_pattern(2, 1)
    for limit in limits:
        pdf.line(frame.x, frame.of(limit), frame.x + frame.width, frame.of(limit))
    pdf.set_dash_pattern()
    pdf.set_line_width(0.2)
    pdf.set_draw_color(*INK)
    pdf.rect(frame.x, frame.y, frame.width, frame.height)
    _times(pdf, frame)


def _grid(pdf: FPDF, frame: _Frame) -> None:
    pdf.set_draw_color(*GRID)
    pdf.set_line_width(0.1)
    pdf.set_font_size(7)
    step = _step((frame.high - frame.low) / 5)
    value = math.ceil(frame.low / step) * step
    while value <= frame.high:
        y = frame.of(value)
        pdf.line(frame.x, y, frame.x + frame.width, y)
        pdf.set_xy(pdf.l_margin, y - 2)
        pdf.cell(LEFT - 1, 4, f"{round(value, 6):g}", align="R")
        value += step


def _gaps(pdf: FPDF, frame: _Frame, channel: ChannelReport) -> None:
    pdf.set_fill_color(*GAP)
    for gap in channel.gaps:
        if gap.begin is not None or gap.end is not None:
            begin, end = gap.begin or frame.since, gap.end or frame.until
            pdf.rect(frame.at(begin), frame.y, max(frame.at(end) - frame.at(begin), 0.2), frame.height, style="F")


def _band(pdf: FPDF, frame: _Frame, channel: ChannelReport) -> None:
    width = (frame.until - frame.since) / max(len(channel.buckets), 1)
    pieces: list[list[tuple[float, float, float, float]]] = []
    last = None
    for bucket in channel.buckets:
        if bucket.min is None or bucket.mean is None or bucket.max is None:
            last = None
            continue
        middle = frame.at((bucket.first + bucket.last) // 2)
        if last is None or bucket.first - last > max(channel.hold, BREAK * width):
            pieces.append([])
        pieces[-1].append((middle, frame.of(bucket.min), frame.of(bucket.mean), frame.of(bucket.max)))
        last = bucket.last
    pdf.set_fill_color(*BAND)
    pdf.set_draw_color(*LINE)
    pdf.set_line_width(0.3)
    for piece in pieces:
        if len(piece) == 1:
            x, low, _, high = piece[0]
            pdf.line(x, low, x, high if high != low else low + 0.3)
            continue
        pdf.set_draw_color(*EDGE)
        pdf.set_line_width(0.15)
        pdf.polygon([(x, high) for x, _, _, high in piece] + [(x, low) for x, low, _, _ in reversed(piece)], style="DF")
        pdf.set_draw_color(*LINE)
        pdf.set_line_width(0.3)
        pdf.polyline([(x, mean) for x, _, mean, _ in piece])


def _times(pdf: FPDF, frame: _Frame) -> None:
    pdf.set_xy(frame.x, frame.y + frame.height + 0.5)
    for t, align in ((frame.since, "L"), ((frame.since + frame.until) // 2, "C"), (frame.until, "R")):
        pdf.set_xy(frame.x, frame.y + frame.height + 0.5)
        pdf.cell(frame.width, 4, moment(t)[:16].replace("T", " ") + " UTC", align=align)
    pdf.set_xy(pdf.l_margin, frame.y + frame.height + 5)


def _step(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... that is not below."""
    power = 10 ** math.floor(math.log10(rough))
    return float(next(power * one for one in (1, 2, 5, 10) if power * one >= rough * 0.999))
