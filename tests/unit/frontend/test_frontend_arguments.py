"""The command line: defaults that serve, and one line for every mistake."""

import pytest

from runtime.config import RuntimeConfig
from runtime.frontend.arguments import parse_arguments
from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.sla import Targets
from runtime.router.kv.cost import KvSettings

GIVEN = """
--store etcd://h:1 --plane nats://h:2 --namespace n --host 0.0.0.0 --port 0
--ttft-target-ms 200 --itl-target-ms 20 --migration-limit 1 --queue-timeout 2.5
--queue-limit 7 --request-timeout 9 --router kv --drain-timeout 4
--kv-overlap-weight 2 --kv-temperature 0.5
"""


def test_nothing_given_is_the_defaults():
    settings = parse_arguments([])
    assert settings.frontend == FrontendOptions()
    assert settings.runtime == RuntimeConfig()


def test_what_is_given_arrives():
    settings = parse_arguments(GIVEN.split())
    assert settings.runtime == RuntimeConfig(
        store_url="etcd://h:1", plane_url="nats://h:2", namespace="n"
    )
    options = settings.frontend
    assert options.targets == Targets(ttft=0.2, itl=0.02)
    limits = options.relay
    assert (limits.migrations, limits.queue_timeout, limits.queue_limit) == (1, 2.5, 7)
    assert (limits.request_timeout, settings.drain_timeout) == (9.0, 4.0)
    assert (options.strategy, options.host, options.port) == ("kv", "0.0.0.0", 0)
    assert options.kv == KvSettings(overlap_weight=2.0, temperature=0.5)


@pytest.mark.parametrize(
    "given",
    [
        "--port 65536",
        "--port x",
        "--ttft-target-ms 0",
        "--itl-target-ms nan",
        "--queue-timeout -1",
        "--request-timeout inf",
        "--migration-limit -1",
        "--strategy direct",
        "--kv-overlap-weight -1",
        "--kv-temperature nan",
        "--log-level loud",
        "--surprise",
    ],
)
def test_a_mistake_is_one_line_and_a_hint(given, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(given.split())
    assert ended.value.code == 2
    error, empty, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert given.split()[0] in error
    assert (empty, hint) == ("", "hint: python -m runtime.frontend --help")
