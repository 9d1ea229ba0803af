"""``python -m workers.vllm``: one worker around a vLLM engine."""

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the worker that the command line asks for; returns the exit code."""
    from planner.errors import PlannerError
    from runtime.errors import RuntimeFault
    from workers.vllm import worker

    try:
        return worker.run(sys.argv[1:] if arguments is None else arguments)
    except PlannerError as error:
        hint = f"; {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error}{hint}\n")
    except RuntimeFault as fault:
        sys.stderr.write(f"error: {fault}\n")
    return 2


if __name__ == "__main__":
    from workers.vllm.parent import leave

    leave(main())
