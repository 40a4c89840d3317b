from datetime import UTC, datetime

from gateway.status.render.metric_groups import FEWEST, GROUP_TEXTS, MetricGroup, group_of, grouped
from gateway.status.render.metric_texts import headline_order
from gateway.status.snapshot import LatestValue

AT = datetime(2026, 11, 30, tzinfo=UTC)
METER = {
    "active_power": "W", "active_energy_import": "kWh", "voltage_l1_n": "V", "current_l2": "A", "active_power_l3": "W",
    "frequency": "Hz",
    "reactive_power": "var", "rssi": "dBm", "firmware_version": None, "relay": None, "power_limit": "W", "temperature": "°C",
    "voltage": "V",
}  # fmt: skip


def values(metrics):
    return headline_order([LatestValue(metric=name, value=1, unit=unit, at=AT) for name, unit in metrics.items()], "power-meter")


def test_the_headline_stands_first_and_diagnostics_last():
    shown = grouped(values(METER))
    assert [one.group for one in shown] == sorted((one.group for one in shown), key=list(MetricGroup).index)
    assert [value.metric for value in shown[0].values] == ["active_power", "active_energy_import"]
    assert shown[-1].group is MetricGroup.DIAGNOSTICS
    assert sum(len(one.values) for one in shown) == len(METER), "each value stands in one group"
    assert set(GROUP_TEXTS) == set(MetricGroup)


def test_phases_limits_and_diagnostics_have_groups_of_their_own():
    groups = {name: group_of(name, unit) for name, unit in METER.items()}
    phases = {name for name, group in groups.items() if group is MetricGroup.PHASES}
    assert phases == {
        "voltage_l1_n",
        "current_l2",
        "active_power_l3",
    }
    assert groups["power_limit"] is MetricGroup.LIMITS
    assert groups["rssi"] is groups["firmware_version"] is MetricGroup.DIAGNOSTICS
    assert groups["relay"] is MetricGroup.STATES
    assert groups["temperature"] is MetricGroup.CLIMATE


def test_few_values_need_no_headings():
    few = values(dict(list(METER.items())[: FEWEST - 1]))
    assert [(one.group, len(one.values)) for one in grouped(few)] == [(None, FEWEST - 1)]
    assert grouped([]) == []
