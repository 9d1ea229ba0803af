"""A steady load by its moments."""

import pytest

from planner.core.workload import Workload
from planner.errors import ConfigError


def test_without_moments_every_request_has_the_mean_lengths():
    load = Workload(rate_rps=1.0, isl=1000, osl=200)
    assert load.isl_variance == 0
    assert load.isl_strata() == ((1.0, 1000),)
    assert load.context_tokens == 1100


def test_contexts_are_weighted_by_the_tokens_decoded_in_them():
    # Half the requests decode 10 tokens at 1000, half 190 at 3000: the long ones weigh more.
    load = Workload(rate_rps=1.0, isl=2000, osl=100, context_osl=(10 * 1000 + 190 * 3000) / 2)
    assert load.context_tokens == pytest.approx(2900)


def test_a_lognormal_through_the_moments_is_close_to_a_recorded_conversation():
    load = Workload(rate_rps=1.0, isl=12_035, osl=343, isl_squared=12_035**2 * (1 + 1.43**2))
    assert load.isl_quantile(0.5) == pytest.approx(6909, rel=0.02)
    assert load.isl_quantile(0.99) == pytest.approx(85_401, rel=0.08)


def test_the_strata_stand_for_all_prompts():
    load = Workload(rate_rps=1.0, isl=1000, osl=1, isl_squared=2_000_000)
    strata = load.isl_strata()
    assert sum(share for share, _ in strata) == pytest.approx(1.0)
    assert sum(share * isl for share, isl in strata) == pytest.approx(1000, rel=0.05)
    assert [isl for _, isl in strata] == sorted(isl for _, isl in strata)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"rate_rps": -1.0}, "rate -1/s: must be at least 0", id="negative rate"),
        pytest.param({"isl": 0}, "isl 0: must be at least 1 token", id="no prompt"),
        pytest.param({"osl": float("nan")}, "osl nan: must be at least 1 token", id="nan"),
    ],
)
def test_what_is_no_load_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Workload(**{"rate_rps": 1.0, "isl": 100, "osl": 10, **values})


@pytest.mark.parametrize("squared", [pytest.param(None, id="all alike"), 4e6, 4e7])
def test_the_longest_prompt_is_that_of_the_last_stratum(squared):
    load = Workload(rate_rps=1.0, isl=1000.0, osl=100.0, isl_squared=squared)
    assert load.isl_longest == load.isl_strata()[-1][1]
