"""The lock: everything freeze learned, enough to render the image without looking anything up again."""

from typing import Literal

from envcap.model.evaluation import Declaration, Run, Seed
from envcap.model.facts import Hardware, Interpreter, System
from envcap.model.gap import Gap
from envcap.model.numerics import Numerics
from envcap.model.struct import Data, Table

# How far it is certain that a package's file is what is installed: `proven` by the RECORD inside it, found by its name
# and `tags` alone, or `carried`: made here of the installed files themselves.
Confidence = Literal["proven", "tags", "carried"]


class Wheel(Data, frozen=True, kw_only=True):
    """The exact file of a package: `url` where an index serves it, `path` (from the lock) where it is carried."""

    name: str
    sha256: str
    url: str | None = None
    path: str | None = None
    size: int | None = None


class Checkout(Table, frozen=True, kw_only=True):
    """The source of a package: an `editable` tree, a commit that was built (`vcs`), or a `folder`, as it was later."""

    kind: Literal["editable", "vcs", "folder"]
    repository: str | None = None  # credentials stripped
    commit: str | None = None
    branch: str | None = None
    directory: str = "."  # the package below the repository's root
    patch: str | None = None  # sha256 of the uncommitted changes, as `git diff --binary HEAD`, in the store
    untracked: tuple[str, ...] = ()  # files taken along that git does not hold


class Edits(Table, frozen=True, kw_only=True):
    """What was changed in a package by hand: how many files, and the first of them as RECORD spells their paths."""

    files: int
    paths: tuple[str, ...]
    patch: str | None = None  # sha256 in the store: the difference from the published wheel, where that is known


class Package(Data, frozen=True, kw_only=True):
    """One Python package that the image will hold."""

    name: str  # normalised, PEP 503
    version: str
    wheel: Wheel
    index: str | None = None  # the index that offers the wheel, without credentials
    installer: str | None = None
    requested: bool = False
    origin: str = "index"  # `index`, `archive` (a direct URL), `local` (a file), `repacked` (from installed files)
    dependencies: tuple[str, ...] = ()  # names of the packages of this lock that it requires
    checkout: Checkout | None = None
    edits: Edits | None = None  # of a package that was changed by hand: the image gets it so
    confidence: Confidence = "tags"  # the least that can be said of a file that was pinned at all


class CondaPackage(Table, frozen=True, kw_only=True):
    """One conda package that the image will hold, bound to its archive: at `url`, or at `path` beside the lock."""

    name: str
    version: str
    build: str
    build_number: int = 0
    subdir: str  # `linux-64`, `noarch`
    channel: str  # its address without credentials, or the short name where that is all there is
    file: str  # `zlib-1.3.1-h4ab18f5_1.conda`
    sha256: str
    md5: str | None = None
    url: str | None = None
    path: str | None = None
    size: int | None = None
    noarch: str | None = None  # `python` or `generic`
    requested: list[str] = []  # the specs that a person asked for, empty for what was pulled in
    depends: list[str] = []
    constrains: list[str] = []

    @property
    def archive(self) -> Wheel:
        """Its file, as downloads know files."""
        return Wheel(name=self.file, sha256=self.sha256, url=self.url, path=self.path, size=self.size)


class CondaPrefix(Table, frozen=True, kw_only=True):
    """The folder that the conda packages are installed into, on this machine and in the image."""

    path: str  # absolute: it is written into the installed files
    tool: str  # `conda`, `mamba`, `micromamba`, `pixi` or `unknown`: who left its traces there last
    virtual_packages: list[str] = []  # `__glibc=2.36=0`: what solvers are told of the machine
    installer: Wheel | None = None  # what puts the archives into place in the image; a Gap says why there is none
    edits: str | None = None  # sha256 in the store of the archive of files that were changed after the installation


class Conflict(Table, frozen=True, kw_only=True):
    """A requirement that the live environment does not meet. It is frozen as it is: it may work all the same."""

    package: str  # the one that requires, normalised
    requirement: str  # as its metadata has it, without the marker
    installed: str | None = None  # the version that is there, None where there is none


class Base(Table, frozen=True, kw_only=True):
    """The image below. At least one digest, or a Gap says why there is none."""

    reference: str  # `python:3.11.7-slim-bookworm`
    digest: str | None = None  # what the reference resolved to: an index or a manifest
    media_type: str | None = None
    manifest_digest: str | None = None  # of this platform, where `digest` is an index
    platform: str = "linux/amd64"


class Submodule(Table, frozen=True, kw_only=True):
    """A repository within the repository: which commit belongs there, and what is there."""

    path: str
    repository: str | None = None  # credentials stripped
    recorded: str  # the commit that belongs there, by the last commit of the repository around it, or by its index
    checked_out: str | None = None  # None where it was not fetched
    changed: bool = False  # it holds uncommitted changes or new files


class Notebook(Table, frozen=True, kw_only=True):
    """A notebook among the files. In which order its cells ran is recorded nowhere."""

    path: str
    outputs: bool | None = None  # whether it holds what cells gave; None where it cannot be read


# Why a file of the project is not in the archive: git's ignore rules, a hidden name where there is no git, its size, a
# name that promises a secret, a link that leads out, a repository of its own, or an evaluation that wrote it.
LeftWhy = Literal["ignored", "hidden", "large", "secret", "outside", "repository", "written"]


class LeftOut(Table, frozen=True, kw_only=True):
    """Files and whole folders (with a `/` at the end) that were not taken along, for one reason."""

    why: LeftWhy
    count: int
    paths: list[str]  # the first of them


class Code(Table, frozen=True, kw_only=True):
    """The project's files, kept as one archive in the store."""

    archive: str  # sha256 of the deterministic tar in the store
    size: int
    files: int
    repository: str | None = None  # credentials stripped
    commit: str | None = None
    branch: str | None = None  # None where there is a commit: the head is detached
    shallow: bool = False  # the clone holds only the end of the history
    directory: str = "."  # the project below the repository's root
    patch: str | None = None  # sha256 of `git diff --binary HEAD` in the store, where tracked files were changed
    untracked: list[str] = []
    submodules: list[Submodule] = []
    notebooks: list[Notebook] = []
    left_out: list[LeftOut] = []


class DataInput(Table, frozen=True, kw_only=True):
    """One declared input: a file or a folder. `sha256` covers names and contents of all files below it."""

    path: str
    size: int
    files: int
    sha256: str
    manifest: str | None = None  # sha256 of the list of its files in the store; older locks have none
    dvc: str | None = None  # the md5 under which DVC records it; a folder's ends in `.dir`


class Move(Table, frozen=True, kw_only=True):
    """One package that an upgrade changed: `before` is None where it came in, `after` where it is no longer needed."""

    package: str  # normalised
    before: str | None = None
    after: str | None = None


class Derivation(Table, frozen=True, kw_only=True):
    """Which lock this one was made from without running anything: the recorded runs are those of that lock."""

    name: str
    sha256: str  # of that lock's bytes
    moved: list[Move]


# How a library was found: an object of the environment names it, a run mapped it, both; or it is named and not there.
Seen = Literal["linked", "loaded", "both", "absent"]


class Library(Table, frozen=True, kw_only=True):
    """A shared library outside the environment, with the operating system's package that owns it."""

    name: str  # as objects name it: the soname
    path: str = ""  # the real path, on the machine that was frozen; empty where it is absent
    seen: Seen
    package: str | None = None
    version: str | None = None
    architecture: str | None = None
    needed_by: list[
        str
    ] = []  # files of the environment or programs, these first, at most three; empty where only a run showed it
    interpreter: bool = False  # of the environment only the interpreter needs it: the base image brings its own


class Executable(Table, frozen=True, kw_only=True):
    """A program that a reference run started."""

    name: str
    path: str  # the real path, on the machine that was frozen
    package: str | None = None
    version: str | None = None
    architecture: str | None = None


class Floor(Table, frozen=True, kw_only=True):
    """The oldest C and C++ libraries that the environment's compiled files can run with."""

    glibc: str | None = None
    glibcxx: str | None = None
    cxxabi: str | None = None


class OsPackage(Table, frozen=True, kw_only=True):
    """One package of the operating system that the image gets on top of the base: the exact file."""

    name: str
    version: str
    architecture: str
    file: str
    sha256: str
    size: int
    url: str
    why: str  # the library or program that needs it, or the package that depends on it


class OsPackages(Table, frozen=True, kw_only=True):
    """What is installed in the image, in the order in which it can be; `release` is the base's."""

    release: str  # `debian 12`
    packages: list[OsPackage] = []
    locales: list[str] = []  # `de_DE.UTF-8`: compiled there, of the definitions in the package `locales`


class WatchedFiles(Table, frozen=True, kw_only=True):
    """What the reference runs were seen to read, counted by kind, and what they left beside the declared outputs."""

    read: dict[str, int] = {}  # `environment`, `system`, `project`, `data`
    written: list[str] = []  # below the project: files, and folders with a `/` at the end
    undeclared: list[str] = []  # inputs that were neither declared nor part of the code


class Toolkit(Table, frozen=True, kw_only=True):
    """The CUDA of the system that the environment uses, and NVIDIA's image that the built one takes it from."""

    release: str  # `12.8`
    image: Base  # with its digest
    libraries: list[str]  # sonames, sorted


class Lock(Data, frozen=True, kw_only=True):
    """The whole lock, free of its file format (which `lockfile.py` and `tables.py` alone know)."""

    name: str
    created_at: str  # UTC, RFC 3339, seconds
    created_by: str  # `envcap 0.1.0`
    python: Interpreter
    system: System
    hardware: Hardware
    base: Base
    code: Code
    declaration: Declaration
    runs: list[Run]
    packages: list[Package]
    data: list[DataInput] = []
    conda_prefix: CondaPrefix | None = None  # where the environment is conda's
    conda: list[CondaPackage] = []
    gaps: list[Gap] = []
    conflicts: list[Conflict] = []
    derivation: Derivation | None = None  # None where the runs were made with these very packages
    libraries: list[Library] = []
    executables: list[Executable] = []
    floor: Floor = Floor()
    os_packages: OsPackages | None = None
    toolkit: Toolkit | None = None  # None where the environment brings its CUDA along, or uses none
    numerics: Numerics = Numerics()
    settings: dict[str, str] = {}  # variables and torch's switches as the reference runs ended with them
    seeds: list[Seed] = []
    watched: WatchedFiles = WatchedFiles()

    @property
    def images(self) -> list[Base]:
        """The images that its own is made from: the base below, and NVIDIA's where CUDA is taken from one."""
        return [self.base] if self.toolkit is None else [self.base, self.toolkit.image]
