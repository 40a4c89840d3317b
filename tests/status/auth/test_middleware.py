from ipaddress import ip_network

import pytest

from gateway.status.auth.wrong_tokens import FREE_ATTEMPTS

pytestmark = pytest.mark.enable_socket

PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


async def status_of(page, path, method="GET", **headers):
    async with page.http.request(method, path, headers=headers, allow_redirects=False) as answer:
        return answer.status


@pytest.mark.parametrize("name", PROXY_HEADERS)
async def test_a_request_that_a_proxy_passed_on_is_not_local(page, name):
    assert await status_of(page, "/api/v1/status") == 200
    assert await status_of(page, "/api/v1/status", **{name: "1.1 proxy"}) == 401
    assert await status_of(page, "/readyz", **{name: "1.1 proxy"}) == 401
    assert await status_of(page, "/api/v1/status", **{name: "1.1 proxy"}, **page.bearer) == 200


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer {}", 200), ("bearer {}", 200), ("BEARER  {} ", 200), ("Basic {}", 401), ("{}", 401), ("Bearer", 401)],
)
async def test_only_a_bearer_token_counts(serve, view, authorization, status):
    running = await serve(view, bound="0.0.0.0")
    assert await status_of(running, "/metrics", Authorization=authorization.format(running.token)) == status


async def test_a_stale_scraper_makes_nobody_at_its_address_wait_who_has_a_right_token(page):
    for number in range(2 * FREE_ATTEMPTS):
        assert await status_of(page, "/metrics", Authorization="Bearer wrong") == (401 if number < FREE_ATTEMPTS else 429)
        for bearer in page.bearers.values():
            assert await status_of(page, "/metrics", **bearer) == 200


async def test_what_changes_something_needs_the_token_by_every_method(page):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert await status_of(page, "/api/v1/status", method) == 401
    assert await status_of(page, "/api/v1/status", "HEAD") == 200


async def test_a_probe_reveals_its_one_path_only(serve, view):
    running = await serve(view, bound="0.0.0.0")
    assert await status_of(running, "/readyz") == 200
    assert await status_of(running, "/readyz/more") == 401
    assert await status_of(running, "/healthzz/../metrics") != 200
    assert await status_of(running, "/waiting") == 303


async def test_a_local_response_isolates_its_window_and_an_error_names_the_way_in(page):
    async with page.http.get("/") as answer:
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    async with page.http.post("/waiting/x/admit", headers={"Origin": page.address}) as answer:
        assert (answer.status, 'href="/login"' in await answer.text()) == (403, True)
    async with page.http.get("/nothing") as answer:
        assert (answer.status, 'href="/login"' in await answer.text()) == (404, False)


async def wrong_token(page, forwarded_for):
    return await status_of(page, "/metrics", Authorization="Bearer wrong", **{"X-Forwarded-For": forwarded_for})


async def test_a_stranger_behind_a_trusted_proxy_makes_nobody_else_wait(serve, view):
    page = await serve(view, trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))
    for _ in range(FREE_ATTEMPTS):
        assert await wrong_token(page, "198.51.100.7") == 401
    assert await wrong_token(page, "198.51.100.7") == 429
    assert await wrong_token(page, "198.51.100.8") == 401
    assert await wrong_token(page, "198.51.100.8, 198.51.100.7, 10.1.2.3") == 429, "what the client wrote itself does not count"


async def test_forwarded_addresses_of_a_proxy_that_is_not_trusted_count_for_nothing(serve, view):
    page = await serve(view)
    answers = [await wrong_token(page, f"198.51.100.{number}") for number in range(FREE_ATTEMPTS + 1)]
    assert answers[-1] == 429


async def test_a_cookie_is_for_tls_only_where_a_trusted_proxy_has_tls(serve, view):
    for trusted, is_secure in (((ip_network("127.0.0.1/32"),), True), ((), False)):
        page = await serve(view, trusted_proxies=trusted)
        headers = {"Origin": page.address, "X-Forwarded-Proto": "https"}
        async with page.http.post("/login", data={"token": page.token}, headers=headers, allow_redirects=False) as answer:
            assert ("Secure" in answer.headers["Set-Cookie"]) is is_secure
