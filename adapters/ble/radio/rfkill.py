"""Find out whether rfkill, the switch of the system for radios, keeps Bluetooth off. Pure."""

from __future__ import annotations

from pathlib import Path

RFKILL = Path("/sys/class/rfkill")


def is_blocked_by_rfkill(folder: Path = RFKILL) -> bool:
    """Return whether rfkill keeps Bluetooth switched off, as far as this machine reports it."""
    for switch in sorted(folder.glob("*")):
        try:
            kind, soft, hard = ((switch / name).read_text(encoding="ascii").strip() for name in ("type", "soft", "hard"))
        except (OSError, ValueError):
            continue
        if kind == "bluetooth" and "1" in (soft, hard):
            return True
    return False
