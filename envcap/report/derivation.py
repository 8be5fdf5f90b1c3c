"""What an upgrade changed, in words: shown with the lock, and with every verdict on it. Model in, strings out."""

from envcap.model.lock import Derivation, Move

_MOST_NAMED = 4


def describe_move(move: Move) -> str:
    """Give one change in a few words."""
    if move.before is None:
        return f"{move.package} {move.after} is new"
    if move.after is None:
        return f"{move.package} {move.before} is no longer needed"
    return f"{move.package} {move.before} -> {move.after}"


def describe_derivation(derivation: Derivation) -> str:
    """Give the reason to set beside a verdict: the frozen runs were made with other packages."""
    named = ", ".join(describe_move(move) for move in derivation.moved[:_MOST_NAMED])
    more = f" and {len(derivation.moved) - _MOST_NAMED} more" if len(derivation.moved) > _MOST_NAMED else ""
    return (
        f"judged against the runs of `{derivation.name}` (sha256 {derivation.sha256[:12]}…), "
        f"from which this lock was upgraded: {named}{more}"
    )


def derivation_lines(derivation: Derivation | None) -> list[str]:
    """Give the lines of a lock's summary: none where it was frozen as it is."""
    if derivation is None:
        return []
    count = len(derivation.moved)
    first = (
        f"Upgraded from: {derivation.name} (sha256 {derivation.sha256[:12]}…), whose runs these are; "
        f"{count} {'package' if count == 1 else 'packages'} moved"
    )
    return [first, *(f"  {describe_move(move)}" for move in derivation.moved)]
