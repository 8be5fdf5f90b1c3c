"""The lock's file: a PEP 751 pylock file whose `tool.envcap` tables hold what the standard has no word for.

With `tables.py` the only place that knows the format. Reading is strict: an unknown key, a wrong type, a changed byte
is refused.
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from envcap.atomic import write_bytes
from envcap.errors import RefusedError, StrictError, WrongUsageError
from envcap.model.lock import Lock
from envcap.tables import FORMAT, from_document, to_document
from envcap.trust.lock import LOCK_NAME, check_lock, is_wheel_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST = 64 << 20  # bytes; a lock of a thousand packages is below one MiB
_BLANK = "0" * 64
_DIGEST_LINE = re.compile(rb'^lock-digest = "sha256:([0-9a-f]{64})"$', re.MULTILINE)
_FREEZE_AGAIN = "Run `envcap freeze` again, or take the lock from its source again."


def lock_path(project: Path, name: str) -> Path:
    """Tell where the lock `name` of a project is: `pylock.NAME.toml` (PEP 751 allows no dot in NAME)."""
    if LOCK_NAME.fullmatch(name) is None:
        raise WrongUsageError(
            f"`{name}` cannot name a lock.",
            hint="Use letters, digits, `-` and `_`, for example `--name train`.",
        )
    return project / f"pylock.{name}.toml"


def dump(lock: Lock) -> bytes:
    """Give the file's bytes: stable order, and a digest over everything in it.

    Two locks differ only where their contents do; `created-at`, each run's `seconds` and `peak-memory`, and the
    `lock-digest` that covers them are the declared fields that change from one freeze to the next.
    """
    import tomli_w

    check_lock(lock, source="the new lock")
    document = to_document(lock, digest=f"sha256:{_BLANK}")
    _validate_pylock(document)
    blank = tomli_w.dumps(document, multiline_strings=False).encode()
    return _with_digest(blank, hashlib.sha256(blank).hexdigest())


def write(content: bytes, path: Path) -> str:
    """Write what `dump` gave, whole or not at all; give the sha256 of its bytes."""
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> tuple[Lock, str]:
    """Read and check a lock; give it with the sha256 of its bytes.

    Raises WrongUsageError when there is no such file and RefusedError when it cannot be believed.
    """
    content = read_bytes(path)
    return parse(content, source=path.name), hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes:
    """Give the bytes of a lock, not looked at yet.

    Raises WrongUsageError when there is no such file and RefusedError when it is too large.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise RefusedError(f"`{path.name}` is larger than any lock ({path.stat().st_size:,} bytes).")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise WrongUsageError(
            f"There is no lock `{path.name}` in `{path.parent}`.",
            hint="Make one with `envcap freeze -- COMMAND`, or name another with `--name` or `--project`.",
        ) from error
    except IsADirectoryError as error:
        raise WrongUsageError(f"`{path}` is a folder, not a lock.") from error


def parse(content: bytes, *, source: str) -> Lock:
    """Give the lock that these bytes hold. Raises RefusedError naming the key, the value or the broken digest."""
    document = _load(content, source=source)
    _check_versions(document, source=source)
    try:
        lock = from_document(document)
    except msgspec.ValidationError as error:
        detail = re.sub(r"`\$\.?", "`", str(error))
        raise RefusedError(f"`{source}` is not a valid lock: {detail}.", hint=_FREEZE_AGAIN) from error
    for package in lock.packages:  # before packaging reads the name: it would expand every tag that it stands for
        if not is_wheel_name(package.wheel.name):
            raise RefusedError(
                f"`{source}`: the file of `{package.name}` is called `{package.wheel.name[:200]}`, "
                "which is no name of a wheel.",
                hint=_FREEZE_AGAIN,
            )
    _validate_pylock(document, source=source)
    _check_digest(content, source=source)
    check_lock(lock, source=source)
    return lock


def require_no_gaps(lock: Lock, *, strict: bool) -> None:
    """Raise StrictError, listing them, when `strict` is asked for and the lock has gaps."""
    if strict and lock.gaps:
        raise StrictError(
            f"{len(lock.gaps)} {'thing' if len(lock.gaps) == 1 else 'things'} could not be learned or pinned, "
            "and `--strict` forbids that:\n"
            + "\n".join(f"  {gap.where} `{gap.subject}`: {gap.reason}" for gap in lock.gaps),
            hint="Mend them and freeze again, or go on without `--strict`.",
        )


def _load(content: bytes, *, source: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
        return document
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, not UTF-8, or a number without end
        raise RefusedError(f"`{source}` is not valid TOML: {error}.", hint=_FREEZE_AGAIN) from error


def _check_versions(document: dict[str, Any], *, source: str) -> None:
    tool = document.get("tool")
    own = tool.get("envcap") if isinstance(tool, dict) else None
    if not isinstance(own, dict):
        raise RefusedError(
            f"`{source}` is a pylock file that envcap did not write: it has no `tool.envcap`.",
            hint="envcap needs the whole lock. Make one with `envcap freeze -- COMMAND`.",
        )
    written = own.get("format")
    if isinstance(written, int) and not isinstance(written, bool) and written < 1:
        raise RefusedError(f"`{source}` has format `{written}`, which never was one.", hint=_FREEZE_AGAIN)
    if isinstance(written, int) and written > FORMAT:
        raise RefusedError(
            f"`{source}` has format `{written}`; this envcap reads formats up to `{FORMAT}`.",
            hint="It comes from a newer envcap: `pip install --upgrade envcap`.",
        )
    if document.get("lock-version") != "1.0":
        raise RefusedError(f"`{source}` has lock-version `{document.get('lock-version')}`; envcap reads `1.0`.")


def _validate_pylock(document: dict[str, Any], *, source: str = "the new lock") -> None:
    """Let `packaging` judge whether this is a valid PEP 751 file: names, versions, hashes, file names."""
    from packaging.pylock import Pylock, PylockValidationError

    try:
        Pylock.from_dict(document)
    except PylockValidationError as error:
        raise RefusedError(f"`{source}` is not a valid pylock file (PEP 751): {error}.", hint=_FREEZE_AGAIN) from error


def _check_digest(content: bytes, *, source: str) -> None:
    match = _DIGEST_LINE.search(content)
    stated = match[1].decode() if match else ""
    if not stated or hashlib.sha256(_with_digest(content, _BLANK)).hexdigest() != stated:
        raise RefusedError(
            f"`{source}` was changed after envcap wrote it: its contents do not match its digest.",
            hint=f"A lock is not edited by hand. {_FREEZE_AGAIN}",
        )


def _with_digest(content: bytes, digest: str) -> bytes:
    """Put `digest` in its place: the first such line, because nothing before it can look the same."""
    match = _DIGEST_LINE.search(content)
    assert match is not None  # noqa: S101  (looked for before; for the type checker)
    return content[: match.start(1)] + digest.encode() + content[match.end(1) :]
