"""Which configuration is tried, applied, refused and confirmed survives a restart, whole."""

import pytest

from gateway.errors import StoreError
from gateway.state.configurations import ConfigurationRecord, Configurations, Refusal, RefusalKind, VersionedContent
from gateway.state.store import Store

FIRST = VersionedContent(version=1, content={"rate": 5, "inner": {"list": [1, None]}})
SECOND = VersionedContent(version=2, content={"rate": 6})


@pytest.fixture
async def kept(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        configurations = Configurations(store)
        await configurations.load()
        yield configurations, store


async def reread(store):
    configurations = Configurations(store)
    await configurations.load()
    return configurations


async def test_each_step_is_on_disk_as_it_is_in_memory(kept):
    configurations, store = kept
    for child in (None, "c1"):
        await configurations.follow(child, f"id of {child}")
        for step in (
            configurations.begin(child, FIRST),
            configurations.accept(child, FIRST),
            configurations.confirm(child, 1),
            configurations.begin(child, SECOND),
            configurations.suspend(child),
            configurations.refuse(child, Refusal(version=2, why="no", kind=RefusalKind.HARM)),
        ):
            record = await step
            assert configurations.of(child) == record
            assert (await reread(store)).of(child) == record
    assert record == ConfigurationRecord(
        device_id="id of c1", applied=FIRST, confirmed_version=1, refusal=Refusal(version=2, why="no", kind=RefusalKind.HARM)
    )


async def test_attempts_are_counted_for_one_version_and_an_orderly_stop_is_none(kept):
    configurations, _ = kept
    assert (await configurations.begin(None, FIRST)).attempts == 1
    assert (await configurations.begin(None, FIRST)).attempts == 2
    assert (await configurations.suspend(None)).attempts == 1
    assert (await configurations.begin(None, SECOND)).attempts == 1
    assert (await configurations.accept(None, SECOND)).attempts == 0
    assert (await configurations.suspend(None)).attempts == 0


async def test_a_new_registration_starts_anew_with_what_is_applied(kept):
    configurations, _ = kept
    await configurations.follow("c1", "d1")
    await configurations.accept("c1", FIRST)
    await configurations.confirm("c1", 1)
    await configurations.begin("c1", SECOND)
    assert (await configurations.follow("c1", "d1")).tried == SECOND, "the same registration"
    assert await configurations.follow("c1", "d2") == ConfigurationRecord(
        device_id="d2", applied=VersionedContent(version=0, content=FIRST.content)
    )


async def test_a_refusal_ends_the_trial_of_its_own_version_alone(kept):
    configurations, _ = kept
    await configurations.begin(None, FIRST)
    assert (await configurations.refuse(None, Refusal(version=2, why="no"))).tried == FIRST
    assert (await configurations.refuse(None, Refusal(version=1, why="no"))).tried is None


async def test_a_problem_is_over_when_a_newer_version_is_applied_and_not_by_an_older_one(kept):
    configurations, _ = kept
    await configurations.refuse(None, Refusal(version=2, why="no"))
    assert (await configurations.accept(None, FIRST)).problem.version == 2
    assert (await configurations.accept(None, VersionedContent(version=3))).problem is None


async def test_what_does_not_fit_any_more_leaves_nothing_applied_or_to_be_confirmed(kept):
    configurations, _ = kept
    await configurations.accept(None, FIRST)
    record = await configurations.drop(None, Refusal(version=1, why="no such entry"))
    assert record.applied == VersionedContent()
    assert not record.needs_confirmation
    assert record.problem.version == 1


async def test_what_was_sent_needs_no_confirmation_and_what_is_forgotten_is_gone(kept):
    configurations, store = kept
    await configurations.accept("c1", FIRST)
    assert configurations.of("c1").needs_confirmation
    assert not (await configurations.accept_sent("c1", SECOND)).needs_confirmation
    await configurations.forget("c1")
    assert configurations.of("c1") == ConfigurationRecord()
    assert dict((await reread(store)).all) == {}


async def test_what_cannot_be_stored_is_not_visible(kept):
    configurations, store = kept
    await configurations.accept(None, FIRST)
    await store.transact(lambda db: db.execute("DROP TABLE configurations"))
    with pytest.raises(StoreError):
        await configurations.begin(None, SECOND)
    assert configurations.of(None).tried is None
