"""Mask the secrets of the configuration in whatever is logged: an adapter or a library may write them without care."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway.settings_secrets import SecretTexts


@contextmanager
def masking_log(secrets: Iterable[str]) -> Iterator[None]:
    """Mask these secrets, in every form, in each line and each traceback that the present handlers of the log write."""
    mask = _Mask(SecretTexts(secrets))
    handlers = tuple(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(mask)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(mask)


class _Mask(logging.Filter):
    def __init__(self, secrets: SecretTexts) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record on, without secrets in its text and in its traceback."""
        message = record.getMessage()
        if (masked := self._secrets.masked(message)) != message:
            record.msg, record.args = masked, ()
        if record.exc_info and not record.exc_text:
            written = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (masked := self._secrets.masked(written)) != written:
                record.exc_text = masked
        return True
