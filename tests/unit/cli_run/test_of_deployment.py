"""What a deployment without a profile tells the planner that is run beside it."""

from pathlib import Path

import pytest

from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.cli.control.effective import effective
from planner.core.policy import Mode
from planner.core.profile import Parallelism
from planner.core.role import Role

SPEC = DeploymentSpec(
    namespace="n", endpoint="ipc:///x", store_url="etcd://h:1", plane_url="nats://h:2",
    frontend_url="http://h:3", log_directory="/logs", sla="ttft=3s",
    roles={Role.DECODE: RoleSpec(command=("x",), gpus=2)},
    gpus=("0", "1"), parallelism={"decode": "tp2"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        pytest.param({}, Mode.LOAD, id="nothing said"),
        pytest.param({"profile": "qwen3-32b-h200"}, Mode.SLA, id="a profile of one's own"),
        pytest.param({"mode": "sla"}, Mode.SLA, id="asked for"),
    ],
)
def test_a_deployment_without_a_profile_is_planned_by_load(
    own_state: Path, flags: dict[str, str], mode: Mode
) -> None:
    SPEC.save(spec_path(own_state))
    settings = effective(flags, config=None)[0].settings

    assert settings.mode is mode
    assert settings.parallelism == {Role.DECODE: Parallelism(tp=2)}
