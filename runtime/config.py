"""Where one process finds the rest of the deployment, and what it tells others about itself."""

from dataclasses import dataclass

from runtime.frames import DEFAULT_LIMITS, FrameLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """Addresses, names and limits of one process; the defaults run everything in this process.

    *host* is the address under which others reach the listeners of this process, and *bind* the
    one they listen on (*host* if None). All times are seconds.
    """

    store_url: str = "memory:"
    plane_url: str = "memory:"
    namespace: str = "planner"
    host: str = "127.0.0.1"
    bind: str | None = None
    lease_ttl: float = 10.0
    """How long a silent process stays listed."""
    prologue_timeout: float = 5.0
    """How long an instance may take to accept a request before another one is tried."""
    connect_timeout: float = 2.0
    """How long a worker tries to reach the client that waits for its answer."""
    limits: FrameLimits = DEFAULT_LIMITS
    unread_bytes: int = 8 * 1024 * 1024
    """How much of one response may wait for a slow reader before it ends with Overloaded."""
