"""The small jobs beside buses and cloud."""

from datetime import timedelta

from gateway.models import Found, Identity, IdentityKind
from gateway.runtime.background_jobs import report_unknown_children
from gateway.state.parts import StateParts
from gateway.state.store import Store


async def test_a_table_for_a_child_that_nobody_knows_is_told_once(tmp_path, caplog):
    found = Found(address="a1", identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1"), name="Meter")
    async with Store(tmp_path / "s.sqlite3") as store:
        state = StateParts.on(store, most_samples=1)
        await state.load()
        await state.registry.admit(found.as_child(adapter="plant", bus="bus", model_id="m"))
        await report_unknown_children(["sn:acme/1", "sn:acmee/1"], state, after=timedelta(0))
    assert [record.getMessage() for record in caplog.records] == [
        '[child."sn:acmee/1"] of the configuration names no device that is known; `xyte-gateway children` lists them'
    ]
