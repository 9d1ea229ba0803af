"""How many requests reached a server that counts them only later on their way."""

from collections.abc import Collection

from planner.sources.growth import Growth


class Admissions:
    """Remembers what each server had let in: those that it counted and those on the way there.

    That sum only grows while the server lives, so what it grew by has arrived. The two parts are
    not taken at one moment, and the sum may fall back for a while: nothing counts as arrived then
    until it is higher than it ever was.
    """

    def __init__(self) -> None:
        self._highest: dict[str, float] = {}

    def arrived(
        self, url: str, growth: Growth | None, *, entered: float, entering: int
    ) -> float | None:
        """Return the requests that reached *url* in its *growth*; None at the first look at it.

        *entered* is what the server counted since it began; where it had not yet counted anything
        at the last look, all has arrived since. With nobody on the way the books are closed:
        whoever left without being counted is not missed any longer.
        """
        total = entered + entering
        before = self._highest.get(url, 0.0)
        if growth is None or growth.restarted:
            before = 0.0
        self._highest[url] = total if entering == 0 else max(before, total)
        return None if growth is None else max(0.0, total - before)

    def keep(self, urls: Collection[str]) -> None:
        """Forget every server that is not among *urls*."""
        for gone in self._highest.keys() - set(urls):
            del self._highest[gone]
