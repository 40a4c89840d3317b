"""Name what the code of an adapter did wrong: the error, the method, and the line. Pure."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

_OWN = str(Path(__file__).parents[2])
_TEST_BED = str(Path(__file__).parents[2] / "testing")
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]


class AdapterBug(Exception):
    """An adapter did what its contract does not allow, such as raising `SystemExit`; it costs what the method was called for."""


def place_of(error: BaseException) -> str:
    """Return the line of code where an error came from, as `site.py, line 12`: the last one that is not the gateway's own."""
    return _place((step.filename, step.lineno or 0) for step in traceback.extract_tb(error.__traceback__))


def waiting_place(awaited: Any) -> str:  # noqa: ANN401 - coroutines and generators of any kind
    """Return the line of an adapter's code at which a coroutine or generator of it waits."""
    return _place((frame.f_code.co_filename, frame.f_lineno) for frame in _frames(awaited))


def is_foreign(file: str) -> bool:
    """Return whether a file is neither part of the gateway nor of Python's standard library."""
    is_ours = file.startswith(_OWN) and not file.startswith(_TEST_BED)
    return not is_ours and (not file.startswith(_STANDARD_LIBRARY) or "site-packages" in file)


def _frames(awaited: Any) -> Iterable[FrameType]:  # noqa: ANN401 - as above
    """Yield the frames of what is awaited, the outermost first."""
    while awaited is not None:
        for prefix in ("cr", "ag", "gi"):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if isinstance(frame, FrameType):
                yield frame
                awaited = getattr(awaited, f"{prefix}_await", None) or getattr(awaited, f"{prefix}_yieldfrom", None)
                break
        else:
            return


def _place(steps: Iterable[tuple[str, int]]) -> str:
    places = list(steps)
    theirs = [place for place in places if is_foreign(place[0])] or places
    return f"{Path(theirs[-1][0]).name}, line {theirs[-1][1]}" if theirs else "an unknown place"
