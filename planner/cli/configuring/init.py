"""`planner config init`: a file of all settings, each with what it is and its default."""

from pathlib import Path

import click

from planner.cli.control.options import settings_options
from planner.cli.output import notice, print_line

_STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="planner.toml")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@settings_options(without=("state_dir",))
def command(*, file: Path, force: bool, config: Path | None, **flags: object) -> None:
    """Write FILE with every setting, its default, and what it is; - prints it.

    What is given by flags, or in the file of --config, is filled in.
    """
    from planner.cli.configuring.example import filled
    from planner.config import from_file, from_flags, settle
    from planner.config.settle import DEFAULT
    from planner.errors import ConfigError

    layers = [from_flags(flags), *([from_file(config)] if config else [])]
    settled = settle(*reversed(layers))
    given = {name: value for name, value, origin in settled.rows if origin != DEFAULT}
    text = filled(given)
    if file == _STANDARD_OUTPUT:
        print_line(text.rstrip("\n"))
        return
    if file.exists() and not force:
        raise ConfigError(f"{file}: is there already", hint=f"planner config init {file} --force")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{file}: {reason}", hint="planner config init FILE") from error
    notice(f"wrote {file}. Next: planner config validate {file}, planner run --config {file}")
