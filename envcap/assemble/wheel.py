"""One wheel as the files that an installation of it consists of ("Binary distribution format", PEP 427).

What a name in a wheel may be is checked here: locks and their wheels come from elsewhere.
"""

import csv
import io
import os
import posixpath
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import copyfileobj_with_hashing, fix_shebang, parse_metadata_file
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envcap.errors import NotRunError, RefusedError
from envcap.model.image import Installation
from envcap.trust.forms import has_control_characters

_IN_MEMORY = 4 << 20  # bytes of one file; larger ones take their way over the disk
_LARGEST = 64 << 30  # bytes that one wheel may unpack to
_FOR_SOURCES = (".py", ".dist-info/METADATA", ".dist-info/WHEEL")
# What makes the folder an environment. A wheel that brings one of them would be another interpreter.
_VERSIONED = re.compile(r"pip[0-9]+(\.[0-9]+)?|easy_install-[0-9]+\.[0-9]+")
_OF_THE_ENVIRONMENT = re.compile(r"pyvenv\.cfg|bin/python(3(\.[0-9]+)?)?")


class Archive(Protocol):
    """What takes the files of an installation."""

    def add(self, name: str, content: IO[bytes], *, size: int, executable: bool = False) -> None:
        """Take one plain file of exactly `size` bytes, by its place relative to the root of the image."""


def write_wheel(wheel: Path, archive: Archive, installation: Installation, *, only_sources: bool = False) -> None:
    """Write everything that an installation of this wheel holds, but no byte code.

    With `only_sources` whatever is no module is left out. Raises RefusedError for a wheel that is damaged
    or has a file outside the environment, NotRunError for one that is not for this Python.
    """
    try:
        with zipfile.ZipFile(wheel) as members, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of byte code in a wheel: it is left out, and made here
            endings = _FOR_SOURCES if only_sources else ("",)
            # Sorted by name, whatever order they were packed in.
            members.filelist[:] = sorted(
                (item for item in members.filelist if item.filename.endswith(endings)), key=lambda item: item.filename
            )
            source = WheelFile(members)
            _require_bounded(members)
            _require_python(source, installation.python)
            destination = _Destination(archive, installation, distribution=source.distribution)
            install(source, destination, additional_metadata={"INSTALLER": b"envcap\n"})
    except (
        InstallerError,
        InvalidRecordEntry,
        zipfile.BadZipFile,
        AssertionError,
        KeyError,
        ValueError,
        EOFError,
    ) as error:
        raise RefusedError(f"`{wheel.name}` is no wheel that can be installed: {error}.") from error


def size_of_sources(wheel: Path) -> int:
    """Tell how many bytes of modules a wheel says that it holds; 0 for a damaged one."""
    try:
        with zipfile.ZipFile(wheel) as members:
            return sum(item.file_size for item in members.filelist if item.filename.endswith(".py"))
    except zipfile.BadZipFile:
        return 0


def _require_bounded(members: zipfile.ZipFile) -> None:
    if sum(item.file_size for item in members.filelist) > _LARGEST:
        raise ValueError(f"it unpacks to more than {_LARGEST:,} bytes")


def _require_python(source: WheelFile, version: str) -> None:
    needs = parse_metadata_file(source.read_dist_info("METADATA"))["Requires-Python"]
    try:
        fits = needs is None or SpecifierSet(str(needs)).contains(version, prereleases=True)
    except InvalidSpecifier:
        fits = True  # installers go on as well: old metadata holds much that was never meant to be read
    if not fits:
        raise NotRunError(
            f"`{source.distribution}` {source.version} needs Python `{needs}`, and the image has `{version}`.",
            hint="Install a version that fits into the environment, and freeze it again.",
        )


def script_names(name: str, version: str) -> list[str]:
    """Give the names of an entry point's scripts: those of pip and easy_install carry the version of their Python.

    The wheels name those of another one, or none (pip, `get_console_script_specs`).
    """
    major, minor = version.split(".")[:2]
    if name == "pip":
        return ["pip", f"pip{major}", f"pip{major}.{minor}"]
    if name == "easy_install":
        return ["easy_install", f"easy_install-{major}.{minor}"]
    return [] if _VERSIONED.fullmatch(name) else [name]


class _Destination(WheelDestination):
    """Puts each file into the archive where sysconfig's scheme `venv` has it, and its row into RECORD."""

    def __init__(self, archive: Archive, installation: Installation, *, distribution: str) -> None:
        self._archive = archive
        self._version = installation.python
        self._prefix = installation.prefix
        self._interpreter = f"{installation.prefix}/bin/python"
        self._folders = {
            "purelib": installation.site,
            "platlib": installation.site,
            "scripts": f"{installation.prefix}/bin",
            "data": installation.prefix,
            "headers": f"{installation.prefix}/include/site/{installation.series}/{distribution}",
        }
        self._rows: dict[str, tuple[str, str, str]] = {}

    def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
        """Write the program that an entry point asks for, under the names that pip gives it."""
        for one in script_names(name, self._version):
            script = Script(one, module, attr, "gui" if section == "gui" else "console")
            _, content = script.generate(self._interpreter, kind="posix")
            self._write("scripts", one, io.BytesIO(content), executable=True)
        return RecordEntry(name, None, None)

    def write_file(
        self,
        scheme: str,
        path: "str | os.PathLike[str]",
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001
    ) -> RecordEntry:
        """Write one file of the wheel."""
        if scheme != "scripts":
            return self._write(scheme, str(path), stream, executable=is_executable)
        with fix_shebang(stream, self._interpreter) as fixed:
            return self._write(scheme, str(path), fixed, executable=is_executable)

    def finalize_installation(
        self, scheme: str, record_file_path: str, records: Iterable[tuple[str, RecordEntry]]
    ) -> None:
        """Write RECORD, in which byte code need not stand ("Recording installed projects")."""
        del records  # the rows are here already, with the paths as they are installed
        place = self._place(scheme, record_file_path)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [*(self._rows[name] for name in sorted(self._rows)), (self._recorded(place), "", "")]
        )
        content = text.getvalue().encode()
        self._archive.add(place, io.BytesIO(content), size=len(content))

    def _write(self, scheme: str, path: str, stream: BinaryIO, *, executable: bool) -> RecordEntry:
        place = self._place(scheme, path)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
            digest, size = copyfileobj_with_hashing(stream, cast("BinaryIO", content), "sha256")
            content.seek(0)
            self._archive.add(place, cast("BinaryIO", content), size=size, executable=executable)
        self._rows[place] = (self._recorded(place), f"sha256={digest}", str(size))
        return RecordEntry(path, None, None)

    def _place(self, scheme: str, path: str) -> str:
        """Give where a file goes, relative to the image's root. Raises ValueError for a name that leads elsewhere."""
        parts = path.split("/")
        if has_control_characters(path) or not all(part and part not in {".", ".."} for part in parts):
            raise ValueError(f"`{path!r}` is not the name of a file in an environment")
        below = posixpath.relpath(f"{self._folders[scheme]}/{path}", self._prefix)
        if below.startswith("lib64/"):
            below = below.replace("lib64/", "lib/", 1)  # a link to it, which a folder must not replace
        if _OF_THE_ENVIRONMENT.fullmatch(below):
            raise ValueError(f"`{path}` would take the place of the environment's own `{below}`")
        return f"{self._prefix}/{below}".lstrip("/")

    def _recorded(self, place: str) -> str:
        return posixpath.relpath(f"/{place}", self._folders["purelib"])
