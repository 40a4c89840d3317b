"""The point maps by which children are read are kept, and with them the changed one that was refused."""

from gateway.state.point_maps import PointMap, PointMaps, fingerprint
from gateway.state.store import Store


async def test_maps_and_refusals_survive_a_restart(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as store:
        maps = PointMaps(store)
        await maps.use("a", "one")
        await maps.refuse("a", "two", "voltage is 0")
        await maps.refuse("unknown", "two", "voltage is 0")
        await maps.use("b", "one")
        await maps.forget("b")
        again = PointMaps(store)
        await again.load()
        assert again.of("a") == maps.of("a") == PointMap("one", fingerprint("two"), "voltage is 0")
        assert again.of("b") is again.of("unknown") is None
        await again.use("a", "two")
        assert again.of("a") == PointMap("two")
