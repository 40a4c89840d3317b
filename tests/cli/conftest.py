import pytest


@pytest.fixture
def type_in(run_command, tmp_path):
    """Run `xyte-gateway` with these arguments in an empty folder; returns exit code, output, errors."""

    async def run(*arguments, **environment):
        return await run_command(*arguments, folder=tmp_path, environment={"COLUMNS": "200", "NO_COLOR": "1", **environment})

    return run
