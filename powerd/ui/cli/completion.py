"""The completions of bash, zsh and fish, made from the declarations of the parser.

Names of clients, disks and keep-awake requests come from the daemon, by ``powerd --complete KIND``. Clients
choose their own names, so no shell may expand them: bash compares them in a loop, because compgen -W expands
its words.

Sources: bash(1), "Programmable Completion"; zshcompsys(1), _arguments; fish-completions(7).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Final

from powerd.ui.cli.parser import COMPLETED_ARGUMENTS

_FILE_METAVARS: Final = frozenset({"FILE", "PATH"})

_BASH: Final = r"""# Completion of bash for powerd(1).
_powerd_add() { # the lines of standard input that begin with the present word
    local line
    while IFS= read -r line; do
        [[ $line != "$current"* ]] || COMPREPLY+=("$(printf %%q "$line")")
    done
}

_powerd() {
    local current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _powerd_add <<<"%(commands)s"
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD - 1]}" in
%(values)s
    esac
    case "$current ${COMP_WORDS[1]}" in
%(options)s
%(names)s
    esac
}
complete -o default -F _powerd powerd
"""
_ZSH: Final = r"""#compdef powerd
# Completion of zsh for powerd(1).
_powerd_names() {
    local -a names
    names=("${(@f)$(powerd --complete $1 2>/dev/null)}")
    [[ -z $names ]] || compadd -a names
}

_powerd() {
    local -a commands
    commands=(
%(commands)s
    )
    if ((CURRENT == 2)); then
        _describe -t commands command commands
        return
    fi
    shift words
    ((CURRENT--))
    case $words[1] in
%(cases)s
    esac
}

_powerd "$@"
"""


def bash_completion(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The function that completes commands, options, their values, and names."""
    values, options, names = list[str](), list[str](), list[str]()
    for name, command in commands.items():
        flags = ["--help", *(flag for action in arguments_of(command) for flag in action.option_strings)]
        options.append(f'        -*" {name}") _powerd_add <<<"{_lines(flags)}" ;;')
        for action in arguments_of(command):
            source = _bash_source(name, action)
            if action.option_strings and action.nargs != 0:
                flags_text = "|".join(f'"{name} {flag}"' for flag in action.option_strings)
                values.append(f"        {flags_text}) {source or ':'}; return ;;")
            elif source:
                names.append(f'        *" {name}") {source} ;;')
    return _BASH % {
        "commands": _lines(["--help", "--version", *commands]),
        "values": "\n".join(values),
        "options": "\n".join(options),
        "names": "\n".join(names),
    }


def zsh_completion(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The function ``_powerd``."""
    cases = list[str]()
    for name, command in commands.items():
        specs = ["'--help[print the help of this command]'"]
        for action in arguments_of(command):
            specs += _zsh_specs(name, action)
        cases.append(f"        {name}) _arguments {' '.join(specs)} ;;")
    titles = [f"        {_quote(f'{name}:{command.description}')}" for name, command in commands.items()]
    return _ZSH % {"commands": "\n".join(titles), "cases": "\n".join(cases)}


def fish_completion(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """The declarations of ``complete``."""
    lines = ["# Completion of fish for powerd(1).", "complete -c powerd -f"]
    for name, command in commands.items():
        lines.append(f"complete -c powerd -n __fish_use_subcommand -a {name} -d {_fish(command.description)}")
    for name, command in commands.items():
        condition = f"complete -c powerd -n '__fish_seen_subcommand_from {name}'"
        for action in arguments_of(command):
            values = " ".join([*_fixed_words(name, action), *_fish_names(name, action)])
            candidates = f" -a '{values}'" if values else ""
            if action.option_strings:
                long = action.option_strings[0].removeprefix("--")
                value = "" if action.nargs == 0 else f" -{'rF' if _is_file(action) else 'x'}{candidates}"
                lines.append(f"{condition} -l {long}{value} -d {_fish(help_of(action))}")
            elif candidates or _is_file(action):
                lines.append(condition + (candidates or " -F"))
    return "\n".join(lines) + "\n"


def arguments_of(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a command without --help."""
    for action in command._actions:  # noqa: SLF001 - argparse has no other way to list what has been declared
        if action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
            yield action


def help_of(action: argparse.Action) -> str:
    """Its help text with the default."""
    return (action.help or "").replace("%(default)s", str(action.default))


def _fixed_words(command: str, action: argparse.Action) -> list[str]:
    """Values that need no daemon."""
    words = COMPLETED_ARGUMENTS.get((command, action.dest), ())
    return [*map(str, action.choices or ()), *(each for each in words if not each.startswith("--"))]


def _kinds(command: str, action: argparse.Action) -> list[str]:
    """The kinds of names that the daemon lists."""
    words = COMPLETED_ARGUMENTS.get((command, action.dest), ())
    return [each.removeprefix("--") for each in words if each.startswith("--")]


def _is_file(action: argparse.Action) -> bool:
    return action.metavar in _FILE_METAVARS


def _bash_source(command: str, action: argparse.Action) -> str:
    """Bash that adds the values of an argument; "" = it has none that are known."""
    words = _fixed_words(command, action)
    adds = [f'_powerd_add <<<"{_lines(words)}"'] if words else []
    adds += [f"_powerd_add < <(powerd --complete {kind} 2>/dev/null)" for kind in _kinds(command, action)]
    return "; ".join(adds)


def _zsh_specs(command: str, action: argparse.Action) -> list[str]:
    message = str(action.metavar or action.dest).replace(":", " ")
    fixed = _fixed_words(command, action)
    values = [f"({' '.join(fixed)})"] if fixed else []
    values += [f"_powerd_names {kind}" for kind in _kinds(command, action)]
    values += ["_files"] if _is_file(action) else []
    if len(values) > 1:
        fixed_first = f"compadd {' '.join(fixed)}; " if fixed else ""
        values = [
            "{" + fixed_first + "; ".join(f"_powerd_names {kind}" for kind in _kinds(command, action)) + "}"
        ]
    text = help_of(action).replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
    if not action.option_strings:
        return [_quote(f"*:{message}:{''.join(values)}")] if values else []
    value = "" if action.nargs == 0 else f":{message}:{''.join(values)}"
    return [_quote(f"{flag}[{text}]{value}") for flag in action.option_strings]


def _fish_names(command: str, action: argparse.Action) -> list[str]:
    return [f"(powerd --complete {kind} 2>/dev/null)" for kind in _kinds(command, action)]


def _lines(words: list[str]) -> str:
    return "\n".join(words)


def _quote(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


def _fish(text: str | None) -> str:
    r"""Fish knows \' and \\ in single quotes."""
    return "'" + (text or "").replace("\\", r"\\").replace("'", r"\'") + "'"
