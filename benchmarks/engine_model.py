"""How well a few measured points tell the rest of a sweep: the law, interpolation, and both.

Some points of the bundled measured sweep are drawn at random beside its corners, the models are
made from those, and judged on the points left out.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from results_file import RESULTS, write
from scipy.interpolate import griddata

from planner.core.fit import fit_decode, fit_prefill
from planner.core.profile import DecodePoint, EngineProfile, PrefillPoint
from planner.profiles import load_profile

PROFILE = "llama-3.1-8b-fp8-h200"
PREFILL_COUNTS = (4, 6, 8, 12, 16)
DECODE_COUNTS = (4, 6, 8, 10, 14, 20, 28)
DESIGNS = 200
# Points at which the law's correction by interpolated ratios counts half.
HALF_TRUSTED = 8

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]
Point = TypeVar("Point", PrefillPoint, DecodePoint)
Errors = Mapping[str, Floats]


def main() -> None:
    """Measure, print the tables, and write results/engine_model.json."""
    entry = load_profile(PROFILE).at()
    tables = {
        "prefill": [row(prefill_errors, entry, count) for count in PREFILL_COUNTS],
        "decode": [row(decode_errors, entry, count) for count in DECODE_COUNTS],
    }
    for name, rows in tables.items():
        print("\n".join(lines(name, rows)))
    write(RESULTS / "engine_model.json", {"profile": PROFILE, "designs": DESIGNS, **tables})


def row(
    errors: Callable[[EngineProfile, int, np.random.Generator], Errors],
    entry: EngineProfile,
    count: int,
) -> dict[str, object]:
    """Return mean and largest error in percent over many designs of *count* points."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(DESIGNS):
        for name, shares in errors(entry, count, np.random.default_rng(seed)).items():
            found.setdefault(name, []).append((float(shares.mean()), float(shares.max())))
    means = {name: 100 * np.mean(pairs, axis=0) for name, pairs in found.items()}
    return {
        "points": count,
        **{
            name: {"mean": round(float(mean), 1), "largest": round(float(largest))}
            for name, (mean, largest) in means.items()
        },
    }


def prefill_errors(entry: EngineProfile, count: int, rng: np.random.Generator) -> Errors:
    """Return the errors on the prompt lengths that a random design leaves out, by model."""
    points = entry.prefill_points
    ends = [0, len(points) - 1]
    drawn = rng.choice(range(1, len(points) - 1), count - len(ends), replace=False)
    chosen, others = split(points, [*ends, *drawn])
    x = np.array([p.isl for p in chosen], dtype=float)
    y = np.array([p.ttft_seconds for p in chosen])
    law = fit_prefill(chosen)

    def by_law(isl: Floats) -> Floats:
        return law.base_seconds + isl * (law.token_seconds + law.token_squared_seconds * isl)

    models = combined(by_law, x, y, lambda values: lambda isl: np.interp(isl, x, values))
    return held_out(
        models,
        np.array([p.isl for p in others], dtype=float),
        np.array([p.ttft_seconds for p in others]),
    )


def decode_errors(entry: EngineProfile, count: int, rng: np.random.Generator) -> Errors:
    """Return the errors on the batches that a random design leaves out, by model."""
    points = entry.decode_points
    ends = corners(points)
    rest = [i for i in range(len(points)) if i not in ends]
    drawn = rng.choice(rest, count - len(ends), replace=False)
    chosen, others = split(points, [*ends, *drawn])
    states = np.array([[p.batch, p.kv_tokens] for p in chosen])
    scale = states.max(axis=0)
    law = fit_decode(chosen)

    def by_law(state: Floats) -> Floats:
        per_unit: Floats = np.array([law.request_seconds, law.kv_token_seconds])
        return np.asarray(law.base_seconds + state @ per_unit)

    def between(values: Floats) -> Model:
        def at(state: Floats) -> Floats:
            inside = griddata(states / scale, values, state / scale)
            nearest = griddata(states / scale, values, state / scale, method="nearest")
            return np.where(np.isnan(inside), nearest, inside)

        return at

    models = combined(by_law, states, np.array([p.itl_seconds for p in chosen]), between)
    return held_out(
        models,
        np.array([[p.batch, p.kv_tokens] for p in others]),
        np.array([p.itl_seconds for p in others]),
    )


def corners(points: tuple[DecodePoint, ...]) -> list[int]:
    """Return which *points* span all others: least, most, longest contexts, largest batch."""
    indices = range(len(points))
    return sorted(
        {
            min(indices, key=lambda i: points[i].kv_tokens),
            max(indices, key=lambda i: points[i].batch),
            max(indices, key=lambda i: points[i].kv_tokens),
            max(indices, key=lambda i: points[i].kv_tokens / points[i].batch),
        }
    )


def combined(
    law: Model, x: Floats, y: Floats, between: Callable[[Floats], Model]
) -> dict[str, Model]:
    """Return the law, interpolation, and the law times its interpolated error as points grow."""
    ratio = between(y / law(x))
    trust = len(y) / (len(y) + HALF_TRUSTED)
    return {
        "law": law,
        "interpolation": between(y),
        "blend": lambda at: law(at) * (1 + trust * (ratio(at) - 1)),
    }


def held_out(models: Mapping[str, Model], x: Floats, y: Floats) -> Errors:
    """Return the relative errors of each model at *x*, where *y* was measured."""
    return {name: np.abs(model(x) / y - 1) for name, model in models.items()}


def split(points: tuple[Point, ...], chosen: list[int]) -> tuple[list[Point], list[Point]]:
    """Return the *chosen* points, in order, and the others."""
    return (
        [points[i] for i in sorted(chosen)],
        [point for i, point in enumerate(points) if i not in chosen],
    )


def lines(name: str, rows: list[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: mean and, in brackets, largest error in percent."""
    models = [key for key in rows[0] if key != "points"]
    yield f"| {name} points | " + " | ".join(models) + " |"
    yield "|---" * (1 + len(models)) + "|"
    for found in rows:
        cells = [found[model] for model in models]
        texts = [f"{cell['mean']} ({cell['largest']})" for cell in cells if isinstance(cell, dict)]
        yield f"| {found['points']} | " + " | ".join(texts) + " |"


if __name__ == "__main__":
    main()
