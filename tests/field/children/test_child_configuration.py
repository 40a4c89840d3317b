"""What is configured for a child: which poll groups are read, how often, and what that costs."""

from datetime import timedelta

from gateway.field.children.child_configuration import (
    NOTHING_CONFIGURED,
    ChildConfiguration,
    ConfigurationsInEffect,
    adjust_planned_reads,
)
from gateway.models import Metric, PlannedRead

FIVE, MINUTE = timedelta(seconds=5), timedelta(minutes=1)
GROUPS = {"fast": FIVE, "slow": MINUTE}
METRICS = {"fast": [Metric("power"), Metric("voltage")], "slow": [Metric("energy")]}


def test_a_group_is_read_at_its_configured_interval_and_the_others_at_their_own():
    configured = ChildConfiguration(poll_every={"slow": FIVE, "gone": FIVE})
    assert configured.poll_groups(GROUPS, METRICS) == {"fast": FIVE, "slow": FIVE}


def test_a_group_whose_metrics_are_all_left_out_is_not_read():
    assert ChildConfiguration(metrics_left_out=frozenset({"energy"})).poll_groups(GROUPS, METRICS) == {"fast": FIVE}
    assert ChildConfiguration(metrics_left_out=frozenset({"power"})).poll_groups(GROUPS, METRICS) == GROUPS
    assert ChildConfiguration(metrics_left_out=frozenset({"energy"})).poll_groups(GROUPS, {}) == GROUPS, "its metrics are unknown"


def test_one_group_is_always_read_so_that_silence_is_noticed():
    everything = frozenset({"power", "voltage", "energy"})
    assert ChildConfiguration(metrics_left_out=everything).poll_groups(GROUPS, METRICS) == {"fast": FIVE}
    assert ChildConfiguration(metrics_left_out=everything).poll_groups({}, {}) == {}


def test_a_child_without_a_configuration_has_none():
    in_effect = ConfigurationsInEffect()
    assert in_effect.of("a") is NOTHING_CONFIGURED
    in_effect.put("a", ChildConfiguration(name="x"))
    assert in_effect.children == ["a"]
    in_effect.put("a", ChildConfiguration())
    assert in_effect.children == []


def test_the_plan_has_the_intervals_that_are_in_effect():
    def read(address, group, every):
        return PlannedRead(address=address, name="meter", group=group, every=every, seconds=0.1, transactions=1)

    planned = [read("1", "fast", FIVE), read("1", "slow", MINUTE), read("2", "fast", FIVE)]
    assert list(adjust_planned_reads(planned, {"1": {"fast": MINUTE}})) == [read("1", "fast", MINUTE), read("2", "fast", FIVE)]


def test_an_operator_sees_what_the_cloud_has_configured():
    in_effect = ConfigurationsInEffect()
    in_effect.put("a", ChildConfiguration(metrics_left_out=frozenset({"b", "a"}), poll_every={"slow": FIVE}))
    in_effect.problems["a"] = "level is 1 instead of 2"
    assert in_effect.remarks("a") == [
        "level is 1 instead of 2",
        "left out, as configured in the cloud: a, b",
        "read as configured in the cloud: slow every 5 s",
    ]
    assert in_effect.remarks("b") == []
