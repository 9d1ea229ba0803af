"""What stands between the control loop and the runtime: registry, lease, settings, target."""

import os
from pathlib import Path

import pytest

from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from connectors.fake import FakeConnector, FakeRegistry
from planner.cli.control.effective import effective
from planner.cli.control.fleet import acting_planner, sole_planner
from planner.cli.control.journal import is_acted_on, journal_path
from planner.cli.control.leadership import LeaseholdingConnector
from planner.cli.control.registered import RegisteredFleet
from planner.cli.control.registry import BusyRegistry, StoreRegistry
from planner.cli.control.target import connected
from planner.cli.wiring import clocks, policy_for
from planner.config import Settings, from_flags, settle
from planner.core.observation import Replicas
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import ConfigError, MetricsUnavailable, PlannerError, ScaleRejected
from planner.journal import Entry, Journal, Run
from planner.ports import Instance, InstanceState, Outcome
from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.instance import InstanceRecord, encode_record
from runtime.instance import InstanceState as RecordState

P, D = Role.PREFILL, Role.DECODE


def record(component, instance_id, state=RecordState.READY, **metadata):
    return InstanceRecord(
        namespace="n", component=component, endpoint="generate", instance_id=instance_id,
        subject=f"s{instance_id}", state=state, metadata=metadata,
    )  # fmt: skip


async def put(store, *records):
    for one in records:
        await store.put(one.key, encode_record(one), leased=True)


class TestStoreRegistry:
    async def test_workers_and_frontends_of_one_namespace(self):
        store = MemoryStore(MemoryBackend())
        await put(
            store,
            record("decode", 1, name="decode-1", role="decode", metrics_url="http://h:1/metrics"),
            record("prefill", 2, RecordState.DRAINING, name="prefill-1", role="prefill"),
            record("frontend", 3, url="http://h:80"),
            record("middle", 4),
            record("odd", 5, name="odd-1", role="waiter"),
        )
        await store.put("instances/n/decode/generate:9", b"not a record")
        await store.put("instances/other/frontend/http:1", b"{}")
        registry = StoreRegistry(store, "n")
        assert sorted(await registry.instances(), key=lambda i: i.name) == [
            Instance(
                name="decode-1", role=D, state=InstanceState.READY,
                metrics_url="http://h:1/metrics",
            ),
            Instance(name="prefill-1", role=P, state=InstanceState.DRAINING),
        ]  # fmt: skip
        assert await registry.frontends() == ["http://h:80"]
        await registry.close()

    async def test_changes_are_seen(self):
        store = MemoryStore(MemoryBackend())
        registry = StoreRegistry(store, "n")
        assert not await registry.instances()
        await put(store, record("decode", 1, name="decode-1", role="decode"))
        assert [i.name for i in await registry.instances()] == ["decode-1"]
        await registry.close()

    async def test_what_was_known_is_not_trusted_while_the_store_is_away(self):
        backend = MemoryBackend()
        registry = StoreRegistry(MemoryStore(backend), "n")
        await registry.instances()
        backend.go_away()
        with pytest.raises(MetricsUnavailable):
            await registry.instances()
        with pytest.raises(MetricsUnavailable):
            await registry.frontends()
        backend.come_back()
        assert not await registry.instances()
        await registry.close()


async def test_a_busy_registry_adds_what_is_in_flight():
    known = [Instance(name=n, role=D, state=InstanceState.READY) for n in ("d-1", "d-2")]
    registry = BusyRegistry(FakeRegistry(*known, frontends=["u"]), lambda: {"d-1": 3})
    assert [i.in_flight for i in await registry.instances()] == [3, None]
    assert await registry.frontends() == ["u"]


async def test_a_registered_fleet_counts_and_refuses():
    fleet = RegisteredFleet(
        FakeRegistry(
            Instance(name="d-1", role=D, state=InstanceState.READY),
            Instance(name="d-2", role=D, state=InstanceState.DRAINING),
        )
    )
    assert await fleet.fleet() == {D: Replicas(ready=1, draining=1)}
    with pytest.raises(ScaleRejected, match="nothing changed"):
        await fleet.scale({D: 2})


class TestLease:
    def connectors(self, backend):
        fleet = FakeConnector({P: 1, D: 1})
        stores = [MemoryStore(backend), MemoryStore(backend)]
        return fleet, stores, [LeaseholdingConnector(fleet, store, "n") for store in stores]

    async def test_of_two_planners_one_acts(self):
        fleet, _, (first, second) = self.connectors(MemoryBackend())
        assert (await first.scale({D: 2})).outcome is Outcome.APPLIED
        with pytest.raises(ScaleRejected, match="another planner acts"):
            await second.scale({D: 3})
        assert (await first.scale({D: 3})).outcome is Outcome.APPLIED
        assert len(fleet.calls) == 2
        assert await second.fleet() == await first.fleet()

    async def test_the_other_takes_over_when_the_first_is_gone(self):
        _, stores, (first, second) = self.connectors(MemoryBackend())
        await first.scale({D: 2})
        await first.close()
        await stores[0].close()
        assert (await second.scale({D: 3})).outcome is Outcome.APPLIED

    async def test_without_the_store_nobody_acts(self):
        backend = MemoryBackend()
        fleet, _, (first, _) = self.connectors(backend)
        backend.go_away()
        with pytest.raises(ScaleRejected, match="nothing changed"):
            await first.scale({D: 2})
        assert not fleet.calls


def deployment(folder, **changes):
    spec = DeploymentSpec(
        namespace="mine", endpoint="ipc:///nowhere", store_url="etcd://127.0.0.1:9",
        plane_url="nats://127.0.0.1:9", frontend_url="http://127.0.0.1:9",
        log_directory=str(folder), roles={P: RoleSpec(command=("x",)), D: RoleSpec(command=("x",))},
        profile="qwen3-32b-h200", cold_start="30s", sla="ttft=3s", **changes,
    )  # fmt: skip
    spec.save(spec_path(folder))
    return spec


class TestEffective:
    def test_the_deployment_here_fills_in_what_is_not_set(self, own_state):
        deployment(own_state)
        found, spec = effective({"cold_start": "7s"}, config=None)
        assert (found.settings.namespace, found.settings.store) == ("mine", "etcd://127.0.0.1:9")
        assert (found.settings.profile, found.settings.cold_start) == ("qwen3-32b-h200", 7.0)
        assert str(found.settings.sla) == "ttft=3s,attainment=99%"
        assert spec.namespace == "mine"
        assert found.origins["profile"] == f"deployment {spec_path(own_state)}"

    def test_another_folder_or_another_store(self, own_state, tmp_path_factory):
        deployment(own_state)
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        found, spec = effective({"state_dir": str(elsewhere)}, config=None)
        assert (found.settings.store, spec) == (None, None)
        found, spec = effective({"store": "etcd://h:1"}, config=None)
        assert (found.settings.store, found.settings.profile, spec) == ("etcd://h:1", None, None)

    def test_a_damaged_description_is_told(self, own_state):
        spec_path(own_state).write_text("{")
        with pytest.raises(ConfigError, match="does not describe a deployment"):
            effective({}, config=None)


class TestTarget:
    async def test_nothing_here(self):
        with pytest.raises(ConfigError, match="no deployment is known here"):
            async with connected(Settings(), None):
                pass

    async def test_a_store_alone_can_only_be_observed(self):
        settings = Settings(store="memory:target")
        with pytest.raises(ConfigError, match="can only be observed"):
            async with connected(settings, None):
                pass

    async def test_a_store_that_does_not_answer(self, own_state):
        spec = deployment(own_state)
        settings = Settings(store="static:/nowhere/at/all")
        with pytest.raises(PlannerError):
            async with connected(settings, spec):
                pass


def test_roles_run_at_the_profiles_first_parallelism_unless_told():
    flags = {"sla": "ttft=1s", "profile": "qwen3-32b-h200", "parallelism": ("decode=tp4",)}
    policy = policy_for(settle(from_flags(flags)).settings, (P, D))
    assert policy.config.parallelism == {
        P: policy.profile.parallelisms[0], D: Parallelism(tp=4)
    }  # fmt: skip


def test_load_mode_does_without_a_profile():
    settings = settle(from_flags({"sla": "ttft=1s", "mode": "load"})).settings
    assert policy_for(settings, (P, D)).profile is None
    with pytest.raises(ConfigError, match="needs a profile"):
        policy_for(settle(from_flags({"sla": "ttft=1s"})).settings, (P, D))


def test_the_steady_clock_starts_at_the_walls_time():
    time = clocks()
    assert abs(time.steady() - time.wall()) < 1
    assert time.steady() <= time.steady()


@pytest.mark.parametrize(
    ("mode", "age", "expected"), [("acts", 5, True), ("acts", 60, False), ("observes", 5, False)]
)
def test_whether_a_planner_acts_is_told_by_its_latest_decision(own_state, mode, age, expected):
    settings = Settings(interval="5s")
    assert not is_acted_on(settings, now=100.0)
    with Journal.open(own_state / "journal.sqlite") as journal:
        run = journal.begin(Run(started=0.0, mode=mode, sla="ttft=1s"))
        journal.append(run, Entry(at=100.0, observation=None, plan=None))
    assert is_acted_on(settings, now=100.0 + age) is expected


def test_a_fleet_knows_the_planner_that_acts_on_it(own_state):
    assert acting_planner(own_state) is None
    with sole_planner(own_state):
        assert acting_planner(own_state) == os.getpid()
        with pytest.raises(ConfigError, match="another planner acts"), sole_planner(own_state):
            pass
    assert acting_planner(own_state) is None


def test_an_error_of_an_acting_planner_is_not_taken_for_a_second_one(own_state):
    with pytest.raises(BlockingIOError), sole_planner(own_state):
        raise BlockingIOError


def test_the_journal_lies_with_the_deployment(own_state):
    assert journal_path(Settings()) == own_state / "journal.sqlite"
    assert journal_path(Settings(state_dir=Path("/d"))) == Path("/d/journal.sqlite")
    assert journal_path(Settings(journal=Path("j"))) == Path("j")
