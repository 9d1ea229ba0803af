"""The policy's settings are checked where they are made."""

import pytest

from planner.core.policy import Bounds, LoadTargets, Mode, PolicyConfig
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError, ProfileError
from planner.profiles import load_profile

SLA = Sla(ttft_seconds=0.2)
P, D = Role.PREFILL, Role.DECODE


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(
            {"interval_seconds": 0.0}, "interval_seconds 0: must be between 0.1 and 3600", id="tick"
        ),
        pytest.param(
            {"cold_start_seconds": -1.0},
            "cold_start_seconds -1: must be between 0 and 7200",
            id="cold start",
        ),
        pytest.param(
            {"tolerance": 0.9}, "tolerance 0.9: must be between 0 and 0.5", id="tolerance"
        ),
        pytest.param(
            {"stabilization_seconds": -5.0},
            "stabilization_seconds -5: must be between 0 and 86400",
            id="stabilization",
        ),
        pytest.param(
            {"bounds": {D: Bounds()}},
            "roles decode: a deployment is aggregated, or prefill with decode",
            id="half a deployment",
        ),
        pytest.param({"bounds": {}}, "roles none: a deployment is", id="no roles"),
        pytest.param(
            {"max_gpus": 1}, "max_gpus 1: the minimum replicas alone need 2 GPUs", id="floors"
        ),
        pytest.param(
            {"max_gpus": 7, "parallelism": {P: Parallelism(tp=4), D: Parallelism(tp=4)}},
            "max_gpus 7: the minimum replicas alone need 8 GPUs",
            id="floors of wide replicas",
        ),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_limit(values, message):
    with pytest.raises(ConfigError) as caught:
        PolicyConfig(sla=SLA, **values)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Bounds(minimum=-1), "minimum -1 replicas", id="negative minimum"),
        pytest.param(lambda: Bounds(minimum=3, maximum=2), "maximum 2 replicas", id="crossed"),
        pytest.param(lambda: Bounds(minimum=0, maximum=0), "maximum 0 replicas", id="nothing"),
        pytest.param(lambda: LoadTargets(kv_usage=1.5), "kv_usage 1.5", id="kv usage"),
        pytest.param(lambda: LoadTargets(waiting=0), "waiting 0 per replica", id="waiting"),
    ],
)
def test_bounds_and_thresholds_are_checked(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_windows_follow_from_cold_start_and_interval():
    slow = PolicyConfig(sla=SLA, cold_start_seconds=90.0)
    assert slow.lead_seconds == 95.0
    assert slow.hold_seconds == 30.0
    assert slow.windows.horizon.peak_seconds == 95.0
    quick = PolicyConfig(sla=SLA, cold_start_seconds=2.8, interval_seconds=1.0)
    assert quick.windows.horizon.peak_seconds == pytest.approx(3.8)
    assert quick.hold_seconds == 2.0
    assert PolicyConfig(sla=SLA, stabilization_seconds=300.0).hold_seconds == 300.0


def test_roles_run_on_one_gpu_unless_told():
    config = PolicyConfig(sla=SLA, parallelism={D: Parallelism(tp=2)})
    assert (config.gpus_per_replica(P), config.gpus_per_replica(D)) == (1, 2)
    engines = config.engines(load_profile("qwen3-32b-h200"))
    assert engines[D].decode.base_seconds < engines[P].decode.base_seconds


def test_the_sla_mode_needs_a_profile_that_covers_the_roles():
    with pytest.raises(ConfigError, match="mode sla needs a profile"):
        PolicyConfig(sla=SLA).engines(None)
    with pytest.raises(ProfileError, match="tp2 is not covered"):
        PolicyConfig(sla=SLA, parallelism={D: Parallelism(tp=2)}).engines(
            load_profile("llama-3.1-8b-fp8-h200")
        )
    assert PolicyConfig(sla=SLA, mode=Mode.LOAD).engines(None) == {}
