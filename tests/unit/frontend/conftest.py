"""Tiny tokenizers made in code, and a deployment in memory: a real frontend, scripted workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import openai
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from runtime.config import RuntimeConfig
from runtime.context import Context
from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.frontend.frontend import Frontend, FrontendOptions
from runtime.frontend.relay import RelayLimits
from runtime.messaging.memory import MemoryExchange, MemoryPlane
from runtime.models import encode_entry, model_entry, model_key
from runtime.protocol import (
    NEUTRAL,
    FinishReason,
    GenerateRequest,
    ModelCard,
    TokenDelta,
    TokenLogprobs,
)
from runtime.runtime import DistributedRuntime

if TYPE_CHECKING:
    from runtime.errors import RuntimeFault
    from runtime.serving import ServedEndpoint

CORPUS = [
    "The planner keeps every deployment inside its latency targets on the fewest replicas.",
    "Prefill and decode scale apart; tokens stream back as they come, one after the other.",
    "Hello there! How are you today? I am fine, thank you. 你好世界 😀 naïve café",
]
TEMPLATE = """\
{%- for message in messages %}
{%- if message.role == 'refuse' %}{{ raise_exception('the role refuse is not known') }}{% endif -%}
<|start|>{{ message.role }}
{{ message.content }}<|end|>
{% endfor %}
{%- if add_generation_prompt %}<|start|>assistant
{% endif %}"""


def make_byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|end|>", "<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    tokenizer.add_tokens(["added text", "añadido"])
    return tokenizer


def make_sentencepiece() -> Tokenizer:
    """As Llama 2: pieces with a leading ``▁``, and single bytes for what has no piece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    single_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>", *single_bytes],
        initial_alphabet=[],
        limit_alphabet=60,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS[:2] * 20, trainer)
    parts = json.loads(tokenizer.to_str())
    parts["added_tokens"] = [t for t in parts["added_tokens"] if t["content"] not in single_bytes]
    parts["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


@pytest.fixture(scope="session")
def byte_level() -> Tokenizer:
    return make_byte_level()


@pytest.fixture(scope="session")
def sentencepiece() -> Tokenizer:
    return make_sentencepiece()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, byte_level: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("model")
    byte_level.save(str(folder / "tokenizer.json"))
    config = {
        "chat_template": TEMPLATE,
        "eos_token": {"content": "<|end|>", "special": True},
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


END = 0  # <|end|>, the end-of-sequence token of the byte-level tokenizer
MODEL = "tiny/chat"


class Worker:
    """An instance that says *text*, in a process of its own as far as the runtime can tell."""

    def __init__(self, deployment: "Deployment", tokenizer: Tokenizer) -> None:
        self.deployment = deployment
        self.tokenizer = tokenizer
        self.text = "Hello there! 你好 😀 fine."
        self.requests: list[GenerateRequest] = []
        self.breaks: list[tuple[int, RuntimeFault]] = []
        """For each request in turn: after how many tokens it breaks, and how."""
        self.hold_after: int | None = None
        self.held = asyncio.Event()
        self.released = asyncio.Event()
        self.killed = asyncio.Event()
        self.stopped = asyncio.Event()
        self.tokens_a_delta = 1
        self.loses_the_end = False
        self.extras = tuple(NEUTRAL)
        self.runtime: DistributedRuntime
        self.served: ServedEndpoint
        self.key = ""

    async def start(self, component: str, *, checksum: str, folder: Path) -> None:
        self.runtime = await self.deployment.connect()
        endpoint = self.runtime.endpoint(component, "generate")
        self.served = await endpoint.serve(self.generate, request_type=GenerateRequest)
        card = ModelCard(
            name=MODEL,
            path=str(folder),
            context_length=512,
            eos_token_ids=(END,),
            checksum=checksum,
            extras=self.extras,
        )
        entry = model_entry(card, component=component, endpoint="generate")
        namespace = self.runtime.config.namespace
        self.key = model_key(entry, namespace=namespace, instance_id=self.instance_id)
        await self.runtime.store.put(self.key, encode_entry(entry), leased=True)

    @property
    def instance_id(self) -> int:
        return self.served.instance.instance_id

    async def generate(
        self, request: GenerateRequest, context: Context
    ) -> AsyncIterator[TokenDelta]:
        self.requests.append(request)
        breaks_at, fault = self.breaks.pop(0) if self.breaks else (None, None)
        try:
            async for delta in self.deltas(request, context, breaks_at):
                yield delta
        except asyncio.CancelledError:
            self.killed.set()
            raise
        if fault is not None:
            raise fault

    def logprobs(self, token_ids: list[int], likeliest: int | None) -> list[TokenLogprobs] | None:
        """Every token is followed in likelihood by those with the ids after its own."""
        if likeliest is None:
            return None
        return [
            [(token, -0.5), *((token + rank, -0.5 * (rank + 1)) for rank in range(likeliest))]
            for token in token_ids
        ]

    async def deltas(
        self, request: GenerateRequest, context: Context, breaks_at: int | None
    ) -> AsyncIterator[TokenDelta]:
        token_ids = [*self.tokenizer.encode(self.text).ids, END]
        at = request.resumed
        limit = request.sampling.max_tokens
        while at != breaks_at:
            if at == self.hold_after:
                self.held.set()
                await self.released.wait()
            if context.is_stopped:
                self.stopped.set()
                return
            end = min(at + self.tokens_a_delta, len(token_ids), limit)
            reason = None
            if end == len(token_ids):
                reason = FinishReason.STOP
            elif end == limit and not self.loses_the_end:
                reason = FinishReason.LENGTH
            cached = 3 if at == 0 else None
            yield TokenDelta(
                token_ids=token_ids[at:end],
                finish_reason=reason,
                cached_tokens=cached,
                logprobs=self.logprobs(token_ids[at:end], request.sampling.logprobs),
            )
            if reason is not None:
                return
            at = end
            await asyncio.sleep(0)


class Deployment:
    """A frontend and workers on one in-memory store and plane."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        self.folder = folder
        self.tokenizer = tokenizer
        self.backend = MemoryBackend()
        self.exchange = MemoryExchange()
        self.closing = AsyncExitStack()
        self.workers: list[Worker] = []
        self.frontend: Frontend
        self.http: aiohttp.ClientSession

    async def connect(self) -> DistributedRuntime:
        runtime = await DistributedRuntime.connect(
            RuntimeConfig(namespace="test"),
            store=MemoryStore(self.backend),
            plane=MemoryPlane(self.exchange),
        )
        await self.closing.enter_async_context(runtime)
        return runtime

    async def start(self, options: FrontendOptions) -> None:
        self.frontend = Frontend(await self.connect(), options)
        await self.frontend.start()
        self.closing.push_async_callback(self.frontend.drain, 0)
        self.http = aiohttp.ClientSession(self.frontend.url)
        await self.closing.enter_async_context(self.http)

    async def worker(
        self,
        *,
        component: str = "decode",
        checksum: str = "1",
        extras: tuple[str, ...] = tuple(NEUTRAL),
    ) -> Worker:
        worker = Worker(self, self.tokenizer)
        worker.extras = extras
        self.workers.append(worker)
        await worker.start(component, checksum=checksum, folder=self.folder)
        return worker

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - any condition of the frontend's
                await asyncio.sleep(0.002)

    async def ready(self, instances: int = 1) -> None:
        await self.until(lambda: self.served() == instances)

    def served(self) -> int | None:
        models = self.frontend.health()[1]["models"]
        return models[0]["instances"] if models else None

    def value(self, name: str, **labels: str) -> float | None:
        """Return one sample of the frontend's metrics."""
        registry = self.frontend.metrics.registry
        where = {"model": MODEL, "namespace": "test", **labels}
        return registry.get_sample_value(f"planner_frontend_{name}", where)

    def assert_idle(self) -> None:
        """Nothing may be left of requests that have ended, however they did."""
        assert self.value("inflight_requests") in {0, None}
        assert self.value("queued_requests") in {0, None}


OPTIONS = FrontendOptions(port=0, relay=RelayLimits(queue_timeout=0.3, request_timeout=5.0))


@pytest.fixture
def options() -> FrontendOptions:
    """Override to run the deployment with other ones."""
    return OPTIONS


@pytest.fixture
async def deployment(
    model_folder: Path, byte_level: Tokenizer, options: FrontendOptions
) -> AsyncIterator[Deployment]:
    deployment = Deployment(model_folder, byte_level)
    async with deployment.closing:
        await deployment.start(options)
        yield deployment
        deployment.assert_idle()


@pytest.fixture
async def worker(deployment: Deployment) -> Worker:
    worker = await deployment.worker()
    await deployment.ready()
    return worker


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{deployment.frontend.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client
