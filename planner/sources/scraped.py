"""Whose metrics pages a source reads, for whoever wants to read the same."""

from dataclasses import dataclass

from planner.core.role import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapedPage:
    """The metrics page at *url*: of the replica *name*, or of a frontend where both are None."""

    url: str
    role: Role | None = None
    name: str | None = None
