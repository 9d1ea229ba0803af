"""The policies that flags name: ours, a fixed fleet, or a peer's rule."""

import difflib
from collections.abc import Mapping
from typing import Any

from planner.errors import ConfigError
from planner.peers import PEERS

PLANNER = "planner"
STATIC = "static"


def chosen_policies(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the policies to run, in the order given.

    Raises ConfigError for names that there are not, and for flags that contradict each other.
    """
    names = _compared(given) or (_single(given),)
    for name in names:
        _check_name(name)
    return names


def _compared(given: Mapping[str, Any]) -> tuple[str, ...]:
    if given["compare"] is None:
        return ()
    if given["policy"] is not None or given["static"]:
        raise ConfigError(
            "--compare with --policy or --static: it names all policies itself",
            hint=f"--compare {PLANNER},{STATIC}",
        )
    names = tuple(name.strip() for name in given["compare"].split(",") if name.strip())
    if not names:
        raise ConfigError("--compare: no policy is named", hint=f"--compare {','.join(_known())}")
    return tuple(dict.fromkeys(names))


def _single(given: Mapping[str, Any]) -> str:
    name: str | None = given["policy"]
    if given["static"] and name not in (None, STATIC):
        raise ConfigError(f"--static with --policy {name}: choose one", hint=f"--policy {STATIC}")
    return STATIC if given["static"] else name or PLANNER


def _check_name(name: str) -> None:
    known = _known()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"no such policy: {name!r} (known: {', '.join(known)})",
            hint=f"did you mean {close[0]}?" if close else f"--compare {','.join(known)}",
        )


def _known() -> list[str]:
    return [PLANNER, STATIC, *PEERS]
