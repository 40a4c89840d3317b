"""Maintenance that is only shown."""

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.errors import StoreError
from gateway.status.maintenance_view import BackupFile, Bundle


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
