"""Say how the gateway is claimed, for as long as nobody has: what its QR code contains, and one line of the log."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from gateway.cloud.session import Session
from gateway.state.registry import Registry
from gateway.status.render.qr_code import qr_text

log = logging.getLogger(__name__)

SERIAL_NUMBER = "{serial_number}"
"""What stands for the serial number in `[cloud] claim_url`."""


def claim_url_of(template: str | None, serial_number: str | None) -> str | None:
    """Return the address where this gateway is claimed; `None` where nobody has configured one."""
    if template is None or serial_number is None:
        return None
    return template.replace(SERIAL_NUMBER, quote(serial_number, safe=""))


async def tell_how_to_claim(
    session: Session,
    registry: Registry,
    template: str | None,
    *,
    every: timedelta,
    show: Callable[[str], None] | None = None,
) -> None:
    """Log once that nobody has claimed the gateway, as soon as the cloud says so; on a terminal, show the QR code as well.

    Args:
        session: knows what the cloud says.
        registry: knows the serial number.
        template: `[cloud] claim_url`.
        every: how often it is looked.
        show: writes the QR code where a person sees it; by default to the terminal that the log goes to, if it is one.
    """
    while session.is_claimed is None:  # noqa: ASYNC110 - the session tells nobody
        await asyncio.sleep(every.total_seconds())
    record = registry.gateway
    if session.is_claimed or record is None:
        return
    url = claim_url_of(template, record.serial_number)
    where = "in the cloud" if url is None else f"at {url}"
    log.info("nobody has claimed this gateway yet: claim it %s; its serial number is %s", where, record.serial_number)
    show = show if show is not None else _write if _is_at_terminal() else None
    if show is not None:
        show(qr_text(url or record.serial_number))


def _write(code: str) -> None:
    sys.stderr.write(code)
    sys.stderr.flush()


def _is_at_terminal() -> bool:
    """Whether a person sees what is written to stderr; not where an adapter has closed it."""
    try:
        return sys.stderr.isatty()
    except ValueError:
        return False
