"""Which files belong to a distribution that has no RECORD to be believed: what other lists there are say so.

Reads the environment's folders. A list that is a guess is none: without any, the answer is None.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from envcap.model.struct import Data
from envcap.pins.debian import InstalledByDpkg
from envcap.pins.record import is_byte_code
from envcap.pins.scripts import made_scripts
from envcap.regular import LARGEST_METADATA, read_regular

_PYTHON = re.compile(rb"#![^\n]*python")
# What dpkg packages bring for readers and for dpkg itself. No program needs it to run.
_FOR_READERS = re.compile(r"/usr/share/(doc|doc-base|man|info|lintian|python3|bug|bash-completion|locale)/")


class Listing(Data, frozen=True, kw_only=True):
    """The files of one distribution, its metadata left out: in the site directory, by their path below it; scripts.

    `outside` are files elsewhere. `source` says where the list is from, as a part of a sentence.
    """

    files: dict[str, Path]
    source: str
    scripts: list[Path] = []
    outside: list[str] = []


def list_files(metadata: Path, *, dpkg: InstalledByDpkg, owned: frozenset[str]) -> Listing | None:
    """Give the files of the distribution with that .egg-info, .dist-info or EGG-INFO, or None where nothing lists them.

    `owned` are the paths that some RECORD claims: they are nobody else's.
    """
    from_dpkg = dpkg.files_of(metadata)
    if from_dpkg is not None:
        return _sorted_out(from_dpkg, metadata, source="dpkg's list of its package")
    if metadata.name == "EGG-INFO":
        below = [path for path in _walk(metadata.parent) if not path.is_relative_to(metadata)]
        found = _sorted_out(map(str, below), metadata, source="its egg, which holds nothing else")
        scripts = sorted(path for path in (metadata / "scripts").glob("*") if path.is_file())
        return Listing(files=found.files, source=found.source, scripts=scripts)
    written = _lines(metadata / "installed-files.txt")  # pip wrote it for `setup.py install` (legacy installs)
    if written:
        paths = [os.path.normpath(metadata / line) for line in written]
        return _sorted_out(paths, metadata, source="its installed-files.txt")
    names = _lines(metadata / "top_level.txt")  # setuptools ("The Internal Structure of Python Eggs")
    if names:
        free = (str(path) for name in names for path in _modules(metadata.parent, name) if str(path) not in owned)
        return _sorted_out(free, metadata, source="its top_level.txt, which names no scripts and no data files")
    return None


def _sorted_out(paths: Iterable[str], metadata: Path, *, source: str) -> Listing:
    """Give each regular file its place: below the site directory, a script, or elsewhere."""
    site = metadata.parent
    files: dict[str, Path] = {}
    scripts: list[Path] = []
    outside: list[str] = []
    made = made_scripts(metadata)
    for text in paths:
        path = Path(text)
        if not path.is_file() or path.is_relative_to(metadata) or is_byte_code(text):
            continue
        if path.is_relative_to(site) and stays_inside(path, site):
            files[path.relative_to(site).as_posix()] = path
        elif path.parent.name == "bin" and (path.name in made or _is_script(path)):
            scripts += [path] if path.name not in made else []
        elif not _FOR_READERS.match(text):
            outside.append(text)
    return Listing(files=dict(sorted(files.items())), source=source, scripts=sorted(scripts), outside=sorted(outside))


def stays_inside(path: Path, site: Path) -> bool:
    """Tell whether a file, its links followed, is in the site directory or where dpkg puts shared files."""
    real = path.resolve()
    return real.is_relative_to(site.resolve()) or (site.is_relative_to("/usr/lib") and real.is_relative_to("/usr"))


def _lines(path: Path) -> list[str]:
    try:
        text = read_regular(path, limit=LARGEST_METADATA).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and "\0" not in line]


def _modules(site: Path, name: str) -> Iterator[Path]:
    """Give the files that `import NAME` may need: a package's folder with all below it, a module, an extension."""
    if "/" in name or name.startswith("."):
        return
    yield from _walk(site / name)
    yield site / f"{name}.py"
    yield from sorted(site.glob(f"{name}.*.so"))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if name != "__pycache__")
        yield from (Path(parent, name) for name in sorted(names))


def _is_script(path: Path) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123  (it may be a pipe)
            return _PYTHON.match(file.read(128)) is not None
    except OSError:
        return False
