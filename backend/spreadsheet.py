"""Texts that stay texts in a spreadsheet: a cell that begins like a formula would be one (CWE-1236). Pure."""

# Full-width forms of the first four come last: some programs take them for those.
BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def inert(text: str) -> str:
    """The text with an apostrophe in front where it would be a formula, in one line. Numbers are not for here."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"'{line}" if text.startswith(BEGINNINGS) or line.lstrip().startswith(BEGINNINGS) else line
