import pytest

from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.status.render import formatting
from gateway.status.snapshot import GatewaySummary, HubContact


@pytest.mark.parametrize(
    ("part", "said"), [(0, "0 %"), (0.0004, "under 0.1 %"), (0.004, "0.4 %"), (0.0996, "10 %"), (0.5, "50 %"), (1.3, "130 %")]
)
def test_a_share_is_finer_where_it_is_small(part, said):
    assert formatting.share(part) == said


async def test_the_headline_names_what_is_wrong_first(fake):
    view = fake.FakeView()
    view.add_bus("bus")
    assert formatting.headline(await view.snapshot()) == "The cloud is reachable. There are no children yet."
    view.add_child("a", "bus")
    assert formatting.headline(await view.snapshot()).endswith("Its only child is fine.")
    view.add_child("b", "bus", reach=Reach.SILENT)
    view.add_child("c", "bus", state=ChildState.REFUSED)
    assert formatting.headline(await view.snapshot()).endswith("1 of 3 children is fine, 1 refused by the cloud and 1 silent.")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"is_registered": False}, "not registered"),
        ({"is_registered": True, "store_problem": "the disk is full"}, "Nothing can be stored, so nothing is sent to the cloud."),
        ({"hub": HubContact(is_reachable=False, problem="x")}, "not reachable; all samples are kept"),
        ({"hub": HubContact(is_reachable=None)}, "has not answered yet"),
        ({"is_claimed": False}, "nobody has claimed"),
    ],
)
async def test_the_headline_begins_with_the_cloud(fake, shown, said):
    view = fake.FakeView()
    view.gateway = GatewaySummary.model_validate(view.gateway.model_dump() | shown)
    assert said in formatting.headline(await view.snapshot())


def test_a_line_is_drawn_within_its_picture_and_a_single_point_is_none():
    hour = [(1_800_000_015 + 30 * number, float(number % 7)) for number in range(120)]
    points = [tuple(map(float, point.split(","))) for point in formatting.sparkline(hour).split()]
    assert len(points) == 61, "one a minute, and the last"
    assert all(0 <= x <= formatting.SPARKLINE_WIDTH and 0 <= y <= formatting.SPARKLINE_HEIGHT for x, y in points)
    assert points[-1][0] == formatting.SPARKLINE_WIDTH
    assert formatting.sparkline(hour[:1]) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(792_000, "9 d 4 h"), (86_399, "23 h 59 min"), (3_600, "1 h 0 min"), (59, "0 min"), (86_400 * 400, "400 d 0 h")],
)
def test_a_length_of_time_has_its_two_largest_units(seconds, said):
    assert formatting.duration(seconds) == said
