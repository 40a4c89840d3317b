"""Serve the operations of the API of a gateway that waits for its configuration."""

from __future__ import annotations

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.doctor_cache import DoctorCache
from gateway.status.openapi import openapi
from gateway.status.operations.operation import BASE
from gateway.status.operations.setup import (
    SETUP_OPERATIONS,
    AnswersRequest,
    BusRequest,
    FileRequest,
    FileState,
    SaveRequest,
    SearchRequest,
    SetupPlan,
    SetupQuestions,
)
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import action_response, api_response, model_of, operation_routes, read_body
from gateway.status.routes.json_responses import json_response
from gateway.status.setup_view import SetupView

STARTS = "there is a configuration, and the gateway starts, or waits for it to be corrected"


class SetupApi:
    """Handlers of `gateway.status.operations.setup`."""

    def __init__(self, view: SetupView, doctor: DoctorCache) -> None:
        self._view = view
        self._doctor = doctor
        self._document = openapi(SETUP_OPERATIONS)

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation, and one for the document that describes them."""
        return [*operation_routes(SETUP_OPERATIONS, self), get(f"{BASE}/openapi.json", self.document, needs=Rights.LOOK)]

    async def document(self, request: web.Request) -> web.Response:
        """Respond with the OpenAPI document of a gateway that waits."""
        del request
        return web.json_response(self._document)

    async def setup(self, request: web.Request) -> web.Response:
        """Respond with the state."""
        del request
        state = self._view.setup()
        return json_response(state, headers={"ETag": f'"{state.version}"'})

    async def doctor(self, request: web.Request) -> web.Response:
        """Respond with the findings of `doctor`."""
        del request
        return json_response(await self._doctor.report())

    async def questions(self, request: web.Request) -> web.Response:
        """Respond with the questions and the answers so far."""
        del request
        return api_response(model_of(SetupQuestions, self._view.actions.form()))

    async def answer(self, request: web.Request) -> web.Response:
        """Take the answers, and respond with the questions and what is wrong with an answer."""
        wanted = await read_body(request, AnswersRequest)
        if not self._view.setup().is_set_up_here:
            return action_response(STARTS)
        await self._view.actions.answer(_fields(wanted))
        return api_response(model_of(SetupQuestions, self._view.actions.form()))

    async def plan(self, request: web.Request) -> web.Response:
        """Respond with what would be written."""
        del request
        review = await self._view.actions.review() if self._view.setup().is_set_up_here else None
        return api_response(None if review is None else model_of(SetupPlan, review))

    async def save(self, request: web.Request) -> web.Response:
        """Write the configuration that was looked at."""
        wanted = await read_body(request, SaveRequest)
        if not self._view.setup().is_set_up_here:
            return action_response(STARTS)
        return action_response(await self._view.actions.save(wanted.revision))

    async def search(self, request: web.Request) -> web.Response:
        """Search everything again."""
        wanted = await read_body(request, SearchRequest)
        return action_response(await self._view.actions.search_again(wanted.hosts))

    async def add_bus(self, request: web.Request) -> web.Response:
        """Add a bus, and search it."""
        wanted = await read_body(request, BusRequest)
        return action_response(await self._view.actions.add_bus(wanted.model_dump()))

    async def remove_bus(self, request: web.Request) -> web.Response:
        """Take a bus back that was added."""
        number = request.match_info["number"]
        if not (number.isascii() and number.isdecimal() and len(number) < 7):
            return api_response(None)
        return action_response(await self._view.actions.remove_bus(int(number)))

    async def file_to_correct(self, request: web.Request) -> web.Response:
        """Respond with the file and its mistakes."""
        del request
        file = self._view.actions.file_to_correct()
        return api_response(None if file is None else model_of(FileState, file))

    async def correct_file(self, request: web.Request) -> web.Response:
        """Save a corrected file."""
        wanted = await read_body(request, FileRequest)
        return action_response(await self._view.actions.correct(wanted.text, wanted.stamp))

    async def undo_file(self, request: web.Request) -> web.Response:
        """Put the former file back."""
        del request
        return action_response(await self._view.actions.undo_file())


def _fields(wanted: AnswersRequest) -> dict[str, str]:
    """Return the answers as the fields of the form on the page."""
    given = {
        "name": wanted.name,
        "entry_url": wanted.entry_url,
        "hardware_key": None if wanted.hardware_key is None else wanted.hardware_key.get_secret_value(),
        "allow_plain_http": "on" if wanted.allow_plain_http else None,
        "later": None if wanted.admits_later else "ask",
    }
    fields = {name: text for name, text in given.items() if text is not None}
    for family in wanted.families:
        fields |= {f"choice-{family.id}": family.choice.value, f"model-{family.id}": family.model_id}
    return fields | dict.fromkeys(wanted.left_out, "on")
