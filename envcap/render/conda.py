"""The conda layer of a build context: the archives, the plan of the installer, and the values of its template. Pure."""

import json
from pathlib import Path, PurePosixPath

from envcap.errors import NotRunError, RefusedError
from envcap.model.image import ContextFile
from envcap.model.layout import CONDA_EDITS, EPOCH
from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Wheel
from envcap.render.layers import installation_of
from envcap.render.quoting import exec_form, quote_value
from envcap.trust.conda import is_usable_prefix

PROGRAM = "install_archives.py"
_ROOT = "/out"  # in the stage: below it is what the image gets
# Makes the byte code of each module that has none yet, which are those of pip's packages. It runs on Python 3.6 and
# newer, as an argument: a file would stay in the image. Each folder is a process of its own, since what another file
# has loaded changes how one is written; and everything made gets one time. What Python cannot compile is left out; a
# process that fails otherwise (a full disk, killed) fails the step, as half of the byte code would be another image.
_COMPILE = f"""
import importlib.util, os, py_compile, sys, sysconfig, warnings
warnings.simplefilter('ignore')
how = {{'invalidation_mode': py_compile.PycInvalidationMode.UNCHECKED_HASH}} if sys.version_info >= (3, 7) else {{}}
def compile_folder(folder, sources):
    for source, target in sources:
        try:
            py_compile.compile(source, target, doraise=True, **how)
        except (py_compile.PyCompileError, RecursionError, MemoryError):
            continue
        os.utime(target, ({EPOCH}, {EPOCH}))
        made.add(os.path.dirname(target))
        made.add(folder)
    for path in made:
        os.utime(path, ({EPOCH}, {EPOCH}))
made, running, failed = set(), 0, 0
for folder, folders, files in os.walk(sysconfig.get_paths()['purelib']):
    sources = [os.path.join(folder, name) for name in sorted(files) if name.endswith('.py')]
    sources = [source for source in sources if os.path.isfile(source)]
    pairs = [(source, importlib.util.cache_from_source(source, optimization='')) for source in sources]
    missing = [pair for pair in pairs if not os.path.exists(pair[1])]
    if missing and running == len(os.sched_getaffinity(0)):
        failed += bool(os.wait()[1])
        running -= 1
    if missing and not os.fork():
        compile_folder(folder, missing)
        os._exit(0)
    running += bool(missing)
failed += sum(bool(os.wait()[1]) for _ in range(running))
sys.exit('byte code: %d folders failed' % failed if failed else 0)
"""
_EMPTIED = PurePosixPath("/tmp")  # noqa: S108  (a fresh file system in the container while the evaluation runs)


def conda_files(lock: Lock, *, link_scripts: bool) -> list[ContextFile]:
    """List the files of the context for the conda layer, none for a lock without one.

    Raises NotRunError where the lock has nothing to install them with, or a folder that no container keeps.
    """
    prefix = lock.conda_prefix
    if prefix is None:
        return []
    installer = _require_installable(prefix)
    series = installation_of(lock).series
    program = Path(__file__).with_name(PROGRAM).read_bytes()
    plan = {
        "prefix": prefix.path,
        "root": _ROOT,
        "link_scripts": link_scripts,
        "packages": [_entry(package, series) for package in lock.conda],
        "replaced": [package.name for package in lock.packages],
    }
    requirement = f"./{installer.name} --hash=sha256:{installer.sha256}\n"
    return [
        ContextFile(path="conda.json", content=(json.dumps(plan, indent=1) + "\n").encode()),
        ContextFile(path=PROGRAM, content=program),
        ContextFile(path="installer/requirements.txt", content=requirement.encode()),
        ContextFile(path=f"installer/{installer.name}", sha256=installer.sha256),
        *(ContextFile(path=f"conda/{package.file}", sha256=package.sha256) for package in lock.conda),
        *([ContextFile(path=CONDA_EDITS, sha256=prefix.edits)] if prefix.edits is not None else []),
    ]


def _require_installable(prefix: CondaPrefix) -> Wheel:
    if not is_usable_prefix(prefix.path):
        raise RefusedError(f"`{prefix.path}` is no folder that conda packages may be installed into.")
    if _EMPTIED in PurePosixPath(prefix.path).parents:
        raise NotRunError(
            f"The conda environment is in `{prefix.path}`, and `{_EMPTIED}` is empty whenever a container starts.",
            hint="Make the environment in another folder, and freeze again.",
        )
    if prefix.installer is None:
        raise NotRunError(
            "The lock names no installer for conda's archives: none could be looked up when it was frozen.",
            hint="`envcap show` tells why, under its gaps. Freeze again where a package index can be read.",
        )
    return prefix.installer


def _entry(package: CondaPackage, series: str) -> dict[str, object]:
    threaded = package.name == "python" and series.endswith("t")
    return {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": package.build_number,
        "subdir": package.subdir,
        "noarch": package.noarch,
        "channel": package.channel,
        "file": package.file,
        "url": package.url or f"file:///{package.file}",  # conda's records have an address in any case
        "sha256": package.sha256,
        "md5": package.md5,
        "size": package.size,
        "requested": package.requested,
        "depends": package.depends,
        "constrains": package.constrains,
        # Where packages for every Python go, if that is no usual place (CEP 17): of a Python without a global lock.
        "site": f"lib/{series}/site-packages" if threaded else None,
    }


def conda_values(lock: Lock) -> dict[str, object]:
    """Give what the template of the conda layer is filled with."""
    prefix = lock.conda_prefix
    path = prefix.path if prefix is not None else ""
    return {
        "program": exec_form(["python3", PROGRAM]),
        "copied": exec_form([f"{_ROOT}/", "/"]),
        "edits": exec_form([CONDA_EDITS, "/context/edits/"]) if prefix is not None and prefix.edits is not None else "",
        "programs": quote_value(f"{path}/bin")[1:-1],
        # The order of what is in a set of names is part of byte code before Python 3.11.
        "compile": exec_form(
            ["env", "-i", "PYTHONHASHSEED=0", "LC_ALL=C.UTF-8", f"{path}/bin/python", "-s", "-S", "-B", "-c", _COMPILE]
        ),
    }
