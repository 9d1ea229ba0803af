"""The servers that planner can read without having started them, by their kind."""

from collections.abc import Mapping

from planner.sources.engines.names import EngineKind, EngineNames
from planner.sources.engines.sglang import SGLANG
from planner.sources.engines.tensorrt_llm import TENSORRT_LLM
from planner.sources.engines.vllm import VLLM

ENGINES: Mapping[EngineKind, EngineNames] = {one.kind: one for one in (VLLM, SGLANG, TENSORRT_LLM)}


def recognised(text: str) -> EngineNames | None:
    """Return the names of the server whose page *text* is; None if it is none of them."""
    for names in ENGINES.values():
        if text.startswith(names.prefix) or any(
            f"\n{before}{names.prefix}" in f"\n{text}" for before in ("", "# TYPE ")
        ):
            return names
    return None
