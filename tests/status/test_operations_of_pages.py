"""What the page can do, the API can: restore an uploaded backup, test the notifications, tell how to claim the gateway."""

import aiohttp
import pytest

from gateway.status.auth.tokens import Role
from gateway.status.snapshot import GatewaySummary

pytestmark = pytest.mark.enable_socket

API = "/api/v1"


async def call(page, method, path, *, role=Role.ADMINISTER, **more):
    async with page.http.request(method, f"{API}{path}", headers=page.bearers[role], **more) as answer:
        return answer.status, await answer.json()


def form_of(content, passphrase="a long passphrase"):
    form = aiohttp.FormData()
    form.add_field("passphrase", passphrase)
    form.add_field("file", content, filename="a.backup", content_type="application/octet-stream")
    return form


async def test_a_backup_is_uploaded_checked_and_restored_once_it_is_confirmed(page, view):
    status, checked = await call(page, "POST", "/restore", data=form_of(b"backup of a gateway"))
    assert (status, checked["plan"], checked["own_children"], checked["is_same_gateway"]) == (200, "plan-1", 5, True)
    assert view.restores.checked == [(b"backup of a gateway", "a long passphrase")]
    assert view.restores.restored == []
    assert await call(page, "POST", "/restore/confirm", json={"plan": "plan-1"}) == (200, {"done": True})
    assert view.restores.restored == ["plan-1"]
    assert await call(page, "POST", "/restore/cancel") == (200, {"done": True})
    assert view.restores.cancelled == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"data": form_of(b"something else")}, 409, "the file is no backup of a gateway"),
        ({"json": {"file": "x"}}, 415, "multipart/form-data"),
        ({"data": aiohttp.FormData({"passphrase": "x"})}, 415, "multipart/form-data"),
    ],
)
async def test_what_is_no_backup_is_refused_with_the_reason(page, view, body, status, words):
    got, answer = await call(page, "POST", "/restore", **body)
    assert (got, words in answer["error"]) == (status, True), answer
    assert view.restores.restored == []


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(page, view):
    view.restores.most_bytes = -(1 << 20)
    status, answer = await call(page, "POST", "/restore", data=form_of(b"backup of a gateway"))
    assert (status, "MB" in answer["error"], view.restores.checked) == (413, True, [])


async def test_an_old_plan_is_not_restored(page, view):
    status, answer = await call(page, "POST", "/restore/confirm", json={"plan": "plan-0"})
    assert (status, answer["error"]) == (409, "nothing is restored: the file was checked too long ago")


async def test_the_notifications_are_listed_and_tested(page, view):
    status, listed = await call(page, "GET", "/notifications")
    assert status == 200
    assert [one["name"] for one in listed["channels"]] == [one.name for one in view.notifications.channels]
    status, tested = await call(page, "POST", "/notifications/test")
    assert status == 200
    assert [one["channel"] for one in tested["outcomes"]] == [one.name for one in view.notifications.channels]


async def test_it_is_told_how_the_gateway_is_claimed_until_it_is(page, view):
    view.gateway = view.gateway.model_copy(update={"is_claimed": False, "claim_text": "XG-1", "claim_url": None})
    status, claim = await call(page, "GET", "/claim", role=Role.LOOK)
    assert (status, claim["is_claimed"], claim["text"], claim["picture"]) == (200, False, "XG-1", "/claim.svg")
    async with page.http.get(claim["picture"], headers=page.bearer) as picture:
        assert picture.status == 200
    assert isinstance(view.gateway, GatewaySummary)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/restore"), ("POST", "/restore/confirm"), ("POST", "/restore/cancel"), ("GET", "/notifications"),
     ("POST", "/notifications/test")],
)  # fmt: skip
async def test_each_needs_the_right_to_administer(page, view, method, path):
    for role in (Role.LOOK, Role.OPERATE):
        status, answer = await call(page, method, path, role=role, json={"plan": "plan-1"} if method == "POST" else None)
        assert (status, "administer" in answer["error"]) == (403, True)
    assert view.restores.restored == []
