"""What has to be said of a conda prefix: scripts, variables, changed files, places that no container keeps. Pure."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from envcap.errors import NotRunError
from envcap.model.facts import Conda, CondaRecord, Facts
from envcap.model.gap import Gap
from envcap.pins.conda_files import Contradictions
from envcap.trust.conda import is_usable_prefix

_EMPTIED = "/tmp"  # noqa: S108  (a fresh file system in the container while the evaluation runs)


def activation_gaps(facts: Facts, *, recorded: Sequence[str]) -> list[Gap]:
    """Give a Gap for each variable that activating the environment sets and the lock does not record."""
    variables = facts.conda.variables if facts.conda is not None and facts.interpreter.kind == "conda" else []
    return [
        Gap(
            where="conda",
            subject=name,
            reason="activating the environment sets this variable, and it is not among those that are recorded",
            consequence=f'the evaluation in the image runs without it; `environment = ["{name}"]` records it',
        )
        for name in variables
        if name not in recorded
    ]


def require_usable(prefix: str, records: Sequence[CondaRecord]) -> None:
    """Raise NotRunError for a folder that no image can have packages in, and for two records of one package."""
    if not is_usable_prefix(prefix):
        raise NotRunError(
            f"The conda environment is in `{prefix}`, where an image has files of its own.",
            hint="Make it anew in a folder of its own, such as `/opt/NAME`: `conda create --prefix /opt/NAME --clone "
            f"{prefix}`; then freeze that one with `--prefix`.",
        )
    seen: dict[str, CondaRecord] = {}
    for record in records:
        other = seen.setdefault(record.name, record)
        if other is not record:
            names = " and ".join(f"`{PurePosixPath(one.record).name}`" for one in (other, record))
            raise NotRunError(
                f"The conda environment has two records of the package `{record.name}`: {names} in `conda-meta`.",
                hint="An installation broke off. `conda install --force-reinstall` mends it, or remove the record of "
                "the version that is not there.",
            )


def script_gaps(conda: Conda) -> list[Gap]:
    """Give a Gap for each package with scripts that run when it is installed or activated."""
    gaps = []
    for record in conda.records:
        activation = [path for path in record.scripts if path.startswith("etc/")]
        linking = [path for path in record.scripts if not path.startswith("etc/")]
        if activation:
            reason = f"activating the environment runs `{activation[0]}`"
            consequence = "the evaluation in the image runs without the variables that it sets"
            gaps.append(conda_gap(record, reason, consequence))
        if linking:
            reason = f"installing it runs `{linking[0]}`"
            consequence = "files that it makes are not in the image, unless `envcap build --link-scripts` lets it run"
            gaps.append(conda_gap(record, reason, consequence))
    return gaps


def file_gaps(found: Contradictions) -> list[Gap]:
    """Give a Gap for each package with changed or missing files."""
    gaps = []
    for name, paths in sorted(found.edited.items()):
        reason = f"edited after the installation: {_named(paths)}"
        consequence = "the image gets the files as they are here, and the result may depend on what was changed in them"
        gaps.append(Gap(where="conda", subject=name, reason=reason, consequence=consequence))
    for name, paths in sorted(found.missing.items()):
        reason = f"missing, as if half uninstalled: {_named(paths)}"
        gaps.append(Gap(where="conda", subject=name, reason=reason, consequence="the image has them again"))
    return gaps


def prefix_gaps(prefix: str) -> list[Gap]:
    """Give a Gap where no image can have the prefix."""
    if PurePosixPath(_EMPTIED) not in PurePosixPath(prefix).parents:
        return []
    reason = f"it is below `{_EMPTIED}`, which is empty whenever a container starts"
    return [Gap(where="conda", subject=prefix, reason=reason, consequence="no image can be built from this lock")]


def _named(paths: Sequence[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{len(paths)} file{'s' * (len(paths) != 1)}, {shown}{more}"


def conda_gap(record: CondaRecord, reason: str, consequence: str) -> Gap:
    """Give a Gap that speaks of one conda package."""
    subject = f"{record.name}=={record.version}"
    return Gap(where="conda", subject=subject, reason=reason, consequence=consequence)
