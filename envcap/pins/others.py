"""Distributions that no wheel's RECORD speaks for: without a list of files, or used from their source tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envcap.model.facts import Distribution, Facts
from envcap.model.gap import Gap
from envcap.pins.carry import Carrier, Pinned
from envcap.pins.checkouts import pin_editable
from envcap.pins.classify import Kind
from envcap.pins.editable import read_imports
from envcap.pins.offered import Offered
from envcap.pins.pages import Offer
from envcap.pins.repack import CannotRepackError
from envcap.pins.strays import stray_gaps
from envcap.pins.unlisted import Unlisted, owned_paths
from envcap.store import Store


def is_unlisted(distribution: Distribution, kind: Kind) -> bool:
    """Tell whether its files, and not its RECORD, must say which wheel it is."""
    return kind in {"system", "unrecorded"} or (kind == "index" and not distribution.record)


class Others:
    """Pins them.

    `offers` are those of the index for each that is unlisted, by the path of its metadata; `left_out` are paths that
    are no code of an editable install.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        carrier: Carrier,
        offered: Offered,
        store: Store,
        offers: Mapping[str, Sequence[Offer]],
        left_out: Sequence[Path],
    ) -> None:
        self._facts = facts
        self._offers = offers
        self._carrier = carrier
        self._store = store
        self._left_out = left_out
        self._carried_roots: set[Path] = set()
        owned = owned_paths(facts.distributions)
        self._unlisted = Unlisted(facts, carrier=carrier, offered=offered, store=store, owned=owned)

    def pin(self, distribution: Distribution, kind: Kind) -> Pinned | None:
        """Give what becomes of a distribution, or None where it is none of these."""
        if is_unlisted(distribution, kind):
            return self._unlisted.pin(distribution, kind, self._offers.get(distribution.path, []))
        if kind != "editable":
            return None
        with suppress(CannotRepackError):  # which pin_editable tells
            self._carried_roots.update(read_imports(distribution).roots)
        tag = self._facts.interpreter.tag
        return pin_editable(distribution, carrier=self._carrier, store=self._store, tag=tag, left_out=self._left_out)

    def stray_gaps(self) -> list[Gap]:
        """Give the gaps of modules that nobody owns; to be asked when all distributions have been pinned."""
        return stray_gaps(self._facts, claimed=self._unlisted.claimed, carried_roots=self._carried_roots)
