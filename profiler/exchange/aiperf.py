"""What aiperf writes: the summary of one run, and the folder of a sweep."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.core.profile import DecodePoint, PrefillPoint
from planner.errors import ProfileError

SUMMARY = "profile_export_aiperf.json"
_HINT = "a folder that aiperf wrote with --artifact-dir"


@dataclass(frozen=True, slots=True, kw_only=True)
class AiperfRun:
    """One complete run, by the server's count of tokens. Means over its requests."""

    version: str
    requests: int
    prompt_tokens: float
    completion_tokens: float
    ttft_seconds: float
    itl_seconds: float | None
    """None where requests had a single token: aiperf writes 0 there."""
    concurrency: float
    """Requests under way, over time."""

    @property
    def prefill_point(self) -> PrefillPoint:
        """The run as prompts, which came one after the other."""
        return PrefillPoint(isl=round(self.prompt_tokens), ttft_seconds=self.ttft_seconds)

    @property
    def decode_point(self) -> DecodePoint | None:
        """The run as a batch at the middle of its output; None without a second token."""
        if self.itl_seconds is None:
            return None
        context = self.prompt_tokens + self.completion_tokens / 2
        return DecodePoint(
            batch=self.concurrency,
            kv_tokens=self.concurrency * context,
            itl_seconds=self.itl_seconds,
        )


def read_run(folder: Path) -> AiperfRun:
    """Return the run in *folder*; raises ProfileError for one that cannot be trusted."""
    path = folder / SUMMARY
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}", hint=_HINT) from error
    except ValueError as error:
        raise ProfileError(f"{path}: is not JSON ({error})", hint=_HINT) from error
    try:
        return _run(document, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise ProfileError(f"{path}: without {error}", hint="--use-server-token-count") from error


def read_sweep(folder: Path) -> tuple[list[PrefillPoint], list[DecodePoint]]:
    """Return the points of the sweep in *folder*, a run a folder; raises ProfileError if none.

    Runs of one request at a time with one token are prompts, the others batches.
    """
    prompts: list[PrefillPoint] = []
    batches: list[DecodePoint] = []
    for path in sorted(folder.glob(f"*/{SUMMARY}")):
        run = read_run(path.parent)
        batch = run.decode_point
        if batch is None:
            prompts.append(run.prefill_point)
        else:
            batches.append(batch)
    if not prompts and not batches:
        raise ProfileError(f"{folder}: holds no run of aiperf", hint=_HINT)
    return sorted(prompts, key=lambda point: point.isl), batches


def _run(document: Mapping[str, Any], path: Path) -> AiperfRun:
    if (
        document["is_complete"] is not True
        or document["was_cancelled"]
        or document["error_summary"]
    ):
        raise ProfileError(f"{path}: the run was not complete", hint="run it again")
    completion = _mean(document, "usage_completion_tokens")
    concurrency = document["effective_concurrency"]
    return AiperfRun(
        version=str(document["aiperf_version"]),
        requests=round(_mean(document, "request_count")),
        prompt_tokens=_mean(document, "usage_prompt_tokens"),
        completion_tokens=completion,
        ttft_seconds=_mean(document, "time_to_first_token") / 1e3,
        itl_seconds=_mean(document, "inter_token_latency") / 1e3 if completion > 1 else None,
        # The median leaves out how the run began and ended.
        concurrency=float(concurrency.get("p50") or concurrency["avg"]),
    )


def _mean(document: Mapping[str, Any], name: str) -> float:
    return float(document[name]["avg"])
