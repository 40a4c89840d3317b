"""Run commands of `xyte-gateway`, each in a forked process: forking spares it the second that the imports take.

It has imported what the commands import, but not `gateway.cli`, which looks at its environment. Who connects to its socket sends
the arguments, the folder and the environment of one command as JSON, with the descriptors of its standard input, output and
errors, and receives the exit code. It ends when its own standard input does.
"""

import importlib
import json
import os
import select
import signal
import socket
import sys
import time

sys.path.pop(0)  # the folder of this file, which the installed command does not have
for module in (
    *("adapters.ble", "adapters.modbus", "adapters.serial", "gateway.demo", "gateway.doctor.checks", "gateway.emulator"),
    *("gateway.first_start.configuration_wait", "gateway.runtime.builder"),
):
    importlib.import_module(module)


def wait_for_command(path):
    """Return in a process that was forked for a command, as which it goes on; the first process stays here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.write(sys.stdout.fileno(), b"listening\n")
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                os._exit(0)
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    become_command(connection)
                    return


def become_command(connection):
    """Return in the process of the command; the one that forks it waits, and tells how it ended."""
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    command = json.loads(request)
    process_id = os.fork()
    if process_id:
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])).encode())
        os._exit(0)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    time.tzset()
    sys.argv = command["arguments"]


wait_for_command(sys.argv[1])
from gateway.cli import main  # noqa: E402 - only now the environment is that of the command

sys.exit(main())
