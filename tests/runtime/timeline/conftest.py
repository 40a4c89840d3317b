import pytest

from gateway.state.store import Store


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as opened:
        yield opened
