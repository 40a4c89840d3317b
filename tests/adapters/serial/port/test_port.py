"""A port on real pseudo-terminals and sockets, and the facts about pyserial that it is built on."""

import asyncio
import errno
import fcntl
import os
import socket
import sys
import termios
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
import serial.rfc2217
import serial_asyncio

from adapters.serial.port import port as module
from adapters.serial.port.byte_pump import NonBlockingFile
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port, listed_ports
from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable
from gateway.testing.serial import DeviceServer, ScriptedDevice, SerialLine

LINE = LineSettings(baudrate=115200)
FAST = LineSettings(baudrate=4_000_000)

GENEROUS_SECONDS = 20.0
"""Nothing here takes so long but on a machine that is busy with something else."""

rfc2217 = pytest.mark.filterwarnings(r"ignore:set(Daemon|Name)\(\) is deprecated:DeprecationWarning")


class Ear:
    """Keeps what a port hears."""

    def __init__(self):
        self.data = bytearray()
        self.loss_reason = None
        self._news = asyncio.Event()

    def data_received(self, data):
        self.data += data
        self._news.set()

    def port_lost(self, why):
        self.loss_reason = why
        self._news.set()

    async def until(self, claim, seconds=GENEROUS_SECONDS):
        async with asyncio.timeout(seconds):
            while not claim(self):
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
async def line():
    async with SerialLine(ScriptedDevice(lambda question: b"<" + question + b">")) as line:
        yield line


@pytest.fixture
async def opened(line, ear):
    port = Port(line.port)
    await port.open(LINE)
    port.attach(ear)
    yield port
    await port.close()


@contextmanager
def never_stopped(longest=0.2):
    """Assert that nothing blocked the event loop for longer than this.

    A busy machine delays the loop, too: the time that its thread waited for a processor is subtracted.
    """
    loop = asyncio.get_running_loop()
    blocked = []

    def tick(due, waited_before):
        waited = _waited_for_a_processor()
        blocked.append(loop.time() - due - (waited - waited_before))
        ticks[0] = loop.call_at(loop.time() + 0.002, tick, loop.time() + 0.002, waited)

    ticks = [loop.call_soon(tick, loop.time(), _waited_for_a_processor())]
    yield
    ticks[0].cancel()
    assert max(blocked, default=0) < longest


def _waited_for_a_processor():
    """Return the seconds that this thread was ready to run, but did not run; 0 where the system does not count them."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


# a port ---------------------------------------------------------------------------------------------------------------


async def test_written_bytes_reach_the_device_and_its_answer_is_received(opened, ear):
    await opened.write(b"power?")
    await ear.until(lambda ear: ear.data == b"<power?>")


async def test_a_port_can_be_opened_and_closed_again_and_again(line, ear):
    port = Port(line.port)
    port.attach(ear)
    for _ in range(5):
        await port.open(LINE)
        await port.write(b"a")
        await ear.until(lambda ear: b"<a>" in ear.data)
        await port.close()
        ear.data.clear()
    assert not port.is_open


async def test_nothing_stays_open_behind_a_closed_port(line):
    port = Port(line.port)
    before = _open_files()
    await port.open(LINE)
    assert _open_files() > before
    await port.close()
    assert _open_files() == before


async def test_only_the_attached_listener_receives_data(opened, line, ear, monkeypatch):
    other, read, really_read = Ear(), [], NonBlockingFile.read

    def recorded_read(self, size):
        read.append(really_read(self, size))
        return read[-1]

    monkeypatch.setattr(NonBlockingFile, "read", recorded_read)
    opened.attach(other)
    line.send(b"to the other")
    await other.until(lambda ear: ear.data == b"to the other")
    opened.attach(None)
    line.send(b"to nobody")
    await _until(lambda: b"".join(read).endswith(b"to nobody"))
    opened.attach(ear)
    line.send(b"to the first")
    await ear.until(lambda ear: ear.data == b"to the first")
    assert other.data == b"to the other"


async def test_an_unplugged_port_reports_the_reason(opened, line, ear):
    line.unplug()
    await ear.until(lambda ear: ear.loss_reason is not None)
    assert "unplugged" in ear.loss_reason
    assert await opened.wait_until_lost() == ear.loss_reason == opened.loss_reason
    assert not opened.is_open
    with pytest.raises(BusUnavailable, match="unplugged"):
        await opened.write(b"a")


async def test_a_listener_that_attaches_to_a_lost_port_is_informed(opened, line, ear):
    line.unplug()
    await opened.wait_until_lost()
    late = Ear()
    opened.attach(late)
    assert late.loss_reason == opened.loss_reason


async def test_a_write_to_a_port_that_is_unplugged_meanwhile_fails(opened, line):
    writing = asyncio.create_task(opened.write(bytes(1_000_000)))
    await asyncio.sleep(0.01)
    line.unplug()
    with pytest.raises(BusUnavailable, match="unplugged"):
        await writing


async def test_a_lost_port_can_be_opened_again_when_it_is_back(tmp_path, ear):
    async with SerialLine(ScriptedDevice(lambda question: question), link=tmp_path / "by-id") as line:
        port = Port(line.port)
        await port.open(LINE)
        line.unplug()
        await port.wait_until_lost()
        with pytest.raises(BusUnavailable, match="no such port"):
            await port.open(LINE)
        line.replug()
        await port.open(LINE)
        port.attach(ear)
        await port.write(b"back")
        await ear.until(lambda ear: ear.data == b"back")
        await port.close()


async def test_a_hundred_kilobytes_are_written_without_blocking_the_loop(ear):
    async with SerialLine() as line:
        port = Port(line.port)
        await port.open(LINE)
        with never_stopped():
            await port.write(bytes(100_000))
            await _until(lambda: len(line.received) >= 100_000)
        begun = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - begun < 0.05  # nothing spins behind it
        await port.close()


async def test_a_blocked_port_ends_the_write_and_discards_the_rest(monkeypatch):
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.1)
    master, slave = os.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    port = Port(path)
    await port.open(FAST)
    with pytest.raises(DeviceUnreachable, match="accepts no more"), never_stopped():
        await port.write(bytes(100_000))
    os.set_blocking(master, False)
    unsent = bytearray()

    def everything_was_read():
        with suppress(BlockingIOError):
            while data := os.read(master, 65536):
                unsent.extend(data)
        return unsent.endswith(b"new")

    await asyncio.sleep(0.02)
    everything_was_read()
    await port.write(b"new")
    await _until(everything_was_read)
    assert len(unsent) < 100_000
    await port.close()
    os.close(master)


async def test_closing_does_not_wait_for_unsent_data():
    master, slave = os.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    port = Port(path)
    await port.open(LINE)
    writing = asyncio.create_task(port.write(bytes(100_000)))
    await asyncio.sleep(0.02)
    begun = time.monotonic()
    with never_stopped():
        await port.close()
    assert time.monotonic() - begun < GENEROUS_SECONDS  # waiting for the output would take for ever: nothing reads it
    with pytest.raises(BusUnavailable):
        await writing
    os.close(master)


async def test_a_close_that_hangs_continues_in_its_thread(line, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    port = Port(line.port)
    await port.open(LINE)
    real, gate, hangs, is_over = port._pump.serial_port, threading.Event(), threading.Event(), threading.Event()

    def hang():
        hangs.set()
        gate.wait(GENEROUS_SECONDS)
        is_over.set()

    port._pump.serial_port = SimpleNamespace(fd=real.fd, reset_output_buffer=hang, close=real.close)
    await port.close()
    assert await asyncio.to_thread(hangs.wait, GENEROUS_SECONDS)
    assert not is_over.is_set()
    gate.set()
    assert await asyncio.to_thread(is_over.wait, GENEROUS_SECONDS)


async def test_a_cancelled_open_leaves_nothing_open(line, monkeypatch):
    begun, closed, gate = threading.Event(), threading.Event(), threading.Event()
    really_open, really_close = module._open_pyserial, module._close_pyserial

    def slowly_opened(address, settings):
        begun.set()
        gate.wait(GENEROUS_SECONDS)
        return really_open(address, settings)

    def noted_close(opened):
        really_close(opened)
        closed.set()

    monkeypatch.setattr(module, "_open_pyserial", slowly_opened)
    monkeypatch.setattr(module, "_close_pyserial", noted_close)
    opening = asyncio.create_task(Port(line.port).open(LINE))
    assert await asyncio.to_thread(begun.wait, GENEROUS_SECONDS)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    gate.set()
    assert await asyncio.to_thread(closed.wait, GENEROUS_SECONDS)


# settings -------------------------------------------------------------------------------------------------------------


async def test_line_settings_are_applied_and_can_be_changed(line):
    port = Port(line.port)
    await port.open(LineSettings(baudrate=9600, stopbits=2))
    attributes = termios.tcgetattr(line._master)
    assert attributes[5] == termios.B9600
    assert attributes[2] & termios.CSTOPB
    await port.set_line(LineSettings(baudrate=38400, flow_control="xonxoff", dtr=False))
    attributes = termios.tcgetattr(line._master)
    assert attributes[5] == termios.B38400
    assert not attributes[2] & termios.CSTOPB
    assert attributes[0] & termios.IXON
    assert port.line.baudrate == 38400
    await port.close()


async def test_dtr_and_rts_are_off_from_the_opening_on_if_the_line_settings_say_so(line, monkeypatch):
    levels = {}

    class Noted(serial.Serial):
        def _update_dtr_state(self):
            levels.setdefault("dtr", []).append(self._dtr_state)

        def _update_rts_state(self):
            levels.setdefault("rts", []).append(self._rts_state)

    def made(address, **options):
        options.pop("do_not_open")
        made_port = Noted(None, **options)
        made_port.port = address
        return made_port

    monkeypatch.setattr(module.serial, "serial_for_url", made)
    port = Port(line.port)
    await port.open(LineSettings(dtr=False, rts=False))
    await port.set_line(LineSettings(dtr=True, rts=False))
    await port.close()
    assert levels == {"dtr": [False, True], "rts": [False]}


# who may not open it --------------------------------------------------------------------------------------------------


async def test_a_port_that_this_gateway_has_open_is_not_opened_again(opened, line, monkeypatch):
    monkeypatch.setattr(module.serial, "serial_for_url", lambda *args, **options: pytest.fail("it was touched"))
    with pytest.raises(BusUnavailable, match="in use by this gateway"):
        await Port(line.port).open(LINE)


async def test_a_port_that_another_process_has_open_is_not_opened_and_the_process_is_named(line):
    program = f"import os, time; os.open({line.port!r}, os.O_RDWR | os.O_NOCTTY); print('open', flush=True); time.sleep(9)"
    holding = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    await holding.stdout.readline()
    with pytest.raises(BusUnavailable, match=rf"in use by .*process {holding.pid}"):
        await Port(line.port).open(LINE)
    holding.kill()
    await holding.communicate()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("/dev/ttyUSB-that-is-not", "there is no such port: is the adapter plugged in"),
        ("/dev/zero", "it is not a serial port"),
        ("/dev", "folder|not a serial port"),
        ("loop://", "loop:// is not supported"),
    ],
)
async def test_a_port_that_cannot_be_opened_is_an_error_that_says_how_to_fix_it(address, why):
    with pytest.raises(BusUnavailable, match=why):
        await Port(address).open(LINE)


async def test_a_missing_permission_is_an_error_that_names_the_group(monkeypatch):
    def refuse(*args, **options):
        raise serial.SerialException(errno.EACCES, "could not open port /dev/ttyUSB0: [Errno 13] Permission denied")

    monkeypatch.setattr(module.serial, "serial_for_url", refuse)
    with pytest.raises(BusUnavailable, match="usermod -aG dialout"):
        await Port("/dev/ttyUSB0").open(LINE)


# device servers -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def server(ear):
    """A device server by plain TCP that answers in capitals."""
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    number = serving.sockets[0].getsockname()[1]
    yield SimpleNamespace(url=f"socket://127.0.0.1:{number}", connections=connections)
    serving.close()
    for writer in connections:
        writer.close()


@pytest.mark.enable_socket
async def test_a_connection_to_a_device_server_is_closed_at_once(server, ear, monkeypatch):
    port = Port(server.url)
    await port.open(LINE)
    assert not port.is_configurable
    port.attach(ear)
    await port.write(b"hello")
    await ear.until(lambda ear: ear.data == b"HELLO")
    gate, is_over, really_close = threading.Event(), threading.Event(), module._close_pyserial

    def slow_close(serial_port):  # pyserial's own sleeps for 0.3 s
        gate.wait(GENEROUS_SECONDS)
        really_close(serial_port)
        is_over.set()

    monkeypatch.setattr(module, "_close_pyserial", slow_close)
    await port.close()
    await _until(lambda: server.connections and all(writer.is_closing() for writer in server.connections))
    assert not is_over.is_set(), "the connection was closed at once"
    gate.set()
    assert await asyncio.to_thread(is_over.wait, GENEROUS_SECONDS)


@pytest.mark.enable_socket
async def test_a_connection_closed_by_a_device_server_is_reported(server, ear):
    port = Port(server.url)
    await port.open(LINE)
    port.attach(ear)
    await port.write(b"hello")
    await ear.until(lambda ear: ear.data == b"HELLO")
    server.connections[0].close()
    await ear.until(lambda ear: ear.loss_reason is not None)
    assert "closed the connection" in ear.loss_reason
    await port.close()


@pytest.mark.enable_socket
async def test_a_device_server_that_accepts_no_more_data_is_lost(monkeypatch):
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.1)
    listening = socket.create_server(("127.0.0.1", 0))
    port = Port(f"socket://127.0.0.1:{listening.getsockname()[1]}")
    await port.open(LINE)
    with pytest.raises(BusUnavailable, match="accepts no more"):
        await port.write(bytes(20_000_000))
    assert not port.is_open
    await port.close()
    listening.close()


@pytest.mark.enable_socket
async def test_a_refused_connection_to_a_device_server_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    with pytest.raises(BusUnavailable, match="refuses the connection"):
        await Port(f"socket://127.0.0.1:{number}").open(LINE)


@pytest.mark.enable_socket
async def test_a_device_by_tcp_answers_and_its_errors_name_no_device_server(server, ear):
    number = server.url.rpartition(":")[2]
    port = Port(f"tcp://127.0.0.1:{number}")
    await port.open(LINE)
    assert not port.is_configurable
    port.attach(ear)
    await port.write(b"hello")
    await ear.until(lambda ear: ear.data == b"HELLO")
    server.connections[0].close()
    await ear.until(lambda ear: ear.loss_reason is not None)
    assert ear.loss_reason == f"tcp://127.0.0.1:{number}: the device closed the connection"
    await port.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
    with pytest.raises(BusUnavailable, match="the device refuses the connection") as refused:
        await Port(f"tcp://127.0.0.1:{number}").open(LINE)
    assert refused.value.cause is Cause.HOST_REFUSES


class _Remote:
    """The port behind an RFC 2217 server: what PortManager asks of one; wires a pseudo-terminal would not have."""

    def __init__(self):
        self.baudrate, self.bytesize, self.parity, self.stopbits = 9600, 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.dtr = self.rts = self.cts = self.dsr = True
        self.ri = self.cd = False

    def reset_input_buffer(self): ...

    def reset_output_buffer(self): ...


@pytest.fixture
async def remote():
    """An RFC 2217 server, made of pyserial's own server half, that answers in capitals."""
    served = SimpleNamespace(port=_Remote(), writers=[])

    async def serve(reader, writer):
        served.writers.append(writer)
        manager = serial.rfc2217.PortManager(served.port, SimpleNamespace(write=writer.write))
        while data := await reader.read(1024):
            plain = b"".join(manager.filter(data))
            if plain:
                writer.write(b"".join(manager.escape(plain.upper())))
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.url = f"rfc2217://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
    yield served
    serving.close()
    for writer in served.writers:
        writer.close()


@rfc2217
@pytest.mark.enable_socket
async def test_an_rfc_2217_server_transfers_data_and_sets_its_line(remote, ear):
    port = Port(remote.url)
    with never_stopped():
        await port.open(LineSettings(baudrate=19200, parity="E"))
        assert (remote.port.baudrate, remote.port.parity) == (19200, "E")
        port.attach(ear)
        await port.write(b"hello \xff")
        await ear.until(lambda ear: ear.data == b"HELLO \xff")
        await port.set_line(LineSettings(baudrate=38400))
        assert (remote.port.baudrate, remote.port.parity) == (38400, "N")
        await port.close()
    await _until(lambda: not _readers())


@rfc2217
@pytest.mark.enable_socket
async def test_a_connection_closed_by_an_rfc_2217_server_is_reported(remote, ear):
    port = Port(remote.url)
    await port.open(LINE)
    port.attach(ear)
    remote.writers[0].close()
    await ear.until(lambda ear: ear.loss_reason is not None)
    assert "closed the connection" in ear.loss_reason
    await port.close()


@rfc2217
@pytest.mark.enable_socket
async def test_a_server_without_rfc_2217_is_an_error_that_says_what_to_write():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rfc2217://127.0.0.1:{silent.getsockname()[1]}?timeout=0.2"
        with pytest.raises(BusUnavailable, match="write socket:// instead"):
            await Port(url).open(LINE)


async def _until(claim):
    """Wait until this is true, for what tells nobody when it becomes true."""
    async with asyncio.timeout(GENEROUS_SECONDS):
        while not claim():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


def _open_files():
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def _readers():
    return [thread for thread in threading.enumerate() if "serial" in thread.name.lower()]


# the facts ------------------------------------------------------------------------------------------------------------


def test_a_port_that_is_opened_exclusively_is_refused_to_the_second_with_error_11():
    master, slave = os.openpty()
    path = os.ttyname(slave)
    with serial.Serial(path, exclusive=True), pytest.raises(serial.SerialException) as refused:
        serial.Serial(path, exclusive=True)
    assert refused.value.errno == errno.EAGAIN == 11
    os.close(master)
    os.close(slave)


def test_a_port_without_a_device_is_refused_with_error_2():
    with pytest.raises(serial.SerialException) as refused:
        serial.Serial("/dev/ttyUSB-that-is-not")
    assert refused.value.errno == errno.ENOENT == 2


async def test_an_unplugged_port_ends_the_transport_of_pyserial_asyncio_with_an_exception():
    async with SerialLine() as line:
        reader, writer = await serial_asyncio.open_serial_connection(url=line.port)
        await asyncio.sleep(0.02)
        line.unplug()
        with pytest.raises(serial.SerialException, match=r"returned no data|Input/output error"):
            await reader.readline()
        with pytest.raises(serial.SerialException):
            await writer.drain()


async def test_pyserial_asyncio_writes_a_hundred_kilobytes_and_then_idles():
    async with SerialLine() as line:
        _, writer = await serial_asyncio.open_serial_connection(url=line.port)
        writer.write(bytes(100_000))
        await writer.drain()
        await _until(lambda: len(line.received) >= 100_000)
        assert not writer.transport._has_writer
        begun = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - begun < 0.05
        writer.close()
        await writer.wait_closed()


@rfc2217
@pytest.mark.enable_socket
async def test_pyserial_asyncio_does_not_support_rfc_2217(remote):
    opened = await asyncio.to_thread(serial.serial_for_url, remote.url)
    with pytest.raises(NotImplementedError, match="write_timeout"):
        await asyncio.to_thread(setattr, opened, "write_timeout", 0)  # as the transport does first of all
    await asyncio.to_thread(opened.close)


@pytest.mark.enable_socket
async def test_pyserial_sleeps_when_a_socket_is_closed(server):
    opened = await asyncio.to_thread(serial.serial_for_url, server.url)
    begun = time.monotonic()
    await asyncio.to_thread(opened.close)
    assert time.monotonic() - begun >= 0.3


async def test_pyserial_asyncio_flushes_in_the_loop_even_when_it_aborts(line):
    flushed_by = []

    class Noted(serial.Serial):
        def flush(self):
            flushed_by.append(threading.current_thread())

    transport = serial_asyncio.SerialTransport(asyncio.get_running_loop(), asyncio.Protocol(), Noted(line.port))
    await asyncio.sleep(0)
    transport.abort()
    await asyncio.sleep(0.01)
    assert flushed_by == [threading.main_thread()]


def test_a_lock_on_a_pseudo_terminal_is_only_seen_with_exclusive():
    master, slave = os.openpty()
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with serial.Serial(os.ttyname(slave)) as second:  # without `exclusive`, a lock is not even looked at
        assert second.is_open
    os.close(master)
    os.close(slave)


def test_pseudo_terminals_are_never_listed_and_listed_ports_have_a_path(monkeypatch):
    master, slave = os.openpty()
    assert os.ttyname(slave) not in [port.path for port in listed_ports()]
    os.close(master)
    os.close(slave)
    info = SimpleNamespace(
        device="/dev/ttyUSB0", vid=0x0403, pid=0x6001, serial_number="A1", location="1-1", manufacturer="FTDI", product="FT232R"
    )
    monkeypatch.setattr(module.list_ports, "comports", lambda: [info])
    (listed,) = listed_ports()
    assert (listed.path, listed.usb, listed.serial_number) == ("/dev/ttyUSB0", "0403:6001", "A1")


def test_a_port_that_is_unplugged_while_the_ports_are_listed_is_no_error(monkeypatch):
    answers = iter([TypeError("int() argument must be a string, not 'NoneType'"), []])

    def comports():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module.list_ports, "comports", comports)
    assert listed_ports() == []


# device servers that close the connection -----------------------------------------------------------------------------------


@pytest.mark.enable_socket
@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
async def test_a_device_server_that_closes_each_connection_is_told_with_how_many_are_ours(resets, ear, caplog):
    async with DeviceServer(ScriptedDevice(lambda question: question)) as server:
        server.max_clients, server.resets = 2, resets
        ours = [Port(server.port), Port(server.port)]
        for port in ours:
            await port.open(LINE)
        refused = Port(server.port)
        refused.attach(ear)
        try:
            await refused.open(LINE)
            said = await refused.wait_until_lost()
        except BusUnavailable as error:  # it was reset while it was opened
            said = str(error)
        assert "closes the connection without an answer: its connections may all be in use (2 of ours)" in said
        for port in (*ours, refused):
            await port.close()
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.enable_socket
@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
async def test_a_device_server_that_closes_instead_of_answering_differs_from_one_that_closes_later(resets, ear):
    async with DeviceServer(ScriptedDevice(lambda question: b"<" + question + b">")) as server:
        server.resets = resets
        said = []
        for answers in (0, 1):
            server.closes_after_answers = answers
            port = Port(server.port)
            await port.open(LINE)
            port.attach(ear)
            await port.write(b"a")
            if answers:
                await ear.until(lambda ear: ear.data == b"<a>")
                await port.write(b"b")
            said.append((await port.wait_until_lost()).removeprefix(f"{server.port}: "))
            await port.close()
    assert said[0].startswith("the device server closes the connection without an answer: its connections may all be in use")
    assert said[1] == "the device server closed the connection"
