"""The gateway's own telemetry, as the cloud keeps it."""

from gateway.runtime.own_telemetry import own_telemetry
from gateway.tasks import loop_time


def children_in(values):
    return {key: value for key, value in values.items() if key.startswith("children_")}


async def test_a_status_that_no_child_has_any_more_is_sent_as_zero_since_the_cloud_keeps_the_last_value():
    values = own_telemetry(
        started_at=loop_time(),
        children=["reachable", "reachable", "not_registered"],
        outbox_samples=0,
        lost_samples=0,
        bus_loads={},
    )
    assert values["children"] == 3
    assert children_in(values) == {
        "children_not_registered": 1,
        "children_reachable": 2,
        "children_silent": 0,
        "children_unknown": 0,
    }
