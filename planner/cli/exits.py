"""What the exit codes of `planner` mean, for scripts and for the reference."""

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """The codes; errors carry theirs in `planner.errors`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    INFEASIBLE = 4
    CHANGE_DUE = 10
    INTERRUPTED = 130


MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "done, or nothing to do; also where Ctrl-C is how it ends (`run`, `status --watch`)",
    Exit.FAILED: "failed, nothing runs (`status`), no request completed (`replay`), or a reader"
    " that left (`head`)",
    Exit.USAGE: "a flag, file or variable that cannot be used; the error names it and hints at"
    " what would do",
    Exit.PARTIAL: "a part of the result is missing: some points of a profile, or a whole"
    " parallelism of it, failed",
    Exit.INFEASIBLE: "the SLA cannot be met by any number of replicas (`plan`, `size`, `simulate`,"
    " `profile`)",
    Exit.CHANGE_DUE: "`plan --detailed-exitcode`: a change is due",
    Exit.INTERRUPTED: "interrupted",
}
