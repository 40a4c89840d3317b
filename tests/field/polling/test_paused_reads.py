import pytest

from gateway.field.guard.bug_reports import BugReports
from gateway.field.polling.paused_reads import PausedReads
from gateway.field.polling.schedule import ReadTask

A = ReadTask("a", frozenset({"g"}))
B = ReadTask("b", frozenset({"g"}))


@pytest.fixture
def closed():
    return []


@pytest.fixture
async def paused(closed):
    """The reads of `a` and `b`, each paused after its first batch."""

    async def read(child):
        try:
            yield [1]
            yield [2]
        finally:
            closed.append(child)

    made = PausedReads(BugReports("entry", "bus"))
    for task in (A, B):
        batches = read(task.child)
        await anext(batches)
        made.keep(task, batches)
    yield made
    await made.close_all()


async def test_a_paused_read_continues_where_it_was_paused_and_only_once(paused, closed):
    batches = await paused.resume(A)
    assert [batch async for batch in batches] == [[2]]
    assert closed == ["a"]
    assert await paused.resume(A) is None


async def test_the_paused_read_of_an_earlier_task_is_closed_and_not_continued(paused, closed):
    assert await paused.resume(ReadTask("a", A.groups)) is None, "an equal task, but another one"
    assert closed == ["a"]
    assert await paused.resume(A) is None


async def test_a_child_without_a_paused_read_has_none_to_continue(paused, closed):
    assert await paused.resume(ReadTask("c", frozenset())) is None
    assert closed == []


async def test_reads_of_all_but_the_named_children_are_closed(paused, closed):
    await paused.close_except({"b"})
    assert closed == ["a"]
    assert await paused.resume(B) is not None


async def test_every_read_is_closed(paused, closed):
    await paused.close_all()
    assert sorted(closed) == ["a", "b"]
