"""Programs by their command lines: whether they work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import Final, NamedTuple, TypeAlias

from powerd.linux.values import UnitProcess

SHELLS: Final = (
    "ash",
    "bash",
    "csh",
    "dash",
    "elvish",
    "fish",
    "ksh*",
    "mksh",
    "nu",
    "rbash",
    "sh",
    "tcsh",
    "zsh",
)
INTERPRETERS: Final = (
    "bpython*",
    "ghci",
    "ipython*",
    "irb",
    "julia",
    "lua",
    "lua5*",
    "luajit*",
    "node",
    "perl*",
    "python*",
    "ruby*",
)
"""Programs that run a script, or wait for a person if there is none; so do shells."""
EDITORS: Final = (
    "ed", "emacs*", "helix", "hx", "jed", "joe", "kak", "mcedit", "micro", "nano", "ne", "nvim", "pico",
    "rnano", "rvim", "vi", "view", "vim*",
)  # fmt: skip
PAGERS: Final = (
    "bat", "batcat", "bzless", "delta", "dmesg", "info", "journalctl", "less", "lnav", "man", "more",
    "most", "multitail", "tail", "xzless", "zless", "zmore", "zstdless",
)  # fmt: skip
MONITORS: Final = (
    "atop", "bmon", "bpytop", "bandwhich", "btm", "btop", "ctop", "dool", "dstat", "glances", "gotop",
    "htop", "iftop", "iostat", "iotop*", "iptraf*", "mpstat", "ncdu", "nethogs", "nload", "nmon", "nvtop",
    "ping", "powertop", "s-tui", "slabtop", "top", "vmstat", "watch", "wavemon",
)  # fmt: skip
FILE_MANAGERS: Final = ("lf", "mc", "nnn", "ranger", "vifm", "yazi")
COMMUNICATION: Final = (
    "aerc", "alpine", "elinks", "finch", "irssi", "links", "lynx", "mutt", "neomutt", "newsboat",
    "profanity", "w3m", "weechat*",
)  # fmt: skip
MENUS: Final = ("dialog", "fzf", "gitui", "k9s", "lazydocker", "lazygit", "tig", "whiptail")
"""What they start counts by itself."""
REMOTE: Final = ("autossh", "minicom", "mosh-client", "picocom", "telnet")
"""ssh(1) without a command is added to these."""
CRON: Final = ("anacron", "atd", "cron", "CRON", "crond", "CROND", "fcron*")
SUPPORT: Final = (
    *CRON, "(sd-pam)", "*agetty", "at-spi*", "dbus-broker*", "dbus-daemon", "dbus-launch",
    "dbus-run-session", "dconf-service", "dirmngr", "doas", "dropbear*", "getty", "gitstatusd*",
    "gnome-keyring-d*", "gpg-agent", "gvfs*", "keyboxd", "login", "newgrp", "pinentry*", "pipewire*",
    "pkexec", "pkttyagent", "pulseaudio", "run0", "runuser", "scdaemon", "sg", "ssh-agent", "sshd*", "su",
    "sudo", "systemd", "wireplumber", "xdg-*",
)  # fmt: skip
"""What a login itself starts, and what starts another user's programs."""
MULTIPLEXERS: Final = (
    "abduco", "byobu*", "dtach", "et", "etserver", "etterminal", "mosh-server", "screen", "SCREEN",
    "script", "tmate", "tmux*", "zellij",
)  # fmt: skip
SERVERS: Final = ("cockpit-*", "encfs", "gocryptfs", "internal-sftp", "sftp-server", "sshfs")
"""Programs that serve requests: a connected client or a mounted file system. Its traffic counts by itself."""
_SERVING: Final = r" (?:mount2?|nfsmount|rcd|serve(?!.* --stdio)|server|webdav)(?= |$)"
_FLAG: Final = (
    r" -(?:[vqP]+|[^ =]+=\S*+|-(?:verbose|quiet|progress|debug|info|json|read-only|no-\S+|allow-\S+))"
)
_SERVES: Final = re.compile(
    r"(?:(?:[bd]a)?sh -c )?(?:\S*/)?(?:rclone|restic|kopia|borg(?!.* serve))\b"
    rf"(?: -\S++(?!{_SERVING})|{_FLAG}(?={_SERVING})| (?!-)[^ /:=.]*[/:=.][^ ]*)*{_SERVING}"
)
"""Backup tools that mount or serve until they are stopped; options and their values precede the command.

What follows an option that may have a value is not the command: ``restic -r server backup /srv``. ``borg
serve`` and ``rclone serve --stdio`` run for one backup of a client. A word matches in one way only: in
several, a line with ten paths takes hours.
"""
PROMPTS: Final = (
    *("apt changelog*", "crontab -e*", "dpkg-query --list*", "editor", "gdb", "mariadb", "mysql"),
    *("pager", "psql", "R", "sensible-editor", "sensible-pager", "sqlite3", "sudoedit"),
    *(f"git {name}*" for name in ("blame", "branch", "diff", "help", "log", "reflog", "show", "tag")),
    *("git stash list*", "git stash show*", "loginctl*", "networkctl*", "systemctl cat*"),
    *(f"systemctl {name}*" for name in ("edit", "list-", "show", "status")),
    *("sh -c * /tmp/crontab.*", "vigr", "vipw", "visudo"),
    *(f"{name} logs*" for name in ("docker", "docker compose", "docker-compose", "podman")),
    *(
        f"{name} exec *-{options} *[ /]{shell}"
        for name in ("docker", "podman")
        for options in ("it", "ti")
        for shell in ("ash", "bash", "sh", "zsh")
    ),
)
"""Programs that show something in a pager or an editor, or that wait for a command."""
DISPLAY_SERVERS: Final = (
    "X", "Xephyr", "Xorg", "Xtigervnc", "Xvnc*", "Xwayland", "cage", "gnome-shell", "kwin_wayland", "labwc",
    "nxagent", "x2goagent", "sway", "wayfire", "weston",
)  # fmt: skip
"""A session with one of these is a desktop, also where logind does not know it (vncserver, startx)."""
LANGUAGE_SERVERS: Final = (
    "*-language-server*", "*langserver*", "*-langserver", "ccls", "clangd", "clangd-[0-9]*", "gopls",
    "jdtls*", "pylsp", "ruby-lsp", "rust-analyzer*", "texlab", "tsserver.js", "zls",
)  # fmt: skip
"""What an editor starts to analyse the text; only names match, since paths contain such words."""
IDLE: Final = (
    *EDITORS, *PAGERS, *MONITORS, *FILE_MANAGERS, *MENUS, *COMMUNICATION, *REMOTE, *SUPPORT, *MULTIPLEXERS,
    *SERVERS, *DISPLAY_SERVERS, *PROMPTS,
)  # fmt: skip

_WORD: Final = re.compile(r'"((?>(?:[^"\\]++|\\.)*))"|(\S+)')
_ESCAPED: Final = re.compile(r'\\([\\"$`])')
_EDITOR_SERVER: Final = re.compile(
    r".*/\.(?:(?:cursor|positron|trae|vscode|vscodium|windsurf)-server(?:-insiders|-oss)?|zed_server)/"
    r"(?!(?:.*/)?extensions/)"
)
"""The path of a program of an editor's server; extensions start the programs of a person."""
_BATCH: Final = re.compile(
    r"(?:gdb|mariadb|mysql|psql|R)(?: .*)? (?:-[A-Za-z0-9]*[cef]|--(?:batch|command|execute|file)\b|CMD )"
    r"|sqlite3(?: -\S+)* [^ -]\S* \S"
    r"|rust-analyzer (?:analysis-stats|diagnostics|lsif|scip)|lua-language-server(?: .*)? --(?:check|doc)\b"
    r"|ccls(?: .*)? -index="
)
"""A program of PROMPTS or LANGUAGE_SERVERS that is given its commands."""
_INLINE: Final = re.compile(r"-[a-zI]*[cemE].+|--(?:eval|print)=")
"""An option of an interpreter that has a program or the name of a module attached: ``-mbackup``."""
_FOLLOWS: Final = re.compile(
    r"(?:tail|journalctl|dmesg|(?:docker|podman|kubectl)(?: compose)? logs)"
    r"(?: .*)? (?:-[A-Za-z0-9]*[fFw]|--follow)"
)
_FILTERS: Final = re.compile(
    r"(?:[ef]?grep(?! (?:.* )?-(?:\w*[rR]|-.*recursive))|[gm]?awk|ccze|cut|jq|sed|tr)\b"
)
"""Programs that wait for the lines of another one, if they read a pipe."""
_PIPE: Final = 4
"""Process IDs from that of the first program of a pipe, within which a shell starts the others."""
_VALUE_OPTIONS: Final = frozenset({"--init-file", "--rcfile", "--init-command", "-C", "-O", "+O", "-o", "+o"})
"""Options of shells whose next word is their value."""
_SSH_VALUE_OPTIONS: Final = "BbcDEeFIiJLlmOoPpQRSWw"
"""Options of ssh(1) with a value."""


class Program(NamedTuple):
    """The program of a command line.

    Attributes:
        name: without its directory; of a script its own name instead of that of its interpreter.
        line: the name and the arguments.
        command: the whole command line, without quotes.
        waits: it is a shell, an interpreter or an ssh without anything to run, or the server of an editor: it
            waits for a person.
    """

    name: str
    line: str
    command: str
    waits: bool


def split_words(command: str) -> list[str]:
    """The words of a command line as systemd quotes it (UnitProcess.command).

    shlex.split() takes 2 s for a word of 130 kB.
    """
    return [_ESCAPED.sub(r"\1", quoted) or plain for quoted, plain in _WORD.findall(command)]


def parse_program(command: str) -> Program:
    """The program of a command line as systemd quotes it (UnitProcess.command)."""
    words = split_words(command) or [""]
    name = _base_name(words[0])
    if name == "busybox" and len(words) > 1:
        words = words[1:]
        name = _base_name(words[0])
    program = Program(
        name, " ".join([name, *words[1:]]), " ".join(words), waits=bool(_EDITOR_SERVER.match(words[0]))
    )
    if name == "ssh":
        return program._replace(waits=not _has_ssh_command(words[1:]))
    if not _INTERPRETER.match(name):
        return program
    inline = "c" if _SHELL.match(name) or name.startswith("python") else "e"
    remaining = iter(words[1:])
    for word in remaining:
        if re.fullmatch(rf"-\w*{inline}", word):
            return program
        if word in _VALUE_OPTIONS and _SHELL.match(name):
            next(remaining, None)
        elif not word.startswith(("-", "+")):
            script, waits = _base_name(word), program.waits or bool(_EDITOR_SERVER.match(word))
            return program._replace(name=script, line=" ".join([script, *remaining]), waits=waits)
        elif word == "-" and not _SHELL.match(name):
            return program  # its script comes from standard input
    return program._replace(waits=bool(_SHELL.match(name)) or not any(map(_INLINE.match, words[1:])))


def _base_name(word: str) -> str:
    """``bash`` of ``-bash``, ``sshd`` of ``sshd: alice@pts/0``, ``kthread`` of ``[kthread]``."""
    return word.split(": ", 1)[0].rstrip("/").rsplit("/", 1)[-1].strip("[]-:") or word


def _has_ssh_command(arguments: Sequence[str]) -> bool:
    """Whether ssh(1) runs a command: there is a word after the host that is not an option."""
    operands = 0
    remaining = iter(arguments)
    for word in remaining:
        if word.startswith("-"):
            if word[-1] in _SSH_VALUE_OPTIONS and not set(word[1:-1]) & set(_SSH_VALUE_OPTIONS):
                next(remaining, None)
        else:
            operands += 1
            if operands > 1:
                return True
    return False


def compile_patterns(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression for globs of fnmatch(3); without a pattern it matches nothing."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


_SHELL: Final = compile_patterns(SHELLS)
_INTERPRETER: Final = compile_patterns((*SHELLS, *INTERPRETERS))
_IDLE: Final = compile_patterns(IDLE)
_DISPLAY_SERVER: Final = compile_patterns(DISPLAY_SERVERS)
_LANGUAGE_SERVER: Final = compile_patterns(LANGUAGE_SERVERS)
Rows: TypeAlias = Sequence[tuple[UnitProcess, Program]]
"""Processes with their programs."""


def is_shell(program: Program) -> bool:
    """Whether it is a shell with a command, or one that waits for a person."""
    return bool(_SHELL.match(program.name))


def serves(program: Program) -> bool:
    """Whether a program mounts something or serves requests until it is stopped; its traffic counts."""
    return bool(_SERVES.match(program.command) or _SERVES.match(program.line))


def without_desktops(rows: Rows) -> Rows:
    """The processes of control groups without a display server."""
    desktops = {process.cgroup for process, program in rows if _DISPLAY_SERVER.match(program.name)}
    return [row for row in rows if row[0].cgroup not in desktops]


def without_filters(rows: Rows) -> Rows:
    """The processes without the filters of a log that a person follows: ``tail -f x | grep y``."""
    follows = {process.pid for process, program in rows if _FOLLOWS.match(program.line)}
    return [
        (process, program)
        for process, program in rows
        if follows.isdisjoint(range(process.pid - _PIPE, process.pid))
        or not _FILTERS.match(program.line)
        or _names_file(split_words(process.command))
    ]


def _names_file(words: Sequence[str]) -> bool:
    """Whether a filter may read a file instead of a pipe: it has more operands than its expression."""
    expressions = sum(word in {"-e", "--regexp", "--expression"} for word in words)
    operands = [word for word in words[1:] if not word.startswith("-") and not word.isdecimal()]
    return len(operands) > max(expressions, 1) and _base_name(words[0]) != "tr"


class ProgramFilter:
    """Separates programs that work from those that wait for a person or support a session.

    Args:
        ignore: patterns of further programs that do not work.
        count: patterns of programs that work in any case.
    """

    def __init__(self, ignore: Sequence[str], count: Sequence[str]) -> None:
        self._ignore = compile_patterns(ignore)
        self._count = compile_patterns(count)

    def works(self, program: Program) -> bool:
        """Whether a program is work in progress."""
        names = (program.name, program.line, program.command)
        if any(map(self._count.match, names)):
            return True
        if program.waits or serves(program) or any(map(self._ignore.match, names)):
            return False
        is_idle = bool(_LANGUAGE_SERVER.match(program.name)) or any(map(_IDLE.match, names))
        return bool(_BATCH.match(program.line)) or not is_idle
