"""`planner chat`: talk to a deployment, from a terminal or a pipe."""

import sys
from typing import TYPE_CHECKING

import click

from planner.cli.errors import explain
from planner.cli.output import notice, print_line
from planner.errors import ConfigError, PlannerError

if TYPE_CHECKING:
    from planner.cli.live.conversation import Conversation


@click.command()
@click.option("--url", help="Of an OpenAI endpoint; of the deployment here when left out.")
@click.option("--model", help="Model to talk to; the endpoint's only one when left out.")
@click.option("--max-tokens", type=click.IntRange(1), default=512, show_default=True)
@click.option("--system", metavar="TEXT", help="What the model is told before anything else.")
def command(*, url: str | None, model: str | None, max_tokens: int, system: str | None) -> None:
    """Talk to the deployment; the conversation so far is kept.

    Ctrl-C ends an answer, /clear forgets the conversation, /quit or Ctrl-D ends. What is piped in
    is one question.
    """
    from planner.cli.live.address import checked_url, deployment_url
    from planner.cli.live.conversation import Conversation

    address = deployment_url() if url is None else checked_url(url)
    conversation = Conversation(address, model=model, max_tokens=max_tokens, system=system)
    if sys.stdin.isatty():
        notice(f"{conversation.model} at {address}; /quit ends")
        _talk(conversation)
    else:
        _answer(conversation, _piped())


def _piped() -> str:
    question = sys.stdin.read()
    if not question.strip():
        raise ConfigError("stdin is empty: there is no question", hint="echo Hello | planner chat")
    return question


def _talk(conversation: "Conversation") -> None:
    while True:
        try:
            said = input("> ").strip()
        except EOFError:
            print_line()
            return
        if said == "/quit":
            return
        if said == "/clear":
            conversation.forget()
        elif said:
            try:
                _answer(conversation, said)
            except PlannerError as error:
                explain(error)


def _answer(conversation: "Conversation", said: str) -> None:
    answer = conversation.ask(said)
    try:
        for piece in answer:
            click.echo(piece, nl=False)
    except KeyboardInterrupt:
        answer.close()  # hangs up, so that the deployment stops too
    print_line()
