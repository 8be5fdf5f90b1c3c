"""Consent: a lock that this machine did not write is shown, and runs only when somebody who saw it says so."""

from collections.abc import Callable, Mapping
from pathlib import Path

from envcap import lockfile
from envcap.errors import RefusedError
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import known_locks
from envcap.report.intention import Intention, describe_intention
from envcap.trust.known import is_known, remember

_LEAST = ".contained"  # what is remembered of a lock that may run in a container without a network


def ask_nobody(_: str) -> bool | None:
    """Answer a question where there is no terminal."""
    return None


class Consent(Data, frozen=True, kw_only=True):
    """Who may say yes. Without anything told, no lock is known and nobody can be asked: all are refused."""

    trusted: bool = False  # `--trust`
    ask: Callable[[str], bool | None] = ask_nobody  # None where nobody can be asked
    known: Path | None = None  # the folder that remembers locks


def has_consent(consent: Consent, sha256: str) -> bool:
    """Tell whether the lock may run in a container: the user's own, confirmed before, or trusted now. Asks nobody."""
    known = consent.known
    return consent.trusted or (
        known is not None and any(is_known(f"{sha256}{end}", folder=known) for end in ("", _LEAST))
    )


def require_consent(consent: Consent, lock: Lock, sha256: str, intention: Intention, *, tell: Tell) -> None:
    """Return when the lock is this user's own, was confirmed before for as much, or is confirmed now.

    A confirmation is remembered for what was shown: whether in a container, with which network. `--trust` holds for
    this one command. Raises RefusedError for no, for no answer, and where `--trust` was given with an engine in mind
    that contains the lock, and another came in its place.
    """
    confirmed = f"{sha256}.{_extent(intention)}"
    if consent.known is not None and any(is_known(key, folder=consent.known) for key in (sha256, confirmed)):
        return
    lines = describe_intention(lock, intention)
    tell(Progress(kind="step", text=f"the lock `{lock.name}` ({sha256[:12]}…) was not written on this machine"))
    for line in lines:
        tell(Progress(kind="notice", text=line))
    if consent.trusted and intention.chosen == "auto" and intention.engine == "venv":
        raise RefusedError(
            f"The lock `{lock.name}` was not written on this machine, and no engine that could contain it answers.",
            hint="Start one (`envcap doctor` tells what it needs), or add `--engine venv` to run it without.",
        )
    if consent.trusted:
        return
    answer = consent.ask(f"{intention.verb.capitalize()} it?")
    if answer is None:
        raise RefusedError(
            f"The lock `{lock.name}` was not written on this machine, and nobody is here to confirm it.",
            hint="Look at it with `envcap show`, then add `--trust`; in CI set ENVCAP_TRUST=1.",
        )
    if not answer:
        raise RefusedError(f"The lock `{lock.name}` was not written on this machine, and was not confirmed.")
    if consent.known is not None and not remember(confirmed, how="confirmed", folder=consent.known):
        tell(Progress(kind="notice", text=f"that cannot be remembered: `{consent.known}` cannot be written"))


def _extent(intention: Intention) -> str:
    """Say in one word how far a lock can reach: a yes to little is none to more."""
    if intention.engine == "venv":
        return "uncontained"
    return "+".join(["contained", *["network"] * intention.network, *["scripts"] * intention.link_scripts])


def write_own(content: bytes, path: Path, *, environ: Mapping[str, str], tell: Tell) -> str:
    """Write a new lock and remember it, so that it runs here without a question; give the sha256 of its bytes."""
    sha256 = lockfile.write(content, path)
    known = known_locks(environ)
    if not remember(sha256, how="written", folder=known):
        tell(Progress(kind="notice", text=f"`{known}` cannot be written: build and verify will ask about this lock"))
    return sha256
