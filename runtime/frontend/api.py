"""The handlers of the OpenAI endpoints."""

import logging
import time
import uuid
from collections.abc import Callable

from runtime.errors import RuntimeFault
from runtime.frontend.answers import StreamedAnswer, WholeAnswer
from runtime.frontend.directory import ModelDirectory
from runtime.frontend.errors import ApiError, from_fault
from runtime.frontend.generation import Generation
from runtime.frontend.measure import Measure, status_of
from runtime.frontend.metrics import FrontendMetrics
from runtime.frontend.model import ServedModel
from runtime.frontend.prepare import prepare, text_stream
from runtime.frontend.relay import Errand, Relay
from runtime.frontend.shapes import ChatShape, CompletionShape, Shape
from runtime.frontend.token_names import TokenNames
from runtime.frontend.wanted import Wanted, parse_chat, parse_completion
from runtime.http.message import Request, Response, StreamWriter, json_response
from runtime.http.routes import Routes
from runtime.protocol import GenerateRequest

log = logging.getLogger(__name__)

Parse = Callable[[bytes], Wanted]
ShapeType = type[Shape]


class Api:
    """Answers the requests of clients from the models of a directory."""

    def __init__(
        self, directory: ModelDirectory, *, metrics: FrontendMetrics, relay: Relay
    ) -> None:
        self._directory = directory
        self._metrics = metrics
        self._relay = relay

    def add_to(self, routes: Routes) -> None:
        """Answer the paths of the API."""
        routes.add("POST", "/v1/chat/completions", self.chat)
        routes.add("POST", "/v1/completions", self.completion)
        routes.add("GET", "/v1/models", self.list_models)
        routes.add("GET", "/v1/models/*", self.one_model)

    async def chat(self, request: Request) -> StreamWriter | Response:
        """Continue a chat."""
        return await self._generate(request, parse_chat, ChatShape)

    async def completion(self, request: Request) -> StreamWriter | Response:
        """Continue a text."""
        return await self._generate(request, parse_completion, CompletionShape)

    async def list_models(self, _request: Request) -> Response:
        """List what is served."""
        models = [_model_body(model) for model in self._directory.models()]
        return json_response({"object": "list", "data": models})

    async def one_model(self, request: Request) -> Response:
        """Describe one model."""
        return json_response(_model_body(self._model(request.tail)))

    async def _generate(
        self, request: Request, parse: Parse, shape_type: ShapeType
    ) -> StreamWriter | Response:
        arrived = time.monotonic()
        served = ""
        try:
            wanted = parse(request.body)
            model = self._model(wanted.model)
            served = wanted.model
            prompt = await prepare(model, wanted, request_id=uuid.uuid4().hex)
        except ApiError as error:
            self._metrics.refused(served, status_of(error))
            raise
        shape = shape_type(prompt.request_id, model=wanted.model, created=int(time.time()))
        answer = _answer(request, wanted, shape, names=model.tokenizer.names)
        try:
            await self._run(model, wanted, prompt, answer=answer, arrived=arrived)
        except ApiError as error:
            log.info("request failed request=%s code=%s", prompt.request_id, error.code)
            return answer.failed(error)
        return answer.result()

    async def _run(
        self,
        model: ServedModel,
        wanted: Wanted,
        prompt: GenerateRequest,
        *,
        answer: StreamedAnswer | WholeAnswer,
        arrived: float,
    ) -> None:
        metrics = self._metrics.of(model.card.name)
        with Measure(metrics, isl=len(prompt.token_ids), arrived=arrived) as measure:
            text = text_stream(model, wanted)
            generation = Generation(prompt, text, answer=answer, measure=measure)
            errand = Errand(model=model, generation=generation, metrics=metrics, arrived=arrived)
            try:
                await self._relay.run(errand)
            except RuntimeFault as fault:
                raise from_fault(fault) from fault
            finally:
                generation.close()

    def _model(self, name: str) -> ServedModel:
        model = self._directory.find(name)
        if model is None:
            message = f"the model {name[:256]!r} does not exist"
            raise ApiError(404, message, code="model_not_found", param="model")
        return model


def _answer(
    request: Request, wanted: Wanted, shape: Shape, *, names: TokenNames
) -> StreamedAnswer | WholeAnswer:
    headers = (("x-request-id", shape.request_id),)
    scores = None if wanted.logprobs is None else shape.scores(names)
    if wanted.stream:
        return StreamedAnswer(
            request, shape, headers=headers, with_usage=wanted.include_usage, scores=scores
        )
    return WholeAnswer(shape, headers=headers, scores=scores)


def _model_body(model: ServedModel) -> dict[str, object]:
    return {
        "id": model.card.name,
        "object": "model",
        "created": model.created,
        "owned_by": "planner",
        "max_model_len": model.card.context_length,
    }
