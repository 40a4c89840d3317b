"""Define the operations on the log, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from gateway.status.logs_view import LEVELS, MOST_MINUTES, PARTS
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation, QueryParameter
from gateway.status.rights import Rights


def _whole(value: object) -> object:
    """Return a number without a fraction as an `int`: JSON has one type of number, and 15.0 is an integer (JSON Schema)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class LogRow(StatusModel):
    """One line of the log."""

    seq: int = Field(description="its number in this run of the gateway")
    at: AwareDatetime
    level: str
    part: str = Field(description=f"one of {', '.join(PARTS)}")
    logger: str
    text: str = Field(description="without secrets; a traceback in further lines")


class LogList(StatusModel):
    """One page of the log, the latest line first, and the level from which on lines are logged."""

    level: str
    normal_level: str = Field(description="the level that comes back")
    until: AwareDatetime | None = Field(description="when it comes back; null while it is the normal one")
    total: int
    page: int
    pages: int
    lines: tuple[LogRow, ...]


class LogLevelRequest(StatusModel):
    """The level of the log for a while."""

    level: Literal["debug", "info", "warning", "error"]
    minutes: Annotated[int, BeforeValidator(_whole)] = Field(
        default=15, ge=1, le=MOST_MINUTES, description="after which the normal level comes back"
    )


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("logs", "GET", f"{BASE}/logs", "The last lines of the log, in pages", LogList),
        needs=Rights.LOOK,
        query={
            "level": QueryParameter("the lowest level", choices=LEVELS),
            "part": QueryParameter("the part of the gateway that wrote them", choices=tuple(PARTS)),
            "search": QueryParameter("words that must all occur; at most 100 characters"),
            "page": QueryParameter(
                "page number, from 1; a page has at most 100 lines",
                pattern="[1-9][0-9]{0,3}",
                expected="a page number from 1 to 9999",
            ),
        },
    ),
    ApiOperation(
        *("set_log_level", "POST", f"{BASE}/logs/level", "Log more or less for a while", ActionDone),
        needs=Rights.ADMINISTER,
        body=LogLevelRequest,
    ),
)
