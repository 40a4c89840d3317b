"""Format times, shares, amounts, sparklines and the headline for people, in the language of the reader. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.causes import Cause
from gateway.models import Confidence, Value
from gateway.status.cloud_activity import CommandState
from gateway.status.languages.texts import decimal, gettext_noop, ngettext, written
from gateway.status.languages.texts import gettext as _
from gateway.status.rights import Rights
from gateway.status.snapshot import ChildStatus, Snapshot, count_by_status

STATUS_TEXTS: Final = {
    ChildStatus.REFUSED: gettext_noop("refused by the cloud"),
    ChildStatus.HELD: gettext_noop("waiting for a person"),
    ChildStatus.SILENT: gettext_noop("silent"),
    ChildStatus.UNREGISTERED: gettext_noop("not registered yet"),
    ChildStatus.UNMOVED: gettext_noop("not moved in the cloud yet"),
    ChildStatus.UNASKED: gettext_noop("not read yet"),
    ChildStatus.FINE: gettext_noop("fine"),
    ChildStatus.DELETED: gettext_noop("deleted in the cloud"),
}

COMMAND_TEXTS: Final = {
    CommandState.WAITING: gettext_noop("waits for its bus"),
    CommandState.RUNNING: gettext_noop("is being carried out"),
    CommandState.DONE: gettext_noop("done"),
    CommandState.FAILED: gettext_noop("failed"),
    CommandState.UNKNOWN: gettext_noop("acted, outcome unknown"),
}

ROLE_TEXTS: Final = {
    Rights.LOOK.name.lower(): gettext_noop("look"),
    Rights.OPERATE.name.lower(): gettext_noop("operate"),
    Rights.ADMINISTER.name.lower(): gettext_noop("administer"),
}
"""What a token may do, by the name of its right."""

CONFIDENCE_TEXTS: Final = {
    Confidence.CERTAIN: gettext_noop("certain"),
    Confidence.LIKELY: gettext_noop("likely"),
    Confidence.POSSIBLE: gettext_noop("possible"),
}

HOUR_SECONDS: Final = 3600
SPARKLINE_WIDTH: Final = 120
SPARKLINE_HEIGHT: Final = 24


def moment(at: datetime) -> str:
    """Return a time in UTC; where scripts run, the page turns it into "3 min ago"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def precise(at: datetime) -> str:
    """Return a time in UTC with milliseconds."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def zone(at: datetime) -> str:
    """Return how far the zone of this machine is from UTC at this time: `+02:00`."""
    offset = f"{at.astimezone():%z}"
    return f"{offset[:3]}:{offset[3:5]}"


def share(part: float) -> str:
    """Return a share as percent, with a decimal where it is small."""
    percent = 100 * part
    if 0 < percent < 0.05:
        return _("under %(share)s", share=decimal("0.1 %"))
    return decimal(f"{percent:.1f} %") if 0 < percent < 9.95 else f"{percent:.0f} %"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `9 d 4 h`."""
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return _("%(days)s d %(hours)s h", days=days, hours=hours)
    if hours:
        return _("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    return _("%(minutes)s min", minutes=minutes)


def plain(value: Value) -> str:
    """Return a value as the texts about commands have it: `true`, `21.5`, `hdmi1`."""
    if isinstance(value, float):
        return decimal(str(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def count(things: int, one: str = "", many: str | None = None) -> str:
    """Return `1 sample` or `12 samples`."""
    noun = one if things == 1 or not one else many if many is not None else f"{one}s"
    return f"{written(things)} {noun}".rstrip()


def amount(size: float) -> str:
    """Return an amount of bytes as people write it: `1.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return decimal(f"{size:.3g} {unit}")
        size /= 1000
    return decimal(f"{size:.3g} TB")


def years(number_of_years: float) -> str:
    """Return `1.5 years`, or `over 100 years` where nobody needs to know it better."""
    if number_of_years > 100:
        return _("over 100 years")
    number = f"{number_of_years:.1f}" if number_of_years < 10 else f"{number_of_years:.0f}"
    return _("%(number)s years", number=decimal(number))


def headline(snapshot: Snapshot) -> str:
    """Return the state of the gateway in one or two sentences: the cloud first, then the children."""
    return f"{_cloud_sentence(snapshot)} {_children_sentence(snapshot)}"


def sparkline(means: Sequence[tuple[int, float]]) -> str:
    """Return the last hour of a value up to its last point, as the points of an SVG line; gaps are bridged.

    It has one point a minute, since a page may hold hundreds of these pictures.
    """
    if len(means) < 2:
        return ""
    last, _ = means[-1]
    points = [(at, value) for at, value in means if at % 60 < 30 or at == last]
    across = ((at - last + HOUR_SECONDS) * SPARKLINE_WIDTH // HOUR_SECONDS for at, _ in points)
    return " ".join(f"{x},{y:.6g}" for x, y in zip(across, _heights(value for _, value in points), strict=True))


def _cloud_sentence(snapshot: Snapshot) -> str:
    gateway = snapshot.gateway
    if gateway.identity_question is not None:
        return _("The store comes from another machine, so the gateway waits for a person before it speaks to the cloud.")
    if gateway.store_problem is not None:
        return _("Nothing can be stored, so nothing is sent to the cloud.")
    if not gateway.is_registered:
        return _("The gateway is not registered with the cloud.")
    if gateway.hub.is_reachable is None:
        return _("The cloud has not answered yet.")
    if not gateway.hub.is_reachable and gateway.hub.cause is Cause.KEY_REFUSED:
        return _("The cloud answers, but does not accept the key of this gateway; all samples are kept.")
    if not gateway.hub.is_reachable:
        return _("The cloud is not reachable; all samples are kept.")
    if gateway.is_claimed is False:
        return _("The cloud is reachable, but nobody has claimed this gateway yet.")
    return _("The cloud is reachable.")


def _children_sentence(snapshot: Snapshot) -> str:
    counts = count_by_status(snapshot.children)
    total = sum(counts.values())
    if not total:
        return _("There are no children yet.")
    if counts.get(ChildStatus.FINE) == total:
        return ngettext("Its only child is fine.", "All %(n)s children are fine.", total)
    rest = [f"{counts[one]} {_(STATUS_TEXTS[one])}" for one in counts if one is not ChildStatus.FINE]
    fine = counts.get(ChildStatus.FINE, 0)
    return ngettext(
        "%(n)s of %(children)s is fine, %(others)s.",
        "%(n)s of %(children)s are fine, %(others)s.",
        fine,
        children=ngettext("%(n)s child", "%(n)s children", total),
        others=_joined(rest),
    )


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else _("%(first)s and %(last)s", first=", ".join(texts[:-1]), last=texts[-1])


def _heights(values: Iterable[float]) -> list[float]:
    """Scale values to the height of a sparkline, where larger is further down; equal values are drawn in the middle."""
    values = list(values)
    low, span, room = min(values), max(values) - min(values), SPARKLINE_HEIGHT - 4
    return [round(2 + room - (value - low) / span * room, 1) if span else SPARKLINE_HEIGHT / 2 for value in values]
