"""Tells a pod to drain, where it has an address for that."""

import logging

import aiohttp

from connectors.kubernetes.objects import Member

_TIMEOUT = aiohttp.ClientTimeout(total=2.0)

log = logging.getLogger(__name__)


async def tell_to_drain(member: Member) -> bool:
    """POST to the drain address of *member*; return whether it has one and took notice."""
    if member.drain_url is None:
        return False
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(member.drain_url) as answer,
        ):
            if answer.status < 300:
                return True
            problem = f"status {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        problem = str(error) or type(error).__name__
    log.warning("replica not told to drain name=%s error=%s", member.name, problem)
    return False
