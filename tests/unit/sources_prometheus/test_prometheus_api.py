"""Queries over HTTP: who asks, and everything that can go wrong with an answer."""

import asyncio
import re
import socket

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus

from planner.errors import ConfigError, MetricsUnavailable
from planner.sources.prometheus.api import Access, PrometheusApi


async def asked(fake: FakePrometheus, expression="time()", **access):
    api = PrometheusApi(Access(url=fake.url, **access), timeout=0.3)
    try:
        return await (api.now() if expression == "time()" else api.samples(expression))
    finally:
        await api.close()


async def test_samples_come_with_their_own_times(fake):
    fake.scrape('vllm:a{x="1"} 3', instance="i")
    fake.now += 5
    (one,) = await asked(fake, '{__name__="vllm:a"}[15000ms]')
    assert one.labels == {"__name__": "vllm:a", "x": "1", "instance": "i"}
    assert one.samples == [(fake.now - 5, 3.0)]
    assert await asked(fake) == fake.now


async def test_long_expressions_are_posted(fake):
    long = "|".join(f"pod-{number}" for number in range(2000))
    assert await asked(fake, f'{{pod=~"{long}"}}[15000ms]') == []
    assert len(fake.asked[0]) > 10_000


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({"token_file": "secret"}, "Bearer s3cr\u00e9t", id="token"),
        pytest.param({"user": "u", "password_file": "secret"}, "Basic dTpzM2Nyw6l0", id="password"),
        pytest.param({"user": "u"}, "Basic dTo=", id="no password"),
    ],
)
async def test_who_asks(fake, tmp_path, files, expected):
    (tmp_path / "secret").write_text("s3cr\u00e9t\n", encoding="utf-8")
    access = {n: tmp_path / v if n.endswith("_file") else v for n, v in files.items()}
    await asked(fake, **access)
    told = fake.headers[0].get("Authorization")
    assert told == expected or told.encode("latin-1", "surrogateescape").decode() == expected


async def test_a_token_is_read_anew(fake, tmp_path):
    file = tmp_path / "token"
    api = PrometheusApi(Access(url=fake.url, token_file=file), timeout=0.3)
    for token in ("one", "two"):
        file.write_text(token)
        await api.now()
    file.unlink()
    with pytest.raises(MetricsUnavailable, match="token: No such file") as caught:
        await api.now()
    assert caught.value.hint
    await api.close()
    assert [one["Authorization"] for one in fake.headers] == ["Bearer one", "Bearer two"]


def test_certificates_that_are_none(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text("none")
    with pytest.raises(ConfigError, match=re.escape(str(file))):
        Access(url="https://h", ca_file=file).trust()


def saying(status, body, **headers):
    async def answer(_request):
        return web.Response(status=status, text=body, headers=headers)

    return answer


FAULTS = [
    pytest.param(saying(500, "Oh\nno"), "answers 500: Internal Server Error", id="500"),
    pytest.param(saying(404, ""), "answers 404: there is no /api/v1/query", id="404"),
    pytest.param(saying(401, ""), "answers 401", id="401"),
    pytest.param(saying(403, ""), "answers 403", id="403"),
    pytest.param(
        saying(422, '{"status":"error","error":"query timed out"}'), "422: query timed out",
        id="422",
    ),
    pytest.param(saying(200, "<html>"), "as no Prometheus does", id="no JSON"),
    pytest.param(saying(200, "[]"), "answers as no Prometheus does", id="a list"),
    pytest.param(saying(200, '{"status":"error"}'), "as no Prometheus does", id="an error"),
    pytest.param(saying(200, '{"status":"success"}'), "as no Prometheus does", id="no data"),
    pytest.param(
        saying(200, '{"status":"success","data":{"result":[{"metric":{}, "values":[[1]]}]}}'),
        "as no Prometheus does", id="odd samples",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "told"), FAULTS)
async def test_faults_are_told(fake, answer, told):
    fake.instead = answer
    with pytest.raises(MetricsUnavailable, match=re.escape(told)) as caught:
        await asked(fake, '{__name__="a"}[1000ms]')
    assert fake.url in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_partial_answer_is_none(fake):
    fake.extra = {"warnings": ["store gateway 3 is away"]}
    with pytest.raises(MetricsUnavailable, match="answers in part: store gateway 3 is away"):
        await asked(fake)


async def test_one_that_does_not_answer_in_time(fake):
    async def hang(_request):
        await asyncio.sleep(3600)

    fake.instead = hang
    with pytest.raises(MetricsUnavailable, match=r"did not answer in 0\.3s") as caught:
        await asked(fake)
    assert caught.value.hint == "--metrics-timeout 5s"


async def test_one_that_is_away(fake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        fake.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MetricsUnavailable, match="does not answer: Cannot connect") as caught:
            await asked(fake)
    assert caught.value.hint == f"planner doctor --prometheus {fake.url}"


@pytest.mark.parametrize("status", [429, 503])
async def test_one_that_is_busy_is_left_alone(fake, status):
    fake.instead = saying(status, "", **{"Retry-After": "30"})
    api = PrometheusApi(Access(url=fake.url), timeout=0.3)
    with pytest.raises(MetricsUnavailable, match=f"answers {status}"):
        await api.now()
    with pytest.raises(MetricsUnavailable, match="asked to be left alone for 30s more"):
        await api.now()
    await api.close()
    assert len(fake.asked) == 1
