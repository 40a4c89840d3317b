"""A silent bus stays one incident over a restart, from what is known of its children."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gateway.causes import Reason
from gateway.cloud.incidents.incident_loop import SETTLE_SECONDS
from gateway.field.children.availability import Availability, ChildAvailability
from gateway.models import Reach
from gateway.runtime.incidents.watch import IncidentWatch
from gateway.runtime.parts import Timing
from gateway.runtime.timeline.incident_events import CLOSED_AFTER_LOOKS, LOOK_EVERY_SECONDS

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(("is_of_bus", "counts"), [(False, True), (True, False)], ids=["by itself", "by its bus"])
def test_a_child_that_was_silent_by_itself_counts_as_such_until_it_is_asked(is_of_bus, counts):
    availability = Availability()
    availability.restore("c1", ChildAvailability(Reach.SILENT, LONG_AGO, Reason("no answer"), 3, is_of_bus=is_of_bus))
    record = SimpleNamespace(state=SimpleNamespace(is_in_cloud=True), child=SimpleNamespace(key="c1"))
    state = SimpleNamespace(registry=SimpleNamespace(children={"c1": record}))
    field = SimpleNamespace(availability=availability)
    watch = IncidentWatch(state, field, None, silent_after=timedelta(minutes=15), timing=Timing())
    (unasked,) = watch._children()
    assert (unasked.is_silent, unasked.was_silent) == (False, counts)
    availability.record_answer("c1", datetime.now(UTC))
    (answering,) = watch._children()
    assert (answering.is_silent, answering.was_silent) == (False, False)


def test_the_timeline_and_the_cloud_wait_equally_long_for_what_was_open_before():
    assert SETTLE_SECONDS == CLOSED_AFTER_LOOKS * LOOK_EVERY_SECONDS
