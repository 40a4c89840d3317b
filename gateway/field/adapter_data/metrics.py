"""Check metrics: their names, units and how their values are reduced. Pure."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from gateway.field.adapter_data.values import Unusable
from gateway.models import MOST_DECIMALS, MOST_TITLE_CHARACTERS, RESERVED_METRICS, Metric, Reduce
from gateway.plain_text import plain_text, type_name

MOST_NAME_CHARACTERS: Final = 128
MOST_UNIT_CHARACTERS: Final = 32


def checked_metric(metric: Any) -> Metric:  # noqa: ANN401 - whatever an adapter yields
    """Return the metric, made anew: the object of the adapter may change after it was checked.

    Raises:
        Unusable: it is none, or a field has a wrong type or an impossible value.
    """
    if not issubclass(type(metric), Metric):
        raise Unusable(f"of the type {type_name(type(metric))}")
    name = _checked_name(metric.name)
    unit = _checked_unit(metric.unit)
    dead_band = _checked_dead_band(metric.dead_band)
    if type(metric.reduce) is not Reduce:
        raise Unusable(f"{name}, whose reduction is of the type {type_name(type(metric.reduce))}")
    if type(metric.urgent) is not bool or type(metric.is_event) is not bool:
        raise Unusable(f"{name}, of which it is not said by a bool whether it is urgent")
    if type(metric.headline) is not bool:
        raise Unusable(f"{name}, of which it is not said by a bool whether it is shown in lists")
    title, decimals = _checked_title(metric.title), _checked_decimals(metric.decimals)
    return Metric(
        name,
        unit,
        metric.urgent,
        metric.reduce,
        dead_band,
        metric.is_event,
        title=title,
        decimals=decimals,
        headline=metric.headline,
    )


def _checked_name(name: Any) -> str:  # noqa: ANN401 - as above
    if not issubclass(type(name), str):
        raise Unusable(f"with a name of the type {type_name(type(name))}")
    text = str.__str__(name)
    if not text or text in RESERVED_METRICS:
        raise Unusable(f'called "{text}"')
    if len(text) > MOST_NAME_CHARACTERS:
        raise Unusable(f"with a name of {len(text)} characters")
    if not text.isprintable() or text.strip() != text:
        raise Unusable(f'called "{plain_text(text, MOST_NAME_CHARACTERS)}", with characters that cannot be seen')
    return text


def _checked_unit(unit: Any) -> str | None:  # noqa: ANN401 - as above
    if unit is None:
        return None
    if not issubclass(type(unit), str):
        raise Unusable(f"with a unit of the type {type_name(type(unit))}")
    return plain_text(str.__str__(unit), MOST_UNIT_CHARACTERS)


def _checked_title(title: Any) -> str | None:  # noqa: ANN401 - as above
    if title is None:
        return None
    if not issubclass(type(title), str):
        raise Unusable(f"with a title of the type {type_name(type(title))}")
    return plain_text(str.__str__(title), MOST_TITLE_CHARACTERS).strip() or None


def _checked_decimals(decimals: Any) -> int | None:  # noqa: ANN401 - as above
    if decimals is None:
        return None
    if not issubclass(type(decimals), int) or type(decimals) is bool:
        raise Unusable(f"with decimals of the type {type_name(type(decimals))}")
    number = int.__int__(decimals)
    if not 0 <= number <= MOST_DECIMALS:
        raise Unusable(f"with decimals that are not a number from 0 to {MOST_DECIMALS}")
    return number


def _checked_dead_band(band: Any) -> float | None:  # noqa: ANN401 - as above
    if band is None:
        return None
    if not issubclass(type(band), int | float) or type(band) is bool:
        raise Unusable(f"with a dead band of the type {type_name(type(band))}")
    number = float.__float__(band) if issubclass(type(band), float) else int.__int__(band)
    try:
        is_usable = isfinite(number) and number >= 0
    except OverflowError:
        is_usable = False
    if not is_usable:
        raise Unusable("with a dead band that is not a finite number from 0")
    return number
