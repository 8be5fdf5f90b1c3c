"""One file against its frozen self: equal to the byte, else compared by its kind. Pure."""

from collections.abc import Callable
from pathlib import PurePosixPath

from envcap.compare.cells import READERS, CellDifferences, Cells, compare_cells
from envcap.compare.number import show_tolerance
from envcap.model.evaluation import Artifact, Tolerance
from envcap.model.verdict import Check, Verdict


def judge_artifact(
    path: str,
    frozen: list[Artifact],
    observed: Artifact | None,
    tolerance: Tolerance | None,
    *,
    contents: tuple[bytes, bytes] | None = None,
) -> Check:
    """Judge one artifact against those of the frozen runs; `contents` are the frozen and the new bytes, where known.

    Equal digests are IDENTICAL. Otherwise a file of a known kind is compared cell by cell, which a tolerance may
    cover, and any other file is DIFFERENT. Frozen runs that differ among themselves leave it INCONCLUSIVE, unless a
    stated tolerance can be asked about their cells.
    """
    verdict, detail, catches = Verdict.DIFFERENT, "", "any change"
    steady = len({item.sha256 for item in frozen}) == 1
    if observed is None:
        detail = "it was frozen and did not come back"
    elif not frozen:
        detail = "it was not there when the evaluation was frozen"
    elif steady and observed.sha256 == frozen[0].sha256:
        verdict = Verdict.IDENTICAL
    elif not steady and (tolerance is None or contents is None or _reader(path) is None):
        verdict, detail = (
            Verdict.INCONCLUSIVE,
            "the frozen runs themselves differ in this file: state a tolerance",
        )
    else:
        verdict, detail = _judge_contents(path, contents, tolerance)
        catches = "" if tolerance is None else f"{show_tolerance(tolerance)} in a cell"
    return Check(
        name=path,
        kind="artifact",
        frozen=_show(frozen[0] if frozen else None),
        observed=_show(observed),
        tolerance=show_tolerance(tolerance),
        verdict=verdict,
        detail=detail,
        catches=catches,
        judged=tolerance is None or not tolerance.ignore,
    )


def _reader(path: str) -> Callable[[bytes], Cells] | None:
    return READERS.get(PurePosixPath(path).suffix.lower())


def _judge_contents(
    path: str, contents: tuple[bytes, bytes] | None, tolerance: Tolerance | None
) -> tuple[Verdict, str]:
    reader = _reader(path)
    if contents is None or reader is None:
        return Verdict.DIFFERENT, "the bytes differ"
    try:
        differences = compare_cells(reader(contents[0]), reader(contents[1]), tolerance)
    except ValueError as error:  # not the kind of file that its name says
        return (
            Verdict.DIFFERENT,
            f"the bytes differ, and it cannot be read as {PurePosixPath(path).suffix}: {error}",
        )
    if differences.differing == 0:
        return Verdict.EQUIVALENT, "the bytes differ, every value is the same"
    verdict = Verdict.DIFFERENT if differences.outside else Verdict.EQUIVALENT
    return verdict, _describe(differences)


def _describe(differences: CellDifferences) -> str:
    largest = f", by at most {differences.largest:.3g}" if differences.largest else ""
    return f"{differences.differing} of {differences.cells} cells differ{largest}; first {differences.first}"


def _show(artifact: Artifact | None) -> str:
    return "missing" if artifact is None else f"{artifact.sha256[:12]}… {artifact.size:,} bytes"
