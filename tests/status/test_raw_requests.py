"""What comes over the wire to the page, byte by byte: it answers or closes, hangs nowhere, and has no bug."""

import asyncio
import contextlib
import importlib.util
import logging
import re
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.tokens import Role, Token, digest_of
from gateway.status.listening.endpoint import Endpoint
from gateway.status.server import StatusServer

pytestmark = pytest.mark.enable_socket

TOKEN = "a-token-that-only-tests-know"
HEAD = b"Host: localhost\r\nConnection: close\r\n"
POST = b"POST /login HTTP/1.1\r\n" + HEAD + b"Origin: http://localhost\r\n"


@pytest.fixture(scope="module")
def page():
    """The port of a page in a thread of its own, and what it logs."""
    spec = importlib.util.spec_from_file_location("fake_view_of_raw_requests", Path(__file__).with_name("fake_view.py"))
    fake_view = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake_view)
    logged, began = [], threading.Event()
    loop = asyncio.new_event_loop()
    watched = logging.Handler()
    watched.emit = logged.append
    logging.getLogger().addHandler(watched)

    async def serve():
        nonlocal server, task
        view = fake_view.show_plant()
        server = StatusServer(
            view,
            view.history,
            TokenAuth(lambda: (Token(name="administrator", role=Role.ADMINISTER, digest=digest_of(TOKEN)),), host="127.0.0.1"),
            endpoint=Endpoint(port=0),
        )
        task = asyncio.create_task(server.run())
        await server.listens.wait()
        began.set()
        await asyncio.gather(task, return_exceptions=True)

    server = task = None
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert began.wait(20)
    yield int(server.address.rpartition(":")[2]), logged
    loop.call_soon_threadsafe(task.cancel)
    thread.join(20)
    loop.close()
    logging.getLogger().removeHandler(watched)


def answer_to(page, request, *, patience_seconds=30.0):
    """Send bytes, and return what comes until the page closes; after a while, send the end as well."""
    port, logged = page
    logged.clear()
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client, contextlib.suppress(ConnectionError):
        client.sendall(request)
        client.settimeout(patience_seconds)
        with contextlib.suppress(TimeoutError):
            while more := client.recv(65536):
                answer += more
        client.settimeout(30)
        client.shutdown(socket.SHUT_WR)
        while more := client.recv(65536):
            answer += more
    bugs = [one for one in logged if one.exc_info or one.levelno >= logging.ERROR or "Traceback" in one.getMessage()]
    assert [one.getMessage() for one in bugs] == []
    assert b"Traceback" not in answer
    return answer


def status_of(answer):
    return int(re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)[1])


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n", 400, id="empty host"),
        pytest.param(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + HEAD + b"\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n", 400, id="open bracket"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: [x]:80\r\nConnection: close\r\n\r\n", 400, id="bracket nonsense"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost:x\r\nConnection: close\r\n\r\n", 400, id="bad port"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost:999999\r\nConnection: close\r\n\r\n", 400, id="huge port"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost/x\r\nConnection: close\r\n\r\n", 400, id="path in host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a@localhost\r\nConnection: close\r\n\r\n", 400, id="user in host"),
        pytest.param("GET / HTTP/1.1\r\nHost: é℀\r\nConnection: close\r\n\r\n".encode(), 400, id="letters in host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n", 400, id="bytes in host"),
        pytest.param(
            b"GET /api/v1/status HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", 400, id="bad host on a program's path"
        ),
        pytest.param(
            b"GET /static/x/page.css HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", 400, id="bad host on a static file"
        ),
        pytest.param(
            b"POST /login HTTP/1.1\r\nHost: [\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 400, id="bad host at sign-in"
        ),
        pytest.param(b"GET /healthz HTTP/1.0\r\n\r\n", 200, id="HTTP/1.0 without host"),
        pytest.param(b"GET http://localhost/healthz HTTP/1.1\r\n" + HEAD + b"\r\n", 200, id="absolute target"),
        pytest.param(b"GET http://evil.example/healthz HTTP/1.1\r\n" + HEAD + b"\r\n", 200, id="absolute target elsewhere"),
        pytest.param(b"GET http://[ HTTP/1.1\r\n" + HEAD + b"\r\n", 400, id="absolute nonsense"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n", 403, id="asterisk"),
        pytest.param(b"CONNECT localhost:80 HTTP/1.1\r\n" + HEAD + b"\r\n", 403, id="authority"),
        pytest.param(b"NONSENSE\r\n\r\n", 400, id="one word"),
        pytest.param(bytes.fromhex("16030100f1010000ed0303") + bytes(230), 400, id="TLS"),
        pytest.param(b"GET / HTTP/9.9\r\n" + HEAD + b"\r\n", 400, id="unknown version"),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 400, id="long line"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 400, id="long header"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + HEAD + b"".join(b"X%d: 1\r\n" % n for n in range(5000)) + b"\r\n", 400, id="many headers"
        ),
        pytest.param(b"GET /a\0b HTTP/1.1\r\n" + HEAD + b"\r\n", 400, id="NUL in path"),
        pytest.param(b"GET /a%00b HTTP/1.1\r\n" + HEAD + b"\r\n", 404, id="encoded NUL"),
        pytest.param(b"GET /%zz%f HTTP/1.1\r\n" + HEAD + b"\r\n", 404, id="bad percent"),
        pytest.param(b"GET /children/%ff%fe HTTP/1.1\r\n" + HEAD + b"\r\n", 404, id="bad UTF-8"),
        pytest.param(b"GET /\xff\xfe HTTP/1.1\r\n" + HEAD + b"\r\n", 400, id="raw bytes"),
        pytest.param(b"GET /%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\n" + HEAD + b"\r\n", 404, id="encoded slashes"),
        pytest.param(b"GET /%0d%0aSet-Cookie:%20x HTTP/1.1\r\n" + HEAD + b"\r\n", 404, id="line in path"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="bad chunk"),
        pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, id="two lengths"),
        pytest.param(POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="length and chunks"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(POST + b"Content-Length: 99999999999\r\n\r\n", 413, id="huge length"),
        pytest.param(POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 400, id="bad gzip"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n", 200, id="upgrade"
        ),
        pytest.param(
            b"POST /login HTTP/1.1\r\n" + HEAD + b"Origin: http://[\r\nContent-Length: 0\r\n\r\n", 403, id="foreign origin"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + HEAD + b"Cookie: \xff=;;=;xyte_gateway=\xe9.\xe9; a\r\n\r\n", 200, id="cookie nonsense"
        ),
        pytest.param(b"GET / HTTP/1.1\r\n" + HEAD + b"X-Forwarded-For: \xff,,[,\r\n\r\n", 303, id="forwarded nonsense"),
    ],
)
def test_a_request_that_is_wrong_is_answered(page, request_bytes, status):
    assert status_of(answer_to(page, request_bytes)) == status


HOSTS = st.one_of(st.binary(max_size=30), st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")))
PATH_PARTS = (
    b"/ .. %00 %2f %zz ? & = # children api/v1 login events \\ [ ] http: // @ \xc3\xa9 page= 99999999999999999999 sort= show="
).split(b" ")
PATHS = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(PATH_PARTS), max_size=12).map(lambda parts: b"/" + b"".join(parts))
)
METHODS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"get", b"X Y", b""]
)
HEADER_NAMES = (
    b"Origin Cookie Authorization Content-Length Transfer-Encoding Content-Type Range X-Forwarded-For Forwarded Accept-Encoding"
    b" If-None-Match Expect Upgrade Connection Content-Encoding Sec-Fetch-Site Last-Event-ID TE \xff"
).split(b" ")
HEADER_VALUES = (
    b"chunked|gzip|10|-1|Bearer x|xyte_gateway=1.2|100-continue|websocket|same-origin|application/json"
    b"|application/x-www-form-urlencoded|multipart/form-data; boundary=x|http://localhost|http://["
).split(b"|")
HEADERS = st.lists(
    st.tuples(st.sampled_from(HEADER_NAMES), st.one_of(st.binary(max_size=30), st.sampled_from(HEADER_VALUES))), max_size=5
)


@settings(deadline=None, max_examples=150)
@given(
    method=METHODS,
    path=PATHS,
    host=HOSTS,
    headers=HEADERS,
    body=st.binary(max_size=80),
    version=st.sampled_from([b"1.1", b"1.0", b"2.0", b""]),
)
@example(method=b"GET", path=b"/", host=b"[", headers=[], body=b"", version=b"1.1")
def test_no_request_hangs_or_finds_a_bug(page, method, path, host, headers, body, version):
    lines = [method + b" " + path + b" HTTP/" + version, b"Host: " + host, *(name + b": " + value for name, value in headers)]
    answer_to(page, b"\r\n".join(lines) + b"\r\n\r\n" + body, patience_seconds=0.05)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_no_bytes_hang_or_find_a_bug(page, sent):
    answer_to(page, sent, patience_seconds=0.05)
