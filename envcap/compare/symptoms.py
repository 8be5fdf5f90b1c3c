"""In what way the outputs differ, which says much about why. Pure: values in, symptoms out."""

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from envcap.compare.arrays import Array
from envcap.compare.content import Value, Values, compare_contents
from envcap.compare.values import is_number, same, show
from envcap.model.evaluation import Metric
from envcap.model.struct import Data

SymptomKind = Literal["order", "digits", "numbers", "labels", "hours", "times", "decimal mark", "letters", "unsteady"]

_LAST_DIGITS = 1e-5  # relative: float32 sums in another order stay below it
_LARGEST_SHUFFLED = 1 << 20  # bytes of an array whose elements are counted
_TIME = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})?[T ]?(?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?.*")
_QUARTER = 900  # seconds; time zones are whole quarters of an hour apart
_GROUPING = str.maketrans("", "", " .,'\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{RIGHT SINGLE QUOTATION MARK}")


class Output(NamedTuple):
    """One output on both sides, value by value. `steady` is False where runs of one side differ among themselves."""

    name: str
    frozen: Values
    observed: Values
    steady: bool = True


class Symptom(Data, frozen=True, kw_only=True):
    """One way in which outputs differ, and what was seen of it."""

    kind: SymptomKind
    evidence: str


class _Seen(NamedTuple):
    kind: SymptomKind
    example: str
    size: float = 0.0


def symptoms_of(outputs: list[Output]) -> list[Symptom]:
    """List the ways in which the outputs differ, each once. Last digits are a symptom where nothing worse is."""
    seen = [one for output in outputs for one in _look_at(output)]
    kinds = {one.kind for one in seen}
    if kinds & {"numbers", "labels"}:
        seen = [one for one in seen if one.kind != "digits"]
    found = []
    for kind in dict.fromkeys(one.kind for one in seen):
        these = [one for one in seen if one.kind == kind]
        found.append(Symptom(kind=kind, evidence=_describe(kind, these)))
    noisy = [output.name for output in outputs if not output.steady]
    if noisy:
        names = ", ".join(f"`{name}`" for name in noisy[:4])
        found.append(Symptom(kind="unsteady", evidence=f"runs of one side differ among themselves in {names}"))
    return found


def _describe(kind: SymptomKind, these: list[_Seen]) -> str:
    largest = max(one.size for one in these)
    words = {
        "order": "the same values came back in another order",
        "digits": f"only last digits differ, by at most {largest:.1g} relative",
        "numbers": "numbers differ by more than last digits",
        "labels": "single texts or labels differ",
        "hours": "times differ by whole quarters of an hour",
        "times": "dates or times differ",
        "decimal mark": "numbers are written with another decimal mark or grouping",
        "letters": "letters outside ASCII came back otherwise",
    }
    return f"{words[kind]}: {these[0].example}"


def _look_at(output: Output) -> Iterator[_Seen]:
    frozen, observed = output.frozen, output.observed
    if _is_shuffled(frozen, observed):
        first = next(name for name in frozen if not _equal(frozen[name], observed.get(name)))
        yield _Seen("order", f"`{output.name}`, first at {first}" if len(frozen) > 1 else f"`{output.name}`")
        return
    for name in frozen:
        before, after = frozen[name], observed.get(name)
        if after is None or _equal(before, after):
            continue
        place = f"`{output.name}`" if len(frozen) == 1 else f"`{output.name}`, {name}"
        yield from _compare(place, before, after)


def _compare(place: str, before: Value, after: Value) -> Iterator[_Seen]:
    if isinstance(before, Array) and isinstance(after, Array):
        found = compare_contents({"array": before}, {"array": after}, None)
        yield _Seen("digits" if found.norm <= _LAST_DIGITS else "numbers", place, found.norm)
    elif isinstance(before, Array | bytes) or isinstance(after, Array | bytes):
        return
    else:
        shown = f"{place}: {show(before)} became {show(after)}"
        kind, size = _kind_of(before, after)
        yield _Seen(kind, shown, size)


def _kind_of(before: Metric, after: Metric) -> tuple[SymptomKind, float]:
    if is_number(before) and is_number(after):
        size = _relative(float(before), float(after))
        is_float = isinstance(before, float) and isinstance(after, float)
        return ("digits" if is_float and size <= _LAST_DIGITS else "numbers"), size
    first, second = str(before), str(after)
    if first.translate(_GROUPING) == second.translate(_GROUPING) and any(letter.isdigit() for letter in first):
        return "decimal mark", 0.0
    seconds = _seconds_apart(first, second)
    if seconds is not None:
        return ("times" if seconds % _QUARTER else "hours"), 0.0
    return ("letters" if _plain(first) == _plain(second) or "\ufffd" in second else "labels"), 0.0


def _relative(before: float, after: float) -> float:
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    return abs(after - before) / max(abs(before), abs(after), 1e-300)


def _plain(text: str) -> str:
    """Give the ASCII letters of a text: what stays when an encoding was mistaken."""
    return "".join(letter for letter in text if letter.isascii() and letter != "?")


def _seconds_apart(first: str, second: str) -> int | None:
    """Give how far apart two texts are that begin with a date or a time; None where they do not."""
    moments = [_moment(text) for text in (first, second)]
    if moments[0] is None or moments[1] is None:
        return None
    return int(abs((moments[1] - moments[0]).total_seconds()))


def _moment(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None or (match["day"] is None and match["time"] is None):
        return None
    time = f"{match['time'] or '00:00'}:00"[:8]
    try:
        return datetime.fromisoformat(f"{match['day'] or '2000-01-01'}T{time}")
    except ValueError:
        return None


def _is_shuffled(frozen: Values, observed: Values) -> bool:
    if frozen.keys() != observed.keys() or all(_equal(frozen[name], observed[name]) for name in frozen):
        return False
    return Counter(map(_countable, frozen.values())) == Counter(map(_countable, observed.values()))


def _countable(value: Value) -> Hashable:
    """Give what two values share when one is the other shuffled."""
    if not isinstance(value, Array):
        return (type(value).__name__, repr(value))
    content = bytes(value.data)
    if len(content) > _LARGEST_SHUFFLED:
        return content
    width = max(1, len(content) // max(1, math.prod(value.shape)))
    pieces = Counter(content[at : at + width] for at in range(0, len(content), width))
    return (value.dtype, value.shape, frozenset(pieces.items()))


def _equal(before: Value, after: Value | None) -> bool:
    if after is None:
        return False
    if isinstance(before, Array | bytes) or isinstance(after, Array | bytes):
        return before == after
    return same(before, after, nan_equal=True)
