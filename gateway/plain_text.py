"""Make texts from outside fit for a line of the log, a terminal and a page: printable, on one line, of a bounded length. Pure."""

from __future__ import annotations

from typing import Final

MOST_ERROR_CHARACTERS: Final = 500
"""The most characters of an error that are kept."""

REPLACEMENT: Final = "\ufffd"


def replace_unprintable(text: str) -> str:
    """Return a text of the same length without what could break a line, an encoding, a terminal or the reading direction."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else REPLACEMENT for letter in text)


def plain_text(text: str, most: int) -> str:
    """Return a text on one line, printable, and cut to this many characters."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return cut if cut.isprintable() else " ".join(replace_unprintable(cut).split())


def raw_text_of_error(error: BaseException) -> str:
    """Return the text of an error as it is: one of a third-party adapter may have none that can be had."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - code of a third party, which may raise anything, even `SystemExit`
        return "an error whose text cannot be had"
    return str.__str__(text)


def text_of_error(error: BaseException) -> str:
    """Return the text of an error on one line and printable."""
    return plain_text(raw_text_of_error(error), MOST_ERROR_CHARACTERS)


def named_error(error: BaseException) -> str:
    """Return the type of an error and its text: `ValueError: it is too long`."""
    text = text_of_error(error)
    return f"{type_name(type(error))}: {text}" if text else type_name(type(error))


def type_name(kind: type) -> str:
    """Return the name of a type, also of one that has an odd name."""
    return plain_text(str.__str__(type.__dict__["__name__"].__get__(kind)), 60)
