"""The files that `verify --report` writes: checked before the run, written whatever becomes of it."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from envcap.atomic import write_bytes
from envcap.ending import explained
from envcap.errors import NotRunError, RefusedError, WrongUsageError
from envcap.interruption import StopRequest
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell
from envcap.model.verdict import Judgement, Verdict

_NOT_ENDED = Judgement(verdict=Verdict.NOT_RUN, reasons=["it has not come to an end, or envcap was killed"], runs=0)

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
    """The files asked for. Raises WrongUsageError for one of no known kind or that cannot be written.

    With a `key` the in-toto statements are signed; it is read at once, so that a wrong one stops nothing half-way.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, key: Path | None = None) -> None:
        self._paths = list(paths)
        self._name = name
        self._known: tuple[Judgement, Lock | None] = (_NOT_ENDED, None)
        for path in self._paths:
            if path.suffix not in _FORMS:
                raise WrongUsageError(
                    f"`{path}` names no kind of report.",
                    hint=f"Its name must end in one of: {', '.join(_FORMS)} (JSON, a page, JUnit, in-toto).",
                )
            _require_writable(path)
        self._signer = None if key is None else self._signer_of(key)

    def _signer_of(self, key: Path) -> "CryptoSigner":
        from envcap.report.signature import read_signer

        if not any(path.suffix == ".jsonl" for path in self._paths):
            raise WrongUsageError(
                "`--sign` was given, and there is nothing to sign.", hint="Add `--report NAME.jsonl`: the statements."
            )
        return read_signer(key, passphrase=os.environ.get("ENVCAP_SIGN_PASSPHRASE"))

    def note(self, judgement: Judgement, lock: Lock | None) -> None:
        """Take what is known so far: it is what a report of a failure holds."""
        self._known = (judgement, lock)

    def write(self, judgement: Judgement, lock: Lock | None) -> None:
        """Write every file, each whole or not at all. Raises NotRunError, after all others, for one that was not."""
        failed = []
        for path in self._paths:
            text = _FORMS[path.suffix](judgement, lock, self._name)
            if self._signer is not None and path.suffix == ".jsonl":
                from envcap.report.signature import sign_lines

                text = sign_lines(text, self._signer)
            content = f"{text.rstrip()}\n" if text else ""
            try:
                write_bytes(path, content.encode(errors="backslashreplace"))
            except OSError as error:
                failed.append(f"`{path}`: {error.strerror or error}")
        if failed:
            raise NotRunError(f"The report cannot be written: {'; '.join(failed)}.")

    @contextmanager
    def even_of_failure(self, tell: Tell) -> Iterator[None]:
        """Report what stops the block before it gives a judgement, and let it go on its way.

        At first each file says that there is no end yet: one of an earlier run must not be taken for this one's.
        """
        self.write(*self._known)
        try:
            yield
        except (Exception, StopRequest) as error:
            self._write_failure(error, tell)
            raise

    def _write_failure(self, error: BaseException, tell: Tell) -> None:
        """Write what is known with the reason why it is not all. A file that cannot be written is told, no more."""
        draft, lock = self._known
        if isinstance(error, StopRequest):
            verdict, reasons = Verdict.NOT_RUN, ["it was interrupted"]
        else:
            said = explained(error)
            verdict = Verdict.REFUSED if isinstance(said, RefusedError) else Verdict.NOT_RUN
            reasons = [said.message, *([said.hint] if said.hint else [])]
        if draft.verdict is not Verdict.NOT_RUN:  # what came after the runs was stopped
            reasons.append(f"until then it was {draft.verdict.value}: {'; '.join(draft.reasons)}")
        elif draft.checks:
            reasons.append(f"until then {draft.runs} runs had ended, and are judged below")
        if not draft.lock and any(path.suffix == ".jsonl" for path in self._paths):
            text = "there is no statement in the `.jsonl` report: no lock was read that it could be about"
            tell(Progress(kind="notice", text=text))
        try:
            self.write(replace(draft, verdict=verdict, reasons=reasons, claim=""), lock)
        except NotRunError as failed:
            tell(Progress(kind="notice", text=failed.message))


def _require_writable(path: Path) -> None:
    """Raise WrongUsageError for a file that could not be written after the run: all of that would be for nothing."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise WrongUsageError(f"`{path}` cannot be written: there is no folder `{path.parent}`.")
    if path.is_dir():
        raise WrongUsageError(f"`{path}` cannot be written: it is a folder.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WrongUsageError(f"`{path}` cannot be written: {error.strerror or error}.") from error
