"""Memory that new processes may take: workers look before they start, and so does the doctor.

It needs nothing but Python: the doctor also runs where the packages of workers are missing.
"""

from pathlib import Path

_MEMORY = Path("/proc/meminfo")


def available_memory(path: Path = _MEMORY) -> int | None:
    """Return the bytes that new processes may take; None where the system does not tell."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
