"""One prompt on its way from one engine to another, by what the receiver counts."""

from dataclasses import dataclass, field

import pytest

from profiler.live import LivePair, Received
from profiler.loadgen import NoAnswer, Prompts
from profiler.ports import MeasuringFailed, TransferSample


@dataclass
class Pair:
    """A client and the receiver's counts: each of *gpus* counts its part, after some looks."""

    gpus: int = 1
    arrives: bool = True
    failed: int = 0
    looks_before: int = 2
    refuses: str = ""
    sent: int = 0
    looks: int = 0
    seen: list = field(default_factory=list)

    async def complete(self, body):
        if self.refuses:
            raise NoAnswer(self.refuses)
        self.sent += 1
        self.looks = 0
        self.seen.append(body)

    async def read(self):
        self.looks += 1
        counted = self.sent if self.arrives and self.looks > self.looks_before else self.sent - 1
        counted = max(0, counted)
        return Received(
            transfers=counted * self.gpus,
            failed=self.failed * self.sent,
            tokens=counted * 100,
            bytes=counted * 5000,
            seconds=counted * self.gpus * 0.25,
        )


def live(pair):
    return LivePair(client=pair, prompts=Prompts("m", seed=1), read=pair.read)


@pytest.mark.looptime
@pytest.mark.parametrize("gpus", [1, 2, 4])
async def test_the_gpus_of_an_engine_receive_side_by_side(gpus):
    pair = Pair(gpus=gpus)
    sample = await live(pair).transfer(100)
    assert sample == TransferSample(tokens=100, bytes=5000, seconds=0.25)


REFUSED = [
    pytest.param(Pair(arrives=False), "computed where it was used", id="never sent"),
    pytest.param(Pair(arrives=False, failed=1), "did not arrive", id="lost"),
    pytest.param(Pair(refuses="HTTP 503"), "a prompt of 9 tokens: HTTP 503", id="no answer"),
]


@pytest.mark.looptime
@pytest.mark.parametrize(("pair", "why"), REFUSED)
async def test_a_prompt_whose_kv_does_not_come_says_so(pair, why):
    with pytest.raises(MeasuringFailed, match=why):
        await live(pair).transfer(9)
