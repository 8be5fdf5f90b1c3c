"""Where a source tree on this machine comes from: repository, commit, and what is not committed. Asks git."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from envcap.errors import NotRunError
from envcap.model.lock import Checkout
from envcap.pins.classify import address_of
from envcap.repository import head_of
from envcap.sources import SourceFiles, list_files
from envcap.store import Store

if TYPE_CHECKING:
    from envcap.model.facts import Distribution


def checkout_of(
    distribution: Distribution, listing: SourceFiles, store: Store, *, kind: Literal["editable", "folder"]
) -> Checkout:
    """Give what git says of the tree of a distribution; the patch of what is not committed goes into the store."""
    repository = listing.repository
    if repository is None:
        return Checkout(kind=kind)
    name = f"{canonicalize_name(distribution.name)}-{distribution.version}.patch"
    return Checkout(
        kind=kind,
        repository=address_of(repository.address),
        commit=repository.commit,
        branch=repository.branch,
        directory=repository.directory,
        patch=store.add_bytes(listing.patch, name) if listing.patch else None,
        untracked=tuple(listing.untracked),
    )


def built_checkout(distribution: Distribution, store: Store) -> Checkout | None:
    """Give the commit that a package was built from; of a folder on this machine its state now, where git knows one.

    Nobody noted down what a folder was when the package was built.
    """
    origin = distribution.direct_url
    if origin is None:
        return None
    if origin.vcs is not None:
        address, folder = address_of(origin.url), origin.subdirectory or "."
        return Checkout(kind="vcs", repository=address, commit=origin.commit, directory=folder)
    folder_here = Path(unquote(urlsplit(origin.url).path))
    if not (origin.directory and origin.url.startswith("file:") and folder_here.is_dir() and head_of(folder_here)):
        return None
    try:
        return checkout_of(distribution, list_files(folder_here), store, kind="folder")
    except (NotRunError, OSError):
        return None


def describe_state(checkout: Checkout) -> str:
    """Give the commit of a checkout and what is not committed, for the reason of a Gap."""
    commit = f"commit {checkout.commit[:12]}" if checkout.commit else "no commit"
    changes = ", with uncommitted changes" if checkout.patch else ""
    untracked = f", {len(checkout.untracked)} untracked" if checkout.untracked else ""
    return f"{commit}{changes}{untracked}"
