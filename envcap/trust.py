"""What a well-formed lock could still smuggle in: other schemes, paths that leave the store, lines within names. Pure.

A lock is someone else's program. Its strings become file names, lines of requirements.txt, arguments and mounts.
"""

import math
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from envcap.conda_trust import complaints_about_conda
from envcap.config import check_declaration
from envcap.errors import RefusedError, WrongUsageError
from envcap.model.evaluation import Run, output_names
from envcap.model.lock import Lock, Package
from envcap.store import STORE_FOLDER
from envcap.trust_machine import complaints_about_machine

LOCK_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?")
_ADDRESS = re.compile(r"https?://[!-~]+")  # printable ASCII without spaces
# Binary distribution format, "File name convention": five or six parts without white space or separators.
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._+!]+){4,5}\.whl")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# They steer the loader, the interpreter's own files or the container runtime's hooks before the evaluation starts.
_STEERING = re.compile(
    r"LD_.*|NVIDIA_(?!TF32_OVERRIDE$).*|PATH|PYTHON(PATH|HOME|STARTUP|BREAKPOINT|USERBASE|EXECUTABLE)"
)
# They end a line or steer a terminal; surrogates stand for bytes that are no text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_LONGEST_SHOWN = 200
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
        yield f"{_show(lock.name)} cannot name a lock"
    if _VERSION.fullmatch(lock.python.version) is None:
        yield f"{_show(lock.python.version)} is no version of Python"
    for what, digest in _digests(lock):
        if _DIGEST.fullmatch(digest) is None:
            yield f"{what} has the sha256 {_show(digest)}, which is none"
    yield from _complaints_about_packages(lock.packages)
    yield from complaints_about_machine(lock)
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
        yield f"it says that it was made from {_show(lock.derivation.name)}, which cannot name a lock"
    versions = {package.name: package.version for package in lock.packages}
    for move in lock.derivation.moved:
        if any(has_control_characters(text) for text in (move.package, move.before or "", move.after or "")):
            yield f"it says that {_show(move.package)} moved, in words that are no name or version"
        if move.before == move.after or versions.get(move.package) != move.after:
            yield f"it says that {_show(move.package)} moved to {_show(move.after or 'nothing')}, and it did not"


def _complaints_about_variables(variables: dict[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if not is_variable_name(name) or has_control_characters(value):
            yield f"the environment variable {_show(name)} has a name or a value that no variable can have"
        if is_steering(name):
            yield f"it sets the environment variable {_show(name)}, which decides what is loaded"


def _complaints_about_runs(runs: list[Run]) -> Iterator[str]:
    if not runs:
        yield "it holds no run of the evaluation"
    for run in runs[1:]:
        if output_names(run) != output_names(runs[0]):
            yield "its runs do not have the same outputs"
    for run in runs:
        for artifact in run.artifacts:
            if not is_below(artifact.path):
                yield f"the artifact {_show(artifact.path)} is outside the project"


def _complaints_about_packages(packages: list[Package]) -> Iterator[str]:
    names: set[str] = set()
    for package in packages:
        wheel = package.wheel
        if not is_wheel_name(wheel.name):
            yield f"the file of `{package.name}` is called {_show(wheel.name)}, which is no name of a wheel"
        if wheel.url is not None and _ADDRESS.fullmatch(wheel.url) is None:
            yield f"`{package.name}` is to come from {_show(wheel.url)}, which is no web address"
        if package.index is not None and has_control_characters(package.index):
            yield f"the index of `{package.name}` is {_show(package.index)}, which is no address"
        if wheel.path is not None and wheel.path != f"{STORE_FOLDER}/{wheel.sha256}/{wheel.name}":
            yield f"the file of `{package.name}` is {_show(wheel.path)}, which is not its place in the store"
        if package.name in names or wheel.name in names:
            yield f"`{package.name}` is listed twice"
        names.update((package.name, wheel.name))
    listed = {package.name for package in packages}
    for package in packages:
        for name in package.dependencies:
            if name not in listed:
                yield f"`{package.name}` depends on {_show(name)}, which is not in it"


def _digests(lock: Lock) -> Iterator[tuple[str, str]]:
    for package in lock.packages:
        yield f"`{package.name}`", package.wheel.sha256
    yield "the code", lock.code.archive
    if lock.code.patch is not None:
        yield "the patch", lock.code.patch
    if lock.derivation is not None:
        yield "the lock that it was made from", lock.derivation.sha256
    for package in lock.packages:
        if package.checkout is not None and package.checkout.patch is not None:
            yield f"the patch of {_show(package.name)}", package.checkout.patch
    for item in lock.data:
        yield f"the data {_show(item.path)}", item.sha256
        if item.manifest is not None:
            yield f"the list of files of {_show(item.path)}", item.manifest
    for run in lock.runs:
        for artifact in run.artifacts:
            yield f"the artifact {_show(artifact.path)}", artifact.sha256


def is_wheel_name(name: str) -> bool:
    """Tell whether a lock may hold a wheel of that file name; 255 bytes are what file systems take."""
    return len(name) <= _LONGEST_NAME and _WHEEL.fullmatch(name) is not None and count_tags(name) <= MOST_TAGS


def count_tags(name: str) -> int:
    """Give for how many tags the name of a wheel stands, or a compressed tag: the product of its last three parts."""
    return math.prod(part.count(".") + 1 for part in name.removesuffix(".whl").split("-")[-3:])


def is_variable_name(name: str) -> bool:
    """Tell whether an environment variable can have that name (POSIX: letters, digits, underscore)."""
    return _VARIABLE.fullmatch(name) is not None


def has_control_characters(text: str) -> bool:
    """Tell whether `text` holds what cannot stand in one line of a Dockerfile or a report."""
    return _CONTROL.search(text) is not None


def is_steering(name: str) -> bool:
    """Tell whether a variable decides what is loaded into a process, so that no lock may set it."""
    return _STEERING.fullmatch(name) is not None


def is_below(path: str) -> bool:
    """Tell whether a path with forward slashes names something below the folder that it is joined to."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and "\0" not in path


def _show(text: str) -> str:
    return f"`{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}`"
