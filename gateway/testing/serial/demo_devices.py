"""List the metric values that the demo's serial devices have sent, so that the demo can check those in the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from gateway.testing.serial.display import DISPLAY_PORT, HDMI1, HDMI2, PC, Display
from gateway.testing.serial.gps import Gps

KILOMETRES_PER_KNOT = 1.852

ON_AND_OFF: Mapping[object, object] = {0: "off", 1: "on"}
INPUTS: Mapping[object, object] = {HDMI1: "hdmi1", HDMI2: "hdmi2", DISPLAY_PORT: "displayport1", PC: "pc"}


def values_sent_by_display(display: Display) -> Mapping[str, AbstractSet[object]]:
    """Return the values that the display has sent, by metric (Samsung MDC: power, mute, input, error status)."""
    healthy: dict[str, AbstractSet[object]] = {
        "lamp_error": {False},
        "temperature_error": {False},
        "signal_error": {"no signal", "none"},
        "fan_error": {"none"},
    }
    named = {"power": ON_AND_OFF, "mute": ON_AND_OFF, "input": INPUTS}
    said = {metric: {named.get(metric, {}).get(value, value) for value in values} for metric, values in display.sent.items()}
    return healthy | said


def values_sent_by_gps(gps: Gps) -> Mapping[str, AbstractSet[object]]:
    """Return the values that the receiver has sent, by metric (NMEA 0183: quality of the fix, knots)."""
    said: dict[str, AbstractSet[object]] = {metric: set(values) for metric, values in gps.sent.items()}
    said["speed"] = {round(float(knots) * KILOMETRES_PER_KNOT, 3) for knots in gps.sent["speed_knots"]}
    return said | {"fix": {"gps"}, "horizontal_dilution": set(gps.sent["hdop"])}
