"""A Docker engine of a test's own, in namespaces of its own: whatever happens, networks, mounts and processes are gone with it.

It is started twice on the same folder. For a build it has the machine's network, to reach the package index, and makes neither a
bridge nor a firewall rule there. For all else it has a network of its own, in which it makes both as on a user's machine, and
publishes ports that nobody else sees.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

NEEDED = ("docker", "docker-compose", "dockerd", "ip", "mmdebstrap", "nsenter", "setpriv", "unshare")
BASE = "debian-with-python"
"""Stands in for python:3.12-slim-bookworm, which no package registry has: Debian 12 with Debian's Python."""
BRIDGE = "172.17.0.1"
"""This machine, as every container of the engine sees it."""

_ROOT = Path(__file__).parents[2]
_SEES_THE_MACHINE = ("--bridge", "none", "--iptables=false", "--ip-masq=false", "--ip-forward=false")
ADAPTER = "/dev/serial/by-id/usb-Test_Adapter-if00-port0"
"""A serial adapter's name on the machine that the engine sees; it leads to the next one."""
PORT = "/dev/ttyUSB0"
"""An empty file, on which a pty can be mounted."""

_MACHINE_OF_ITS_OWN = f"""
ip link set lo up
mkdir -p "$0" && mount -t tmpfs -o mode=755 tmpfs "$0"
mkdir -p "$0/pts" "$0/shm" "$0{Path(ADAPTER).parent.as_posix().removeprefix("/dev")}"
cp --archive /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/fd "$0"
mount --bind /dev/pts "$0/pts"
mount --rbind "$0" /dev
touch {PORT} && ln -s ../../{Path(PORT).name} {ADAPTER}
exec "$@"
"""


class EngineMissing(Exception):
    """No engine can be had on this machine."""


class Engine:
    """`docker` and `docker-compose`, and what is on the engine's own network.

    Args:
        folder: everything that it keeps is in here.
    """

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise EngineMissing("an engine of one's own needs root")
        if missing := [program for program in NEEDED if shutil.which(program) is None]:
            raise EngineMissing(f"not installed: {', '.join(missing)}")
        self.folder = folder
        self._cgroup = f"/xyte-gateway-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{folder}/socket",
            "DOCKER_CONFIG": str(folder / "client"),
            "DOCKER_BUILDKIT": "0",  # the builder that every engine has
        }

    def start(self, *, sees_the_machine: bool) -> None:
        """Start it, and return when it answers."""
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        dockerd = [
            *("dockerd", "--host", f"unix://{self.folder}/socket", "--pidfile", f"{self.folder}/pid"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/run", "--cgroup-parent", self._cgroup),
            *("--oom-score-adjust", "0", "--default-ulimit", "nofile=20000:20000"),  # more is not granted on every machine
        ]
        if sees_the_machine:
            dockerd += _SEES_THE_MACHINE
        else:
            namespaces.append("--net")
            dockerd = ["sh", "-euc", _MACHINE_OF_ITS_OWN, str(self.folder / "dev"), *dockerd]
        with (self.folder / "log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, *dockerd]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(200):
            if subprocess.run(["docker", "version"], env=self._environment, capture_output=True, check=False).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.stop()
        raise EngineMissing(f"dockerd does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it in order; what it has made can be used at the next start."""
        self._end(signal.SIGTERM)

    def clear(self) -> None:
        """End it at once, and remove all that it kept."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder)
        groups = Path("/sys/fs/cgroup")
        for group in (*groups.glob(self._cgroup[1:]), *groups.glob(f"*{self._cgroup}")):
            for inner in reversed([group, *group.rglob("*/")]):
                inner.rmdir()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                os.kill(self._inner, how)  # all else in its namespace ends with it
            self._process.wait(timeout=20)
            self._process = None
        (self.folder / "pid").unlink(missing_ok=True)

    def docker(self, *words: str, timeout: float = 60) -> str:
        """Return what `docker` prints."""
        return self._run(["docker", *words], timeout)

    def log(self, container: str) -> str:
        """Return what a container has written so far."""
        return self._run(["sh", "-c", 'exec docker logs "$0" 2>&1', container], 60)

    def compose(self, *words: str, timeout: float = 60, **environment: str) -> str:
        """Return what `docker-compose` prints, run at the top of the project."""
        return self._run(["docker-compose", *words], timeout, **environment)

    def inside(self, *words: str | Path, timeout: float = 30) -> str:
        """Return what a program prints that runs on the engine's own network."""
        return self._run([*self.entrance, *map(str, words)], timeout)

    def get(self, url: str, token: str = "") -> tuple[int, str]:
        """Return status and body of what is found on the engine's own network; the status is 0 while nobody answers."""
        status, _, body = self.inside("python3", "-c", _GET, url, token).partition(" ")
        return int(status), body

    def inspect(self, container: str) -> dict[str, object]:
        """Return all that is known of a container."""
        return json.loads(self.docker("inspect", container))[0]

    @property
    def entrance(self) -> list[str]:
        """What to put before a command, to have it run on the engine's own network."""
        return ["nsenter", "--net", "--target", str(self._inner)]

    @property
    def _inner(self) -> int:
        outer = self._process.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())

    def _run(self, words: list[str], timeout: float, **environment: str) -> str:
        ended = subprocess.run(
            words, cwd=_ROOT, env=self._environment | environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert ended.returncode == 0, f"{' '.join(words)}: {ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
        return ended.stdout


_GET = """
import sys, urllib.error, urllib.request
url, token = sys.argv[1:]
asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
try:
    with urllib.request.urlopen(asked, timeout=5) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError:
    print(0)
"""
