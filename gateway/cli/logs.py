"""Set up the log: sentences for people, or JSON lines for programs."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from gateway import strict_json
from gateway.config.settings import LogSection
from gateway.plain_log import PlainFormatter, shortened
from gateway.url_secrets import without_url_user


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = record.exc_text or self.formatException(record.exc_info)
        return strict_json.dumps({name: shortened(without_url_user(text)) for name, text in line.items()})


def start_logging(settings: LogSection = LogSection(), *, as_json: bool = False, verbose: bool = False) -> None:  # noqa: B008 - frozen
    """Log to stderr according to the settings, which the options of the command line override."""
    handler = logging.StreamHandler(sys.stderr)
    logging.raiseExceptions = False  # what cannot be logged, as after an adapter has closed stderr, must not end who logs it
    is_json = as_json or settings.format == "json"
    handler.setFormatter(_JsonLines() if is_json else PlainFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    level = logging.DEBUG if verbose else logging.getLevelNamesMapping()[settings.level.upper()]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in ("asyncio", "aiohttp"):
        logging.getLogger(library).setLevel(logging.WARNING)
