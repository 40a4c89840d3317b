"""Try whether the page can be served at a new address, and name the former one."""

from __future__ import annotations

import errno
from urllib.parse import urlsplit

from gateway.config.settings import StatusSection
from gateway.status.listening.endpoint import FormerAddress
from gateway.status.listening.listener import bind


def former_page(status: StatusSection, address: str) -> FormerAddress | None:
    """Return where the page is served now, by its settings and its URL; `None` where it is not."""
    port = urlsplit(address).port
    return None if port is None else FormerAddress(status.host, port)


async def why_not_served(old: StatusSection, new: StatusSection, address: str) -> str | None:
    """Return why the page cannot be served at its new host and port; `None` when it can, or stays.

    The address is listened at for a moment.

    Args:
        old: the settings by which the page is served.
        new: those by which it would be.
        address: its URL now; empty where it is not served.
    """
    if not new.enabled or (old.enabled and (old.host, old.port) == (new.host, new.port)):
        return None
    try:
        await _try(new.host, new.port)
    except (OSError, UnicodeError) as error:
        is_own = isinstance(error, OSError) and error.errno == errno.EADDRINUSE and urlsplit(address).port == new.port
        if is_own:  # this page has the port, and leaves it
            return await why_not_served(old, new.model_copy(update={"port": 0}), "")
        text = getattr(error, "strerror", None) or str(error)
        return f"The page cannot be served at port {new.port} of {new.host}: {text}. It would stay at its former address."
    return None


async def _try(host: str, port: int) -> None:
    for one in await bind(host, port):
        one.close()
