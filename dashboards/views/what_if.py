"""What would happen if: two settings side by side on one load, through the real decision."""

import hashlib
import tempfile
from pathlib import Path

import streamlit as st

from dashboards.drawing.palette import series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import plane, stairs
from dashboards.summaries.what_if import (
    BUNDLED,
    Outcome,
    Setting,
    Wave,
    comparison_rows,
    fleet_rows,
    frontier,
    outcome,
    plane_rows,
    recorded,
    static_outcome,
)
from dashboards.views.frame import chart
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.units import format_share
from planner.errors import ConfigError, PlannerError
from planner.profiles import bundled_profiles, load_profile
from planner.traces import Trace

_SIDES = ("A", "B")
_LOADS = ("wave", "recorded", "upload")
_LOAD_NAMES = {
    "wave": "A wave",
    "recorded": "Recorded: Azure conversations",
    "upload": "A trace of yours",
}
# What B differs in until it is changed.
_DIFFERENT = {"B": {"cold": 180}}


def show() -> None:
    """Show the load, the two sides, and what becomes of each."""
    st.title("What-if")
    st.caption("The planner's own decision on a simulated fleet. The address of this page keeps "
               "every setting: share it. Nothing here touches a deployment.")  # fmt: skip
    left, right = st.columns(2)
    with left:
        name = str(st.selectbox("Profile", bundled_profiles(), key="profile", bind="query-params"))
    with right:
        price = st.number_input("Price of a GPU per hour, $", 0.0, 1000.0, 0.0, 0.5, key="price",
                                bind="query-params", help="0 leaves cost out.")  # fmt: skip
    profile = load_profile(name)
    try:
        trace = _load()
    except PlannerError as error:
        _tell(error)
        return
    if trace is None:
        st.info("Choose a file: an Azure CSV (TIMESTAMP,ContextTokens,GeneratedTokens) or a "
                "Mooncake JSONL.", icon=":material/upload_file:")  # fmt: skip
        return
    settings = {side: _setting(side, place) for side, place in
                zip(_SIDES, st.columns(2), strict=True)}  # fmt: skip
    _compare(settings, profile, trace, price=price or None)
    _export(settings, name)


def _load() -> Trace | None:
    """Return the load that is chosen; None while a file is missing. Raises PlannerError."""
    with st.container(border=True):
        kind = st.segmented_control(
            "Load", _LOADS, default="wave", required=True, key="load",
            format_func=_LOAD_NAMES.__getitem__, bind="query-params",
        )  # fmt: skip
        if kind == "recorded":
            return recorded(BUNDLED, times=_times())
        if kind == "upload":
            return _uploaded()
        return _wave().trace()


def _wave() -> Wave:
    with st.grid(columns="auto", min_column_width=200, key="wave"):
        peak = st.slider("Peak, requests/s", 1, 100, 30, key="rate", bind="query-params")
        low = st.slider("Trough, % of the peak", 5, 100, 20, key="trough", bind="query-params")
        period = st.slider("Period, minutes", 2, 60, 15, key="period", bind="query-params")
        minutes = st.slider("Length, minutes", 10, 120, 45, key="minutes", bind="query-params")
        isl = st.slider("ISL, tokens", 128, 16_384, 3072, 128, key="isl", bind="query-params")
        osl = st.slider("OSL, tokens", 16, 2048, 304, 16, key="osl", bind="query-params")
    return Wave(
        peak_rps=peak,
        low_share=low / 100,
        period_seconds=period * 60,
        duration_seconds=minutes * 60,
        isl=isl,
        osl=osl,
    )


def _times() -> int:
    return st.slider("Times as heavy", 1, 20, 4, key="times", bind="query-params")


def _uploaded() -> Trace | None:
    file = st.file_uploader("Trace", type=["csv", "jsonl", "txt"], key="trace")
    if file is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.name).name
        path.write_bytes(file.getvalue())
        return recorded(str(path), times=_times())


def _setting(side: str, place: "st.delta_generator.DeltaGenerator") -> Setting:
    other = _DIFFERENT.get(side, {})

    def key(name: str) -> str:
        return f"{side.lower()}_{name}"

    with place.container(border=True):
        st.subheader(f"Setting {side}")
        topology = st.segmented_control(
            "Replicas", ["disaggregated", "aggregated"], default="disaggregated", required=True,
            key=key("roles"), bind="query-params",
        )  # fmt: skip
        dials = st.grid(columns="auto", min_column_width=200, key=key("dials"))
    with dials:
        ttft = st.slider("TTFT target, ms", 0, 5000, 500, 50, key=key("ttft"), bind="query-params")
        itl = st.slider("ITL target, ms", 0, 200, 50, 5, key=key("itl"), bind="query-params")
        share = st.slider("Attainment, %", 50.0, 99.9, 99.0, 0.1, "%.1f", key=key("share"),
                          bind="query-params")  # fmt: skip
        cold = st.slider("Cold start, s", 0, 900, other.get("cold", 60), 10, key=key("cold"),
                         bind="query-params")  # fmt: skip
        gpus = st.slider("GPU budget, 0 is none", 0, 128, 0, key=key("gpus"), bind="query-params")
        headroom = st.slider("Headroom, times what is learned", 0.5, 2.0, 1.0, 0.05,
                             key=key("headroom"), bind="query-params")  # fmt: skip
    return Setting(
        ttft_ms=ttft,
        itl_ms=itl,
        attainment=share / 100,
        cold_start_seconds=cold,
        max_gpus=gpus,
        headroom=headroom,
        aggregated=topology == "aggregated",
    )


def _compare(
    settings: dict[str, Setting], profile: Profile, trace: Trace, *, price: float | None
) -> None:
    """Run both sides and show what came of them; a side that cannot be is told why."""
    outcomes: dict[str, Outcome] = {}
    for side, setting in settings.items():
        try:
            outcomes[side] = _simulated(setting, profile, trace, _key(setting, profile, trace))
        except PlannerError as error:
            _tell(error, f"Setting {side}: ")
    if not outcomes:
        return
    st.subheader("What comes of it")
    st.caption(f"{trace.name}: {len(trace):,} requests in {trace.duration_seconds / 60:.0f} "
               "minutes")  # fmt: skip
    st.table(comparison_rows(outcomes, price=price), hide_index=True, border="horizontal")
    for role in Role:
        rows = fleet_rows(outcomes, role)
        if rows:
            chart(stairs(rows, series(*outcomes), Axis("replicas", "d"), x="minutes"),
                  f"Replicas, {role}, starting ones included")  # fmt: skip
    _plane(settings, outcomes, profile, trace)


def _plane(
    settings: dict[str, Setting], outcomes: dict[str, Outcome], profile: Profile, trace: Trace
) -> None:
    points = {side: [("as set", one)] for side, one in outcomes.items()}
    wanted = st.toggle("Also with less and more headroom, and the best fixed fleet", key="frontier",
                       bind="query-params")  # fmt: skip
    if wanted:
        for side in outcomes:
            key = _key(settings[side], profile, trace)
            more = _frontier(settings[side], profile, trace, key)
            points[side] += [(f"{factor:g} times the headroom", one) for factor, one in more]
            fixed = _static(settings[side], profile, trace, key)
            points[f"fixed fleet, {side}"] = [("never changes", fixed)]
    target = max(setting.attainment for setting in settings.values())
    level = (target, f"target {format_share(target)}")
    axis = Axis("attainment", ".1~%", target=level, from_zero=False)
    chart(
        plane(plane_rows(points), series(*points), x="GPU-hours", y=axis),
        "Attainment against GPU-hours",
        told="Further up is better for users, further left is cheaper.",
    )


def _key(setting: Setting, profile: Profile, trace: Trace) -> str:
    """Return what tells simulations apart."""
    load = hashlib.sha256(b"".join(
        column.tobytes() for column in (trace.arrival_seconds, trace.isl, trace.osl)
    ))  # fmt: skip
    return f"{setting} {profile.name} {load.hexdigest()}"


@st.cache_data(max_entries=64, show_spinner="Simulating ...")
def _simulated(_setting: Setting, _profile: Profile, _trace: Trace, key: str) -> Outcome:  # noqa: ARG001 - results are kept by it
    return outcome(_setting, _profile, _trace)


@st.cache_data(max_entries=32, show_spinner="Simulating other headrooms ...")
def _frontier(
    _setting: Setting,
    _profile: Profile,
    _trace: Trace,
    key: str,  # noqa: ARG001 - see above
) -> list[tuple[float, Outcome]]:
    return frontier(_setting, _profile, _trace)


@st.cache_data(max_entries=32, show_spinner="Looking for the best fixed fleet ...")
def _static(_setting: Setting, _profile: Profile, _trace: Trace, key: str) -> Outcome:  # noqa: ARG001 - see above
    return static_outcome(_setting, _profile, _trace)


def _export(settings: dict[str, Setting], profile: str) -> None:
    st.subheader("Take it along")
    for side, setting in settings.items():
        try:
            st.caption(f"Setting {side}: to see it decide on a deployment, without acting")
            st.code(setting.flags(profile), language="shell", wrap_lines=True)
            st.download_button(f"Setting {side} as TOML", setting.toml(profile),
                               f"planner-{side.lower()}.toml", key=f"toml_{side}")  # fmt: skip
        except ConfigError as error:
            _tell(error)


def _tell(error: PlannerError, before: str = "") -> None:
    hint = f" Hint: {error.hint}" if error.hint else ""
    st.error(f"{before}{error}.{hint}", icon=":material/block:")


show()
