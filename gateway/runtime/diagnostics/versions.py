"""Tell which versions of programs and libraries run here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import distributions

from gateway import __version__


def versions() -> dict[str, object]:
    """Return the versions of the gateway, Python, its packages and the operating system."""
    return {
        "gateway": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "os": _os_release().get("PRETTY_NAME"),
        "packages": dict(sorted({one.name: one.version for one in distributions()}.items(), key=lambda item: item[0].lower())),
    }


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
