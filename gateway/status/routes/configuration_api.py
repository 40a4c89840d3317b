"""Serve the operations of the API that edit the configuration."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from gateway.status.configuration_view import ConfigurationDraft, ConfigurationView, NotEditable, Saved, TextMistake, TextTooLarge
from gateway.status.declared_routes import DeclaredRoute
from gateway.status.operations.configuration import (
    MOST_BODY_BYTES,
    OPERATIONS,
    ConfigurationChange,
    ConfigurationMistake,
    ConfigurationMistakes,
    ConfigurationPart,
    ConfigurationPlanned,
    ConfigurationReplacement,
    ConfigurationRestart,
    ConfigurationSaved,
    ConfigurationText,
    GatewayConfigurationText,
)
from gateway.status.operations.operation import ErrorResponse
from gateway.status.routes.api_operations import (
    action_response,
    api_response,
    model_of,
    operation_routes,
    read_body,
    read_large_json,
)
from gateway.status.routes.requester import token_holder

NOT_CONFIRMED = "a restart needs a confirmation: send it with `confirmed` set to true"


class ConfigurationApi:
    """Handlers of `gateway.status.operations.configuration`."""

    def __init__(self, view: ConfigurationView) -> None:
        self._view = view

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def configuration(self, request: web.Request) -> web.Response:
        """Respond with the file as it is now."""
        del request
        file = await self._view.file()
        change = file.change
        return api_response(
            GatewayConfigurationText(
                file=file.name,
                text=file.text,
                etag=file.etag,
                problem=None if file.problem is None else f"{file.problem}. {file.fix}.",
                can_undo=file.can_undo,
                waits_for_restart=tuple(file.restart_keys),
                from_elsewhere=dict(file.elsewhere),
                change=None if change is None else model_of(ConfigurationChange, change),
            )
        )

    async def check_configuration(self, request: web.Request) -> web.Response:
        """Respond with what is wrong with a text."""
        draft = await self._checked(request, plans=False)
        return draft if isinstance(draft, web.Response) else api_response(_mistakes(draft))

    async def plan_configuration(self, request: web.Request) -> web.Response:
        """Respond with what a text would change."""
        draft = await self._checked(request, plans=True)
        if isinstance(draft, web.Response):
            return draft
        plan = draft.plan
        return api_response(
            ConfigurationPlanned(
                mistakes=_shown(draft.mistakes),
                warnings=_shown(draft.warnings),
                parts=() if plan is None else tuple(model_of(ConfigurationPart, part) for part in plan.parts),
                cautions=() if plan is None else tuple(plan.warnings),
                difference=() if plan is None else tuple(f"{line.kind}{line.text}" for line in plan.lines),
            )
        )

    async def replace_configuration(self, request: web.Request) -> web.Response:
        """Save a text and put it into effect."""
        wanted = await read_large_json(request, ConfigurationReplacement, most_bytes=MOST_BODY_BYTES)
        try:
            draft = await self._view.check(wanted.text, plans=False)
        except TextTooLarge as error:
            return api_response(ErrorResponse(error=str(error)), status=413)
        except NotEditable as error:
            return action_response(str(error))
        saved = await self._view.save(wanted.text, etag=wanted.etag, by=token_holder(request, "API"))
        if saved.problem is not None and not saved.is_conflict and draft.mistakes:
            return api_response(_mistakes(draft), status=422)
        return await self._saved(saved)

    async def undo_configuration(self, request: web.Request) -> web.Response:
        """Go one step back."""
        return await self._saved(await self._view.undo(by=token_holder(request, "API")))

    async def restart_with_configuration(self, request: web.Request) -> web.Response:
        """Build the gateway anew with what was saved."""
        if not (await read_body(request, ConfigurationRestart)).confirmed:
            return action_response(NOT_CONFIRMED)
        self._view.begin_anew(by=token_holder(request, "API"))
        return action_response(None)

    async def _checked(self, request: web.Request, *, plans: bool) -> ConfigurationDraft | web.Response:
        wanted = await read_large_json(request, ConfigurationText, most_bytes=MOST_BODY_BYTES)
        try:
            return await self._view.check(wanted.text, plans=plans)
        except TextTooLarge as error:
            return api_response(ErrorResponse(error=str(error)), status=413)
        except NotEditable as error:
            return action_response(str(error))

    async def _saved(self, saved: Saved) -> web.Response:
        if saved.problem is not None:
            return action_response(saved.problem)
        etag = (await self._view.file()).etag
        return api_response(ConfigurationSaved(etag=etag, waits_for_restart=tuple(saved.restart_keys)))


def _mistakes(draft: ConfigurationDraft) -> ConfigurationMistakes:
    return model_of(ConfigurationMistakes, draft)


def _shown(mistakes: Sequence[TextMistake]) -> tuple[ConfigurationMistake, ...]:
    return tuple(model_of(ConfigurationMistake, one) for one in mistakes)
