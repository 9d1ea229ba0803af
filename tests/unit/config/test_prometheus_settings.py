"""The settings that name a Prometheus, what counts there, and what lets in."""

import re

import pytest

from planner.cli.control.measures import patience, processes, prometheus_api, scope, server_pages
from planner.config import Settings, from_environment, from_file, from_flags, settle
from planner.errors import ConfigError
from planner.sources.processes import ScrapedProcesses
from planner.sources.prometheus.processes import PrometheusProcesses
from planner.sources.prometheus.servers import PrometheusServers
from planner.sources.server_pages import ServerPages

URL = "http://prom:9090/prefix"


def settled(**flags):
    return settle(from_flags(flags)).settings


def test_flags_and_a_table_mean_the_same(tmp_path):
    flags = settled(
        prometheus=f"{URL}/", prometheus_labels=("job=vllm", "zone=a"), prometheus_replica="name"
    )
    file = tmp_path / "p.toml"
    file.write_text(
        f'prometheus = "{URL}"\nprometheus_replica = "name"\n'
        'prometheus_labels = { job = "vllm", zone = "a" }\n'
    )
    assert flags == settle(from_file(file)).settings
    assert (flags.prometheus, flags.prometheus_labels) == (URL, {"job": "vllm", "zone": "a"})
    assert Settings.model_validate(flags.model_dump(mode="json")) == flags


def test_the_environment():
    names = {"PLANNER_PROMETHEUS": URL, "PLANNER_PROMETHEUS_LABELS": "job=vllm"}
    assert settle(from_environment(names)).settings.prometheus_labels == {"job": "vllm"}


SECRET = "hunter2"
BAD = [
    pytest.param({"prometheus": "prom:9090"}, "is not a URL of a server", id="no URL"),
    pytest.param(
        {"prometheus": f"http://u:{SECRET}@prom"}, "the URL of prom holds a user name", id="secret"
    ),
    pytest.param({"prometheus_labels": ("vllm",)}, "'vllm' names no label", id="no label"),
    pytest.param({"prometheus_labels": ('a"}=1',)}, "'a\"}' is no name of a label", id="odd"),
    pytest.param({"prometheus_labels": ("__name__=up",)}, "is no name of a label", id="name"),
    pytest.param({"prometheus_replica": "a-b"}, "'a-b' is no name of a label", id="replica"),
]


@pytest.mark.parametrize(("flags", "message"), BAD)
def test_a_bad_value_is_told_in_one_line(flags, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        settled(**flags)
    assert caught.value.hint
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param({"prometheus_token_file": "gone"}, "gone: No such file", id="no file"),
        pytest.param({"prometheus_ca_file": "/dev/null"}, "/dev/null: ", id="no certificates"),
        pytest.param({"prometheus_password_file": "x"}, "whose is it", id="whose"),
        pytest.param(
            {"prometheus_user": "u", "prometheus_token_file": "/dev/null"},
            "--prometheus-user and --prometheus-token-file", id="two ways",
        ),
    ],
)  # fmt: skip
def test_what_is_told_before_anything_is_asked(flags, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        prometheus_api(settled(prometheus=URL, **flags))


@pytest.mark.parametrize(
    ("flags", "replica", "labels"),
    [
        pytest.param({}, "instance", {}, id="here"),
        pytest.param({"connector": "kubernetes"}, "pod", {"namespace": "ns"}, id="in a cluster"),
        pytest.param(
            {"connector": "kubernetes", "servers": ("decode=http://h:1",)},
            "instance", {"namespace": "ns"}, id="in a cluster, by URL",
        ),
        pytest.param(
            {"connector": "kubernetes", "prometheus_labels": ("a=b",), "prometheus_replica": "x"},
            "x", {"a": "b"}, id="as told",
        ),
    ],
)  # fmt: skip
def test_which_targets_count(flags, replica, labels):
    found = scope(settled(prometheus=URL, **flags), kube_namespace="ns")
    assert (found.replica, found.labels) == (replica, labels)


async def test_without_a_prometheus_each_process_is_read():
    assert isinstance(processes(settled()), ScrapedProcesses)
    assert isinstance(server_pages(settled()), ServerPages)
    assert isinstance(processes(settled(prometheus=URL)), PrometheusProcesses)
    assert isinstance(server_pages(settled(prometheus=URL)), PrometheusServers)


def test_figures_are_as_old_as_decisions_allow():
    assert patience(settled(interval="10s")) == 30.0
    assert patience(settled(max_age="45s")) == 45.0
