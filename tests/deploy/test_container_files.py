"""The Dockerfile and the compose files, looked at without an engine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OVERLAYS = ["deploy/compose.serial.yml", "deploy/compose.bluetooth.yml"]


def program(name):
    if found := shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"):
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing")
    pytest.skip(f"{name} is missing")


def run(root, *words):
    return subprocess.run([program(words[0]), *words[1:]], cwd=root, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say_about_the_dockerfile(root):
    said = run(root, "hadolint", "--no-color", "deploy/Dockerfile")
    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.parametrize("overlays", [[], OVERLAYS[:1], OVERLAYS[1:], OVERLAYS], ids=["alone", "serial", "bluetooth", "both"])
@pytest.mark.parametrize("profile", [[], ["--profile", "demo"]], ids=["", "demo"])
def test_the_compose_files_are_valid(root, overlays, profile):
    files = [word for file in ["docker-compose.yml", *overlays] for word in ("--file", file)]
    said = run(root, "docker-compose", *profile, *files, "config", "--quiet")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
