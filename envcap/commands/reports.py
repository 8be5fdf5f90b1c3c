"""The files that `verify --report` writes: checked before the run, written whatever becomes of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envcap.atomic import write_bytes
from envcap.errors import EnvcapError, RefusedError, WrongUsageError
from envcap.interruption import StopRequest
from envcap.model.lock import Lock
from envcap.model.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


def _json(judgement: Judgement, lock: Lock | None, name: str) -> str:
    from envcap.report.document import judgement_document

    del lock, name
    return judgement_document(judgement)


def _html(judgement: Judgement, lock: Lock | None, name: str) -> str:
    from envcap.report.html import html_document

    return html_document(judgement, lock, name=name)


def _junit(judgement: Judgement, lock: Lock | None, name: str) -> str:
    from envcap.report.junit import junit_document

    del lock
    return junit_document(judgement, name=name)


def _statements(judgement: Judgement, lock: Lock | None, name: str) -> str:
    from envcap.report.statement import statement_lines

    del name
    return statement_lines(judgement, lock)


_FORMS: dict[str, Callable[[Judgement, Lock | None, str], str]] = {
    ".json": _json,
    ".html": _html,
    ".xml": _junit,
    ".jsonl": _statements,
}


class Reports:
    """The files asked for. Raises WrongUsageError for one of no known kind or without a folder to be in.

    With a `key` the in-toto statements are signed; it is read at once, so that a wrong one stops nothing half-way.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, key: Path | None = None) -> None:
        self._paths = list(paths)
        self._name = name
        for path in self._paths:
            if path.suffix not in _FORMS:
                raise WrongUsageError(
                    f"`{path}` names no kind of report.",
                    hint=f"Its name must end in one of: {', '.join(_FORMS)} (JSON, a page, JUnit, in-toto).",
                )
            if not path.absolute().parent.is_dir():
                raise WrongUsageError(f"`{path}` cannot be written: there is no folder `{path.parent}`.")
        self._signer = None if key is None else self._signer_of(key)

    def _signer_of(self, key: Path) -> "CryptoSigner":
        from envcap.report.signature import read_signer

        if not any(path.suffix == ".jsonl" for path in self._paths):
            raise WrongUsageError(
                "`--sign` was given, and there is nothing to sign.", hint="Add `--report NAME.jsonl`: the statements."
            )
        return read_signer(key, passphrase=os.environ.get("ENVCAP_SIGN_PASSPHRASE"))

    def write(self, judgement: Judgement, lock: Lock | None) -> None:
        """Write every file, each whole or not at all."""
        for path in self._paths:
            text = _FORMS[path.suffix](judgement, lock, self._name)
            if self._signer is not None and path.suffix == ".jsonl":
                from envcap.report.signature import sign_lines

                text = sign_lines(text, self._signer)
            write_bytes(path, (text.rstrip("\n") + "\n").encode(errors="backslashreplace"))

    @contextmanager
    def even_of_failure(self) -> Iterator[None]:
        """Report what stopped the block before it gave a judgement, and let it go on its way."""
        try:
            yield
        except EnvcapError as error:
            verdict = Verdict.REFUSED if isinstance(error, RefusedError) else Verdict.NOT_RUN
            self.write(Judgement(verdict=verdict, reasons=[error.message, *([error.hint] if error.hint else [])]), None)
            raise
        except StopRequest:
            self.write(Judgement(verdict=Verdict.NOT_RUN, reasons=["it was interrupted"]), None)
            raise
