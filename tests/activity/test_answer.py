from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.activity.answer import (
    Expression,
    Selection,
    _search,
    parse_jmespath,
    parse_regex,
    parse_xpath,
    select,
)
from powerd.config.load import parse
from powerd.config.sample import effective_toml
from powerd.linux.cpu_limit import MAX_LINE

SESSIONS = [
    {"UserName": "alice", "NowPlayingItem": {"Name": "Dune"}, "PlayState": {"IsPaused": False}},
    {"UserName": "bob", "NowPlayingItem": {"Name": "Heat"}, "PlayState": {"IsPaused": True}},
    {"UserName": "carol"},
]
VIDEOS = '<MediaContainer size="2"><Video><Player state="playing"/></Video><Video/></MediaContainer>'


@pytest.mark.parametrize(
    ("expression", "value", "names"),
    [
        ("[?NowPlayingItem].UserName", 2.0, ("alice", "bob")),
        ("[?NowPlayingItem && !(PlayState.IsPaused)].UserName", 1.0, ("alice",)),
        ("[?Nothing]", 0.0, ()),
        ("length(@)", 3.0, ()),
        ("[0].UserName", 1.0, ("alice",)),
        ("[0].PlayState.IsPaused", 0.0, ()),
        ("[1].PlayState.IsPaused", 1.0, ()),
    ],
)
def test_jmespath(expression: str, value: float, names: tuple[str, ...]) -> None:
    answer = json.dumps(SESSIONS).encode()
    assert select(answer, Expression("jmespath", expression)) == Selection(value, names)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("/MediaContainer/Video/Player[@state='playing']", 1.0),
        ("/MediaContainer/Video", 2.0),
        ("/MediaContainer//Player", 1.0),
        ("/MediaContainer/Track", 0.0),
        ("/MediaContainer/@size", 2.0),
        ("/MediaContainer", 1.0),
    ],
)
def test_xpath(expression: str, value: float) -> None:
    assert select(VIDEOS, Expression("xpath", parse_xpath(expression))).value == value


def test_a_regular_expression_counts_lines() -> None:
    found = select(b"JobId 7 running\nidle\nJobId 8 running\n", Expression("regex", r"\brunning$"))
    assert found == Selection(2.0, ("JobId 7 running", "JobId 8 running"))


@pytest.mark.parametrize(
    ("language", "expression", "answer"),
    [
        ("jmespath", "size", "{}"),
        ("jmespath", "size", '{"size": null}'),
        ("jmespath", "size", '{"size": {"a": 1}}'),
        ("jmespath", "size > `1`", '{"size": "many"}'),
        ("jmespath", "[?size > `1`]", "{}"),
        ("jmespath", "size > `1`", '{"size": NaN}'),
        ("jmespath", "size", "NaN"),
        ("jmespath", "length(@)", "7"),
        ("jmespath", "@", "<html>log in</html>"),
        ("jmespath", "@", ""),
        ("jmespath", "@", "[" * 100_000),
        ("jmespath", "@", '{"a":' * 100_000 + "1" + "}" * 100_000),
        ("jmespath", "@", "1" * 5_000),
        ("xpath", "/MediaContainer/Video", "<html><body>log in</body></html>"),
        ("xpath", "/MediaContainer/Video", '{"json": 1}'),
        ("xpath", "/MediaContainer/Video", ""),
        ("xpath", "/MediaContainer/@size", '<MediaContainer size="many"/>'),
        ("xpath", "/MediaContainer/@size", '<MediaContainer size="nan"/>'),
        ("xpath", "/MediaContainer/@size", "<MediaContainer/>"),
        ("xpath", "/MediaContainer/Video/@size", "<MediaContainer/>"),
    ],
)
def test_an_answer_of_another_form_is_an_error(language: str, expression: str, answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        select(answer, Expression(language, expression))


@pytest.mark.parametrize(
    ("language", "expression", "require", "good", "bad"),
    [
        ("jmespath", "jobs", "result == 'success'", '{"result": "success", "jobs": []}', '{"jobs": []}'),
        (
            "xpath",
            "/response/meetings/meeting",
            "/response/returncode[.='SUCCESS']",
            "<response><returncode>SUCCESS</returncode></response>",
            "<response><returncode>FAILED</returncode></response>",
        ),
        ("regex", "^7", "^Running Jobs", "Running Jobs:\n7 full\n", "connection refused\n"),
    ],
)
def test_a_requirement_that_selects_nothing_is_an_error(
    language: str, expression: str, require: str, good: str, bad: str
) -> None:
    assert select(good, Expression(language, expression, require)).value >= 0
    with pytest.raises(ValueError, match=r"."):
        select(bad, Expression(language, expression, require))


@pytest.mark.parametrize("text", ["[?a", "a ==", "foo(@)" * 2, "a b"])
def test_an_invalid_jmespath_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jmespath(text)


@pytest.mark.parametrize("text", ["Video", "//Video", "/a/b[", "/a/b[1='", "/", "/a/b:c/d"])
def test_an_invalid_xpath_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_xpath(text)


@pytest.mark.parametrize("text", ["(", "a{99999999999}"])
def test_an_invalid_regular_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_regex(text)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_jmespath, "[" * 5000),
        (parse_jmespath, "!" * 5000 + "a"),
        (parse_jmespath, "(" * 5000 + "a" + ")" * 5000),
        (parse_regex, "(" * 5000 + ")" * 5000),
        (parse_xpath, "/a" + "/b" * 5000),
    ],
    ids=["brackets", "nots", "parentheses", "groups", "steps"],
)
def test_an_expression_that_is_nested_too_deeply_is_refused(parse: Callable[[str], str], text: str) -> None:
    with pytest.raises(ValueError, match="deeply"):
        parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "size", "UserName", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["a", "[?a]", "size > `1`", "[?size > `1`].UserName", "length(@)", "sum(@)"]))
def test_any_document_gives_a_number_or_an_error(document: object, expression: str) -> None:
    try:
        found = select(json.dumps(document), Expression("jmespath", expression))
    except ValueError:
        return
    assert not math.isnan(found.value)
    assert all(name.isprintable() for name in found.names)


@given(st.text(), st.sampled_from([("xpath", "/a/b"), ("regex", "a"), ("jmespath", "a")]))
def test_any_text_gives_a_number_or_an_error(text: str, expression: tuple[str, str]) -> None:
    try:
        found = select(text, Expression(*expression))
    except ValueError:
        return
    assert found.value >= 0


def test_a_document_and_an_expression_may_have_several_lines() -> None:
    text = 'name = "x"\nurl = "http://nas/"\npost = """{"a":\n\t1}"""\njmespath = """\na ||\n b"""\n'
    options = parse(f"[[activity.http]]\n{text}".encode(), "f")
    assert parse(effective_toml(options).encode(), "f") == options


@pytest.mark.parametrize(
    ("expression", "length"),
    [
        (Expression("regex", "(a|aa)+$"), 100),
        (Expression("regex", ".*.*.*="), 500_000),
        (Expression("regex", "a", require="(?=(a+)+$)b"), 100),
    ],
)
def test_a_search_that_would_take_hours_is_an_error(expression: Expression, length: int) -> None:
    with pytest.raises(ValueError, match="processor time"):
        select("a" * length + "!", expression)


@given(st.sampled_from(["^a", "a$", r"\bb", "(?<=a)b", "(b+)", "$", "c"]), st.text("ab \n", max_size=8))
def test_a_long_line_is_searched_as_a_short_one(regex: str, end: str) -> None:
    pattern, line = re.compile(regex), "b" * MAX_LINE + end
    found, expected = _search(pattern, line), pattern.search(line)
    assert (found and found.span()) == (expected and expected.span())
