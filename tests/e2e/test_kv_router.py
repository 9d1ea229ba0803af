"""Conversations stay with the worker that has them cached, whatever is killed meanwhile."""

import asyncio
import os
import signal
from dataclasses import dataclass, field

import aiohttp
import pytest

pytestmark = pytest.mark.e2e

CONVERSATIONS = 6
WORDS = "the planner keeps latency inside its targets on the fewest replicas of the fleet " * 12
TOLD_SECONDS = 0.3
"""In which what was cached last is told."""


@dataclass(slots=True)
class Conversation:
    """What was said so far, by turns."""

    number: int
    messages: list[dict[str, str]] = field(default_factory=list)
    prompt: int = 0
    """Tokens of the last prompt."""

    async def go_on(self, session: aiohttp.ClientSession, url: str) -> float:
        """Return which share of what was there before was found in a prefix cache."""
        before = self.prompt
        self.messages.append({"role": "user", "content": f"{self.number} {WORDS}"})
        body = {
            "model": "simulated", "messages": self.messages, "max_tokens": 16, "ignore_eos": True,
        }  # fmt: skip
        async with session.post(f"{url}/v1/chat/completions", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
        self.messages.append(answer["choices"][0]["message"])
        usage = answer["usage"]
        self.prompt = usage["prompt_tokens"]
        return usage["prompt_tokens_details"]["cached_tokens"] / before if before else 0.0


class Talk:
    """Several conversations with one deployment."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.conversations = [Conversation(number) for number in range(CONVERSATIONS)]

    async def turn(self) -> list[float]:
        """Let each say something, and return the shares that were cached.

        One after the other: many at once would be spread, for the load that they are.
        """
        shares = [await each.go_on(self.session, self.url) for each in self.conversations]
        await asyncio.sleep(TOLD_SECONDS)
        return shares


async def replaced(machine, name: str) -> None:
    """Kill *name* and return once the supervisor has started another one."""
    old = machine.processes()[name]
    os.kill(old, signal.SIGKILL)
    await machine.until(lambda: machine.processes().get(name, old) != old)


async def until_answered(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"{url}/health") as response:
                    page = await response.json()
                    if [model["instances"] for model in page["models"]] == [3]:
                        return
            except (aiohttp.ClientError, ConnectionError):
                pass
            await asyncio.sleep(0.05)


async def test_conversations_are_found_again_whatever_is_killed(machine) -> None:
    flags = ("--aggregated", "3", "--router", "kv", "--planner", "off")
    async with machine.serving(*flags), aiohttp.ClientSession() as session:
        url = machine.spec.frontend_url
        await until_answered(session, url)
        talk = Talk(session, url)
        await talk.turn()
        assert min(await talk.turn()) > 0.8

        for victim in ("frontend", "nats"):
            await replaced(machine, victim)
            await until_answered(session, url)
            await asyncio.sleep(2 * TOLD_SECONDS)
            assert min(await talk.turn()) > 0.8, victim

        os.kill(machine.processes()["aggregated-2"], signal.SIGKILL)
        shares = await talk.turn()  # what only it had is computed elsewhere
        assert any(share > 0.8 for share in shares)
        assert min(await talk.turn()) > 0.8
        await until_answered(session, url)
        assert min(await talk.turn()) > 0.8
