"""Diagnostics, backup and restart by the JSON API: the laws of the page, and errors as JSON that says what is wrong."""

import asyncio

import pytest

from gateway.status.auth.tokens import Role

pytestmark = pytest.mark.enable_socket
SECRET = "a good passphrase"
BODIES = {
    "diagnostics": None,
    "backup": {"passphrase": SECRET},
    "restart": {"confirmed": True},
}


async def post(page, path, *, role=Role.ADMINISTER, headers=None, **body):
    headers = page.bearers[role] | (headers or {})
    async with page.http.post(f"/api/v1/{path}", headers=headers, **body) as answer:
        return answer.status, await answer.json()


async def test_only_who_may_administer_uses_it_and_never_from_another_site(page, view):
    for path, body in BODIES.items():
        for role in (Role.LOOK, Role.OPERATE):
            assert (await post(page, path, role=role, json=body))[0] == 403, path
    async with page.http.post("/login", data={"token": page.token}, headers={"Sec-Fetch-Site": "same-origin"}) as answer:
        assert answer.status == 200, "from now on, the cookie has the right"
    for path, body in BODIES.items():
        foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
        async with page.http.post(f"/api/v1/{path}", json=body, headers=foreign) as answer:
            assert answer.status == 403, path
    made = view.maintenance
    assert (made.restarts, made.bundles, made.passphrases) == (0, 0, [])


async def test_an_archive_is_collected_and_sent_as_a_file(page, view):
    async with page.http.post("/api/v1/diagnostics", headers=page.bearer) as answer:
        assert (answer.status, answer.content_type) == (200, "application/gzip")
        assert answer.headers["Content-Disposition"].endswith('.tar.gz"')
        assert await answer.read() == b"archive 1"


async def test_a_backup_is_sent_as_a_file_and_its_failure_as_json(page, view):
    async with page.http.post("/api/v1/backup", json={"passphrase": SECRET}, headers=page.bearer) as answer:
        assert (answer.status, answer.content_type) == (200, "application/octet-stream")
        assert answer.headers["Content-Disposition"].endswith('.backup"')
        assert await answer.read() == view.maintenance.content
    assert view.maintenance.passphrases == [SECRET]
    view.maintenance.backup_problem = "the disk is full"
    assert await post(page, "backup", json={"passphrase": SECRET}) == (409, {"error": "no backup was made: the disk is full"})


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("backup", {}, "passphrase"),
        ("backup", {"passphrase": "seven c"}, "less than 8 characters"),
        ("backup", {"passphrase": 12345678}, "passphrase"),
        ("backup", {"passphrase": SECRET, "again": SECRET}, "again"),
        ("backup", [SECRET], "the body"),
        *(("restart", {"confirmed": no_boolean}, "confirmed") for no_boolean in ("perhaps", "true", 1, 1.0)),
        ("restart", {"now": True}, "now"),
        ("restart", None, "the body"),
        ("restart?now=1", {"confirmed": True}, "now"),
        ("diagnostics?full=1", None, "full"),
    ],
)
async def test_a_wrong_request_is_a_400_that_names_what_is_wrong_and_no_secret(page, view, path, body, words):
    status, answer = await post(page, path, json=body)
    assert (status, words in answer["error"]) == (400, True), answer
    assert SECRET not in answer["error"]
    made = view.maintenance
    assert (made.restarts, made.bundles, made.passphrases) == (0, 0, [])


async def test_a_restart_needs_a_confirmation_and_what_starts_it_again(page, view):
    status, answer = await post(page, "restart", json={})
    assert (status, "`confirmed`" in answer["error"], view.maintenance.restarts) == (409, True, 0)
    view.maintenance.restart_problem = "nothing would start it again"
    assert await post(page, "restart", json={"confirmed": True}) == (
        409,
        {"error": "not restarted: nothing would start it again"},
    )
    view.maintenance.restart_problem = None
    assert await post(page, "restart", json={"confirmed": True}) == (200, {"done": True})
    async with asyncio.timeout(60):
        while not view.maintenance.restarts:  # noqa: ASYNC110 - the server calls it
            await asyncio.sleep(0.05)
    assert view.maintenance.restarts == 1
