"""How answers are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from powerd.setup import model


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,3-5", (1, 3, 4, 5)),
        ("none", ()),
        ("-", ()),
        ("All", (1, 2, 3, 4, 5)),
        ("5 2", (2, 5)),
        ("2,2", (2,)),
    ],
)
def test_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert model.parse_numbers(text, 5) == numbers


@pytest.mark.parametrize("text", ["0", "6", "3-2", "1-9", "x", "1;2", "1..3", "99999", "-1", "\u0661"])
def test_numbers_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        model.parse_numbers(text, 5)


def test_names() -> None:
    assert model.parse_name("3 living room TV", 5) == (3, "living room TV")
    assert model.parse_name("none", 5) is None


@pytest.mark.parametrize("text", ["tv", "9 tv", "3", "1-2 tv", "3 \x07", "all tv"])
def test_names_without_a_number_or_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=r".{20}"):
        model.parse_name(text, 5)


@pytest.mark.parametrize(
    ("parse", "text", "parts"),
    [
        (model.parse_windows, "00:00-08:00", ["00:00-08:00"]),
        (
            model.parse_windows,
            "Mon-Fri 00:30-06:00; Fri,Sat 02:00-09:00;",
            ["Mon-Fri 00:30-06:00", "Fri,Sat 02:00-09:00"],
        ),
        (model.parse_times, "Mon-Fri 06:30; 09:00", ["Mon-Fri 06:30", "09:00"]),
        (model.parse_times, "none", []),
        (model.parse_urls, "ntfy://a mailto://b", ["ntfy://a", "mailto://b"]),
        (model.parse_urls, "none", []),
    ],
)
def test_lists(parse: Callable[[str], tuple[object, ...]], text: str, parts: list[str]) -> None:
    assert [str(part) for part in parse(text)] == parts


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (model.parse_windows, "at night"),
        (model.parse_windows, "00:00-00:00"),
        (model.parse_times, "25:00"),
        (model.parse_urls, "my topic"),
        (model.parse_spin_down, "3min"),
        (model.parse_spin_down, "soon"),
        (model.parse_yes, "perhaps"),
    ],
)
def test_what_cannot_be_read_is_reported(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        parse(text)
