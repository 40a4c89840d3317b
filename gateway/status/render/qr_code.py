"""Draw a text as a QR code, as a picture for the page and as text for a terminal; the only file that imports segno. Pure."""

from __future__ import annotations

import io
from typing import Final

import segno

BORDER_MODULES: Final = 4
"""The quiet zone that the standard wants around a code (ISO/IEC 18004, section 6.3.8)."""


def qr_svg(text: str) -> bytes:
    """Return a QR code as an SVG picture, black on white also where the page is dark: cameras want it so.

    Raises:
        ValueError: the text is too long for a QR code.
    """
    out = io.BytesIO()
    _code(text).save(out, kind="svg", border=BORDER_MODULES, dark="#000", light="#fff", omitsize=True, nl=False)
    return out.getvalue()


def qr_text(text: str) -> str:
    """Return a QR code for a terminal, in lines of half blocks.

    Raises:
        ValueError: the text is too long for a QR code.
    """
    out = io.StringIO()
    _code(text).terminal(out, border=BORDER_MODULES, compact=True)
    return out.getvalue()


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m")
