"""The matrix: environments of every origin, frozen, rebuilt, and looked into again with the same eyes."""

import hashlib
import http.server
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.engines import open_engine
from envcap.model.image import Image, Task
from envcap.model.progress import say_nothing
from tests.integration.builds import UP
from tests.integration.origins import LAYERED, MANY, Case, by_uv_alone, case, first_venv
from tests.integration.workshop import EXAMINE, UV, Workshop, examine_host, examined
from tests.pythons import Python, own, pythons

ENGINE = [pytest.mark.engine]
pytestmark = pytest.mark.network


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Serve what a case puts into the folder `served`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "shop" / "served"))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def make_tool(folder: Path, *requirements: str) -> Path:
    """Give an environment of its own for an installer."""
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *requirements], check=True)
    return folder


def make_shop(
    small: Any, folder: Path, python: Path, *options: str, url: str = "", tools: Sequence[Path] = ()
) -> Workshop:
    """Make an environment with the interpreter's own `venv`, active in the project."""
    environment = folder / "environment"
    subprocess.run([python, "-m", "venv", *options, environment], check=True)
    small.environ["VIRTUAL_ENV"] = str(environment)
    return Workshop(folder / "shop", environment, url=url, environ=small.environ, tools=tools)


def freeze(small: Any, shop: Workshop, cases: Iterable[Case], *, python: str = "python") -> dict[str, Any]:
    """Make the cases, freeze the environment with an evaluation that imports what they brought; give the lock."""
    imports: list[str] = []
    for one in cases:
        one.make(shop)
        imports += one.imports
    small.environ.update(shop.environ)
    lines = [f"import {name}\n" for name in imports]
    (small.project / "evaluate.py").write_text(
        "".join(["import json\n", *lines, f"print(json.dumps({{'imported': {len(imports)}}}))\n"])
    )
    (small.project / "envcap.toml").write_text(
        f'[evaluation]\ncommand = ["{python}", "evaluate.py"]\nmetrics = "stdout-json"\nrepeat = 1\n'
    )
    lock: dict[str, Any] = small.ok("freeze", "--json").document["frozen"]
    return lock


def rebuild(small: Any, engine: str) -> dict[str, Any]:
    """Build, verify, and examine what was built."""
    built = small.ok("build", "--engine", engine, "--json").document
    verified = small.ok("verify", "--engine", engine, "--json").document
    assert verified["verdict"] == "IDENTICAL"
    # Debian's own Python brings as many system packages as its host, which may not have its latest updates.
    assert [item for item in verified["findings"] if item["where"] != "os-packages"] == []
    with closing(open_engine(engine, small.project, tell=say_nothing)) as opened, tempfile.TemporaryDirectory() as name:
        image = msgspec.convert(built["image"], Image)
        task = Task(command=["python", "-B", "examine.py"], files={"examine.py": EXAMINE.encode()}, timeout=60)
        outcome = opened.run(image, task, results=Path(name), tell=say_nothing)
    assert outcome.code == 0, outcome.tail
    return examined(outcome.stdout)


def differences(live: Mapping[str, Any], image: Mapping[str, Any], gaps: list[dict[str, str]]) -> Iterator[str]:
    """List what differs and what no gap explains."""
    lost = {gap["subject"].partition("==")[0].lower().replace("_", "-").replace(".", "-") for gap in gaps}
    for name in sorted({*live, *image}):
        if name not in image:
            if name not in lost:
                yield f"{name} is not in the image, and no gap says so"
        elif name not in live:
            yield f"{name} is in the image alone"
        elif live[name]["version"] != image[name]["version"]:
            yield f"{name} is {live[name]['version']} here and {image[name]['version']} in the image"
        elif live[name]["record"]:
            here = {path: content for path, content in live[name]["files"].items() if content != "gone"}
            for path in sorted({*here, *image[name]["files"]}):
                if here.get(path) != image[name]["files"].get(path):
                    yield f"{name}: {path} differs"
        else:
            for path, content in image[name]["files"].items():
                is_installers = ".dist-info/" in path or path.startswith("bin/")
                if not is_installers and digest(Path(live[name]["folder"]), path) != content:
                    yield f"{name}: {path} differs from the one here"


def digest(folder: Path, path: str) -> str:
    """Give the sha256 of a file in a folder or a zipped egg."""
    if folder.is_file():
        return hashlib.sha256(zipfile.ZipFile(folder).read(path)).hexdigest()
    return hashlib.sha256((folder / path).read_bytes()).hexdigest() if (folder / path).is_file() else "gone"


def unexpected(lock: Mapping[str, Any], cases: Iterable[Case], shop: Workshop) -> Iterator[str]:
    """List gaps that no case expects, gaps that are missing, and packages that are not as a case says."""
    gaps = [gap for gap in lock["gaps"] if gap["where"] == "packages"]
    packages = {package["name"]: package for package in lock["packages"]}
    explained = set()
    for one in cases:
        for subject, word in one.gaps:
            place = subject.format(site=shop.site, folder=shop.folder)
            found = [number for number, gap in enumerate(gaps) if gap["subject"] == place and word in gap["reason"]]
            explained.update(found)
            if not found:
                yield f"{one.name}: no gap of {place} says {word!r}"
        for name, version in one.packages.items():
            here = packages.get(name)
            if here is None or here["version"] != version:
                yield f"{one.name}: {name} {version} is not in the lock"
            elif (here["confidence"] == "carried") != (name in one.carried):
                yield f"{one.name}: {name} is {here['confidence']}"
    inside = str(shop.folder.parent)
    foreign = {name for name, one in examine_host(shop).items() if not one["folder"].startswith(inside)}
    for number, gap in enumerate(gaps):
        # The interpreter below belongs to this machine: what lies about in there is not the test's.
        if gap["subject"].partition("==")[0] in foreign:
            continue
        if number not in explained and not (
            gap["subject"].startswith("/") and str(shop.folder.parent) not in gap["subject"]
        ):
            yield f"nobody expects {gap['subject']}: {gap['reason']}"


def check(small: Any, shop: Workshop, cases: tuple[Case, ...], *, engine: str) -> dict[str, Any]:
    """Freeze, rebuild, examine both sides, and give the lock when all that differs was announced."""
    lock = freeze(small, shop, cases)
    surprises = [*unexpected(lock, cases, shop), *differences(examine_host(shop), rebuild(small, engine), lock["gaps"])]
    assert surprises == []
    return lock


@pytest.mark.parametrize("engine", [pytest.param("docker", marks=ENGINE), "venv"])
def test_many_origins_in_one_environment(small: Any, tmp_path: Path, url: str, engine: str) -> None:
    # pdm is held where its own parts fit together; they do not say so themselves.
    pdm = make_tool(tmp_path / "pdm", "pdm==2.22.3", "hishel==0.1.1", "httpx==0.28.1", "httpcore==1.0.7")
    tools = [make_tool(tmp_path / "poetry", "poetry"), pdm]
    check(small, make_shop(small, tmp_path, Path(sys.executable), url=url, tools=tools), MANY, engine=engine)


def base_for(python: Python) -> None:
    """See to it that the engine has the image that an environment of this interpreter will stand on."""
    subprocess.run([UP, f"python:{python.version}-slim-bookworm"], check=True, timeout=300)


LAYERED_ON = [python for python in pythons() if python.minor == (3, 9)] or pythons()[-1:]


@pytest.mark.engine
@pytest.mark.parametrize("python", LAYERED_ON, ids=lambda python: python.version)
def test_users_and_the_systems_packages(small: Any, tmp_path: Path, python: Python) -> None:
    base_for(python)
    shop = make_shop(small, tmp_path, python.path, "--system-site-packages", "--without-pip")
    lock = check(small, shop, LAYERED, engine="docker")
    assert {"pip", "setuptools"} <= {package["name"] for package in lock["packages"]}


# The tests above have an interpreter each, which is not tried once more where there are others.
OTHERS = [python for python in pythons() if python not in [*LAYERED_ON, own()]] or [own()]


@pytest.mark.parametrize("python", sorted({pythons()[0], pythons()[-1]}), ids=lambda python: python.version)
def test_without_pip_and_without_containers(small: Any, tmp_path: Path, python: Python) -> None:
    shop = make_shop(small, tmp_path, python.path, "--without-pip")
    one = case("no pip", by_uv_alone, imports="iniconfig markupsafe")
    lock = check(small, shop, (one,), engine="venv")
    assert {"iniconfig", "markupsafe"} <= {package["name"] for package in lock["packages"]}
    assert {package["confidence"] for package in lock["packages"]} == {"proven"}


@pytest.mark.engine
@pytest.mark.parametrize("python", OTHERS, ids=lambda python: python.version)
def test_every_interpreter(small: Any, tmp_path: Path, python: Python) -> None:
    base_for(python)
    one = case("its own pip", first_venv, imports="iniconfig markupsafe")
    check(small, make_shop(small, tmp_path, python.path), (one,), engine="docker")


@pytest.fixture
def debian_base(tmp_path: Path) -> Iterator[str]:
    """Give an image of Debian with Debian's own Python, which has no official image, in the tests' registry.

    Where the official images come from a public registry there is none of ours: then give nothing.
    """
    system = ["docker", "image", "inspect", "envcap-engine/debian:bookworm"]
    if subprocess.run(system, capture_output=True, check=False).returncode:
        yield ""
        return
    name = "127.0.0.1:5000/envcap-tests/debian-python:bookworm"
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "Dockerfile").write_text(
        "FROM envcap-engine/debian:bookworm\n"
        "RUN apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends python3\n"
    )
    for words in (["build", "--quiet", "--tag", name, tmp_path / "base"], ["push", "--quiet", name]):
        subprocess.run(["docker", *words], check=True, timeout=300)
    yield name
    subprocess.run(["docker", "image", "rm", name], check=True)


@pytest.mark.engine
def test_debians_own_packages(small: Any, debian_base: str) -> None:
    """Pinned to the index's wheel where the files prove it, else carried by dpkg's lists, else a gap."""
    if not Path("/usr/lib/python3/dist-packages").is_dir():
        pytest.skip("this machine has no Python of Debian's")
    if debian_base:
        small.environ["ENVCAP_BASE"] = debian_base
    del small.environ["VIRTUAL_ENV"]
    shop = Workshop(small.project.parent / "shop", Path("/usr"), url="", environ=small.environ)
    small.environ["ENVCAP_PYTHON"] = "/usr/bin/python3"
    lock = freeze(small, shop, (), python="python3")
    packages = {package["name"]: package for package in lock["packages"]}
    live = examine_host(shop)
    image = rebuild(small, "docker" if debian_base else "venv")
    assert list(differences(live, image, lock["gaps"])) == []
    carried = {name for name, package in packages.items() if package["confidence"] == "carried"}
    said = {gap["subject"].partition("==")[0].lower().replace(".", "-") for gap in lock["gaps"]}
    assert carried <= said
