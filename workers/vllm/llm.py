"""AsyncLLM in this process: the one module that makes and drives vLLM's engine.

Written for vLLM 0.32.0. Importing it imports vLLM, which takes seconds and reads the environment.
"""

import logging
import multiprocessing
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.envs import enable_envs_cache
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import tokens_input
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from runtime.errors import InvalidRequest, RuntimeFault, StreamBroken
from runtime.protocol import TokenLogprobs
from workers.parts import Capacity
from workers.vllm.lease import EXTENSION, METHOD
from workers.vllm.piece import Piece
from workers.vllm.sampling import EXTRAS, PRIORITY
from workers.vllm.stat_logger import Record, logger_class

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 10.0
"""How long KV that others fetch is still held for them."""


class AsyncLlm:
    """The `Llm` around an AsyncLLM."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._defaults = _defaults(engine.model_config)
        self._capacity = _capacity(engine.vllm_config)

    @property
    def capacity(self) -> Capacity:
        """What it holds, and what it does in a step."""
        return self._capacity

    @property
    def is_failed(self) -> bool:
        """Whether a process of the engine has died."""
        return bool(self._engine.errored)

    async def generate(
        self, request_id: str, token_ids: list[int], sampling: dict[str, Any], *, priority: int = 0
    ) -> AsyncGenerator[Piece, None]:
        """Yield pieces until one is finished. Raises InvalidRequest, StreamBroken, RuntimeFault."""
        try:
            params = SamplingParams(
                **(self._defaults | sampling),
                detokenize=False,
                output_kind=RequestOutputKind.DELTA,
            )
            prompt = tokens_input(token_ids)
            made = self._engine.generate(prompt, params, request_id, priority=priority)
            async with aclosing(made) as outputs:
                async for output in outputs:
                    yield _piece(output, params)
        except (VLLMClientError, ValueError, TypeError) as error:
            raise InvalidRequest(f"vLLM refuses the request: {_line(error)}") from error
        except EngineDeadError as error:
            raise StreamBroken("vLLM's engine has died") from error
        except EngineGenerateError as error:
            raise RuntimeFault(f"vLLM failed: {_line(error.__cause__ or error)}") from error

    async def abort(self, request_id: str) -> None:
        """End a request, unless the engine has ended it already."""
        await self._engine.abort(request_id)

    async def release(self, transfer: dict[str, Any]) -> None:
        """Let go of KV: what is held here by itself, what is elsewhere by word to its engine.

        Raises StreamBroken and RuntimeFault.
        """
        config, name = self._engine.vllm_config, transfer["remote_request_id"]
        if config.kv_transfer_config is None:
            return
        if not transfer["remote_engine_id"].startswith(config.kv_transfer_config.engine_id):
            told = self._engine.notify_kv_transfer_request_rejected(f"{name}-unwanted", transfer)
            await self._managed(told)
        elif config.parallel_config.worker_extension_cls == EXTENSION:
            await self._managed(self._engine.collective_rpc(METHOD, args=(name,)))

    @property
    def why_awake(self) -> str | None:
        """Why it can never sleep, or None if it can."""
        return _why_awake(self._engine.vllm_config)

    async def sleep(self) -> None:
        """Sleep at level 1: the weights go to the host's memory, the KV cache is dropped."""
        await self._managed(self._engine.sleep(1))

    async def wake(self) -> None:
        """Take everything back."""
        if await self._managed(self._engine.is_sleeping()):
            await self._managed(self._engine.wake_up())

    async def _managed(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except EngineDeadError as error:
            raise StreamBroken("vLLM's engine has died") from error
        except (RuntimeError, ValueError) as error:
            raise RuntimeFault(f"vLLM failed: {_line(error)}") from error

    def close(self) -> None:
        """Shut the engine down, and kill what does not end."""
        handler = self._engine.output_handler
        if handler is not None:  # it would report the end as a failure
            handler.get_loop().call_soon_threadsafe(handler.cancel)
        self._engine.shutdown(timeout=_CLOSE_SECONDS)
        for child in multiprocessing.active_children():
            child.join(_CLOSE_SECONDS)
            if child.is_alive():
                log.warning("vllm process killed name=%s", child.name)
                child.kill()
                child.join()


def make(flags: list[str], record: Record) -> AsyncLlm:
    """Return the engine that *flags* ask for, loaded. *record* is told every step.

    Raises InvalidRequest for flags that vLLM refuses, RuntimeFault when it does not come up.
    """
    arguments = AsyncEngineArgs.from_cli_args(_parser().parse_args(flags))
    try:
        # Checks them all, as far as that goes without weights, before any process is started.
        config = arguments.create_engine_config()
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise InvalidRequest(f"vLLM refuses its arguments: {_line(error)}") from error
    try:
        engine = AsyncLLM.from_vllm_config(
            config, stat_loggers=[logger_class(record)], disable_log_stats=True
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise RuntimeFault(f"vLLM did not start: {_line(error)}") from error
    enable_envs_cache()  # it reads the environment for every token otherwise
    return AsyncLlm(engine)


class _Parser(FlexibleArgumentParser):  # type: ignore[misc]
    """vLLM's own parser, which raises instead of exiting from within a thread."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"vLLM's arguments: {message}")


def _parser() -> Any:
    return AsyncEngineArgs.add_cli_args(_Parser(prog="vllm", add_help=False))


def _piece(output: Any, params: Any) -> Piece:
    made = output.outputs[0]
    return Piece(
        token_ids=list(made.token_ids),
        finish=made.finish_reason if output.finished else None,
        cached_tokens=output.num_cached_tokens or 0,
        transfer=output.kv_transfer_params if output.finished else None,
        logprobs=None
        if made.logprobs is None
        else _logprobs(made.token_ids, made.logprobs, likeliest=params.logprobs),
    )


def _logprobs(
    token_ids: Sequence[int], told: Sequence[Mapping[int, Any]], *, likeliest: int
) -> list[TokenLogprobs]:
    """Return each token's, then the likeliest ones': vLLM tells the chosen one among them."""
    found = []
    for token, ranked in zip(token_ids, told, strict=False):  # an abort comes without tokens
        pairs = [(who, float(each.logprob)) for who, each in ranked.items()]
        pairs.sort(key=lambda pair: -pair[1])
        found.append([(token, float(ranked[token].logprob)), *pairs[:likeliest]])
    return found


def _defaults(model: Any) -> dict[str, Any]:
    """Return what the model's folder says about sampling, as vLLM's own server takes it."""
    found = dict(model.get_diff_sampling_param())
    found.pop("max_tokens", None)
    return found


def _capacity(config: Any) -> Capacity:
    return Capacity(
        context_length=config.model_config.max_model_len,
        kv_block_size=config.cache_config.block_size,
        kv_blocks=config.cache_config.num_gpu_blocks - 1,  # one is kept empty
        max_num_seqs=config.scheduler_config.max_num_seqs,
        token_budget=config.scheduler_config.max_num_batched_tokens,
        extras=(*EXTRAS, *((PRIORITY,) if config.scheduler_config.policy == PRIORITY else ())),
    )


def _why_awake(config: Any) -> str | None:
    """Return what stands against sleep. A CPU's worker only logs that it does not do it."""
    if config.device_config.device_type == "cpu":
        return "vLLM frees no memory on a CPU"
    if config.kv_transfer_config is not None:
        return "other engines reach into its KV cache, which must stay where it is"
    if not config.model_config.enable_sleep_mode:
        return "it was started without -- --enable-sleep-mode"
    return None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
