"""What the connector does when the API server, the cluster or somebody else misbehaves."""

import asyncio
from pathlib import Path

import pytest
from fake_cluster.objects import autoscaler
from fake_cluster.place import Place, true, until

from connectors.kubernetes.api import open_api
from connectors.kubernetes.connector import Manner
from connectors.kubernetes.kinds import AUTOSCALERS, QUOTAS
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ConfigError, MetricsUnavailable, ScaleRejected
from planner.ports import Outcome

P, D = Role.PREFILL, Role.DECODE


async def test_an_api_server_that_is_away_is_told_and_comes_back(place: Place) -> None:
    connector = await place.connector(await place.watching(patience=0.3))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.server.go_down()

    with pytest.raises(ScaleRejected, match="decode"):
        await connector.scale({D: 3})
    assert place.replicas("decode") == 2
    with pytest.raises(MetricsUnavailable, match="nothing is known of namespace ns"):
        await until(connector, lambda fleet: False)
    with pytest.raises(ScaleRejected, match="nothing changed"):
        await connector.scale({D: 3})

    place.server.come_up()
    async with asyncio.timeout(15):
        while True:
            try:
                await connector.fleet()
                break
            except MetricsUnavailable:
                await asyncio.sleep(0.05)
    assert (await connector.scale({D: 3})).outcome is Outcome.APPLIED
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=3))


async def test_a_short_outage_is_bridged_with_what_is_known(place: Place) -> None:
    connector = await place.connector(await place.watching(patience=60))
    before = await until(connector, lambda fleet: fleet[D].ready == 2)
    place.server.go_down()
    await asyncio.sleep(0.2)

    assert await connector.fleet() == before


async def test_conflicts_of_others_writes_are_tried_again(place: Place) -> None:
    connector = await place.connector()
    place.server.faults.conflict_every = 2
    for wanted in (3, 4, 3, 5, 2):
        assert (await connector.scale({D: wanted})).outcome is Outcome.APPLIED
        assert place.replicas("decode") == wanted

    assert place.server.scale_writes == [("decode", n) for n in (3, 4, 3, 5, 2)]


async def test_endless_conflicts_are_a_refusal(place: Place) -> None:
    connector = await place.connector()
    place.server.faults.conflict_every = 1

    with pytest.raises(ScaleRejected, match=r"changed by others 5 times.*nothing changed"):
        await connector.scale({D: 3})
    assert place.server.scale_writes == []


async def test_a_busy_server_is_asked_again_later(place: Place) -> None:
    connector = await place.connector()
    place.server.faults.busy = 2

    assert (await connector.scale({D: 3})).outcome is Outcome.APPLIED


async def test_a_server_that_stays_busy_is_a_refusal(place: Place) -> None:
    connector = await place.connector()
    place.server.faults.busy = 99

    with pytest.raises(ScaleRejected, match="429 TooManyRequests"):
        await connector.scale({D: 3})
    assert place.server.scale_writes == []


async def test_a_cut_watch_goes_on_where_it_was(place: Place) -> None:
    cluster = await place.watching()
    connector = await place.connector(cluster)
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.server.cut_watches()
    place.edit("decode", 4)

    await until(connector, lambda fleet: fleet[D] == Replicas(ready=4))
    assert cluster.lists == 5  # one for each kind: nothing was listed again


async def test_a_version_that_is_gone_is_listed_again(place: Place) -> None:
    connector = await place.connector()
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.server.go_down()
    place.edit("decode", 1)
    await asyncio.sleep(0.1)
    place.server.store.compact()
    place.server.come_up()

    await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))


async def test_a_deaf_watch_does_not_scale_twice(place: Place) -> None:
    connector = await place.connector()
    place.server.faults.deaf = True
    first = await connector.scale({D: 5})
    second = await connector.scale({D: 5})

    assert (first.outcome, second.outcome) == (Outcome.APPLIED, Outcome.UNCHANGED)
    assert place.server.scale_writes == [("decode", 5)]


async def test_an_edit_by_hand_is_not_overwritten(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    connector = await place.connector()
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.server.faults.deaf = True
    place.edit("decode", 7)

    with pytest.raises(ScaleRejected, match="somebody else set 7 replicas where 2 were"):
        await connector.scale({D: 3})
    assert place.replicas("decode") == 7

    place.server.faults.deaf = False
    place.server.cut_watches()
    await until(connector, lambda fleet: fleet[D].current == 7)
    assert "replicas set by others role=decode from=2 to=7" in caplog.text
    assert (await connector.scale({D: 3})).outcome is Outcome.APPLIED
    assert place.replicas("decode") == 3


async def test_an_edit_since_the_last_look_is_not_overwritten(place: Place) -> None:
    cluster = await place.watching()
    connector = await place.connector(cluster)
    await connector.fleet()
    place.edit("decode", 7)
    await true(lambda: {w.role: w.replicas for w in cluster.workloads("test")}[D] == 7)

    with pytest.raises(ScaleRejected, match="somebody else set 7 replicas where 2 were"):
        await connector.scale({D: 3})
    assert place.server.scale_writes == []


async def test_an_autoscaler_on_the_same_target_is_refused(place: Place) -> None:
    place.put(AUTOSCALERS, autoscaler("decode"))
    connector = await place.connector()

    with pytest.raises(ScaleRejected, match="autoscaler decode-hpa scales deployments/decode too"):
        await connector.scale({D: 3, P: 2})
    assert place.server.scale_writes == []
    assert (await connector.scale({P: 2})).outcome is Outcome.APPLIED


async def test_what_no_node_takes_is_reported_and_planned_around(place: Place) -> None:
    place.kubelet.gpus = 4
    connector = await place.connector(manner=Manner(pending_seconds=0.2))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    await connector.scale({D: 5})  # 2 more than fit
    assert (await connector.fleet())[D].starting == 3
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=3))

    with pytest.raises(ScaleRejected, match=r"decode: 2 of 5 replicas do not come: 0/1 nodes"):
        await connector.scale({D: 5})
    place.kubelet.gpus = 6
    place.kubelet.place_again()
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=5))
    assert (await connector.scale({D: 5})).outcome is Outcome.UNCHANGED


async def test_what_no_node_takes_is_given_up_for_another_role(place: Place) -> None:
    place.kubelet.gpus = 4
    connector = await place.connector(manner=Manner(pending_seconds=0.1, max_gpus=6))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    await connector.scale({D: 5})
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=3))

    with pytest.raises(
        ScaleRejected, match=r"1 prefill not started.*; changed: (decode-\S+ draining,? ?){2}"
    ):
        await connector.scale({D: 3, P: 2})
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=3))
    await true(lambda: len(place.pods()) == 4)
    assert (await connector.scale({P: 2})).outcome is Outcome.APPLIED


async def test_what_fails_on_its_node_is_reported_and_holds_its_gpus(place: Place) -> None:
    connector = await place.connector(manner=Manner(pending_seconds=0.2, max_gpus=4))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.kubelet.start_seconds = 60
    await connector.scale({D: 3})
    await true(lambda: place.fail("decode", "ImagePullBackOff", "no such image") == 1)
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=2, draining=1))

    message = "decode: 1 of 3 replicas do not come: ImagePullBackOff: no such image"
    with pytest.raises(ScaleRejected, match=message):
        await connector.scale({D: 3})
    with pytest.raises(ScaleRejected, match="1 prefill not started: 1 GPUs each, 0 of 4 are free"):
        await connector.scale({D: 2, P: 2})
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=2))
    assert (await connector.scale({D: 2, P: 2})).outcome is Outcome.APPLIED


async def test_a_reader_who_is_not_allowed_is_told_what_is_missing(place: Place) -> None:
    place.server.faults.forbidden = {"pods"}

    with pytest.raises(ConfigError, match="namespace ns: 403 Forbidden"):
        await place.watching()


async def test_what_need_not_be_read_is_said_and_done_without(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.server.faults.forbidden = {"resourcequotas", "horizontalpodautoscalers"}
    connector = await place.connector()

    assert "cannot tell whether an autoscaler has the same target" in caplog.text
    assert "cannot tell how many GPUs" in caplog.text
    assert (await connector.scale({D: 3})).outcome is Outcome.APPLIED


async def test_the_quota_is_the_budget_where_none_is_set(place: Place) -> None:
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}
    place.put(QUOTAS, quota)
    connector = await place.connector()
    await until(connector, lambda fleet: fleet[D].ready == 2)

    with pytest.raises(ScaleRejected, match="2 decode not started: 1 GPUs each, 0 of 4 are free"):
        await connector.scale({D: 5})
    assert place.replicas("decode") == 3


async def test_what_others_hold_of_the_quota_is_not_free(place: Place) -> None:
    used = {"requests.nvidia.com/gpu": "6"}  # 3 of which are this deployment's
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "8"}}}
    place.put(QUOTAS, quota | {"status": {"used": used}})
    connector = await place.connector()
    await until(connector, lambda fleet: fleet[D].ready == 2 and fleet[P].ready == 1)

    with pytest.raises(ScaleRejected, match="1 decode not started: 1 GPUs each, 0 of 8 are free"):
        await connector.scale({D: 5})
    assert place.replicas("decode") == 4


async def test_who_may_not_act_writes_nothing(place: Place) -> None:
    connector = await place.connector(may_act=lambda: False)

    with pytest.raises(ScaleRejected, match=r"another planner acts.*nothing changed"):
        await connector.scale({D: 1, P: 3})
    assert place.server.scale_writes == []
    patched = [path for method, path in place.server.log if method == "PATCH"]
    assert all(path.endswith("/status") for path in patched)  # the kubelet's


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(": [", "no Kubernetes cluster is named: while parsing", id="not YAML"),
        pytest.param("kind: Config", "no Kubernetes cluster is named", id="empty"),
        pytest.param(None, "no Kubernetes cluster is named", id="not there"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_one_line(
    text: str | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        await open_api(kubeconfig=file)
    assert "\n" not in str(raised.value)


async def test_a_server_that_is_not_there_is_told_at_once(place: Place) -> None:
    place.server.go_down()

    with pytest.raises(MetricsUnavailable, match="nothing is known of namespace ns: the API"):
        await place.watching()
