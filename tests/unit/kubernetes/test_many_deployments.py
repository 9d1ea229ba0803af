"""One planner for many deployments: what their file may say, and who is kept when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from fake_cluster.objects import workload
from fake_cluster.place import Place
from prometheus_client import generate_latest

from connectors.kubernetes.kinds import DEPLOYMENTS
from planner.cli.control.cluster import Lead
from planner.cli.control.effective import effective
from planner.cli.control.many import Journals, Keeper, keep_many
from planner.cli.wiring import clocks
from planner.config import Settings, from_flags, settle
from planner.config.deployments import read_deployments
from planner.core.policy import Mode
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError
from planner.journal import Journal

D = Role.DECODE
COMMON = Settings(mode=Mode.LOAD, sla="ttft=1s", interval="100ms", max_gpus=9)


def written(folder: Path, text: str) -> Path:
    path = folder / "d.toml"
    path.write_text(text)
    return path


def test_a_table_changes_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    path = written(tmp_path, '[chat]\nsla = "ttft=2s"\nmax = { decode = 3 }\n["*"]\nmax_gpus = 4')
    listed = read_deployments(path, COMMON)
    chat, other = (listed.settings(name, state=tmp_path) for name in ("chat", "code"))

    assert chat is not None
    assert (chat.sla, chat.max, chat.max_gpus) == (Sla.parse("ttft=2s"), {D: 3}, 9)
    assert (chat.deployment, chat.state_dir) == ("chat", tmp_path / "chat")
    assert other is not None
    assert (other.sla, other.max_gpus, other.deployment) == (COMMON.sla, 4, "code")


def test_a_deployment_without_a_table_is_left_alone(tmp_path: Path) -> None:
    listed = read_deployments(written(tmp_path, "[chat]"), COMMON)

    assert listed.settings("code", state=tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param("[chat", "not TOML", "chat", id="not TOML"),
        pytest.param("", "no deployment", "chat", id="empty"),
        pytest.param('chat = "x"', "chat: not a table", "chat", id="no table"),
        pytest.param(
            "[chat]\nmax_gpu = 3", "chat.max_gpu: unknown setting", "max_gpus", id="typo"
        ),
        pytest.param(
            "[chat]\nmetrics_port = 1", "chat.metrics_port: not a setting of a single deployment",
            "--config", id="of the whole planner",
        ),
        pytest.param(
            '[chat]\ninterval = "5"', "chat.interval 5", "interval", id="value"
        ),
        pytest.param('[chat]\nmode = "x"', "chat.mode x", "sla", id="choice"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_told_with_its_place(
    text: str, message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_deployments(written(tmp_path, text), COMMON)
    assert hint in str(raised.value.hint)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_deployments(tmp_path / "none.toml", COMMON)


def test_one_of_the_file_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, '[chat]\nsla = "ttft=2s"')
    flags = {"connector": "kubernetes", "deployments": str(path), "state_dir": str(tmp_path)}
    settled, _ = effective({**flags, "deployment": "chat"}, config=None)

    assert (settled.settings.sla, settled.settings.state_dir) == (
        Sla.parse("ttft=2s"),
        tmp_path / "chat",
    )
    with pytest.raises(ConfigError, match="no table is called code"):
        effective({**flags, "deployment": "code"}, config=None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param({}, "these are on Kubernetes", id="no cluster"),
        pytest.param({"connector": "kubernetes", "journal": "j"}, "of its own", id="journal"),
        pytest.param({"connector": "kubernetes", "store": "etcd://h:1"}, "two", id="store"),
    ],
)
async def test_what_cannot_go_with_several_is_refused(
    flags: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "[chat]")
    settings = settle(from_flags({**flags, "deployments": str(path)})).settings
    with pytest.raises(ConfigError, match=message):
        await keep_many(settings, once=True, stop=asyncio.Event())


def put(place: Place, name: str, role: str = "aggregated") -> None:
    item = workload("Deployment", role, replicas=1, deployment=name)
    item["metadata"]["name"] = f"{name}-{role}"
    place.put(DEPLOYMENTS, item)


@asynccontextmanager
async def keeper_of(place: Place, text: str, folder: Path) -> AsyncIterator[Keeper]:
    cluster = await place.watching(deployment=None)
    listed = read_deployments(written(folder, text), COMMON)
    journals, lead = Journals(), Lead(may_act=lambda: True)
    keeper = Keeper(cluster, listed, state=folder, lead=lead, journals=journals, time=clocks())
    try:
        yield keeper
    finally:
        await keeper.close()
        await journals.close()


@asynccontextmanager
async def keeping(place: Place, text: str, folder: Path) -> AsyncIterator[Keeper]:
    async with keeper_of(place, text, folder) as keeper:
        task = asyncio.create_task(keeper.run(asyncio.Event()))
        try:
            yield keeper
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.02)


def shown(keeper: Keeper) -> str:
    return generate_latest(keeper.registry).decode()


def words(keeper: Keeper) -> set[str]:
    return set(shown(keeper).replace("{", ",").replace("}", ",").split(","))


async def test_deployments_that_come_are_kept_and_those_that_go_are_not(
    empty: Place, tmp_path: Path
) -> None:
    put(empty, "one")
    put(empty, "unlisted")
    async with keeping(empty, "[one]\n[two]", tmp_path) as keeper:
        await until(lambda: keeper.health()[1]["deployments"] == 1)
        put(empty, "two")
        await until(lambda: keeper.health()[1]["deployments"] == 2)
        await until(lambda: 'planner_tick_seconds_count{deployment="two"}' in shown(keeper))
        empty.server.store.remove(DEPLOYMENTS.path("ns"), "one-aggregated")
        await until(lambda: keeper.health()[1]["deployments"] == 1)
        assert 'deployment="one"' not in shown(keeper)

    assert (tmp_path / "two" / "journal.sqlite").exists()
    assert not (tmp_path / "unlisted").exists()


async def test_one_that_appears_role_by_role_is_kept_once_it_is_whole(
    empty: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(empty, "one", "decode")
    async with keeping(empty, "[one]", tmp_path) as keeper:
        await until(lambda: "a deployment is aggregated, or prefill with decode" in caplog.text)
        put(empty, "one", "prefill")
        await until(lambda: {'role="decode"', 'role="prefill"'} <= words(keeper))


async def test_one_that_cannot_be_kept_is_told_and_the_others_are(
    empty: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(empty, "one")
    put(empty, "two")
    text = '[one]\nmax = { prefill = 3 }\n["*"]'
    async with keeping(empty, text, tmp_path) as keeper:
        await until(lambda: "deployment not kept name=one" in caplog.text)
        await until(lambda: keeper.health() == (True, {"deployments": 1, "hung": []}))

    assert "--max prefill=3: this deployment has no such role" in caplog.text


async def test_one_turn_for_each_is_taken_whatever_becomes_of_one(
    empty: Place, tmp_path: Path
) -> None:
    put(empty, "one")
    put(empty, "two")
    async with keeper_of(empty, '[one]\nmax = { prefill = 3 }\n["*"]', tmp_path) as keeper:
        with pytest.raises(ConfigError, match="--max prefill=3"):
            await keeper.once()

    with Journal.read(tmp_path / "two" / "journal.sqlite") as journal:
        assert journal.latest() is not None


async def test_a_look_that_fails_is_told_and_ends_nothing(
    empty: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(empty, "one")
    async with keeping(empty, '["*"]', tmp_path) as keeper:
        await until(lambda: keeper.health()[1]["deployments"] == 1)
        odd = workload("Deployment", "decode", replicas=1, deployment="odd")
        odd["spec"]["replicas"] = "many"
        empty.put(DEPLOYMENTS, odd)
        await until(lambda: "deployments not looked at" in caplog.text)
        empty.server.store.remove(DEPLOYMENTS.path("ns"), "decode")
        put(empty, "two")
        await until(lambda: keeper.health()[1]["deployments"] == 2)
