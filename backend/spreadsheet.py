"""Texts that stay texts in a spreadsheet: a cell that begins like a formula would be one (CWE-1236). Pure."""

# The last four are full-width forms of the first, which some programs take for them.
BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def inert(text: str) -> str:
    """The text with an apostrophe in front where it would be a formula, in one line. Numbers are not for here."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"'{line}" if text.startswith(BEGINNINGS) or line.lstrip().startswith(BEGINNINGS) else line
