"""The engine's calls, dispatched to one handler per resource type, in threads so that creates run side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as rpc_provider
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from images.remote.waiting import Say, Waiting
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.turns.replacing import Replacements
from providers.plugin.values import Plain, detailed_diff, plain_map, wrapped_map
from strict.names import INSTALL, NODE

T = TypeVar("T")
THREADS = 256
"""The default pool has cores + 4 threads: six nodes at a time on two cores, each of which only waits."""


class Gpucloud(rpc_provider.Provider):
    """`handlers` maps a type token to its handler; `log` shows a line under a resource (URN, message, whether it is a
    warning that stays)."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        log: Callable[[str, str, bool], None],
        replacements: Replacements | None = None,
    ) -> None:
        self.handlers = handlers
        self.replacements = replacements or Replacements()
        self.log = log
        self.interrupted = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gpucloud")

    async def get_schema(self, request: rpc_provider.GetSchemaRequest) -> rpc_provider.GetSchemaResponse:
        resources: dict[str, dict[str, Any]] = {
            token: {"inputProperties": {}, "properties": {}} for token in self.handlers
        }
        return rpc_provider.GetSchemaResponse(
            json.dumps({"name": "gpucloud", "version": "0.1.0", "resources": resources})
        )

    async def check_config(self, request: rpc_provider.CheckRequest) -> rpc_provider.CheckResponse:
        return rpc_provider.CheckResponse(request.new_inputs)

    async def diff_config(self, request: rpc_provider.DiffRequest) -> rpc_provider.DiffResponse:
        return rpc_provider.DiffResponse(changes=False)

    async def configure(self, request: rpc_provider.ConfigureRequest) -> rpc_provider.ConfigureResponse:
        return rpc_provider.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: rpc_provider.CheckRequest) -> rpc_provider.CheckResponse:
        handler = self._handler(request.urn)
        failures = handler.check(plain_map(request.old_inputs), plain_map(request.new_inputs))
        inputs = {
            key: value.with_secret(True) if key in handler.secret else value
            for key, value in request.new_inputs.items()
        }
        return rpc_provider.CheckResponse(inputs, failures)

    async def diff(self, request: rpc_provider.DiffRequest) -> rpc_provider.DiffResponse:
        handler = self._handler(request.urn)
        olds, news = plain_map(request.old_state), plain_map(request.new_inputs)
        keys = [key for key in handler.inputs if key not in request.ignore_changes]
        detail = detailed_diff(handler.compared(olds), handler.compared(news), keys, handler.replacing)
        unfinished = handler.unfinished(olds)
        if not unfinished and all(path in handler.silent for path in detail):
            return rpc_provider.DiffResponse(changes=False)
        replaces = sorted({path for path, change in detail.items() if change.kind.name.endswith("_REPLACE")})
        if replaces and resource_type(request.urn) == NODE:
            self.replacements.plan(olds)
        again = dict.fromkeys(unfinished, PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False))
        return rpc_provider.DiffResponse(
            changes=True,
            replaces=replaces,
            delete_before_replace=bool(replaces),
            diffs=sorted({*(_top(path) for path in detail), *unfinished}),
            detailed_diff={**detail, **again},
        )

    async def create(self, request: rpc_provider.CreateRequest) -> rpc_provider.CreateResponse:
        handler = self._handler(request.urn)
        news = plain_map(request.properties)
        if request.preview:
            return rpc_provider.CreateResponse("", self._wrapped(handler, handler.preview({}, news)))
        waiting = self._waiting(request.urn)
        make = partial(handler.create, request.urn, news, waiting)
        resource_id, outputs = await self._thread(lambda: self._in_turn(resource_type(request.urn), news, make))
        return rpc_provider.CreateResponse(resource_id, self._wrapped(handler, outputs))

    async def read(self, request: rpc_provider.ReadRequest) -> rpc_provider.ReadResponse:
        handler = self._handler(request.urn)
        olds = plain_map(request.properties)
        waiting = self._waiting(request.urn)
        state = await self._thread(lambda: handler.read(request.resource_id, olds, waiting))
        if state is None:
            return rpc_provider.ReadResponse("")
        inputs, outputs = state
        return rpc_provider.ReadResponse(
            request.resource_id, self._wrapped(handler, outputs), self._wrapped(handler, inputs)
        )

    async def update(self, request: rpc_provider.UpdateRequest) -> rpc_provider.UpdateResponse:
        handler = self._handler(request.urn)
        olds, news = plain_map(request.olds), plain_map(request.news)
        if request.preview:
            return rpc_provider.UpdateResponse(self._wrapped(handler, handler.preview(olds, news)))
        waiting = self._waiting(request.urn)
        outputs = await self._thread(lambda: handler.update(request.resource_id, olds, news, waiting))
        return rpc_provider.UpdateResponse(self._wrapped(handler, outputs))

    async def delete(self, request: rpc_provider.DeleteRequest) -> None:
        handler = self._handler(request.urn)
        olds = plain_map(request.properties)
        waiting = self._waiting(request.urn)
        end = partial(handler.delete, request.resource_id, olds, waiting)
        if resource_type(request.urn) in (NODE, INSTALL):
            end = partial(self.replacements.delete, olds, waiting, end)
        await self._thread(end)

    async def cancel(self) -> None:
        """Comes on SIGINT, SIGTERM and at every normal end: waits hear of it and save what they have."""
        self.interrupted = True

    def _in_turn(self, kind: str, news: Plain, make: Callable[[], tuple[str, Plain]]) -> tuple[str, Plain]:
        """A node's successor, and its install, are parts of a replacement's turn."""
        if kind == NODE:
            return self.replacements.create(news, make)
        return self.replacements.accept(news, make) if kind == INSTALL else make()

    def _handler(self, urn: str) -> Handler:
        return self.handlers[resource_type(urn)]

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _waiting(self, urn: str) -> Waiting:
        say: Say = lambda message: self.log(urn, message, False)  # noqa: E731
        warn: Say = lambda message: self.log(urn, message, True)  # noqa: E731
        return Waiting(say=say, warn=warn, cancelled=lambda: self.interrupted)

    @staticmethod
    def _wrapped(handler: Handler, values: Mapping[str, Any]) -> dict[str, PropertyValue]:
        return wrapped_map(values, handler.secret)


def resource_type(urn: str) -> str:
    """The resource's own type. A URN holds its parents' types too: project::parent$type::name."""
    return urn.split("::")[2].split("$")[-1]


def failed_state(handlers: Mapping[str, Handler], urn: str, e: InitFailed) -> tuple[Any, Any]:
    """(outputs, inputs) of a resource that exists and is not in order, as protobuf structs with secrets marked."""
    secret = handlers[resource_type(urn)].secret
    return (
        PropertyValue.marshal_map(wrapped_map(e.outputs, secret)),
        PropertyValue.marshal_map(wrapped_map(e.inputs, secret)),
    )


def _top(path: str) -> str:
    return path.split("[")[0].split(".")[0]
