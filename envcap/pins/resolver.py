"""pip-compile for another Python than the one that runs it: `python -m envcap.pins.resolver TARGET.json OPTIONS…`.

A process of its own, because it changes pip within itself. pip can look for another platform's files (`--platform`),
but still judges markers by the running interpreter (pypa/pip#11664), and pip-tools passes on neither. So the three
places where pip asks what it runs on are told what the lock is for, and before anything is resolved it is checked
that pip listens.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from envcap.pins.target import Target

UNHEARD = "this version of pip cannot be told which Python to resolve for"


def aim(target: Target) -> None:
    """Have the pip in this process resolve for `target`. Raises RuntimeError when it cannot be told."""
    try:
        from pip._internal.models.target_python import TargetPython
        from pip._internal.resolution.resolvelib.candidates import RequiresPythonCandidate
        from pip._vendor.packaging import markers
    except ImportError as error:
        raise RuntimeError(UNHEARD) from error
    pythons: Any = TargetPython
    candidates: Any = RequiresPythonCandidate
    first_python, first_candidate = pythons.__init__, candidates.__init__

    def python(self: Any, *_: Any, **__: Any) -> None:
        first_python(
            self,
            platforms=target.platforms,
            py_version_info=target.release,
            abis=[target.abi],
            implementation=target.short,
        )

    def candidate(self: Any, *_: Any, **__: Any) -> None:
        first_candidate(self, target.release)

    pythons.__init__, candidates.__init__ = python, candidate
    vars(markers)["default_environment"] = lambda: dict(target.markers)
    vars(markers)["_cached_default_environment"] = lambda: dict(target.markers)
    marker = markers.Marker(f"python_full_version == '{target.version}' and platform_version == ''")
    if not marker.evaluate() or TargetPython().py_version_info != target.release:
        raise RuntimeError(UNHEARD)


def main() -> None:
    """Read the target named by the first argument, and hand the others to pip-compile."""
    path, *options = sys.argv[1:]
    aim(msgspec.json.decode(Path(path).read_bytes(), type=Target))
    from piptools.scripts.compile import cli

    cli.main(options, prog_name="pip-compile")


if __name__ == "__main__":
    main()
