"""List the usual titles of metrics and families, and return them in the language of the reader. Pure.

Titles come from profiles and from the names of metrics, so there are more of them than can be listed. One that is not listed is
shown as it is.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.status.languages.texts import current_language, gettext_noop, pgettext

USUAL: Final = frozenset(
    (
        gettext_noop("AC consumption"),
        gettext_noop("AC current"),
        gettext_noop("AC power"),
        gettext_noop("AC voltage"),
        gettext_noop("Active power"),
        gettext_noop("Air pressure"),
        gettext_noop("Air quality"),
        gettext_noop("Air quality sensor"),
        gettext_noop("Altitude"),
        gettext_noop("Apparent power"),
        gettext_noop("Battery"),
        gettext_noop("Battery current"),
        gettext_noop("Battery power"),
        gettext_noop("Battery state"),
        gettext_noop("Battery state of charge"),
        gettext_noop("Battery voltage"),
        gettext_noop("Beacon"),
        gettext_noop("Button"),
        gettext_noop("Cabinet temperature"),
        gettext_noop("Charging state"),
        gettext_noop("Conductivity"),
        gettext_noop("Cooling"),
        gettext_noop("Course"),
        gettext_noop("Current"),
        gettext_noop("DC current"),
        gettext_noop("DC power"),
        gettext_noop("DC voltage"),
        gettext_noop("Dew point"),
        gettext_noop("Drive"),
        gettext_noop("EV charger"),
        gettext_noop("Energy"),
        gettext_noop("Energy exported"),
        gettext_noop("Energy exported, tariff"),
        gettext_noop("Energy imported"),
        gettext_noop("Energy imported, tariff"),
        gettext_noop("Energy today"),
        gettext_noop("Energy total"),
        gettext_noop("Energy yield"),
        gettext_noop("Environment sensor"),
        gettext_noop("Error code"),
        gettext_noop("Fan"),
        gettext_noop("Filter"),
        gettext_noop("Filter hours"),
        gettext_noop("Frequency"),
        gettext_noop("Gas"),
        gettext_noop("Grid power"),
        gettext_noop("Heat"),
        gettext_noop("Heat sink temperature"),
        gettext_noop("Humidity"),
        gettext_noop("Illuminance"),
        gettext_noop("Input"),
        gettext_noop("Inverter"),
        gettext_noop("Lamp"),
        gettext_noop("Lamp hours"),
        gettext_noop("Latitude"),
        gettext_noop("Light"),
        gettext_noop("Longitude"),
        gettext_noop("Moisture"),
        gettext_noop("Motor current"),
        gettext_noop("Motor speed"),
        gettext_noop("Motor voltage"),
        gettext_noop("Mute"),
        gettext_noop("Operating hours"),
        gettext_noop("Operating state"),
        gettext_noop("Output"),
        gettext_noop("Output frequency"),
        gettext_noop("PV current"),
        gettext_noop("PV power"),
        gettext_noop("PV voltage"),
        gettext_noop("Plant sensor"),
        gettext_noop("Power"),
        gettext_noop("Power exported"),
        gettext_noop("Power factor"),
        gettext_noop("Power imported"),
        gettext_noop("Power meter"),
        gettext_noop("Power supply"),
        gettext_noop("Pressure"),
        gettext_noop("Projector"),
        gettext_noop("Radon"),
        gettext_noop("Radon, long-term"),
        gettext_noop("Reactive power"),
        gettext_noop("Reactive power exported"),
        gettext_noop("Reactive power imported"),
        gettext_noop("Relay"),
        gettext_noop("Running hours"),
        gettext_noop("Satellites"),
        gettext_noop("Scale"),
        gettext_noop("Set point"),
        gettext_noop("Signal strength"),
        gettext_noop("Speed"),
        gettext_noop("State"),
        gettext_noop("Switcher"),
        gettext_noop("Temperature"),
        gettext_noop("Temperature sensor"),
        gettext_noop("Uptime"),
        gettext_noop("Voltage"),
        gettext_noop("Volume"),
        gettext_noop("Warm water"),
        gettext_noop("Water"),
        gettext_noop("Weight"),
    )
)
"""Titles without the phase or the number at their end."""

POWER: Final = gettext_noop("Power")
_PLACE: Final = re.compile(r"(?: (?:L[1-3]|N|\d+)(?:-(?:L[1-3]|N))?)+$")
"""A phase, a neutral or a number at the end of a title: ` L1-N`, ` 2`."""


def localized_title(title: str, *, has_unit: bool = True) -> str:
    """Return the title of a metric or a family in the language of the reader, where it is a usual one.

    `power` without a unit is no quantity: it says whether a device is switched on.
    """
    language = current_language()
    if language.is_source:
        return title
    place = _PLACE.search(title)
    usual, rest = (title, "") if place is None else (title[: place.start()], place[0])
    if usual == POWER and not has_unit:
        return pgettext("switched on or off", "Power") + rest
    return language.translations.gettext(usual) + rest if usual in USUAL else title
