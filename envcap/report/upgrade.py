"""The result of an upgrade, for people and as a document. Model in, strings out."""

from pathlib import Path

from envcap.model.lock import Lock
from envcap.report.derivation import derivation_lines
from envcap.report.document import encode
from envcap.report.table import plain


def describe_upgrade(lock: Lock, path: Path | None, sha256: str | None) -> str:
    """Tell what moved and where the new lock is, or that nothing did."""
    if path is None or sha256 is None:
        return f"Nothing to upgrade: {len(lock.packages)} packages of `{lock.name}` are as new as they may be."
    lines = [
        f"Upgraded: {path.name} (sha256 {sha256[:12]}…)",
        *derivation_lines(lock.derivation),
        f"Next: envcap build --name {lock.name} && envcap verify --name {lock.name}",
    ]
    return "\n".join(plain(line) for line in lines)


def upgrade_document(lock: Lock, path: Path | None, sha256: str | None) -> str:
    """Give the new lock with where it was written, or the old one and no place."""
    place = None if path is None else {"path": str(path), "sha256": sha256}
    moved = lock.derivation.moved if path is not None and lock.derivation is not None else []
    return encode({"lock": place, "moved": moved, "frozen": lock})
