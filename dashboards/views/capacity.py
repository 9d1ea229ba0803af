"""What one replica can do by its profile, and where the fleet is on it now."""

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import plane
from dashboards.reading.look import Look
from dashboards.reading.source import Source
from dashboards.summaries.capacity import (
    FLEET,
    decode_curve,
    decode_points,
    fleet_point,
    fleet_rows,
    names,
    pareto_rows,
    prefill_curve,
    prefill_points,
)
from dashboards.summaries.forecasts import policy_of
from dashboards.summaries.service import service
from dashboards.views.frame import chart, latest_run, looks
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.units import format_duration
from planner.errors import PlannerError
from planner.profiles import bundled_profiles, load_profile

_OWN = "of the journal's last run"
_LATELY_SECONDS = 300.0


def show() -> None:
    """Show the profile that is chosen, with the fleet in it where the journal knows one."""
    st.title("Capacity")
    running = _running()
    choices = [*([_OWN] if running else []), *bundled_profiles()]
    chosen = st.selectbox("Profile", choices, key="profile", width=320, bind="query-params")
    profile = running[2] if running and chosen == _OWN else load_profile(str(chosen))
    st.caption(f"{profile.model} on {profile.gpu}, {profile.engine_version}, {profile.kind}: "
               f"{profile.source}")  # fmt: skip
    lines = series(*names(profile))
    axis = Axis("TTFT, ms")
    spec = plane(
        prefill_points(profile), lines, x="ISL, tokens", y=axis, curve=prefill_curve(profile)
    )
    chart(
        spec,
        "Prefill: TTFT of one prompt alone",
        told=f"Points are {profile.kind}, lines are the law fitted to them.",
    )
    _decode(profile, running if chosen == _OWN else None)


def _decode(profile: Profile, running: tuple[Source, PolicyConfig, Profile] | None) -> None:
    context = st.slider("Tokens of context of a request", 256, 32_768, _context(running), 256,
                        key="context", bind="query-params")  # fmt: skip
    lines = series(*names(profile))
    target = running[1].sla.itl_seconds if running else None
    level = None if target is None else (target * 1e3, f"target {format_duration(target)}")
    spec = plane(
        decode_points(profile), lines, x="batch, requests", y=Axis("ITL, ms", target=level),
        curve=decode_curve(profile, context_tokens=context),
    )  # fmt: skip
    chart(
        spec,
        "Decode: ITL over the batch",
        told=f"Lines: every request has {context:,} tokens. Points are {profile.kind}, "
        "also at others.",
    )
    place = fleet_point(_lately(running[0]), running[1]) if running else None
    spec = plane(
        fleet_rows(place), series(*names(profile), *([FLEET] if place else [])),
        x="tokens/s of one user", y=Axis("tokens/s per GPU"),
        curve=pareto_rows(profile, context_tokens=context),
    )  # fmt: skip
    chart(spec, "Trade-off of decode, by parallelism", told=_told(place is not None, target))


def _told(has_fleet: bool, target: float | None) -> str:
    parts = ["Each line runs from a full batch (left) to a single request (right)."]
    if has_fleet:
        parts.append("The fleet is marked by what it did in the last five minutes; below the line "
                     "it has room.")  # fmt: skip
    if target is not None:
        parts.append(f"The ITL target asks for {1 / target:.3g} tokens/s of a user or more.")
    return " ".join(parts)


def _running() -> tuple[Source, PolicyConfig, Profile] | None:
    """Return the journal with the settings of its last run; None where it has no profile."""
    try:
        source = Source.from_environment()
        run = latest_run(source)
        policy = policy_of(run) if run else None
    except PlannerError:
        return None
    return (source, *policy) if policy else None


def _lately(source: Source) -> list[Look]:
    span = source.span(_LATELY_SECONDS)
    return [] if span is None else list(looks(source, span)[0].looks)


def _context(running: tuple[Source, PolicyConfig, Profile] | None) -> int:
    """Return the mean context seen lately, rounded as the slider needs it."""
    if running is None:
        return 3072
    seen = service(_lately(running[0]), attainment=0.99)
    mean = (seen.isl or 3000.0) + (seen.osl or 0.0) / 2
    return min(32_768, max(256, round(mean / 256) * 256))


show()
