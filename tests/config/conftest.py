import pytest


@pytest.fixture
def config(tmp_path):
    def written(text):
        file = tmp_path / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return written
