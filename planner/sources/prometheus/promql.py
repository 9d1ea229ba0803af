"""The one kind of expression that is asked: the raw samples of some names under some labels."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

UP = "up"
"""Whether a scrape succeeded: the series that every target has, with its labels alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which targets of a Prometheus belong to the deployment, and how each of them is known."""

    replica: str
    """The label that tells one from another; ``instance`` holds host and port."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What all of them have."""

    def told(self, of: Collection[str] | None) -> str:
        """Return in words how targets are found, those of *of* alone unless it is None."""
        labels = [f"{label}={value}" for label, value in sorted(self.labels.items())]
        which = "any" if of is None else " or ".join(sorted(of))
        return " and ".join([*labels, f"{self.replica}={which}"])


def samples(
    scope: Scope, names: Collection[str], *, of: Collection[str] | None, seconds: float
) -> str:
    """Return the expression for all samples of *names*, and of `UP`, in the last *seconds*.

    *of* restricts them to these replicas. A range has each sample with its own time; the value of
    an instant may be five minutes old, and does not say so.
    """
    matchers = [f'__name__=~"{"|".join(sorted({UP, *names}))}"', *_matchers(scope, of)]
    return f"{{{','.join(matchers)}}}[{round(seconds * 1e3)}ms]"


def present(scope: Scope, *, of: Collection[str] | None) -> str:
    """Return the expression for the `UP` of all targets that there are, of *of* alone or of all.

    What is scraped no longer is in a range for as long as that is, and is not in this.
    """
    return f"{UP}{{{','.join(_matchers(scope, of))}}}"


def _matchers(scope: Scope, of: Collection[str] | None) -> list[str]:
    found = [f"{label}={_quoted(value)}" for label, value in sorted(scope.labels.items())]
    if of is not None:
        alternatives = "|".join(re.escape(one) for one in sorted(of))
        found.append(f"{scope.replica}=~{_quoted(alternatives)}")
    return found


def _quoted(text: str) -> str:
    # Strings are written as in Go, and JSON's escapes are among those.
    return json.dumps(text, ensure_ascii=False)
