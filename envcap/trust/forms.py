"""The forms that texts of a lock must have, and the complaints about those that have not. Pure.

A lock is someone else's program. Its strings become file names, lines of files, arguments, addresses and mounts.
"""

import re
from collections.abc import Iterable, Iterator

from envcap.model.lock import Wheel
from envcap.store import STORE_FOLDER

DIGEST = re.compile(r"[0-9a-f]{64}")
ADDRESS = re.compile(r"https?://[!-~]+")  # printable ASCII without spaces
# They end a line or steer a terminal; surrogates stand for bytes that are no text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_LONGEST_SHOWN = 200


def has_control_characters(text: str) -> bool:
    """Tell whether `text` holds what cannot stand in one line of a Dockerfile or a report."""
    return _CONTROL.search(text) is not None


def show(text: str) -> str:
    """Give a text of a lock for a message, in backticks and not without end."""
    return f"`{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}`"


def complaints_about_forms(owner: str, parts: Iterable[tuple[re.Pattern[str], str | None, str]]) -> Iterator[str]:
    """Complain of each part of `owner` that has not its form; None is a part that is not there."""
    for form, text, what in parts:
        if text is not None and form.fullmatch(text) is None:
            yield f"{owner} has the {what} {show(text)}, which is none"


def complaints_about_lines(owner: str, texts: Iterable[str]) -> Iterator[str]:
    """Complain of each text that would end a line or steer a terminal."""
    for text in texts:
        if has_control_characters(text):
            yield f"{owner} says {show(text)}, which has control characters"


def complaints_about_file(owner: str, file: Wheel, *, address: re.Pattern[str] = ADDRESS) -> Iterator[str]:
    """Complain of a digest, an address or a place in the store that cannot be."""
    yield from complaints_about_forms(owner, [(DIGEST, file.sha256, "sha256")])
    if file.url is not None and address.fullmatch(file.url) is None:
        yield f"{owner} is to come from {show(file.url)}, which is no web address"
    if file.path is not None and file.path != f"{STORE_FOLDER}/{file.sha256}/{file.name}":
        yield f"the file of {owner} is {show(file.path)}, which is not its place in the store"
