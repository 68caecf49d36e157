"""Threads of a trace, joined to processes and control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from powerd.attribution.model import TracedProcess
from powerd.helper.disks.trace_events import parse_lines
from powerd.helper.disks.trace_processes import (
    ControlGroups,
    ProcessLog,
    ProcessTable,
    parse_process_log,
    read_control_groups,
)

FOREVER = 99.0
CRON = "/system.slice/cron.service"


def table(log: str, complete_since: float = 0.0, /, **groups: tuple[int, ...]) -> ProcessTable:
    """A log, and the living threads of control groups; the first one of each is its process."""
    living = {name.replace("_", "/"): threads for name, threads in groups.items()}
    return ProcessTable(
        parse_process_log(parse_lines(log), complete_since),
        ControlGroups(
            {thread: name for name, threads in living.items() for thread in threads},
            {name: frozenset(threads[:1]) for name, threads in living.items()},
        ),
    )


def fork(at: float, parent: int, child: int, comm: str = "cron", flags: str = "1200000") -> str:
    return (
        f"  <...>-{parent} [000] ..... {at}: task_newtask: pid={child} comm={comm} clone_flags={flags} "
        "oom_score_adj=0\n"
    )


def thread(at: float, parent: int, child: int) -> str:
    return fork(at, parent, child, flags="3d0f00")


def rename(at: float, pid: int, name: str) -> str:
    return (
        f"  <...>-{pid} [000] ..... {at}: task_rename: pid={pid} oldcomm=x newcomm={name} oom_score_adj=0\n"
    )


def move(at: float, pid: int, group: str, root: int = 0, comm: str = "x") -> str:
    return (
        f"  systemd-1 [000] d..1. {at}: cgroup_attach_task: dst_root={root} dst_id=6 dst_level=1 "
        f"dst_path={group} pid={pid} comm={comm}\n"
    )


def test_a_living_process_has_its_own_group() -> None:
    assert table("", _a=(5,)).describe(5, 1.0, "dd") == TracedProcess(5, "dd", "/a")


def test_a_process_that_has_ended_has_the_group_of_its_nearest_living_ancestor() -> None:
    log = fork(1.0, 5, 6) + fork(2.0, 6, 7, "sh") + rename(2.5, 7, "dd")
    found = table(log, _a=(5,))
    assert found.describe(7, 3.0, "dd") == TracedProcess(7, "dd", "/a", "cron")
    assert found.name_of(7, 3.0, "<...>") == "dd"


@pytest.mark.parametrize(
    ("log", "group"),
    [
        (fork(1.0, 1, 6) + move(1.5, 6, CRON), CRON),
        (fork(1.0, 1, 6) + move(1.5, 6, "/a") + move(1.7, 6, CRON), CRON),
        (fork(1.0, 1, 6) + move(1.5, 6, "/freezer", root=3), "/init.scope"),
        (move(1.5, 6, CRON), CRON),
        (fork(1.0, 1, 6) + move(1.5, 6, "/a b ü"), "/a b ü"),
    ],
)
def test_a_move_between_groups_counts(log: str, group: str) -> None:
    assert table(log, **{"/init.scope": (1,)}).describe(6, 2.0, "dd").cgroup == group


def test_a_move_of_the_parent_counts_for_children_that_were_forked_later() -> None:
    log = fork(1.0, 1, 6) + fork(1.2, 6, 7) + move(1.5, 6, CRON) + fork(1.7, 6, 8)
    found = table(log, **{"/init.scope": (1,)})
    assert found.describe(7, 2.0, "dd").cgroup == "/init.scope"
    assert found.describe(8, 2.0, "dd").cgroup == CRON


def test_a_number_that_is_used_again_is_another_process() -> None:
    log = fork(1.0, 5, 6) + rename(1.1, 6, "first") + fork(3.0, 9, 6, "later") + rename(3.1, 6, "second")
    found = table(log, _a=(5,), _b=(9, 6))
    assert found.describe(6, 2.0, "first") == TracedProcess(6, "first", "/a", "cron")
    assert found.describe(6, 4.0, "second") == TracedProcess(6, "second", "/b")
    assert [found.name_of(6, at, "second") for at in (2.0, 4.0)] == ["first", "second"]


def test_a_thread_is_reported_as_its_process() -> None:
    found = table(fork(1.0, 5, 6) + thread(2.0, 6, 7) + thread(2.1, 7, 8), _a=(5,))
    assert [found.process_of(number, 3.0) for number in (5, 6, 7, 8)] == [5, 6, 6, 6]
    assert found.describe(8, 3.0, "worker") == TracedProcess(8, "worker", "/a", "cron")


def test_a_thread_older_than_the_log_is_of_the_only_process_of_its_group() -> None:
    assert table("", _a=(5, 6, 7)).process_of(7, 1.0) == 5


def test_a_thread_older_than_the_log_is_of_no_process_if_its_group_has_several() -> None:
    found = ProcessTable(
        ProcessLog(),
        ControlGroups(
            {500: "/a", 501: "/a", 600: "/a", 700: "/a/threaded", 701: "/a/threaded"},
            {
                "/a": frozenset({500, 600, 700}),
                "/a/threaded": frozenset(),
            },  # whose cgroup.procs is unreadable
        ),
    )
    assert [found.process_of(number, 1.0) for number in (500, 501, 600, 700, 701)] == [
        500,
        501,
        600,
        700,
        701,
    ]
    assert found.describe(501, 1.0, "worker") == TracedProcess(501, "worker", "/a", is_thread=True)
    assert [found.describe(number, 1.0, "").is_thread for number in (600, 700, 701)] == [False, False, True]


@pytest.mark.parametrize(
    ("log", "at", "group"),
    [
        pytest.param(move(1.0, 6, "/b") + fork(1.1, 1, 6), 2.0, "", id="the id may be used again"),
        pytest.param(fork(1.0, 1, 6), 6.0, "", id="a move may be missing"),
        pytest.param(fork(1.0, 1, 6) + move(2.0, 6, "/b"), 6.0, "", id="a second move may be missing"),
        pytest.param(fork(1.0, 1, 5) + fork(5.5, 5, 6), 6.0, "", id="a move of the parent may be missing"),
        pytest.param(fork(1.0, 1, 6) + move(5.5, 6, CRON), 6.0, CRON, id="its last move is known"),
        pytest.param(fork(5.5, 1, 6), 6.0, "/init.scope", id="its whole life is known"),
    ],
)
def test_what_an_incomplete_log_may_have_forgotten_is_unknown(log: str, at: float, group: str) -> None:
    """Of the time before 5.0 the events of a processor are overwritten."""
    assert table(log, 5.0, **{"/init.scope": (1,)}).describe(6, at, "dd").cgroup == group


def test_a_living_process_is_only_known_while_the_log_is_complete() -> None:
    found = table("", 5.0, _a=(6, 7))
    assert [found.describe(6, at, "dd").cgroup for at in (4.0, 6.0)] == ["", "/a"]
    assert [found.process_of(7, at) for at in (4.0, 6.0)] == [7, 6]


@pytest.mark.parametrize(
    "line",
    [
        move(1.0, 6, "/user", comm="a pid=7 comm=b"),
        move(1.0, 6, "/user/a pid=7 comm=b"),
        move(1.0, 6, "/user/a dst_path=/b pid=7 comm=b"),
    ],
)
def test_a_name_that_looks_like_a_move_moves_nobody(line: str) -> None:
    log = parse_process_log(parse_lines(line))
    assert not log.moves


def test_a_group_that_looks_like_another_is_none() -> None:
    log = parse_process_log(parse_lines(move(1.0, 6, "/user/a dst_path=/b")))
    assert log.moves[6] == [(1.0, "/user/a dst_path=/b")]


def populated(at: float, by: int, group: str, value: int = 1, root: int = 0) -> str:
    return (
        f"  systemd-{by} [000] d..1. {at}: cgroup_notify_populated: root={root} id=6 level=2 path={group} "
        f"val={value}\n"
    )


INTO = "200004100"


@pytest.mark.parametrize(
    ("log", "group"),
    [
        (populated(1.0, 1, CRON) + fork(1.0, 1, 6, flags=INTO), CRON),
        (
            populated(1.0, 1, CRON) + populated(1.1, 1, "/system.slice") + fork(1.2, 1, 6, flags=INTO),
            CRON,
        ),
        (populated(1.0, 1, "/a") + fork(1.1, 1, 5) + fork(1.2, 1, 6, flags=INTO), ""),
        (populated(1.0, 2, "/a") + fork(1.2, 1, 6, flags=INTO), ""),
        (populated(1.0, 1, "/a", value=0) + fork(1.2, 1, 6, flags=INTO), ""),
        (populated(1.0, 1, "/a", root=3) + fork(1.2, 1, 6, flags=INTO), ""),
        (populated(1.0, 1, "/a") + fork(1.2, 1, 6), "/init.scope"),
    ],
)
def test_a_fork_into_another_group(log: str, group: str) -> None:
    """By systemd 254 and later; a group that had a process already is not reported, so it is unknown."""
    found = table(log + fork(2.0, 6, 7, "sh"), **{"/init.scope": (1,)})
    assert found.describe(6, 3.0, "dd").cgroup == group
    assert found.describe(7, 3.0, "sh").cgroup == group


def test_what_nobody_remembers_is_unknown() -> None:
    found = table(fork(1.0, 4, 6), _a=(5,))
    assert found.describe(6, 2.0, "dd") == TracedProcess(6, "dd")
    assert found.describe(77, 2.0, "dd") == TracedProcess(77, "dd")
    assert (found.process_of(77, 2.0), found.name_of(77, 2.0, "<...>")) == (77, "")


def test_parents_that_are_each_other_s_end() -> None:
    found = table(thread(1.0, 7, 6) + thread(1.0, 6, 7))
    assert found.describe(6, 2.0, "dd").cgroup == ""
    assert found.process_of(6, 2.0) in {6, 7}


def group_dir(path: Path, leaders: str, threads: str, file: str = "cgroup.threads") -> None:
    path.mkdir(parents=True)
    (path / "cgroup.procs").write_text(leaders)
    (path / file).write_text(threads)


@pytest.mark.parametrize(
    ("hierarchy", "file"), [("", "cgroup.threads"), ("unified", "cgroup.threads"), ("systemd", "tasks")]
)
def test_control_groups_of_each_version(tmp_path: Path, hierarchy: str, file: str) -> None:
    base = tmp_path / "sys/fs/cgroup" / hierarchy
    group_dir(base, "1\n", "1\n", file)
    group_dir(base / "system.slice/cron.service", "5\n", "5\n6\n", file)
    found = read_control_groups(tmp_path)
    assert found.of_thread == {1: "/", 5: CRON, 6: CRON}
    assert found.leaders[CRON] == {5}


def test_without_control_groups_none_is_known(tmp_path: Path) -> None:
    assert read_control_groups(tmp_path) == ControlGroups()


def test_a_group_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    base = tmp_path / "sys/fs/cgroup"
    group_dir(base, "1\n", "1\n")
    (base / "threaded/cgroup.procs").mkdir(parents=True)
    assert read_control_groups(tmp_path).of_thread == {1: "/"}
