"""What a well-formed lock could still smuggle in: other schemes, paths that leave the store, lines within names. Pure.

A lock is someone else's program. Its strings become file names, lines of requirements.txt, arguments and mounts.
"""

import math
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from envcap.config import check_declaration
from envcap.errors import RefusedError, WrongUsageError
from envcap.model.evaluation import Run, output_names
from envcap.model.lock import Lock, Package
from envcap.trust.code import complaints_about_code
from envcap.trust.conda import complaints_about_conda
from envcap.trust.forms import (
    DIGEST,
    complaints_about_file,
    complaints_about_forms,
    has_control_characters,
    show,
)
from envcap.trust.machine import complaints_about_machine
from envcap.trust.steering import is_steering

LOCK_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?")
# Binary distribution format, "File name convention": five or six parts without white space or separators.
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._+!]+){4,5}\.whl")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_NAME = 255
MOST_TAGS = 4096  # who expands more of them than any wheel has does nothing else for long


def check_lock(lock: Lock, *, source: str) -> None:
    """Raise RefusedError, naming the value, when the lock holds what envcap never writes."""
    for complaint in _complaints(lock):
        raise RefusedError(
            f"`{source}`: {complaint}.", hint="Run `envcap freeze` again, or take the lock from its source again."
        )


def _complaints(lock: Lock) -> Iterator[str]:
    if LOCK_NAME.fullmatch(lock.name) is None:
        yield f"{show(lock.name)} cannot name a lock"
    if _VERSION.fullmatch(lock.python.version) is None:
        yield f"{show(lock.python.version)} is no version of Python"
    for what, digest in _digests(lock):
        yield from complaints_about_forms(what, [(DIGEST, digest, "sha256")])
    yield from _complaints_about_packages(lock.packages)
    yield from complaints_about_machine(lock)
    yield from complaints_about_code(lock)
    yield from complaints_about_conda(lock)
    yield from _complaints_about_variables(lock.system.environment)
    yield from _complaints_about_runs(lock.runs)
    yield from _complaints_about_derivation(lock)
    try:
        check_declaration(lock.declaration)
    except WrongUsageError as error:
        yield error.message.rstrip(".")


def _complaints_about_derivation(lock: Lock) -> Iterator[str]:
    if lock.derivation is None:
        return
    if LOCK_NAME.fullmatch(lock.derivation.name) is None:
        yield f"it says that it was made from {show(lock.derivation.name)}, which cannot name a lock"
    versions = {package.name: package.version for package in lock.packages}
    for move in lock.derivation.moved:
        if any(has_control_characters(text) for text in (move.package, move.before or "", move.after or "")):
            yield f"it says that {show(move.package)} moved, in words that are no name or version"
        if move.before == move.after or versions.get(move.package) != move.after:
            yield f"it says that {show(move.package)} moved to {show(move.after or 'nothing')}, and it did not"


def _complaints_about_variables(variables: dict[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if not is_variable_name(name) or has_control_characters(value):
            yield f"the environment variable {show(name)} has a name or a value that no variable can have"
        if is_steering(name):
            yield f"it sets the environment variable {show(name)}, which decides what is loaded"


def _complaints_about_runs(runs: list[Run]) -> Iterator[str]:
    if not runs:
        yield "it holds no run of the evaluation"
    for run in runs[1:]:
        if output_names(run) != output_names(runs[0]):
            yield "its runs do not have the same outputs"
    for run in runs:
        for artifact in run.artifacts:
            if not is_below(artifact.path):
                yield f"the artifact {show(artifact.path)} is outside the project"


def _complaints_about_packages(packages: list[Package]) -> Iterator[str]:
    names: set[str] = set()
    for package in packages:
        wheel = package.wheel
        if not is_wheel_name(wheel.name):
            yield f"the file of `{package.name}` is called {show(wheel.name)}, which is no name of a wheel"
        yield from complaints_about_file(f"`{package.name}`", wheel)
        if package.index is not None and has_control_characters(package.index):
            yield f"the index of `{package.name}` is {show(package.index)}, which is no address"
        if package.edits is not None and len(package.edits.paths) > package.edits.files:
            yield f"`{package.name}` names more changed files than it counts"
        if package.name in names or wheel.name in names:
            yield f"`{package.name}` is listed twice"
        names.update((package.name, wheel.name))
    listed = {package.name for package in packages}
    for package in packages:
        for name in package.dependencies:
            if name not in listed:
                yield f"`{package.name}` depends on {show(name)}, which is not in it"


def _digests(lock: Lock) -> Iterator[tuple[str, str]]:
    yield "the code", lock.code.archive
    if lock.code.patch is not None:
        yield "the patch", lock.code.patch
    if lock.derivation is not None:
        yield "the lock that it was made from", lock.derivation.sha256
    for package in lock.packages:
        if package.checkout is not None and package.checkout.patch is not None:
            yield f"the patch of {show(package.name)}", package.checkout.patch
        if package.edits is not None and package.edits.patch is not None:
            yield f"the changes to {show(package.name)}", package.edits.patch
    for item in lock.data:
        yield f"the data {show(item.path)}", item.sha256
        if item.manifest is not None:
            yield f"the list of files of {show(item.path)}", item.manifest
    for run in lock.runs:
        for artifact in run.artifacts:
            yield f"the artifact {show(artifact.path)}", artifact.sha256


def is_wheel_name(name: str) -> bool:
    """Tell whether a lock may hold a wheel of that file name; 255 bytes are what file systems take."""
    return len(name) <= _LONGEST_NAME and _WHEEL.fullmatch(name) is not None and count_tags(name) <= MOST_TAGS


def count_tags(name: str) -> int:
    """Give for how many tags the name of a wheel stands, or a compressed tag: the product of its last three parts."""
    return math.prod(part.count(".") + 1 for part in name.removesuffix(".whl").split("-")[-3:])


def is_variable_name(name: str) -> bool:
    """Tell whether an environment variable can have that name (POSIX: letters, digits, underscore)."""
    return _VARIABLE.fullmatch(name) is not None


def is_below(path: str) -> bool:
    """Tell whether a path with forward slashes names something below the folder that it is joined to."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path
