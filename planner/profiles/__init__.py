"""Profiles on disk: the bundled ones by name, a user's own by path."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from planner.core.profile import Profile
from planner.errors import ProfileError

_FORM = "the bundled ones show the form, such as planner/profiles/qwen3-32b-h200.json"


def bundled_profiles() -> tuple[str, ...]:
    """Return the names of the profiles that ship with the package, sorted."""
    entries = resources.files(__name__).iterdir()
    return tuple(sorted(e.name.removesuffix(".json") for e in entries if e.name.endswith(".json")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Return the bundled profile of that name, or the one in a JSON file.

    It has what one model does on one kind of GPU: for each parallelism the measured points (times
    in seconds, lengths in tokens) and the laws fitted to them. Raises ProfileError in one line: an
    unknown name suggests the nearest, a bad file names the path of what is wrong in it.

    >>> import planner
    >>> profile = planner.load_profile("llama-3.1-8b-fp8-h200")
    >>> profile.model, [str(entry.parallelism) for entry in profile.engines]
    ('nvidia/Llama-3.1-8B-Instruct-FP8', ['tp1'])
    """
    name = str(name_or_path)
    if name in bundled_profiles():
        text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
        return Profile.from_dict(_decoded(text, source=name), source=f"profile {name}")
    if not name.endswith(".json") and "/" not in name:
        raise _unknown(name)
    return Profile.from_dict(_decoded(_read(Path(name)), source=name), source=name)


def _unknown(name: str) -> ProfileError:
    bundled = bundled_profiles()
    close = get_close_matches(name, bundled, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else "give a file: --profile my-profile.json"
    return ProfileError(
        f"profile {name!r}: not bundled (there are: {', '.join(bundled)})", hint=hint
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ProfileError(
            f"profile {path}: {reason}", hint=f"bundled: {', '.join(bundled_profiles())}"
        ) from None


def _decoded(text: str, *, source: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProfileError(
            f"profile {source}: line {error.lineno}: {error.msg}", hint=_FORM
        ) from None
    if not isinstance(value, dict):
        raise ProfileError(f"profile {source}: is not a JSON object", hint=_FORM)
    return value
