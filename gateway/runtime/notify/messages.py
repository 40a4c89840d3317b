"""Write what a notification says, as JSON for a webhook and as a text for an e-mail. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.plain_text import replace_unprintable
from gateway.state.incidents import OpenIncident

PRIORITIES: Final = ("critical", "high", "moderate", "low", "planning")
"""The names of the priorities 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An incident was opened or closed."""

    incident: OpenIncident
    is_open: bool
    at: datetime
    """Aware."""
    device: str | None
    """The name of the device that it is about; `None` for the gateway itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """All notices that are sent at once."""

    gateway: str
    page_url: str | None
    notices: Sequence[Notice]
    left_out: int = 0
    """Older notices that were dropped while nothing could be sent."""
    is_test: bool = False


def as_json(message: Message) -> Mapping[str, Any]:
    """Return the body of a webhook."""
    return {
        "gateway": message.gateway,
        "test": message.is_test,
        "url": message.page_url,
        "left_out": message.left_out,
        "incidents": [
            {
                "state": "opened" if one.is_open else "closed",
                "cause": one.incident.cause,
                "title": one.incident.title,
                "what_to_do": one.incident.what_to_do,
                "priority": PRIORITIES[one.incident.priority - 1],
                "device": one.device,
                "at": one.at.astimezone(UTC).isoformat(timespec="seconds"),
            }
            for one in message.notices
        ],
    }


def subject(message: Message) -> str:
    """Return the subject of an e-mail, in one printable line."""
    opened = sum(one.is_open for one in message.notices)
    closed = len(message.notices) - opened
    if message.is_test:
        text = "test of the notifications"
    elif len(message.notices) == 1:
        text = f"{_title(message.notices[0])} ({'opened' if opened else 'closed'})"
    else:
        text = ", ".join(f"{many} {word}" for many, word in ((opened, "incidents opened"), (closed, "closed")) if many)
    return str(replace_unprintable(f"{message.gateway}: {text}"))[:200]


def as_text(message: Message) -> str:
    """Return the text of an e-mail."""
    parts = ["This is a test. Nothing is wrong."] if message.is_test else [_paragraph(one) for one in message.notices]
    if message.left_out:
        parts.append(f"{message.left_out} older notices were dropped while no e-mail could be sent.")
    parts.append(f"Gateway: {message.gateway}" + (f"\n{message.page_url}" if message.page_url else ""))
    return "\n\n".join(parts) + "\n"


def _title(notice: Notice) -> str:
    """Return what is wrong where: most titles name the device by themselves."""
    title = notice.incident.title
    return title if notice.device is None or notice.device in title else f"{notice.device}: {title}"


def _paragraph(notice: Notice) -> str:
    at = f"{notice.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if not notice.is_open:
        return f"CLOSED  {_title(notice)}\nat {at}"
    priority = PRIORITIES[notice.incident.priority - 1]
    return f"OPENED  {_title(notice)}\nat {at}, priority {priority}\n{notice.incident.what_to_do}"
