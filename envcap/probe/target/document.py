"""JSON to and from text. Importing `json` (for its `re`) takes a third of the probe's time, its C core next to none."""


def to_json(value: object) -> str:
    """Give the JSON text (RFC 8259) of nested dicts, lists, strings, whole numbers, booleans and None.

    Raises TypeError for anything else.
    """
    quote = _quoter()
    pieces = []  # type: list[str]
    _add(value, pieces, quote)
    return "".join(pieces)


def _add(value: object, pieces: "list[str]", quote: "Quote") -> None:
    if isinstance(value, str):
        pieces.append(quote(value))
    elif value is None or value is True or value is False:
        pieces.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        pieces.append(str(int(value)))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            pieces.extend((separator, quote(key), ":"))
            _add(item, pieces, quote)
            separator = ","
        pieces.append("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for item in value:
            pieces.append(separator)
            _add(item, pieces, quote)
            separator = ","
        pieces.append("]" if value else "[]")
    else:
        raise TypeError("no JSON for {!r}".format(value))


def from_json(text: str) -> object:
    """Give what a JSON text says. Raises ValueError when it is none."""
    try:
        from _json import make_scanner

        scan = make_scanner(_Context())  # type: ignore[arg-type]
    except (ImportError, AttributeError, TypeError):  # an interpreter without, or with another, C core
        from json import loads

        return loads(text)
    document = text.strip(" \t\n\r")
    try:
        value, end = scan(document, 0)
    except StopIteration:
        raise ValueError("it is not JSON") from None
    if end != len(document):
        raise ValueError("there is more after the JSON")
    return value


class _Context:
    """What the C core asks of the `json.JSONDecoder` that it belongs to."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN and the infinities, which JSON does not know but `json` reads


def _quoter() -> "Quote":
    try:
        from _json import encode_basestring  # what `json` itself uses, where the interpreter has it
    except ImportError:
        from json.encoder import encode_basestring
    return encode_basestring


TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from collections.abc import Callable

    Quote = Callable[[str], str]
