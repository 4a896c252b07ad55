"""What servers and files say, made fit to be printed."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """Make text fit for a line of a terminal and for JSON: no control codes, no halves of surrogate pairs.

    Spaces of all sorts become a space, and the joiners within emoji and words stay.
    """
    return text if text.isprintable() else "".join(map(_clean, text))


def _clean(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    # Of the formatting characters some turn lines around (U+202E), so only the two joiners are let through.
    harmful = category in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\u200c\u200d"
    return "\ufffd" if harmful else char
