"""Shared by all tests: a sample lock, and the comparison with golden files."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from envcap.model.evaluation import Artifact, Declaration, Run, Seed, Tolerance
from envcap.model.facts import Gpu, GpuLibrary, Hardware, Interpreter, System
from envcap.model.gap import Gap
from envcap.model.layout import LOCK_LABEL
from envcap.model.lock import (
    Base,
    Code,
    Conflict,
    DataInput,
    Edits,
    Executable,
    Floor,
    LeftOut,
    Library,
    Lock,
    Notebook,
    OsPackage,
    OsPackages,
    Package,
    Submodule,
    Toolkit,
    WatchedFiles,
    Wheel,
)
from envcap.model.numerics import NumericLibrary, Numerics

GOLDEN = Path(__file__).with_name("golden")

# A busy machine is no bug: properties are judged by what they find, not by how long it takes. The examples are the same
# each time, so that a failure comes to whoever changed the code.
settings.register_profile("envcap", deadline=None, derandomize=True)
settings.register_profile("ci", settings.get_profile("envcap"))  # by its name some tests draw more examples
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "envcap"))


_LARGEST_LOCK = 64 << 20  # bytes; what a test builds is smaller
CLASSIC = "unix:///run/envcap-classic/docker.sock"  # the second engine that tests/engine/up starts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew, to be reviewed as a diff"
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clean up, and in CI let no skipped test pass for one that ran."""
    fail_for_skipped(session)
    remove_images(session)


def fail_for_skipped(session: pytest.Session) -> None:
    """Fail the whole in CI where a test was skipped: what is tested nowhere else must not be passed over silently."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = terminal.stats.get("skipped", []) if terminal is not None else []
    if terminal is not None and skipped and os.environ.get("CI"):
        terminal.write_line("")
        terminal.write_line(f"In CI no test may be skipped, and these were: {len(skipped)}.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def remove_images(session: pytest.Session) -> None:
    """Remove the images that the tests built, when all have ended: they are large, and every run would leave new ones.

    Whose they are their labels tell: other runs, and the developer, use the engine meanwhile. The steps below stay:
    they serve the next build. In the second engine, which is there for tests alone, those of the classic builder go
    as soon as no build can be at them: nothing else would ever remove them.
    """
    if hasattr(session.config, "workerinput") or shutil.which("docker") is None:
        return
    folder: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    # A test makes one that is larger than any lock, and than memory.
    files = [path for path in folder.rglob("pylock.*.toml") if path.is_file() and path.stat().st_size < _LARGEST_LOCK]
    locks = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    has_second = Path(CLASSIC.removeprefix("unix://")).exists()
    for host in [[], ["--host", CLASSIC]] if has_second else [[]]:
        if made := [image for image, lock in our_images(host) if lock in locks]:
            ask_docker(*host, "image", "rm", "--force", "--no-prune", *made)
    if has_second:
        ask_docker("--host", CLASSIC, "image", "prune", "--force", "--filter", "until=1h")


def our_images(host: list[str]) -> list[tuple[str, str]]:
    """List the tags below `envcap`, each with the sha256 of its lock, as far as the engine answers."""
    names = "{{.Repository}}:{{.Tag}}"
    tags = ask_docker(*host, "image", "ls", "--format", names, "--filter", "reference=envcap/*").split()
    labels = "{{index .Config.Labels " + json.dumps(LOCK_LABEL) + "}}"
    return [(tag, ask_docker(*host, "image", "inspect", "--format", labels, tag).strip()) for tag in tags]


def ask_docker(*words: str) -> str:
    """Give what Docker's client answers, which is nothing where it fails."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="session")
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `tests/golden/NAME`. `pytest --update-golden` writes the files anew."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"to accept it: pytest --update-golden; then review {path}"

    return check


@pytest.fixture(scope="session")
def sample_lock() -> Lock:
    """Give a lock that uses every table of the format. Vary it with `msgspec.structs.replace`."""
    return Lock(
        name="train",
        created_at="2024-05-06T07:08:09Z",
        created_by="envcap 0.1.0",
        python=Interpreter(
            implementation="cpython",
            version="3.11.7",
            build="(main, Jan  1 2024, 00:00:00) [GCC 12.2.0]",
            abi="cpython-311-x86_64-linux-gnu",
            tag="cp311-cp311-linux_x86_64",
            kind="venv",
            flags={"hash_randomization": 0, "optimize": 1},
        ),
        system=System(
            distribution="debian",
            version="12",
            codename="bookworm",
            kernel="6.1.0",
            libc="glibc",
            libc_version="2.36",
            architecture="x86_64",
            locale="de_DE.UTF-8",
            locale_categories={"LC_NUMERIC": "C"},
            encoding="utf-8",
            timezone="Europe/Zurich",
            umask="022",
            limits={"nofile": "1024", "cgroup processors": "2.00"},
            environment={"OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "0", "RUN_LABEL": 'a "quoted" $HOME \\ value'},
        ),
        hardware=Hardware(
            cpu="Example Processor 9000",
            cores=8,
            affinity="0-7",
            memory=64 << 30,
            instruction_sets=["avx2", "fma"],
            gpus=[Gpu(name="Example Accelerator", memory=80 << 30, compute_capability="9.0", ecc=True)],
            driver="550.54.15",
            cuda_driver="12.4",
            gpu_libraries=[
                GpuLibrary(
                    name="cudnn",
                    version="9.1.0",
                    path="nvidia/cudnn/lib/libcudnn.so.9",
                    told_by="library",
                    loaded=True,
                ),
                GpuLibrary(
                    name="nccl",
                    version="2.21.5",
                    path="nvidia/nccl/lib/libnccl.so.2",
                    told_by="header",
                    loaded=False,
                ),
            ],
        ),
        settings={"OMP_NUM_THREADS": "4", "torch threads": "4"},
        watched=WatchedFiles(
            read={"environment": 1204, "system": 2, "project": 5, "data": 1},
            written=["log.txt", "runs/"],
            undeclared=["/srv/models/m.bin"],
        ),
        seeds=[Seed(file="evaluate.py", line=12, call="numpy.random.seed(0)")],
        numerics=Numerics(
            operations={"numpy exp float64": "0123456789abcdef", "numpy matmul float64": "fedcba9876543210"},
            libraries=[
                NumericLibrary(
                    name="libopenblas-1a2b.so",
                    path="numpy.libs/libopenblas-1a2b.so",
                    version="OpenBLAS 0.3.31",
                    kernel="SkylakeX",
                    threads=4,
                ),
                NumericLibrary(name="libgomp.so.1.0.0", path="/usr/lib/libgomp.so.1.0.0", threads=8),
            ],
            features=["AVX2", "AVX512F"],
            settings={"torch threads": "4"},
        ),
        base=Base(
            reference="registry.example.org/library/python:3.11.7-slim-bookworm",
            digest="sha256:" + "b" * 64,
            media_type="application/vnd.oci.image.index.v1+json",
            manifest_digest="sha256:" + "c" * 64,
        ),
        code=Code(
            archive="a" * 64,
            size=20480,
            files=7,
            repository="https://git.example.org/team/model.git",
            commit="0123456789abcdef0123456789abcdef01234567",
            branch="main",
            directory="training",
            patch="d" * 64,
            untracked=["notes.txt", "new module.py"],
            submodules=[
                Submodule(
                    path="vendor/library",
                    repository="https://git.example.org/team/library.git",
                    recorded="1" * 40,
                    checked_out="2" * 40,
                    changed=True,
                ),
                Submodule(path="vendor/unused", recorded="3" * 40),
            ],
            notebooks=[Notebook(path="analysis.ipynb", outputs=True), Notebook(path="plots.ipynb", outputs=False)],
            left_out=[
                LeftOut(why="ignored", count=7, paths=["a.log", "b.log", "build/", "c.log", "d.log", "e.log", "f.log"]),
                LeftOut(why="secret", count=1, paths=[".env"]),
            ],
        ),
        declaration=Declaration(
            command=["python", "evaluate.py", "--split", "test set"],
            metrics="results/metrics.json",
            artifacts=["results/predictions.csv"],
            data=["data"],
            repeat=2,
            timeout=600.0,
            primary="accuracy",
            environment=["RUN_LABEL"],
            tolerance={"loss": Tolerance(relative=1e-5), "seconds": Tolerance(ignore=True)},
        ),
        runs=[
            Run(
                seconds=seconds,
                peak_memory=123 << 20,
                metrics={"accuracy": 0.91, "loss": 0.25, "seconds": seconds, "count": 10, "ok": True, "by.class": "x"},
                artifacts=[Artifact(path="results/predictions.csv", size=42, sha256="e" * 64)],
            )
            for seconds in (1.5, 1.25)
        ],
        packages=[
            Package(
                name="alpha",
                version="1.0",
                wheel=Wheel(
                    name="alpha-1.0-py3-none-any.whl",
                    sha256="1" * 64,
                    url="https://files.example.org/a/alpha-1.0-py3-none-any.whl",
                    size=1000,
                ),
                index="https://index.example.org/simple/",
                installer="pip",
                requested=True,
                dependencies=("beta-tools",),
                confidence="proven",
            ),
            Package(
                name="beta-tools",
                version="2.1.post1+local",
                wheel=Wheel(
                    name="beta_tools-2.1.post1+local-cp311-cp311-linux_x86_64.whl",
                    sha256="2" * 64,
                    path=".envcap/store/" + "2" * 64 + "/beta_tools-2.1.post1+local-cp311-cp311-linux_x86_64.whl",
                    size=2000,
                ),
                installer="uv",
                origin="repacked",
                confidence="carried",
                edits=Edits(files=3, paths=("beta_tools/__init__.py", "beta_tools/mine.py"), patch="7" * 64),
            ),
        ],
        conflicts=[
            Conflict(package="alpha", requirement="beta-tools>=3", installed="2.1.post1+local"),
            Conflict(package="beta-tools", requirement="gamma"),
        ],
        data=[DataInput(path="data", size=4096, files=3, sha256="f" * 64, dvc="5" * 32 + ".dir")],
        libraries=[
            Library(
                name="libgomp.so.1",
                path="/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0",
                seen="both",
                package="libgomp1",
                version="12.2.0-14",
                architecture="amd64",
                needed_by=["_beta.cpython-311-x86_64-linux-gnu.so"],
            ),
            Library(
                name="libssl.so.3",
                path="/usr/lib/x86_64-linux-gnu/libssl.so.3",
                seen="linked",
                package="libssl3",
                version="3.0.15-1",
                architecture="amd64",
                needed_by=["_ssl.cpython-311-x86_64-linux-gnu.so"],
                interpreter=True,
            ),
            Library(name="libtbb.so.12", seen="absent", needed_by=["libbeta_plugin.so"]),
        ],
        executables=[
            Executable(name="file", path="/usr/bin/file", package="file", version="1:5.44-3", architecture="amd64")
        ],
        floor=Floor(glibc="2.17", glibcxx="3.4.22"),
        os_packages=OsPackages(
            release="debian 12",
            packages=[
                OsPackage(
                    name="libgomp1",
                    version="12.2.0-14",
                    architecture="amd64",
                    file="libgomp1_12.2.0-14_amd64.deb",
                    sha256="3" * 64,
                    size=115772,
                    url="https://archive.example.org/pool/libgomp1_12.2.0-14_amd64.deb",
                    why="libgomp.so.1",
                ),
                OsPackage(
                    name="file",
                    version="1:5.44-3",
                    architecture="amd64",
                    file="file_1%3a5.44-3_amd64.deb",
                    sha256="4" * 64,
                    size=42472,
                    url="https://archive.example.org/pool/file_5.44-3_amd64.deb",
                    why="file",
                ),
            ],
            locales=["de_DE.UTF-8"],
        ),
        gaps=[
            Gap(
                where="code",
                subject=".env",
                reason="files of this name hold secrets and are never taken along",
                consequence="the evaluation will not find it in the image",
            )
        ],
    )


@pytest.fixture(scope="session")
def toolkit() -> Toolkit:
    """Give what a lock says of a CUDA of the system; the sample lock has none."""
    image = Base(
        reference="nvidia/cuda:12.8.1-cudnn-runtime-ubuntu22.04",
        digest="sha256:" + "5" * 64,
        media_type="application/vnd.oci.image.index.v1+json",
        manifest_digest="sha256:" + "6" * 64,
    )
    return Toolkit(release="12.8", image=image, libraries=["libcudart.so.12", "libcudnn.so.9"])


@pytest.fixture(scope="session")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a library that answers as NVML does on a machine with an H100."""
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("nvml.c")
    command = ["cc", "-shared", "-fPIC", "-w", "-o", str(folder / "libnvidia-ml.so.1"), str(source)]
    subprocess.run(command, check=True)
    return folder
