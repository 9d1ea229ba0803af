"""``python -m workers.simulated``: one worker without a GPU, timed by a profile."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from msgspec.structs import replace

from planner.core.profile import Parallelism
from planner.errors import PlannerError
from planner.profiles import load_profile
from runtime.errors import RuntimeFault
from runtime.instance import new_instance_id
from runtime.process import die_with_parent, run_process
from runtime.protocol import ModelCard
from workers.card import read_card
from workers.metrics import WorkerMetrics
from workers.options import (
    OneLineParser,
    WorkerOptions,
    add_worker_arguments,
    count,
    duration,
    positive,
    positive_number,
    read_options,
    share,
)
from workers.parts import Equipment
from workers.process import Worker
from workers.simulated.engine import Pace, SimulatedEngine
from workers.simulated.follower import Follower
from workers.simulated.scheduler import Limits

_MODEL = Path(__file__).parent / "model"


def main(arguments: list[str] | None = None) -> int:
    """Run the worker that the command line asks for; returns the exit code."""
    parsed = parser().parse_args(arguments)
    options = read_options(parsed)
    instance_id = options.instance_id or new_instance_id()
    metrics = WorkerMetrics(
        model=options.model_name,
        namespace=options.namespace,
        component=options.role.value,
        instance=f"{instance_id:x}",
    )
    try:
        equipment = _equip(options, parsed, on_step=metrics.observe_step)
    except (PlannerError, RuntimeFault) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    die_with_parent()
    logging.basicConfig(
        level=parsed.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    worker = Worker(options, equipment, metrics=metrics, instance_id=instance_id)
    return run_process(worker.run)


def parser() -> OneLineParser:
    """Return what reads the command line; who starts such workers checks theirs with it."""
    made = OneLineParser(prog="python -m workers.simulated", description=__doc__)
    add_worker_arguments(made, model=_MODEL)
    group = made.add_argument_group("simulated engine (limits come from the profile)")
    group.add_argument("--profile", required=True, metavar="NAME|FILE", help="bundled, or a file")
    group.add_argument("--parallelism", help="tp1, tp2pp2, ...; the profile's first by default")
    group.add_argument("--cold-start", type=duration, default=0.0)
    group.add_argument("--speedup", type=positive_number, default=1.0)
    group.add_argument("--noise", type=share, default=0.0)
    group.add_argument("--seed", type=count, default=0, help="of the noise")
    group.add_argument("--max-num-seqs", type=positive)
    group.add_argument("--max-num-batched-tokens", type=positive)
    group.add_argument("--kv-blocks", type=positive)
    group.add_argument("--context-length", type=positive, help="lowers the model's own")
    return made


def _equip(
    options: WorkerOptions, parsed: argparse.Namespace, *, on_step: Callable[[float], None]
) -> Equipment:
    """Return the engine and its card. Raises PlannerError and RuntimeFault for bad input."""
    spread = None if parsed.parallelism is None else Parallelism.parse(parsed.parallelism)
    profile = load_profile(parsed.profile).at(spread)
    model = profile.engine
    card = read_card(options.model, name=options.model_name, context_length=parsed.context_length)
    limits = Limits(
        kv_blocks=parsed.kv_blocks or model.kv_blocks,
        block_size=model.limits.block_size,
        max_num_seqs=parsed.max_num_seqs or model.limits.max_num_seqs,
        token_budget=parsed.max_num_batched_tokens or model.limits.max_num_batched_tokens,
        context_length=card.context_length,
    )
    engine = SimulatedEngine(
        model,
        limits,
        follower=Follower.of_model(options.model, eos=next(iter(card.eos_token_ids), None)),
        pace=Pace(
            cold_start=parsed.cold_start,
            speedup=parsed.speedup,
            noise=parsed.noise,
            rng=Random(parsed.seed),  # noqa: S311 - jitter, not a secret
        ),
        on_step=on_step,
    )
    return Equipment(
        engine=engine,
        card=_limited(card, limits),
        gpus=profile.parallelism.gpus,
        token_budget=limits.token_budget,
        ledger=engine.ledger,
    )


def _limited(card: ModelCard, limits: Limits) -> ModelCard:
    """Return *card* with what this engine can hold."""
    return replace(
        card,
        context_length=limits.longest,
        kv_block_size=limits.block_size,
        total_kv_blocks=limits.kv_blocks,
        max_num_seqs=limits.max_num_seqs,
    )


if __name__ == "__main__":
    sys.exit(main())
