"""A conda channel on loopback HTTP, made here of real files, and environments installed from it by py-rattler."""

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from conda_package_streaming.create import conda_builder
from rattler import BuildString, PackageRecord, RepoDataRecord, install
from rattler.index import index_fs

from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Wheel
from tests.pythons import own, pythons

REPOSITORY = Path(__file__).resolve().parents[2]
PLACEHOLDER = "/opt/" + "placehold_" * 20 + "end"  # as long as conda-build makes them: longer than any real prefix
# What the channel has: another than the base image's, where this machine has one, and too old for what installs it.
PYTHON = next((python for python in pythons() if python.minor >= (3, 8)), own())
SERIES = "{}.{}".format(*PYTHON.minor)
VERSION = PYTHON.version
LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__", "turtledemo"}


class Archive(NamedTuple):
    """One package of the channel, with what its record in repodata says."""

    path: Path
    description: dict[str, Any]
    sha256: str
    md5: str

    def record(self, address: str) -> RepoDataRecord:
        index = self.description
        record = PackageRecord(
            name=index["name"],
            version=index["version"],
            build=BuildString(index["build"]),
            build_number=index["build_number"],
            subdir=index["subdir"],
            noarch=index.get("noarch"),
            depends=index["depends"],
            constrains=index.get("constrains", []),
            sha256=bytes.fromhex(self.sha256),
            md5=bytes.fromhex(self.md5),
            size=self.path.stat().st_size,
        )
        return RepoDataRecord(record, self.path.name, f"{address}/{index['subdir']}/{self.path.name}", address)


class File(NamedTuple):
    """One file of a package; `mode` is `text` or `binary` where the placeholder in it is to be replaced."""

    content: bytes
    mode: str = ""
    executable: bool = False


class Channel:
    """A folder of archives, served over HTTP."""

    file = File
    python = PYTHON

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archives: dict[str, Archive] = {}
        self.address = ""

    def add(
        self,
        name: str,
        version: str,
        files: Mapping[str, File],
        *,
        subdir: str = "linux-64",
        links: Mapping[str, str] | None = None,
        entry_points: list[str] | None = None,
        suffix: str = ".conda",
        **index: Any,
    ) -> Archive:
        build = index.pop("build", "0")
        index = {"name": name, "version": version, "build": build, "build_number": 0, "depends": [], **index}
        index |= {"subdir": subdir, **({"noarch": "python"} if subdir == "noarch" else {})}
        members = {**files, **_information(index, files, links or {}, entry_points)}
        folder = self.folder / subdir
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{version}-{build}{suffix}"
        if suffix == ".conda":
            with conda_builder(path.name.removesuffix(suffix), folder, compression_level=1) as archive:
                _fill(archive, members, links or {})
        else:
            with tarfile.open(path, "w:bz2", compresslevel=1) as archive:
                _fill(archive, members, links or {})
        content = path.read_bytes()
        made = Archive(path, index, hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest())  # noqa: S324
        self.archives[name] = made
        return made

    def add_extension(self, scratch: Path) -> None:
        """Add the compiled package `msgspec` for the channel's interpreter, made of its wheel."""
        words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
        words += ["--python-version", SERIES, "--dest", str(scratch), "msgspec"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
        (wheel,) = scratch.glob("msgspec-*.whl")
        with zipfile.ZipFile(wheel) as members:
            names = [name for name in members.namelist() if not name.endswith("/")]
            files = {f"lib/python{SERIES}/site-packages/{name}": File(members.read(name)) for name in names}
            info = next(name.rpartition("/")[0] for name in files if name.endswith("/METADATA"))
        files[f"{info}/INSTALLER"] = File(b"conda")
        version = wheel.name.split("-")[1]
        self.add("msgspec", version, files, build=f"py{SERIES.replace('.', '')}_0", depends=["python"])

    def install(self, prefix: Path, *, cache: Path, names: list[str] | None = None) -> None:
        records = [
            archive.record(self.address) for name, archive in self.archives.items() if name in (names or self.archives)
        ]
        asyncio.run(install(records, prefix, cache_dir=cache, show_progress=False))


def _information(
    index: dict[str, Any], files: Mapping[str, File], links: Mapping[str, str], entry_points: list[str] | None
) -> dict[str, File]:
    paths: list[dict[str, Any]] = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(file.content).hexdigest(),
            "size_in_bytes": len(file.content),
            **({"prefix_placeholder": PLACEHOLDER, "file_mode": file.mode} if file.mode else {}),
        }
        for path, file in files.items()
    ]
    paths += [
        {"_path": path, "path_type": "softlink", "sha256": hashlib.sha256(b"").hexdigest(), "size_in_bytes": 0}
        for path in links
    ]
    information = {
        "info/index.json": File(json.dumps(index).encode()),
        "info/paths.json": File(json.dumps({"paths": paths, "paths_version": 1}).encode()),
        "info/files": File("\n".join([*files, *links]).encode()),
    }
    if entry_points is not None:
        link = {"noarch": {"type": "python", "entry_points": entry_points}, "package_metadata_version": 1}
        information["info/link.json"] = File(json.dumps(link).encode())
    return information


def _fill(archive: tarfile.TarFile, files: Mapping[str, File], links: Mapping[str, str]) -> None:
    for path, file in files.items():
        member = tarfile.TarInfo(path)
        member.size = len(file.content)
        member.mode = 0o775 if file.executable else 0o664
        archive.addfile(member, io.BytesIO(file.content))
    for path, target in links.items():
        member = tarfile.TarInfo(path)
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)


def metadata(name: str, version: str, files: Mapping[str, File], *, site: str = "site-packages") -> dict[str, File]:
    """Give a .dist-info as conda-build leaves it: its installer is conda, its origin a place of the build machine."""
    info = f"{site}/{name}-{version}.dist-info"
    added = {
        f"{info}/METADATA": File(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()),
        f"{info}/WHEEL": File(b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        f"{info}/INSTALLER": File(b"conda"),
        f"{info}/direct_url.json": File(b'{"dir_info": {}, "url": "file:///home/builder/work"}'),
    }
    rows = [f"{path.removeprefix(f'{site}/')},," for path in [*files, *added, f"{info}/RECORD"]]
    return {**files, **added, f"{info}/RECORD": File(("\n".join(rows) + "\n").encode())}


def interpreter_files() -> tuple[dict[str, File], dict[str, str]]:
    """Give a CPython of this machine as a package would hold it: without tests, packages and byte code."""
    base = PYTHON.path.resolve().parents[1]
    library = base / "lib" / f"python{SERIES}"
    sources = [
        path for path in library.rglob("*") if path.is_file() and not LEFT_OUT & {*path.relative_to(library).parts}
    ]
    sources = [path for path in sources if not any(part.startswith("config-") for part in path.parts)]
    sources += [path for path in (base / "lib").glob("libpython*.so*") if path.is_file() and not path.is_symlink()]
    files = {path.relative_to(base).as_posix(): File(_movable(path.read_bytes(), base)) for path in sources}
    program = base / "bin" / f"python{SERIES}"
    files[f"bin/python{SERIES}"] = File(_movable(program.resolve().read_bytes(), base), executable=True)
    return files, {"bin/python": f"python{SERIES}", "bin/python3": f"python{SERIES}"}


def _movable(content: bytes, base: Path) -> bytes:
    """Let a program look for its library beside itself, in the room that the absolute folder took."""
    if not content.startswith(b"\x7fELF"):
        return content
    fixed, own = f"{base}/lib".encode() + b"\0", b"$ORIGIN/../lib"
    return content.replace(fixed, own.ljust(len(fixed) - 1, b"\0") + b"\0") if len(own) < len(fixed) else content


def _quiet(*arguments: Any) -> None:
    """Say nothing of requests."""


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Give a function that serves a folder on loopback HTTP and gives its address."""
    servers = []

    def start(folder: Path) -> str:
        handler = type("Handler", (SimpleHTTPRequestHandler,), {"log_message": _quiet})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def small_channel(tmp_path: Path, serve: Callable[[Path], str]) -> Channel:
    """Give a channel whose packages need no interpreter: text and binary prefixes, an entry point, one old archive."""
    channel = Channel(tmp_path / "channel")
    add_small_packages(channel)
    channel.add("python", VERSION, {f"bin/python{SERIES}": File(b"#!/bin/sh\n", executable=True)})
    channel.address = serve(channel.folder)
    return channel


def add_small_packages(channel: Channel) -> None:
    shapes = {
        "site-packages/shapes.py": File(b"def area(side):\n    return side * 0.1\n\ndef main():\n    print(area(3))\n")
    }
    channel.add(
        "shapes",
        "1.2",
        metadata("shapes", "1.2", shapes),
        subdir="noarch",
        entry_points=["shapes = shapes:main"],
        build="pyh0_0",
        depends=["python >=3.10", "places"],
        constrains=["numpy >=9"],
    )
    places = {
        "share/places/where.txt": File(f"{PLACEHOLDER}/share\n".encode(), "text"),
        "lib/places.bin": File(b"\x7f\x00\x01" + PLACEHOLDER.encode() + b"/lib\x00rest", "binary"),
        "Menu/places.json": File(b"{}"),
    }
    channel.add("places", "3.0", places, suffix=".tar.bz2")
    old = {"site-packages/six.py": File(b'__version__ = "1.15.0"\n')}
    channel.add("six", "1.15.0", metadata("six", "1.15.0", old), subdir="noarch", entry_points=[], build="py_0")


@pytest.fixture
def whole_channel(tmp_path: Path, serve: Callable[[Path], str]) -> Channel:
    """Give a channel with a real interpreter as well."""
    channel = Channel(tmp_path / "channel")
    files, links = interpreter_files()
    channel.add("python", VERSION, files, links=links, build="0_cpython")
    add_small_packages(channel)
    asyncio.run(index_fs(channel.folder))
    channel.address = serve(channel.folder)
    return channel


@pytest.fixture
def conda_folder() -> Iterator[Path]:
    """Give a folder that is not below /tmp: what is there is hidden in every container of ours."""
    folder = Path(tempfile.mkdtemp(prefix="envcap-conda-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run_envcap(project: Path, prefix: Path, *words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Start the command line in a project, with a conda environment active."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ENVCAP_", "VIRTUAL_ENV"))}
    environ.update(
        ENVCAP_CACHE=str(cache),
        ENVCAP_STATE=str(cache.with_name("state")),
        PYTHONPATH=str(REPOSITORY),
        CONDA_PREFIX=str(prefix),
        GIT_CONFIG_GLOBAL=os.devnull,
    )
    command = [sys.executable, "-m", "envcap", *words]
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture
def envcap(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that starts the command line: the project, the prefix, then the words."""
    return partial(run_envcap, cache=tmp_path / "cache")


@pytest.fixture(scope="session")
def conda_lock(sample_lock: Lock) -> Lock:
    """Give a lock of a conda environment: archives of a channel, one beside the lock, edited files, pip's on top."""
    channel = "https://conda.example.org/main"
    python = CondaPackage(
        name="python",
        version="3.11.7",
        build="hab00c5b_1_cpython",
        build_number=1,
        subdir="linux-64",
        channel=channel,
        file="python-3.11.7-hab00c5b_1_cpython.conda",
        sha256="3" * 64,
        md5="4" * 32,
        url=f"{channel}/linux-64/python-3.11.7-hab00c5b_1_cpython.conda",
        size=30000000,
        requested=["python=3.11"],
        depends=["__glibc >=2.17", "libzlib >=1.2.13,<2.0a0"],
        constrains=["python_abi 3.11.* *_cp311"],
    )
    shapes = CondaPackage(
        name="shapes",
        version="1.2",
        build="pyh0_0",
        subdir="noarch",
        channel="local",
        file="shapes-1.2-pyh0_0.tar.bz2",
        sha256="5" * 64,
        md5="6" * 32,
        path=f".envcap/store/{'5' * 64}/shapes-1.2-pyh0_0.tar.bz2",
        size=2000,
        noarch="python",
        depends=["python >=3.10"],
    )
    installer = Wheel(
        name="py_rattler-0.28.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        sha256="7" * 64,
        url="https://files.example.org/p/py_rattler-0.28.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        size=25000000,
    )
    prefix = CondaPrefix(
        path="/home/user/miniforge3/envs/train",
        tool="mamba",
        virtual_packages=["__archspec=1=x86_64_v3", "__glibc=2.36=0", "__linux=6.1.0=0", "__unix=0=0"],
        installer=installer,
        edits="8" * 64,
    )
    python_facts = msgspec.structs.replace(sample_lock.python, kind="conda")
    return msgspec.structs.replace(sample_lock, python=python_facts, conda_prefix=prefix, conda=[python, shapes])
