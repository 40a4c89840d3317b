"""What the cloud has asked for is shown whatever is in it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.config.cloud_overlay import EffectiveConfiguration
from gateway.config.settings import Configuration, Settings
from gateway.models import ChildDevice, LicenceChange
from gateway.runtime.summaries.cloud import CloudSummarizer
from gateway.state.licences import LicenceRecord, LicenceState
from gateway.state.parts import StateParts
from gateway.state.store import Store
from gateway.status.cloud_activity import CloudActivity
from gateway.status.model import encode_id
from gateway.status.render.formatting import moment

AT = datetime(2026, 1, 1, tzinfo=UTC)

CHILD = ChildDevice(
    key="c1", adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None, firmware_version=None,
    name="child 1",
)  # fmt: skip

LICENCE = LicenceRecord(
    device_id="d", licence_id="L1", child="c1", change=LicenceChange.INSTALL, payload=None, signature=None, expires_at=None,
    state=LicenceState.IN_USE, offered_at=AT, changed_at=AT,
)  # fmt: skip


@pytest.fixture
async def summarize(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        state = StateParts.on(store, most_samples=1)
        await state.load()
        await state.registry.admit(CHILD)
        effective = EffectiveConfiguration(configuration=Configuration(None, Settings(), ()), values={})
        summarizer = CloudSummarizer(state, plans=dict, effective=lambda: effective)

        async def activity(*licences):
            for licence in licences:
                await state.licences.save(licence)
            return await summarizer.activity()

        yield activity


@pytest.mark.parametrize(
    "odd",
    [
        {"expires_at": datetime.max.replace(tzinfo=UTC)}, {"expires_at": datetime.min.replace(tzinfo=UTC)},
        {"licence_id": 10**3999}, {"licence_id": "x" * 10_000}, {"problem": "\x00\u202e\n" * 5000}, {"child": None},
    ],
    ids=lambda odd: next(iter(odd)),
)  # fmt: skip
async def test_an_odd_licence_is_shown(summarize, odd):
    (shown,) = (await summarize(replace(LICENCE, **odd))).licences
    assert len(shown.licence) <= 300
    assert shown.problem is None or shown.problem.isprintable()
    assert shown.expires_at is None or moment(shown.expires_at).endswith("UTC")
    activity = CloudActivity(licences=(shown,))
    assert CloudActivity.model_validate_json(activity.model_dump_json()) == activity


async def test_a_former_child_is_named_and_has_no_page(summarize):
    activity = await summarize(LICENCE, replace(LICENCE, device_id="e", child="c9"))
    assert [(one.device, one.child_id) for one in activity.licences] == [("child 1", encode_id("c1")), ("c9", None)]
