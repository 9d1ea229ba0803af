"""Opening trace files. The format is told by the content, never by the name."""

from importlib import resources
from pathlib import Path

from planner.errors import TraceError
from planner.traces.azure import is_azure, read_azure
from planner.traces.mooncake import is_mooncake, read_mooncake
from planner.traces.trace import Trace

_BUNDLED = {"azure-conv": "azure_conv_excerpt.csv"}
_SCHEME = "bundled:"
_FORMATS = (
    "a trace is an Azure CSV (TIMESTAMP,ContextTokens,GeneratedTokens) or a Mooncake JSONL "
    "(timestamp, input_length, output_length); to try without one: --trace bundled:azure-conv"
)


def open_trace(source: str | Path) -> Trace:
    """Return the trace in the file *source*, or a bundled one (``bundled:azure-conv``).

    Raises TraceError, naming file, line, value and limit, for anything that is not a usable
    trace; there is no partial result.
    """
    name = str(source)
    if name.startswith(_SCHEME):
        return _parsed(name, _bundled_text(name.removeprefix(_SCHEME)))
    return _parsed(name, _file_text(Path(source)))


def _parsed(name: str, text: str) -> Trace:
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise TraceError(f"trace {name}: the file is empty", hint=_FORMATS)
    if is_mooncake(first):
        return read_mooncake(name, lines)
    if is_azure(first):
        return read_azure(name, lines)
    raise TraceError(f"trace {name}, line 1: unknown format: {first[:60]!r}", hint=_FORMATS)


def _file_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TraceError(f"trace {path}: no such file", hint=_FORMATS) from None
    except UnicodeDecodeError as error:
        raise TraceError(
            f"trace {path}: byte {error.start} is not UTF-8 text", hint=_FORMATS
        ) from None
    except OSError as error:
        raise TraceError(f"trace {path}: cannot be read: {error.strerror}", hint=_FORMATS) from None


def _bundled_text(name: str) -> str:
    if name not in _BUNDLED:
        raise TraceError(
            f"trace bundled:{name}: not bundled", hint=f"bundled traces: {', '.join(_BUNDLED)}"
        )
    return (resources.files("planner.traces") / _BUNDLED[name]).read_text(encoding="utf-8")
