"""`planner completion`: the script by which a shell completes commands, flags and values."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_PLANNER_COMPLETE"
_LOADING = {
    "bash": 'eval "$(planner completion bash)"  in ~/.bashrc',
    "zsh": 'eval "$(planner completion zsh)"  in ~/.zshrc, after compinit',
    "fish": "planner completion fish > ~/.config/fish/completions/planner.fish",
}


@click.command(
    epilog="\b\n" + "\n".join(f"{shell:<6}{how}" for shell, how in _LOADING.items()),
)
@click.argument("shell", type=click.Choice(list(_LOADING)), metavar="SHELL")
def command(shell: str) -> None:
    """Print the completion script of SHELL: bash (4.4 or later), zsh or fish."""
    kind = get_completion_class(shell)
    assert kind is not None
    # The class for bash would refuse where the bash of this machine is an old one, or not there.
    script = kind(command, {}, "planner", _VARIABLE)
    click.echo(kind.source_template % script.source_vars())
