"""Whether something starts the gateway again when it ends."""

import os

import pytest

from gateway.runtime import restart
from gateway.runtime.restart import starter_of_process


@pytest.fixture
def inside(tmp_path):
    """The file that a container engine puts into each container."""
    file = tmp_path / ".dockerenv"
    file.touch()
    return (file,)


@pytest.fixture
def main_process(monkeypatch):
    """This process is started by the first one, and has no terminal."""
    monkeypatch.setattr(restart.os, "getppid", lambda: 1)
    monkeypatch.setattr(restart.os, "getsid", lambda pid: 1)
    monkeypatch.setattr(restart.sys, "stdin", None)


@pytest.mark.parametrize("variables", [{"NOTIFY_SOCKET": "/run/systemd/notify"}, {"SYSTEMD_EXEC_PID": str(os.getpid())}])
def test_systemd_starts_its_service_again(variables):
    assert starter_of_process(variables, container_files=()) == "systemd"


def test_a_shell_that_systemd_has_started_does_not():
    assert starter_of_process({"SYSTEMD_EXEC_PID": "1", "INVOCATION_ID": "a"}, container_files=()) is None


def test_a_container_engine_starts_the_main_process_of_its_container_again(inside, main_process):
    assert starter_of_process({}, container_files=inside) == "the container engine"
    assert starter_of_process({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, container_files=()) == "the container engine"
    assert starter_of_process({}, container_files=()) is None


def test_a_process_that_somebody_runs_in_a_container_is_not_started_again(inside, main_process, monkeypatch):
    monkeypatch.setattr(restart.os, "getppid", lambda: 42)
    assert starter_of_process({}, container_files=inside) is None


@pytest.mark.parametrize("session", [1, os.getpid()], ids=["the engine's", "its own"])
def test_an_init_may_give_the_main_process_a_session_of_its_own(inside, main_process, monkeypatch, session):
    monkeypatch.setattr(restart.os, "getsid", lambda pid: 1 if pid == 1 else session)
    assert starter_of_process({}, container_files=inside) == "the container engine"


def test_what_a_shell_in_a_container_has_left_running_is_not_started_again(inside, main_process, monkeypatch):
    monkeypatch.setattr(restart.os, "getsid", lambda pid: 1 if pid == 1 else 42)
    assert starter_of_process({}, container_files=inside) is None


def test_a_terminal_means_that_a_person_is_there(inside, main_process, monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(restart.sys, "stdin", Terminal())
    assert starter_of_process({}, container_files=inside) is None
