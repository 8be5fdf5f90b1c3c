"""Puts the document together and writes it. Runs isolated: see `isolation`."""

import os
import sys

from .amd import describe_amd_gpus
from .apple import describe_apple
from .conda import describe_conda
from .distributions import list_distributions
from .document import to_json
from .frame import FORMAT, frame
from .gaps import Gaps
from .gpu_libraries import list_gpu_libraries
from .gpus import describe_gpus
from .hardware import describe_hardware
from .interpreter import base_prefix, describe_interpreter, marker_environment
from .system import describe_system


def run(paths: "list[str]") -> None:
    """Describe this environment on standard output. `paths` is sys.path as the user's programs see it.

    The arguments are libraries of GPUs that a run had loaded.
    """
    if sys.warnoptions:
        # PYTHONWARNINGS=error is meant for the user's programs; here it would turn a remark into a crash.
        import warnings

        warnings.simplefilter("ignore")
    text = to_json(describe(paths))
    write(frame(text))


def describe(paths: "list[str]") -> "dict[str, object]":
    """Give the document that `envcap.model.facts.Facts` describes, ready for JSON."""
    gaps = Gaps()
    _check_paths(paths, gaps)
    conda, owners = describe_conda(sys.prefix, gaps)
    return {
        "format": FORMAT,
        "interpreter": describe_interpreter(),
        "markers": marker_environment(),
        "executable": sys.executable or "",
        "prefix": sys.prefix,
        "base_prefix": base_prefix(),
        "paths": paths,
        "distributions": _with_owners(list_distributions(paths, gaps), owners),
        "system": describe_system(gaps),
        "hardware": _describe_hardware(paths, gaps),
        "conda": conda,
        "gaps": gaps.found,
    }


def _describe_hardware(paths: "list[str]", gaps: Gaps) -> "dict[str, object]":
    apple = describe_apple()
    hardware = describe_hardware(gaps, apple)
    hardware.update(describe_gpus(gaps))
    others, driver = describe_amd_gpus()
    gpus = [*hardware["gpus"], *others, *apple.pop("gpus", [])]  # type: ignore[misc]
    hardware.update(apple, gpus=gpus)
    hardware["driver"] = hardware["driver"] or driver
    hardware["gpu-libraries"] = list_gpu_libraries(paths, sys.argv[1:])
    return hardware


def _with_owners(distributions: "list[dict[str, object]]", owners: "dict[str, str]") -> "list[dict[str, object]]":
    """Note at each distribution the conda package that brought it. Links such as `lib/python3.1` are followed."""
    real = os.path.realpath(sys.prefix)
    for distribution in distributions if owners else []:
        below = os.path.relpath(os.path.realpath(str(distribution["path"])), real)
        distribution["conda"] = owners.get(below)
    return distributions


def write(content: bytes) -> None:
    """Write to the real standard output, which a .pth file or sitecustomize may have hidden behind another."""
    try:  # noqa: SIM105  (contextlib is dear to import)
        sys.stdout.flush()
    except Exception:  # noqa: BLE001, S110  (None, or a stand-in of somebody's)
        pass
    while content:
        content = content[os.write(1, content) :]


def _check_paths(paths: "list[str]", gaps: Gaps) -> None:
    for path in paths:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            gaps.add(
                "packages",
                path,
                reason="the name of this folder on sys.path is not UTF-8",
                consequence="what is in it is recorded, but cannot be found again by its name",
            )
