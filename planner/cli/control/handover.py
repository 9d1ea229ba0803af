"""What the planner that acts on Kubernetes leaves to the next one: what its decisions remember.

It is noted at the Lease that both know, so it costs no request and needs no right of its own.
"""

import base64
import binascii
import json
import logging
import zlib
from collections.abc import Callable, Mapping

from planner.core.state import PolicyState
from planner.errors import ConfigError

_PREFIX = "state.planner/"
_MOST_CHARACTERS = 200_000
"""Of all notes of a Lease: the API server takes 256 KiB."""

log = logging.getLogger(__name__)


class Handover:
    """The states of several deployments, by name; *noted* returns what stands at the Lease.

    Those that do not fit are not handed over: what follows them is known from looking on.
    """

    def __init__(self, noted: Callable[[], Mapping[str, str]]) -> None:
        self._noted = noted
        self._states: dict[str, Callable[[], PolicyState]] = {}
        self._written: dict[str, tuple[PolicyState, str]] = {}

    def found(self, deployment: str) -> PolicyState | None:
        """Return what was left of *deployment*; None for nothing that can be read."""
        text = self._noted().get(f"{_PREFIX}{deployment}")
        if text is None:
            return None
        try:
            plain = json.loads(zlib.decompress(base64.b64decode(text)))
            return PolicyState.from_dict(plain)
        except (ConfigError, ValueError, binascii.Error, zlib.error, AttributeError) as error:
            log.info("state not taken over deployment=%s error=%s", deployment, error)
            return None

    def leave(self, deployment: str, state: Callable[[], PolicyState]) -> None:
        """Have what *state* returns noted of *deployment* from now on."""
        self._states[deployment] = state

    def forget(self, deployment: str) -> None:
        """Note nothing more of *deployment*."""
        self._states.pop(deployment, None)
        self._written.pop(deployment, None)

    def annotated(self, present: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is to stand at the Lease, where *present* does.

        What others left stays for as long as this planner knows nothing newer, if there is room.
        """
        kept = {key: text for key, text in present.items() if not key.startswith(_PREFIX)}
        room = _MOST_CHARACTERS
        for deployment, state in self._states.items():
            text = self._text(deployment, state())
            if (room := room - len(text)) < 0:
                return kept
            kept[f"{_PREFIX}{deployment}"] = text
        for key, text in present.items():
            if key not in kept and len(text) <= room:
                kept[key] = text
                room -= len(text)
        return kept

    def _text(self, deployment: str, state: PolicyState) -> str:
        known = self._written.get(deployment)
        if known is None or known[0] is not state:
            plain = json.dumps(state.to_dict(), separators=(",", ":")).encode()
            known = state, base64.b64encode(zlib.compress(plain, 6)).decode()
            self._written[deployment] = known
        return known[1]
