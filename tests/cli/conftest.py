import asyncio
import os
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("xyte-gateway")


@pytest.fixture
def type_in(tmp_path):
    """Run `xyte-gateway` with these arguments in an empty folder; returns exit code, output, errors."""

    async def run(*arguments, **environment):
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 200)
        return process.returncode, out.decode(), err.decode()

    return run
