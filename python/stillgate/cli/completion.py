"""`stillgate completion`: the script that makes a shell complete verbs, options and fleets."""

from __future__ import annotations

import shlex

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
)

from stillgate.console.streams import put

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' answer kind value
    answer=$(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<<"$answer"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """bash runs what is in the line, so each word is quoted; zsh and fish do so by themselves."""

    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        value = shlex.quote(item.value) if item.type == "plain" else item.value
        return f"{item.type},{value}"


add_completion_class(_Bash)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash: eval "$(stillgate completion bash)".
    """
    kind = get_completion_class(shell)
    assert kind is not None
    put(kind(context.find_root().command, {}, "stillgate", "_STILLGATE_COMPLETE").source())
