"""Check what the other methods of an adapter return: poll groups, plans, remarks, settings, steps of an installation. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from gateway.field.adapter_data.metrics import checked_metric
from gateway.field.adapter_data.values import Unusable, checked_value
from gateway.models import (
    BusFact,
    CommandResult,
    CommandSpec,
    FactSource,
    FirmwareProgress,
    Metric,
    PlannedRead,
    SearchSummary,
    Value,
    WrittenSetting,
)
from gateway.plain_numbers import seconds_text
from gateway.plain_text import plain_text, replace_unprintable, type_name
from gateway.recent_frames import RecordedFrame

Returned: TypeAlias = Any
"""Whatever an adapter returns."""

MOST_ITEMS: Final = 5_000
"""The most items of a list or a mapping."""

MOST_NAME_CHARACTERS: Final = 200
MOST_TEXT_CHARACTERS: Final = 2_000
MOST_MAP_CHARACTERS: Final = 4_000_000

SHORTEST_INTERVAL: Final = timedelta(milliseconds=1)
LONGEST_INTERVAL: Final = timedelta(days=366)


def poll_groups(returned: Returned) -> Mapping[str, timedelta]:
    """Return the poll groups of a child."""
    return {_name(group): _interval(every) for group, every in _pairs(returned)}


def metrics_by_group(returned: Returned) -> Mapping[str, Sequence[Metric]]:
    """Return the metrics of each poll group."""
    return {_text(group, MOST_NAME_CHARACTERS): tuple(map(checked_metric, _items(one))) for group, one in _pairs(returned)}


def planned_reads(returned: Returned) -> Sequence[PlannedRead]:
    """Return the planned reads of a bus."""
    return tuple(map(_planned_read, _items(returned)))


def texts(returned: Returned) -> Sequence[str]:
    """Return remarks, frames or planned writes, each on one line."""
    return tuple(_text(one, MOST_TEXT_CHARACTERS) for one in _items(returned))


def sentence(returned: Returned) -> str | None:
    """Return one sentence, on one line; `None` where there is none."""
    return None if returned is None else _text(returned, MOST_TEXT_CHARACTERS) or None


def recorded_frames(returned: Returned) -> Sequence[RecordedFrame]:
    """Return frames with what they mean."""
    return tuple(map(_recorded_frame, _items(returned)))


def bus_facts(returned: Returned) -> Sequence[BusFact]:
    """Return facts about a bus."""
    return tuple(map(_bus_fact, _items(returned)))


def search_summary(returned: Returned) -> SearchSummary | None:
    """Return what the last search asked."""
    if returned is None:
        return None
    if not isinstance(returned, SearchSummary):
        raise Unusable(f"a {type_name(returned)} instead of a SearchSummary")
    if not all(isinstance(count, int) and count >= 0 for count in (returned.asked, returned.answered)):
        raise Unusable("counts that are none")
    advice = None if returned.advice is None else _text(returned.advice, MOST_TEXT_CHARACTERS)
    return SearchSummary(returned.asked, returned.answered, _text(returned.text, MOST_TEXT_CHARACTERS), advice)


def command_specs(returned: Returned) -> Sequence[CommandSpec]:
    """Return the commands of a child."""
    return tuple(map(_command_spec, _items(returned)))


def silence_limit(returned: Returned) -> timedelta | None:
    """Return how long a child may be silent."""
    return None if returned is None else _interval(returned)


def point_map(returned: Returned) -> str | None:
    """Return the map of a profile."""
    if returned is None:
        return None
    text = _plain(returned)
    if len(text) > MOST_MAP_CHARACTERS:
        raise Unusable(f"a text of {len(text)} characters")
    return text.encode("utf-8", "replace").decode()


def settings_model(returned: Returned) -> type[BaseModel] | None:
    """Return the settings that a child keeps."""
    if returned is None or (isinstance(returned, type) and issubclass(returned, BaseModel)):
        return returned
    raise _wrong(returned)


def differing_settings(returned: Returned) -> Mapping[str, Value]:
    """Return the settings that differ."""
    return {_name(name): _value(value) for name, value in _pairs(returned)}


def written_settings(returned: Returned) -> Sequence[WrittenSetting]:
    """Return the settings that were written; an older adapter returns nothing."""
    return () if returned is None else tuple(map(_written_setting, _items(returned)))


def firmware_step(returned: Returned) -> FirmwareProgress | CommandResult:
    """Return the progress of an installation, or its result."""
    if type(returned) is CommandResult:
        return returned
    if type(returned) is not FirmwareProgress or type(returned.position) is not int or not 0 <= returned.position < 2**63:
        raise _wrong(returned)
    return FirmwareProgress(position=returned.position, text=_text(returned.text, MOST_TEXT_CHARACTERS))


def concurrency(returned: Returned) -> int:
    """Return how many transactions a bus can carry at the same time."""
    if type(returned) is not int or not 1 <= returned <= 1000:
        raise _wrong(returned)
    return returned


def label(returned: Returned) -> str:
    """Return the label of a bus."""
    return _name(returned)


def checked(check: Callable[[Any], Any], returned: object) -> Any:  # noqa: ANN401 - what the check returns
    """Return what the check makes of a result.

    Raises:
        Unusable: it has a wrong form, or raises when it is looked at.
    """
    try:
        return check(returned)
    except Unusable:
        raise
    except BaseException as error:  # noqa: BLE001 - objects of a third-party adapter, which may raise anything, even `SystemExit`
        raise Unusable(f"something that raises {type_name(type(error))} when it is used") from None


def _wrong(returned: object) -> Unusable:
    return Unusable(f"something of the type {type_name(type(returned))}")


def _pairs(returned: Returned) -> Iterator[tuple[Any, Any]]:
    if not issubclass(type(returned), Mapping):
        raise _wrong(returned)
    return _bounded(returned.items())


def _items(returned: Returned) -> Iterator[Any]:
    if not issubclass(type(returned), Iterable) or issubclass(type(returned), str | bytes):
        raise _wrong(returned)
    return _bounded(returned)


def _bounded(items: Iterable[Any]) -> Iterator[Any]:
    yield from islice(iterator := iter(items), MOST_ITEMS)
    if next(iterator, None) is not None:
        raise Unusable(f"more than {MOST_ITEMS} items")


def _plain(text: Returned) -> str:
    if not issubclass(type(text), str):
        raise Unusable(f"something with a text of the type {type_name(type(text))}")
    return str.__str__(text)


def _text(text: Returned, most: int) -> str:
    return plain_text(_plain(text), most)


def _name(name: Returned) -> str:
    """Return a name that the adapter gets back, so it can only be taken as it is."""
    plain = _plain(name)
    if not plain or len(plain) > MOST_NAME_CHARACTERS or not plain.isprintable():
        raise Unusable(f'something with the name "{plain_text(plain, 60)}", which is not printable, empty or too long')
    return plain


def _interval(every: Returned) -> timedelta:
    if type(every) is not timedelta:
        raise Unusable(f"an interval of the type {type_name(type(every))}")
    if not SHORTEST_INTERVAL <= every <= LONGEST_INTERVAL:
        raise Unusable(f"an interval of {seconds_text(every.total_seconds())}")
    return every


def _planned_read(read: Returned) -> PlannedRead:
    if type(read) is not PlannedRead:
        raise _wrong(read)
    _interval(read.every)
    if type(read.seconds) not in (int, float) or not isfinite(read.seconds) or not 0 <= read.seconds < 1e9:
        raise Unusable("a planned read whose duration is no number of seconds")
    if type(read.transactions) is not int:
        raise Unusable("a planned read without a number of transactions")
    return PlannedRead(
        address=_plain(read.address),
        name=_text(read.name, MOST_NAME_CHARACTERS),
        group=_plain(read.group),
        every=read.every,
        seconds=read.seconds,
        transactions=read.transactions,
    )


def _command_spec(spec: Returned) -> CommandSpec:
    if not issubclass(type(spec), CommandSpec) or not issubclass(spec.parameters, BaseModel):
        raise _wrong(spec)
    _name(spec.name)
    return spec  # type: ignore[no-any-return]  # it is one, as was checked


def _written_setting(one: Returned) -> WrittenSetting:
    if type(one) is not WrittenSetting:
        raise _wrong(one)
    return WrittenSetting(name=_name(one.name), before=_value(one.before), after=_value(one.after))


def _recorded_frame(frame: Returned) -> RecordedFrame:
    if type(frame) is not RecordedFrame:
        raise _wrong(frame)
    if frame.at is not None and (type(frame.at) is not datetime or frame.at.tzinfo is not UTC):
        raise Unusable("a frame whose time is not one in UTC")
    return RecordedFrame(
        text=_text(frame.text, MOST_TEXT_CHARACTERS),
        at=frame.at,
        direction=frame.direction if frame.direction in (">", "<") else None,
        address=None if frame.address is None else _text(frame.address, MOST_NAME_CHARACTERS),
        meaning=None if frame.meaning is None else _text(frame.meaning, MOST_TEXT_CHARACTERS),
        is_wrong=frame.is_wrong is True,
    )


def _bus_fact(fact: Returned) -> BusFact:
    if type(fact) is not BusFact or type(fact.source) not in (FactSource, type(None)):
        raise _wrong(fact)
    return BusFact(_name(fact.name), _text(fact.value, MOST_NAME_CHARACTERS), fact.source)


def _value(value: object) -> Value:
    usable = checked_value(value)
    return replace_unprintable(usable) if type(usable) is str else usable
