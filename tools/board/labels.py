"""Labels to be stuck on boards: each device's name, and a QR code of its page."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.errors import SettingsError

# A4 with 3 x 8 labels of 64 x 33.9 mm: Avery L7159 and its like. Millimetres.
PAPER = (210.0, 297.0)
COLUMNS, ROWS = 3, 8
SIZE = (64.0, 33.9)
FIRST = (7.25, 13.1)
STEP = (66.5, 33.9)
CODE = 26.0
GAP = 3.0
PIXELS = 300 / 25.4  # a millimetre at 300 dpi
KINDS = (".pdf", ".png")


@dataclasses.dataclass(frozen=True)
class Label:
    """name: of the device; page: the URL in its QR code."""

    name: str
    page: str


def check(file: Path) -> None:
    """Raises SettingsError for a kind of file that is none of KINDS."""
    if file.suffix.lower() not in KINDS:
        raise SettingsError(f"{file.name} is no label sheet.", f"It takes a name that ends with {' or '.join(KINDS)}.")


def write(file: Path, labels: Sequence[Label]) -> None:
    """A PDF of as many pages as it takes, or a PNG with the rows that it takes. Raises SettingsError."""
    check(file)
    (_write_pdf if file.suffix.lower() == ".pdf" else _write_png)(file, labels)


def place(index: int) -> tuple[int, float, float]:
    """Page, and the upper left corner of a label in mm."""
    page, on_page = divmod(index, COLUMNS * ROWS)
    row, column = divmod(on_page, COLUMNS)
    return page, FIRST[0] + column * STEP[0], FIRST[1] + row * STEP[1]


def code(text: str) -> list[list[bool]]:
    """The QR code's modules, True for dark, with the quiet zone of four that its standard (ISO 18004) asks for."""
    import segno

    made = segno.make(text, error="m", micro=False)
    return [[bool(dark) for dark in row] for row in made.matrix_iter(border=4)]


def _write_pdf(file: Path, labels: Sequence[Label]) -> None:
    from fpdf import FPDF
    from fpdf.enums import WrapMode

    pdf = FPDF(unit="mm", format=PAPER)
    pdf.set_auto_page_break(False)
    for index, label in enumerate(labels):
        page, x, y = place(index)
        if page >= pdf.page_no():
            pdf.add_page()
        _draw_code(pdf, label, x + GAP, y + (SIZE[1] - CODE) / 2)
        pdf.set_font("Helvetica", "B", _fitting(label.name))
        pdf.set_xy(x + 2 * GAP + CODE, y + GAP)
        pdf.multi_cell(SIZE[0] - CODE - 3 * GAP, 5, label.name, align="L", wrapmode=WrapMode.CHAR)
    pdf.output(str(file))


def _draw_code(pdf: Any, label: Label, x: float, y: float) -> None:
    modules = code(label.page)
    width = CODE / len(modules)
    for row, darks in enumerate(modules):
        column = 0
        for dark, run in itertools.groupby(darks):
            length = len(list(run))
            if dark:
                # A little larger than it is: no hair lines between neighbours.
                pdf.rect(x + column * width, y + row * width, (length + 0.02) * width, 1.02 * width, style="F")
            column += length


def _write_png(file: Path, labels: Sequence[Label]) -> None:
    """Each module a whole number of pixels: a scaled one would blur."""
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(labels) // COLUMNS)
    width, height = round(SIZE[0] * PIXELS), round(SIZE[1] * PIXELS)
    sheet = Image.new("1", (COLUMNS * width, rows * height), 1)
    draw = ImageDraw.Draw(sheet)
    for index, label in enumerate(labels):
        row, column = divmod(index, COLUMNS)
        x, y = column * width + round(GAP * PIXELS), row * height + round((SIZE[1] - CODE) / 2 * PIXELS)
        modules = code(label.page)
        pixels = int(CODE * PIXELS // len(modules))
        for down, darks in enumerate(modules):
            for right, dark in enumerate(darks):
                if dark:
                    left, top = x + right * pixels, y + down * pixels
                    draw.rectangle((left, top, left + pixels - 1, top + pixels - 1), fill=0)
        font = ImageFont.load_default(size=_fitting(label.name) * PIXELS * 0.35)
        draw.multiline_text((x + round((CODE + GAP) * PIXELS), y), _wrapped(label.name), fill=0, font=font)
    sheet.save(file)


def _fitting(name: str) -> int:
    """Points of type in which the name fits beside the code."""
    return 14 if len(name) <= 20 else 9


def _wrapped(name: str) -> str:
    width = 10 if len(name) <= 20 else 16
    return "\n".join(name[start : start + width] for start in range(0, len(name), width))
