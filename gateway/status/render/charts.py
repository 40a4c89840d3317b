"""Say why values over time are missing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import ngettext
from gateway.status.model import printable_text
from gateway.status.series.levels import Range
from gateway.status.snapshot import MetricHistory, NoChart

MAX_NAMED: Final = 20
"""Metrics that an error names."""


def why_no_chart(missing: NoChart, most: int) -> str:
    """Return why values over time are missing, as a sentence.

    Args:
        missing: the reason.
        most: for how many metrics there is memory.
    """
    match missing:
        case NoChart.FULL:
            return ngettext(
                "The memory for charts is used up: it holds %(n)s metric. They are shared among all devices, the first ones of"
                " each device first, and this one is not among them. Its last value is shown, and all its values are sent to the"
                " cloud.",
                "The memory for charts is used up: it holds %(n)s metrics. They are shared among all devices, the first ones of"
                " each device first, and this one is not among them. Its last value is shown, and all its values are sent to the"
                " cloud.",
                most,
            )
        case NoChart.NOT_DRAWN:
            return _("It has sent no number, no switch and no word yet, so there is nothing to draw.")
        case NoChart.NOT_KEPT:
            return _("Only the last hour of it is kept: the history file has no room for more metrics.")
        case NoChart.UNKNOWN:
            return _("The device has sent no such metric.")


def with_reason(series: MetricHistory | NoChart, metric: str, wanted: Range, most: int) -> MetricHistory | None:
    """Return a metric in a range, with words for what is missing; `None` when the device has no such metric.

    Args:
        series: the metric, or why there are no values.
        metric: its name.
        wanted: the range.
        most: for how many metrics there is memory.
    """
    if series is NoChart.UNKNOWN:
        return None
    if isinstance(series, NoChart):
        nothing = MetricHistory(metric=metric, range=wanted, step_seconds=wanted.step_seconds, at=(), low=(), mean=(), high=())
        return nothing.model_copy(update={"missing": series, "why": why_no_chart(series, most)})
    return series if series.missing is None else series.model_copy(update={"why": why_no_chart(series.missing, most)})


def unknown_metric(metric: str, known: Sequence[str]) -> str:
    """Return that a device does not have this metric, and which ones it has."""
    if not known:
        return _('the device has no metric "%(metric)s": nothing has been read from it yet', metric=printable_text(metric))
    names = ", ".join(known[:MAX_NAMED])
    if len(known) > MAX_NAMED:
        names = _("%(names)s, and more", names=names)
    return _('the device has no metric "%(metric)s"; it has %(names)s', metric=printable_text(metric), names=names)
