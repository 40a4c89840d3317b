"""Keep where the page was before its address was changed, beside the store, until somebody signs in at the new one."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway import strict_json
from gateway.status.listening.endpoint import FormerAddress

log = logging.getLogger(__name__)

KEPT_FOR: Final = timedelta(days=30)
MOST_BYTES: Final = 4096


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: str = Field(min_length=1, max_length=255, pattern=r"^[^\s\x00-\x1f\x7f]+$")
    port: int = Field(ge=1, le=65535)
    at: AwareDatetime


def former_address_file(store: Path) -> Path:
    """Return the file that holds it: `status-former-address` beside the store."""
    return store.with_name("status-former-address")


def keep_former_address(store: Path, former: FormerAddress) -> None:
    """Keep it for later starts; one that cannot be written is logged. May block."""
    kept = _Kept(host=former.host, port=former.port, at=datetime.now(UTC))
    file = former_address_file(store)
    fresh = file.with_name(f"{file.name}.new")
    try:
        fresh.unlink(missing_ok=True)  # a link would lead to another file
        fresh.write_text(strict_json.dumps(kept.model_dump(mode="json")), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        log.warning("%s cannot be written, so the former address of the status page is lost: %s", file, error.strerror)


def kept_former_address(store: Path) -> FormerAddress | None:
    """Return it; `None` where there is none, or it is older than 30 days. May block."""
    try:
        path = former_address_file(store)
        if not path.is_file():  # a named pipe, which nobody writes to, would hold up the start
            return None
        with path.open("rb") as file:
            kept = _Kept.model_validate_json(file.read(MOST_BYTES))
    except (OSError, ValidationError):
        return None
    return FormerAddress(kept.host, kept.port) if abs(datetime.now(UTC) - kept.at) < KEPT_FOR else None


def forget_former_address(store: Path) -> None:
    """Remove it: somebody has signed in at the new address. May block."""
    with suppress(OSError):
        former_address_file(store).unlink(missing_ok=True)
