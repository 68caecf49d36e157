"""Which command lines are work. The lines are what systemd 252 returns for real processes."""

from __future__ import annotations

import pytest

from powerd.activity.checks import sessions
from powerd.activity.programs import (
    COMMUNICATION,
    EDITORS,
    FILE_MANAGERS,
    MENUS,
    MONITORS,
    PAGERS,
    REMOTE,
    Program,
    ProgramFilter,
    parse_program,
)
from powerd.activity.run_times import RunTimes
from powerd.core.poller import PollDepth
from powerd.linux.values import UnitProcess

WORK = {
    "sleep 2000": "sleep",
    "rsync -a --info=progress2 /srv/ /mnt/": "rsync",
    "/usr/bin/cp -v a b": "cp",
    '/bin/sh -c "sleep 45"': "sh",
    'bash -lc "make -j4"': "bash",
    "bash ./nightly.sh --all": "nightly.sh",
    "/bin/bash -e /usr/local/bin/nightly.sh": "nightly.sh",
    "sh -x nightly.sh": "nightly.sh",
    "bash --rcfile x -o pipefail nightly.sh": "nightly.sh",
    "/usr/bin/python3 /usr/bin/borg create ::x /srv": "borg",
    "python3 -m http.server": "http.server",
    'python3 -c "import time"': "python3",
    "perl /usr/bin/rsnapshot daily": "rsnapshot",
    "ssh -p 22 -tq nas tar -c /srv": "ssh",
    "ssh -oForwardX11=no -l anna nas -s sftp": "ssh",
    "rsync --server -vlogDtpre.iLsfxCIvu . /srv": "rsync",
    "busybox wget http://x/": "wget",
    "java -jar /srv/minecraft/server.jar nogui": "java",
    "apt-get install vim": "apt-get",
    "[backup]": "backup",
    "python3 -": "python3",
    "/usr/bin/python3 - --epochs 5": "python3",
    "perl - x": "perl",
    "ruby -": "ruby",
    "python3 /home/a/.vscode-server/extensions/ms-python-1/launcher 4 -- /home/a/train.py": "launcher",
    "tar czf /b.tgz /home/a/.vscode-server/x": "tar",
    "rsync -a /home/a/.cursor-server/ nas:": "rsync",
    "python3 /srv/train.py --data /home/a/.vscode-server/x": "train.py",
    "rsync -a /opt/lua-language-server/ nas:": "rsync",
    "rclone sync /home/a gdrive:mount": "rclone",
    'sh -c "rsync a b; rclone mount gdrive: /mnt"': "sh",
    "restic -r /srv/repo backup /mount": "restic",
    "restic -r server backup /srv": "restic",
    "restic -r mount/repo backup /srv": "restic",
    "restic --host server --repo /srv/repo backup /home": "restic",
    "rclone --config server/rclone.conf sync /srv gdrive:": "rclone",
    "borg serve --restrict-to-path /srv": "borg",
    "/usr/bin/python3 /usr/bin/borg --info serve --append-only": "borg",
    "rclone serve restic --stdio --b2-hard-delete b2:x": "rclone",
    "python3 -mbackup.all --full": "python3",
    'python3 "-cimport x; x.run()"': "python3",
    'perl "-esleep 900"': "perl",
    "node --eval=x": "node",
    "clangd-indexer --executor=all-TUs compile_commands.json": "clangd-indexer",
    "rust-analyzer analysis-stats .": "rust-analyzer",
    "lua-language-server --check /srv/x": "lua-language-server",
    "ccls -index=/srv/x": "ccls",
    "psql -Atc 'VACUUM FULL' db": "psql",
    "psql -U alice --file=dump.sql": "psql",
    "mysql -h nas -e 'OPTIMIZE TABLE x'": "mysql",
    "sqlite3 -batch x.db VACUUM": "sqlite3",
    "R CMD BATCH x.R": "R",
    "/usr/lib/R/bin/exec/R --no-echo --no-restore --file=x.R": "R",
    "gdb -batch -x script ./a.out": "gdb",
    "git gc": "git",
    "git stash pop": "git",
    "systemctl restart backup": "systemctl",
    "dpkg --install x.deb": "dpkg",
    "git clone https://x/y": "git",
    "systemctl start backup": "systemctl",
    "docker exec -it web /opt/backup.sh": "docker",
    "docker build .": "docker",
    "": "",
    '"tar: 40 %"': "tar",
}  # fmt: skip
"""Command lines, and the names that are shown for them."""

WAITING = (
    *("-bash", "bash", "/bin/bash --login", "zsh -i", "/usr/bin/fish", "-sh", "busybox sh", "[bash]"),
    "/bin/bash --init-file /home/a/.vscode-server/shellIntegration-bash.sh",
    *("python3", "python3 -i", "/usr/bin/python3 -q", "ipython3", "node", "irb", "lua5.4"),
    *("vim x", "vim.basic x", "/usr/bin/nvim", "nano /etc/fstab", "emacsclient -t x", "view x"),
    *("less +F log", "man 1 tar", "tail -f /var/log/syslog", "tail -n 100 -F x", "journalctl -fu ssh"),
    *("top", "htop -d 10", "watch -n 1 df", "/usr/bin/python3 /usr/sbin/iotop", "ping 10.0.0.1"),
    *("mc", "/usr/bin/python3 -O /usr/bin/ranger", "irssi", "weechat-headless", "mutt", "w3m x"),
    *("ssh nas", "ssh -p 22 -i key anna@nas", "ssh -N -L 80:localhost:80 nas", "ssh -vp22 nas"),
    *("mosh-client x", "autossh -M 0 nas"),
    *("git log", "/usr/bin/git diff HEAD~3", "git show", "systemctl status", "systemctl edit --full x"),
    *("crontab -e", "crontab -e -u bob", "visudo", "/usr/bin/sensible-editor /tmp/crontab.x/crontab"),
    '/bin/sh -c "/usr/bin/sensible-editor /tmp/crontab.x/crontab"',
    *(
        "psql",
        "/usr/lib/postgresql/15/bin/psql -U alice db",
        "mysql -u root -p db",
        "sqlite3 x.db",
        "gdb ./x",
    ),
    *("R", "/usr/lib/R/bin/exec/R --no-save", "docker logs -f web", "podman logs --follow web"),
    *("docker exec -it web bash", "podman exec -ti -u root db /bin/sh", "docker compose logs -f"),
    *("vmstat 1", "iostat -x 5", "nvtop", "tig --all", "lazygit", "fzf -m"),
    *("clangd --background-index", "/home/a/.cargo/bin/rust-analyzer", "/usr/bin/python3 /usr/bin/pylsp"),
    *("node /usr/lib/node_modules/pyright/langserver.index.js --stdio", "lua-language-server -E x"),
    *("rclone mount gdrive: /mnt", '/bin/sh -c "rclone mount gdrive: /mnt"', "borg mount /srv/repo /mnt"),
    *("rclone -vP --read-only mount gdrive: /mnt", "restic -r /srv/repo --no-lock mount /mnt"),
    *("rclone --config=/etc/x mount gdrive: /mnt", "kopia --config-file=/etc/x server start", "rclone rcd"),
    *("clangd-19 --log=error", "rust-analyzer-proc-macro-srv", "ipython3 --matplotlib"),
    *("git blame x.py", "git branch -a", "git stash list", "systemctl list-timers --all", "loginctl"),
    *("/bin/sh /usr/bin/zless x.gz", "batcat x", "dpkg-query --list -- vim"),
    *("bash -s", "bash -", "/usr/lib/x2go/x2goagent :50", "nxagent :51"),
)
"""Programs that wait for a person."""

SUPPORT = (
    *('"sshd: alice [priv]"', '"sshd: alice@pts/0"', '"sshd-session: alice@notty"', "/usr/sbin/sshd -D"),
    *(
        '"(sd-pam)"',
        "/lib/systemd/systemd --user",
        "/usr/bin/dbus-daemon --session --nofork",
        "/bin/login -p --",
    ),
    *(
        "ssh-agent -s",
        "/usr/bin/gpg-agent --supervised",
        "/usr/bin/pipewire",
        "/usr/bin/pulseaudio --daemonize=no",
    ),
    *(
        "sudo -i",
        "su -",
        "sudo vim x",
        "tmux new -s main",
        '"tmux: server"',
        "SCREEN -dmS s",
        "/sbin/agetty -o x",
    ),
    *(
        "mosh-server new -s",
        "/usr/lib/openssh/sftp-server",
        '"sshd: alice@internal-sftp"',
        "/usr/sbin/CRON -f",
    ),
    "/home/a/.vscode-server/bin/1/node /home/a/.vscode-server/bin/1/out/server-main.js --port=0",
    "/home/a/.vscode-server-insiders/cli/servers/x/server/node --dns-result-order=ipv4first y.js",
    "/home/a/.zed_server/zed-remote-server-stable proxy",
    *("/home/a/.cache/gitstatus/gitstatusd-linux-x86_64 -s -1", "byobu-status tmux_left", "pinentry-curses"),
    *("cockpit-bridge", "/usr/lib/cockpit/cockpit-session localhost"),
    "/usr/lib/gvfs/gvfsd-fuse /run/user/1000/gvfs -f",
)
"""Programs of the session itself."""


@pytest.mark.parametrize("command", WORK)
def test_work_is_named_by_its_program_or_script(command: str) -> None:
    program = parse_program(command)
    assert program.name == WORK[command]
    assert ProgramFilter((), ()).works(program)


@pytest.mark.parametrize("command", [*WAITING, *SUPPORT])
def test_what_waits_for_a_person_or_supports_a_session_is_no_work(command: str) -> None:
    assert not ProgramFilter((), ()).works(parse_program(command))


def test_options_add_programs_and_make_exceptions() -> None:
    programs = ProgramFilter(ignore=("java *minecraft*", "syncthing"), count=("ping", "tail -f*"))
    works = [command for command in (*WORK, "syncthing", "ping x", "tail -f x", "tail x") if
             programs.works(parse_program(command))]  # fmt: skip
    assert set(WORK) - set(works) == {"java -jar /srv/minecraft/server.jar nogui"}
    assert works[len(WORK) - 1 :] == ["ping x", "tail -f x"]


@pytest.mark.parametrize(
    "command", ['"', '"""', "\\", '"\\"', " ", "-", "ssh -", "bash -o", "ssh -p", "\x00", "[]"]
)
def test_no_command_line_fails(command: str) -> None:
    parse_program(command)


def test_the_manual_names_every_program_that_waits() -> None:
    listed = (*EDITORS, *PAGERS, *MONITORS, *FILE_MANAGERS, *MENUS, *COMMUNICATION, *REMOTE)
    variants = {"rnano", "rvim", "view", "hx", "bpytop", "elinks", "links"}
    assert [
        name for name in listed if name.rstrip("*") not in (sessions.__doc__ or "") and name not in variants
    ] == []


def test_the_time_of_a_process_begins_when_it_is_first_seen() -> None:
    times = RunTimes(30.0)
    make, shell, late = (
        (each, parse_program(each.command))
        for each in (UnitProcess("/", 7, "make"), UnitProcess("/", 3, "sh -c x"), UnitProcess("/", 1, "cc"))
    )

    def job(*rows: tuple[UnitProcess, Program]) -> tuple[str, float | None] | None:
        found = times.find_job("x", rows, PollDepth.ROUTINE, 100.0)
        return None if found is None else (found.text, found.since)

    times.update([shell, make], 10.0)
    times.update([shell, make, late], 70.0)
    assert job(shell, make, late) == ("runs make", 10.0), "shells come last, and the name is stable"
    assert job(shell) == ("runs sh", 10.0)
    assert job() is None
    times.update([late], 80.0)
    times.update([make, late], 90.0)
    assert job(make, late) == ("runs cc", 70.0), "another process with a number that was free"


def test_a_program_that_often_runs_briefly_does_not_count_at_once() -> None:
    times = RunTimes(30.0)

    def counts(pid: int, now: float, command: str = "df") -> bool:
        row = (UnitProcess("/", pid, command), parse_program(command))
        times.update([row], now)
        found = times.find_job("x", [row], PollDepth.BEFORE_SLEEP, now)
        return found is not None and found.keeps_awake

    assert [counts(pid, 60.0 * pid) for pid in range(5)] == [True, True, True, False, False]
    assert counts(90, 310.0, "rsync"), "another program does"
    assert [counts(99, now) for now in (360.0, 420.0)] == [False, True], "and this one does once it runs long"
    assert counts(100, 480.0), "from then on at once again"
    assert [counts(pid, 540.0 + 60 * pid) for pid in range(4)] == [True, True, False, False]
    times.update([], 88_000.0)
    assert counts(7, 88_010.0), "a day later"


def test_a_job_beside_one_that_often_runs_briefly_counts_at_once() -> None:
    times = RunTimes(30.0)
    rows = [(each, parse_program(each.command)) for each in (UnitProcess("/", n, "php") for n in range(4))]
    for number, row in enumerate(rows):
        times.update([row], 60.0 * number)
    backup = (UnitProcess("/", 9, "borg create"), parse_program("borg create"))
    times.update([rows[-1], backup], 190.0)
    found = times.find_job("x", [rows[-1], backup], PollDepth.BEFORE_SLEEP, 190.0)
    assert found is not None
    assert (found.text, found.keeps_awake) == ("runs borg", True)
