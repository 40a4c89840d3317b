"""Whatever happens to the outbox, produced = delivered + lost + waiting for each child, in order, within its bounds."""

import asyncio
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.models import Sample, Status
from gateway.state.outbox import LossReason, Outbox
from gateway.state.outbox import outbox as outbox_module
from gateway.state.outbox.accounts import ROW_BYTES, read_accounts
from gateway.state.outbox.bounds import DiskSpace
from gateway.state.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHILDREN = ("a", "b", "c", "d")
FOR_WANT_OF_ROOM = {LossReason.THINNED, LossReason.DROPPED}


class Buffer(RuleBasedStateMachine):
    """An outbox on a real store, and what should be in it."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.number = 0
        self.produced, self.delivered = Counter(), Counter()
        self.disk = None
        self.damaged_bytes = 0  # what damage may have added since the outbox last made room
        self.patched = patch.object(outbox_module, "disk_space", lambda *_: self.disk)
        self.patched.start()

    @initialize(most=st.integers(4, 60), most_bytes=st.sampled_from([1_500, 6_000, 1_000_000]))
    def open(self, most, most_bytes):
        self.most, self.most_bytes = most, most_bytes
        self.run(self.open_store())

    def run(self, work):
        return self.runner.run(work)

    async def open_store(self):
        self.store = await Store(self.folder / "s.sqlite3").__aenter__()
        self.outbox = Outbox(self.store, most_samples=self.most, most_bytes=self.most_bytes, min_free_bytes=1)
        await self.outbox.load()

    def query(self, sql):
        return self.run(self.store.transact(lambda db: db.execute(sql).fetchall()))

    def waiting(self):
        return dict(self.query("SELECT child, COUNT(*) FROM outbox GROUP BY child"))

    def losses(self, *reasons):
        lost = Counter()
        for loss in self.run(self.outbox.losses()):
            if not reasons or loss.why in reasons:
                lost[loss.child] += loss.samples
        return lost

    def sample(self, child, *, size=0, is_event=False, merged=0, **values):
        self.number += 1
        at = BEGIN + timedelta(seconds=self.number)
        values = {"n": self.number, "text": "x" * size, **values}
        return Sample(child, at, Status.ONLINE, values, is_event=is_event, merged=merged, merged_from=at if merged else None)

    @rule(
        child=st.sampled_from(CHILDREN), samples=st.integers(1, 30), size=st.sampled_from([0, 100, 600]), is_event=st.booleans(),
        others=st.booleans(),
    )  # fmt: skip
    def put(self, child, samples, size, is_event, others):
        batch = [self.sample(child, size=size, is_event=is_event) for _ in range(samples)]
        batch += [self.sample(other) for other in CHILDREN if others]
        self.produced.update(sample.child for sample in batch)
        before, lost = Counter(self.waiting()) + Counter(sample.child for sample in batch), self.losses(*FOR_WANT_OF_ROOM)
        self.run(self.outbox.put(batch))
        self.damaged_bytes = 0
        fair = self.most / len(before)
        if self.most_bytes > 100_000 and self.disk is None and fair >= 4:
            gave = self.losses(*FOR_WANT_OF_ROOM) - lost
            assert not [one for one in gave if before[one] < fair], "a child below its fair share gives nothing"

    @rule(child=st.sampled_from(CHILDREN), bad=st.sampled_from([[1], {"a": 1}, b"x", {1}]), merged=st.integers(0, 3))
    def put_what_cannot_be_stored(self, child, bad, merged):
        others = [self.sample(other) for other in CHILDREN if other != child]
        self.produced.update(sample.child for sample in others)
        self.produced[child] += 1 + merged
        before = self.losses(LossReason.UNSTORABLE, LossReason.MERGED)
        self.run(self.outbox.put([self.sample(child, merged=merged, bad=bad), *others]))
        self.damaged_bytes = 0
        assert self.losses(LossReason.UNSTORABLE, LossReason.MERGED) - before == {child: 1 + merged}

    @rule(child=st.sampled_from(CHILDREN), most=st.integers(1, 20))
    def deliver(self, child, most):
        batch = self.run(self.outbox.oldest_of(child, most))
        numbers = [one.sample.values["n"] for one in batch]
        assert numbers == sorted(set(numbers)), "in order"
        self.run(self.outbox.confirm(batch))
        self.run(self.outbox.confirm(batch))  # a response that comes twice
        self.delivered[child] += len(batch)

    @rule(child=st.sampled_from(CHILDREN))
    def reject(self, child):
        self.run(self.outbox.drop(self.run(self.outbox.oldest_of(child, 2)), LossReason.REJECTED))

    @rule(child=st.sampled_from(CHILDREN))
    def drop_child(self, child):
        waiting = self.waiting().get(child, 0)
        assert self.run(self.outbox.drop_child(child, LossReason.RETIRED)) == waiting
        assert child not in self.waiting()

    @rule(child=st.sampled_from(CHILDREN), payload=st.sampled_from(["{", "[1]", '{"n": [1]}', "9" * 5000, '{"a": "\\ud800"}']))
    def damage(self, child, payload):
        size = f"(SELECT {ROW_BYTES} FROM outbox WHERE child = '{child}' ORDER BY seq LIMIT 1)"
        self.query(f"UPDATE outbox_accounts SET bytes = bytes - COALESCE({size}, 0) WHERE child = '{child}'")
        self.query(f"UPDATE outbox SET payload = '{payload}' WHERE seq = (SELECT MIN(seq) FROM outbox WHERE child = '{child}')")
        self.query(f"UPDATE outbox_accounts SET bytes = bytes + COALESCE({size}, 0) WHERE child = '{child}'")
        self.damaged_bytes += len(payload) if child in self.waiting() else 0

    @rule(free=st.sampled_from([None, 0, 5 << 20]))
    def fill_disk(self, free):
        self.disk = None if free is None else DiskSpace(total=1 << 30, free=free)

    @rule(kill=st.booleans())
    def restart(self, kill):
        if kill:  # what the file and its log are at this moment
            copy = Path(tempfile.mkdtemp())
            for file in self.folder.glob("s.sqlite3*"):
                shutil.copyfile(file, copy / file.name)
        self.run(self.store.__aexit__())
        if kill:
            shutil.rmtree(self.folder)
            self.folder = copy
        self.run(self.open_store())

    @precondition(lambda self: hasattr(self, "outbox"))
    @invariant()
    def the_accounts_are_balanced_and_the_bounds_kept(self):
        waiting, lost = self.waiting(), self.losses()
        accounts = self.run(self.store.transact(read_accounts))
        for account in accounts:
            child = account.child
            assert account.is_balanced
            assert (account.produced, account.delivered) == (self.produced[child], self.delivered[child])
            assert (account.waiting, account.lost) == (waiting.get(child, 0), lost[child])
        ((size,),) = self.query(f"SELECT TOTAL({ROW_BYTES}) FROM outbox")
        assert (sum(account.bytes for account in accounts), self.outbox.depth) == (size, sum(waiting.values()))
        assert self.outbox.lost == lost.total()
        assert self.outbox.depth <= self.most
        most_bytes = max(self.outbox.room.bytes, self.most_bytes) + self.damaged_bytes
        assert size <= most_bytes or self.outbox.depth <= 1 or self.disk is not None

    def teardown(self):
        if hasattr(self, "outbox"):
            self.run(self.store.__aexit__())
        self.runner.close()
        self.patched.stop()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(400)  # each of some hundred steps waits for the disk
def test_whatever_happens_each_sample_is_delivered_recorded_as_lost_or_waiting():
    run_state_machine_as_test(Buffer, settings=settings(max_examples=40, stateful_step_count=20))
