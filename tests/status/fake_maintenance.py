"""Maintenance that is only shown."""

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.errors import StoreError
from gateway.status.maintenance_view import BackupFile, Bundle, RestorePlan


class FakeMaintenance:
    def __init__(self):
        self.restart_problem = None
        self.restarts = 0
        self.bundles = 0
        self.passphrases = []
        self.backup_problem = None
        self.content = b"encrypted" * 100_000

    def restart(self):
        self.restarts += 1

    async def bundle(self):
        self.bundles += 1
        texts = {"log.txt": "a line <b>of the log</b>\n" * 3000, "configuration.json": '{"hardware_key": "********"}\n'}
        return Bundle(name="xyte-gateway-1-20261129T120000Z.tar.gz", content=b"archive %d" % self.bundles, texts=texts)

    @asynccontextmanager
    async def backup(self, passphrase):
        self.passphrases.append(passphrase)
        if self.backup_problem is not None:
            raise StoreError(self.backup_problem)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "made")
            path.write_bytes(self.content)  # noqa: ASYNC240 - a test
            yield BackupFile(path=path, name="xyte-gateway-20261129T120000Z.backup", size=len(self.content))


class FakeRestores:
    """A restore that is only shown: every file that begins with b"backup" can be restored."""

    def __init__(self):
        self.most_bytes = 1 << 20
        self.checked = []
        self.restored = []
        self.cancelled = 0

    async def check(self, chunks, passphrase):
        content = b"".join([chunk async for chunk in chunks])
        self.checked.append((content, passphrase))
        if not content.startswith(b"backup"):
            raise StoreError("the file is no backup of a gateway")
        return RestorePlan(
            token="plan-1", serial_number="XG-<b>1", children=3, samples=1, own_serial_number="XG-<b>1", own_children=5,
            waiting=1234, added=("Meter <i>", "Pump"),
        )  # fmt: skip

    async def restore(self, token):
        if token != "plan-1":
            raise StoreError("the file was checked too long ago")
        self.restored.append(token)

    def cancel(self):
        self.cancelled += 1
