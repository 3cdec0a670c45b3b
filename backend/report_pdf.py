"""An excursion report as PDF. The same report gives the same bytes; the stamp of who made it and when is an input.

Names are drawn as text and nothing else: no link, no script, no form is ever written. The standard fonts know Latin-1;
what is beyond it is written as its code point, so that nothing is left out silently.
"""

import datetime
from collections.abc import Iterable, Sequence

from fpdf import FPDF
from fpdf.enums import TableCellFillMode

from . import report_chart
from .alerts.sentence import amount, lasting, moment
from .report import ChannelReport, Report

INK, SOFT, FILL = (21, 33, 31), (86, 102, 99), (238, 242, 240)
LONGEST_TEXT = 500
MOST_ROWS = 2_000


class _Page(FPDF):
    def __init__(self, foot: str) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.set_margin(15)
        self.set_auto_page_break(True, 18)

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font("Helvetica", size=7)
        self.set_text_color(*SOFT)
        self.cell(0, 4, f"{self._foot}  ·  page {self.page_no()} of {{nb}}", align="C")


def render(report: Report) -> bytes:
    asked = report.asked
    pdf = _Page(f"Thermograph excursion report of {plain(asked.device)}, made {moment(asked.made_at)}")
    pdf.set_creation_date(datetime.datetime.fromtimestamp(asked.made_at / 1000, datetime.UTC))
    pdf.set_title(plain(f"Excursion report: {asked.device}"))
    pdf.set_author(plain(asked.made_by))
    pdf.set_producer("Thermograph")
    pdf.add_page()
    _head(pdf, report)
    for channel in report.channels:
        _channel(pdf, report, channel)
    _ledger(pdf, report)
    _objects(pdf, report)
    return bytes(pdf.output())


def plain(text: str) -> str:
    """One line that the standard fonts can draw."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]
    return line.encode("latin-1", "backslashreplace").decode("latin-1")


def _head(pdf: FPDF, report: Report) -> None:
    asked = report.asked
    pdf.set_text_color(*INK)
    pdf.set_font("Helvetica", "B", 16)
    pdf.multi_cell(0, 8, "Excursion report", new_x="LMARGIN", new_y="NEXT")
    facts = [("Device", asked.device), ("Label", report.label), ("Place", report.place)]
    facts += [
        ("From", moment(asked.since)),
        ("To", moment(asked.until)),
        ("Length", lasting(asked.until - asked.since)),
    ]
    facts += [("Made by", asked.made_by), ("Made at", moment(asked.made_at))]
    _table(pdf, (), [(name, value) for name, value in facts if value], (30, 150))


def _channel(pdf: FPDF, report: Report, channel: ChannelReport) -> None:
    unit, told, spent = channel.unit, channel.statistics, channel.exposure
    _title(pdf, f"{channel.sensor} ({unit})")
    report_chart.draw(pdf, report.asked, channel)
    _note(pdf, "Band: lowest to highest of each bucket; line: mean; dashed: limits; grey: named gaps. Times are UTC.")
    rows = [
        ("Readings", f"{told.readings:,}, of which {told.faults:,} faults"),
        ("Lowest", _worst(told.min, unit, told.min_t)),
        ("Highest", _worst(told.max, unit, told.max_t)),
        ("Mean of the readings", _amount(told.mean, unit)),
    ]
    if unit == "Cel":
        energy = f"activation energy {report.activation_energy / 1000:g} kJ/mol, weighted by time"
        rows.append(("Mean kinetic temperature", f"{_amount(told.mkt, unit)} ({energy})"))
    limits = [
        f"{name} {amount(limit, unit)}"
        for name, limit in (("lower", channel.low), ("upper", channel.high))
        if limit is not None
    ]
    rows += [
        ("Limits, of the rules below", ", ".join(limits) or "none: no rule has one"),
        ("Above the upper limit", lasting(spent.above)),
        ("Below the lower limit", lasting(spent.below)),
        ("Within", lasting(spent.within)),
        ("Unknown", f"{lasting(spent.unknown)} (no value within {lasting(channel.hold)}; never counted as within)"),
        ("Calibration", _calibration(channel)),
    ]
    _table(pdf, (), rows, (50, 130))
    _episodes(pdf, channel)
    _gaps(pdf, channel)


def _episodes(pdf: FPDF, channel: ChannelReport) -> None:
    for found in channel.rules:
        beyond = lasting(found.exposure.above + found.exposure.below)
        off = "" if found.rule.enabled else " (switched off)"
        _note(pdf, f"Rule {found.rule.id}, {found.rule.name}{off}: {found.rule.sentence}. Beyond its limit: {beyond}.")
        rows = []
        for entry in found.episodes:
            one = entry.episode
            length = lasting(one.end - one.start) if one.end is not None else "lasts"
            seen = f"{entry.acknowledged_by}, {moment(entry.acknowledged_at)}" if entry.acknowledged_at else "nobody"
            end = moment(one.end) if one.end is not None else "-"
            rows.append((moment(one.start), end, length, _amount(one.peak, channel.unit), seen))
        head = ("Episode from", "to", "Length", "Worst", "Acknowledged by")
        _table(pdf, head, rows, (36, 36, 26, 24, 58))


def _gaps(pdf: FPDF, channel: ChannelReport) -> None:
    if not channel.gaps:
        _note(pdf, "No reading of this range was lost.")
        return
    _note(pdf, "Gaps: readings that will never come. The time between the readings around them is unknown time.")
    rows = [
        (
            f"{gap.stream} {gap.first}-{gap.last}",
            f"{gap.last - gap.first + 1:,}",
            gap.cause,
            _time(gap.begin),
            _time(gap.end),
        )
        for gap in channel.gaps
    ]
    _table(pdf, ("Stream and seq", "Readings", "Cause", "After", "Before"), rows, (50, 20, 38, 36, 36))


def _ledger(pdf: FPDF, report: Report) -> None:
    _title(pdf, "The ledger")
    _note(pdf, "Of each stream's whole life: sampled = stored + lost + waiting on the device.")
    rows = [
        (
            one.stream,
            *(f"{getattr(one, name):,}" for name in ("sampled", "stored", "archived", "lost", "waiting_on_device")),
        )
        for one in report.ledger
    ]
    _table(
        pdf,
        ("Stream", "Sampled", "Stored", "Archived", "Lost", "Waiting on the device"),
        rows,
        (30, 30, 30, 30, 30, 30),
    )


def _objects(pdf: FPDF, report: Report) -> None:
    _title(pdf, "Archive objects of these days")
    if not report.objects:
        _note(pdf, "None: no reading of these days is archived.")
        return
    _note(pdf, "Each holds readings of this device. Whoever has the object can compare its SHA-256.")
    rows = [(one.key, one.sha256, f"{one.rows:,}", one.state) for one in report.objects]
    _table(pdf, ("Key", "SHA-256", "Readings", "State"), rows, (62, 82, 18, 18), size=6)


def _title(pdf: FPDF, text: str) -> None:
    pdf.ln(3)
    pdf.set_font("Helvetica", "B", 12)
    pdf.set_text_color(*INK)
    pdf.multi_cell(0, 7, plain(text), new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=9)


def _note(pdf: FPDF, text: str) -> None:
    pdf.set_font("Helvetica", size=8)
    pdf.set_text_color(*SOFT)
    pdf.multi_cell(0, 4.5, plain(text), new_x="LMARGIN", new_y="NEXT")
    pdf.set_text_color(*INK)


def _table(
    pdf: FPDF, head: Sequence[str], rows: Iterable[Sequence[str]], widths: tuple[int, ...], size: int = 8
) -> None:
    found = list(rows)
    if not found:
        return
    pdf.set_font("Helvetica", size=size)
    pdf.set_draw_color(210, 218, 215)
    pdf.set_fill_color(255, 255, 255)
    with pdf.table(
        col_widths=widths,
        line_height=4.5,
        first_row_as_headings=bool(head),
        cell_fill_color=FILL,
        cell_fill_mode=TableCellFillMode.ROWS,
        text_align="LEFT",
        padding=0.5,
    ) as table:
        if head:
            table.row([plain(text) for text in head])
        for row in found[:MOST_ROWS]:
            table.row([plain(text) for text in row])
    if len(found) > MOST_ROWS:
        _note(pdf, f"{len(found) - MOST_ROWS:,} more are in the CSV of this report.")
    pdf.ln(2)


def _calibration(channel: ChannelReport) -> str:
    if not channel.revision:
        return "none: values are as measured"
    return f"revision {channel.revision}: {channel.gain:.10g} x measured {channel.offset:+.10g}"


def _worst(value: float | None, unit: str, t: int | None) -> str:
    return "-" if value is None or t is None else f"{_amount(value, unit)} at {moment(t)}"


def _amount(value: float | None, unit: str) -> str:
    return "-" if value is None else amount(round(value, 4), unit)


def _time(t: int | None) -> str:
    return moment(t) if t is not None else "unknown"
