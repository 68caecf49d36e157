"""The value of an answer of a server or a command: one number, and the names behind it.

An expression selects a part of the answer, in one of three languages:

- ``jmespath`` (https://jmespath.org/specification.html, by the library of that name, 0.3 MB) of a JSON
  document. A list counts its entries, a number is itself, true is 1, false is 0, text is 1 unless it is
  empty. Null is an error: the answer does not have the form that the expression expects.
- ``xpath`` of an XML document: the subset of xml.etree.ElementTree, as an absolute path whose first step is
  the name of the root element; another root element is an error. It counts the elements found. A last step
  ``@NAME`` is the sum of that attribute, which must be a number.
- ``regex`` (Python's re): counts the lines in which it is found. The text shown is the line, or its first
  group. A search that exceeds a second of processor time is an error.

An answer that cannot be evaluated is an error, which keeps the server awake: an answer whose form has
changed in a new version of the server is never taken for "nothing to do".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from powerd.activity.model import Activity
from powerd.config.declare import OptionType, integer, nonempty_string, option, text_as
from powerd.core.dataclass import dataclass
from powerd.linux.cpu_limit import MAX_LINE, SEARCH_LIMIT, cpu_limit
from powerd.linux.http_client import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MAX_NAMES: Final = 5
_TOO_DEEP: Final = "is nested too deeply; shorten it"
_XPATH: Final = re.compile(r"/(?P<root>[^/\[\]@*]+)(?P<steps>(?:/.*?)??)(?:/@(?P<attribute>[\w.:-]+))?")


@dataclass(frozen=True, slots=True)
class Expression:
    """What to select.

    Attributes:
        language: ``jmespath``, ``xpath`` or ``regex``.
        select: the expression.
        require: another one of that language, which must select something; otherwise the answer is an error.
            Empty = none.
    """

    language: str
    select: str
    require: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected.

    Attributes:
        value: the number, never NaN.
        names: the texts among what was selected, for people; at most five.
    """

    value: float
    names: tuple[str, ...] = ()


def parse_jmespath(text: str) -> str:
    """Check a JMESPath expression. Raises ValueError with a clause."""
    import jmespath  # noqa: PLC0415 - only where a check uses it
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415 - only where a check uses it

    try:
        jmespath.compile(text)
    except JMESPathError as error:
        text = " ".join(str(error).split()).removeprefix("Invalid jmespath expression: ")
        raise ValueError(f"is not a JMESPath expression: {text[:200]}; see https://jmespath.org") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return text


def parse_xpath(text: str) -> str:
    """Check an absolute XPath of the supported subset. Raises ValueError with a clause."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - only where a check uses it

    match = _XPATH.fullmatch(text)
    if match is None:
        raise ValueError('must begin with the root element; write it like "/MediaContainer/Video"')
    try:
        _find(ET.Element("root"), match)
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"is not an XPath of the supported subset: {error}; simplify it") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return text


def parse_regex(text: str) -> str:
    """Check a regular expression. Raises ValueError with a clause."""
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:  # OverflowError: of a number of repetitions
        raise ValueError(f"is not a regular expression: {error}; correct it") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return text


def optional(parse: Callable[[str], str]) -> OptionType[str]:
    """A string that ``parse`` checks, or "" for none."""
    text = nonempty_string(multiline=True)
    return OptionType(lambda value: parse(text.read(value)) if value != "" else "", text.show)


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """The options of a check that evaluates an answer."""

    jmespath: str = option(
        "",
        "JMESPath (https://jmespath.org) of a JSON answer; a list counts its entries, true is 1",
        optional(parse_jmespath),
    )
    xpath: str = option(
        "",
        "absolute XPath of an XML answer, which counts the elements found; a last step @NAME is that number",
        optional(parse_xpath),
    )
    regex: str = option(
        "",
        "regular expression, which counts the lines in which it is found; its group is the text shown",
        optional(parse_regex),
    )
    require: str = option(
        "",
        "a second expression of the same language that must find something; otherwise the check has failed",
        optional(str),
    )
    above: int = option(0, "a greater result keeps the server awake", integer(0, 1 << 50))
    text: str = option("", "what `powerd why` shows, followed by the texts found", text_as(str))

    def __post_init__(self) -> None:
        """Check the combination."""
        languages = [name for name in LANGUAGES if getattr(self, name)]
        if len(languages) != 1:
            raise ValueError(f"requires exactly one of {', '.join(LANGUAGES)}; add or remove one")
        if self.require:
            try:
                _PARSERS[languages[0]](self.require)
            except ValueError as error:
                raise ValueError(f'"require" {error}') from None

    @property
    def is_set(self) -> bool:
        """Whether there is an expression."""
        return any(getattr(self, name) for name in LANGUAGES)

    @property
    def expression(self) -> Expression:
        """The expression."""
        language = next(name for name in LANGUAGES if getattr(self, name))
        return Expression(language, getattr(self, language), self.require)

    def activity(self, subject: str, selection: Selection) -> Activity:
        """The activity that has been found."""
        text = self.text or f"{self.expression.select} is above {self.above}"
        keeps_awake = selection.value > self.above
        if keeps_awake and selection.names:
            text = f"{text}: {', '.join(selection.names)}"
        return Activity(subject, text, keeps_awake, selection.value, "", float(self.above))


def select(answer: bytes | str, expression: Expression) -> Selection:
    """Evaluate an expression of an answer.

    Raises:
        ValueError: the answer does not have the expected form; one clause.
    """
    evaluate = LANGUAGES[expression.language]
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    try:
        if expression.require and not evaluate(text, expression.require).value:
            raise ValueError(f"the answer lacks {expression.require}: {clean(text)}")
        return evaluate(text, expression.select)
    except (RecursionError, MemoryError):
        raise ValueError("the answer is nested too deeply") from None


def _select_json(text: str, expression: str) -> Selection:
    import jmespath  # noqa: PLC0415 - only where a check uses it

    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        raise ValueError(f"the answer is not a JSON document: {clean(text)}") from None
    try:
        found = jmespath.search(expression, document)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises TypeError and others for odd documents
        raise ValueError(f"{expression} cannot be evaluated: {clean(str(error))}") from None
    return _measure(found, expression)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")  # every comparison with NaN is false, so it would mean idle


def _measure(found: Any, expression: str) -> Selection:  # noqa: ANN401 - any JSON value
    match found:
        case bool() | int() | float():
            try:
                return Selection(float(found))
            except OverflowError:
                return Selection(math.inf)
        case str():
            return Selection(1.0, _names([found])) if found else Selection(0.0)
        case list():
            return Selection(float(len(found)), _names(found))
        case dict():
            raise ValueError(f"{expression} selects an object; select a value or a list")
    raise ValueError(f"the answer has nothing at {expression}")


def _select_xml(text: str, xpath: str) -> Selection:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - only where a check uses it

    match = _XPATH.fullmatch(xpath)
    try:
        root = ET.fromstring(text)  # noqa: S314 - expat limits the expansion of entities since 2.4.1
    except (ET.ParseError, ValueError):
        raise ValueError(f"the answer is not an XML document: {clean(text)}") from None
    if match is None or root.tag != match["root"]:
        raise ValueError(f"the answer begins with <{clean(str(root.tag))}>, not as in {xpath}")
    found = _find(root, match)
    if not match["attribute"]:
        return Selection(float(len(found)), _names([element.text for element in found]))
    try:
        value = math.fsum(float(element.attrib[match["attribute"]]) for element in found)
    except (KeyError, ValueError, OverflowError):
        value = math.nan
    if math.isnan(value) or not found:
        raise ValueError(f"{xpath} is not a number in the answer")
    return Selection(value)


def _find(root: Element, match: re.Match[str]) -> list[Element]:
    steps = match["steps"]
    if not steps:
        return [root]
    return root.findall(f".{steps}" if steps.startswith("//") else steps[1:])


def _select_lines(text: str, regex: str) -> Selection:
    pattern = re.compile(regex)
    try:
        with cpu_limit():
            found = [match for line in text.splitlines() if (match := _search(pattern, line))]
    except TimeoutError:
        what = f"has exceeded {SEARCH_LIMIT:g} s of processor time in {clean(text)}"
        raise ValueError(f"the search for {regex} {what}") from None
    return Selection(
        float(len(found)), _names([match[1] if pattern.groups else match.string for match in found])
    )


def _search(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    """As ``pattern.search(line)``, but cpu_limit() can end it in a long line, too."""
    if len(line) <= MAX_LINE:
        return pattern.search(line)
    return next(filter(None, (pattern.match(line, start) for start in range(len(line) + 1))), None)


def _names(values: list[Any]) -> tuple[str, ...]:
    texts = [clean(value) for value in values if isinstance(value, str) and value.strip()]
    return tuple(dict.fromkeys(texts))[:_MAX_NAMES]


LANGUAGES: Final[dict[str, Callable[[str, str], Selection]]] = {
    "jmespath": _select_json,
    "xpath": _select_xml,
    "regex": _select_lines,
}
_PARSERS: Final = {"jmespath": parse_jmespath, "xpath": parse_xpath, "regex": parse_regex}
