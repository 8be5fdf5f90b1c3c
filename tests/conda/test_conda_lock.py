"""The lock of a conda environment: what is written comes back, what is rendered and exported, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap import lockfile
from envcap.compare.contents import contents_of_facts, contents_of_lock
from envcap.compare.differences import find_differences
from envcap.compare.environment import compare_environment
from envcap.errors import NotRunError, RefusedError
from envcap.export import FORMATS
from envcap.model.facts import Conda, CondaRecord, Distribution, Facts
from envcap.model.image import ContextFile
from envcap.model.lock import Lock
from envcap.pins.base_image import candidate_references, resolve_base
from envcap.render.context import image_environment, render
from envcap.report.text import describe_freeze
from envcap.trust.conda import complaints_about_conda, is_usable_prefix

# conda-lock brings a copy of conda with it, which both warn of their own parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
replace = msgspec.structs.replace
LOCK_SHA256 = "9" * 64
STRANGE = ["", "..", "../x", "a/b", "/etc/passwd", "x\ny", "x y", "x\0", "é", "$(x)", "`x`", "-x", "\ud800"]


def with_package(lock: Lock, **changes: Any) -> Lock:
    return replace(lock, conda=[replace(lock.conda[0], **changes), *lock.conda[1:]])


def with_prefix(lock: Lock, **changes: Any) -> Lock:
    assert lock.conda_prefix is not None
    return replace(lock, conda_prefix=replace(lock.conda_prefix, **changes))


def files_of(lock: Lock, **options: Any) -> dict[str, ContextFile]:
    context = render(lock, lock_sha256=LOCK_SHA256, needs_base=True, **options)
    return {file.path: file for file in context.files}


def test_a_lock_comes_back_as_it_was(conda_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    content = lockfile.dump(conda_lock)
    assert lockfile.parse(content, source="x") == conda_lock
    text = content.decode()
    check_golden("conda-tables.toml", text[text.index("[tool.envcap.conda-prefix]") :])


def test_the_dockerfile_is_what_a_reviewer_has_read(conda_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    check_golden("Dockerfile.conda", (files_of(conda_lock)["Dockerfile"].content or b"").decode())


def test_the_context_holds_every_archive_and_what_installs_them(conda_lock: Lock) -> None:
    files = files_of(conda_lock)
    assert files["conda/shapes-1.2-pyh0_0.tar.bz2"].sha256 == "5" * 64
    assert files["conda-edits.tar"].sha256 == "8" * 64
    assert any(path.startswith("installer/py_rattler-") for path in files)
    plan = json.loads(files["conda.json"].content or b"")
    assert plan["link_scripts"] is False
    assert [entry["sha256"] for entry in plan["packages"]] == ["3" * 64, "5" * 64]
    assert json.loads(files_of(conda_lock, link_scripts=True)["conda.json"].content or b"")["link_scripts"] is True


def test_the_environment_names_the_prefix(conda_lock: Lock) -> None:
    environment = image_environment(conda_lock)
    assert environment["CONDA_PREFIX"] == "/home/user/miniforge3/envs/train"
    assert "VIRTUAL_ENV" not in environment


def test_what_cannot_be_built_is_told(conda_lock: Lock) -> None:
    with pytest.raises(NotRunError, match="empty whenever a container starts"):
        files_of(with_prefix(conda_lock, path="/tmp/env"))
    with pytest.raises(NotRunError, match="names no installer"):
        files_of(with_prefix(conda_lock, installer=None))
    with pytest.raises(RefusedError, match="no folder"):
        files_of(with_prefix(conda_lock, path="/usr/lib"))


# Hostile locks


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("field", ["name", "version", "build", "subdir", "file"])
def test_a_strange_text_is_refused(field: str, text: str, conda_lock: Lock) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(with_package(conda_lock, **{field: text}))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "file:///etc/passwd"},
        {"url": "https://conda.example.org/a b.conda"},
        {"url": "https://conda.example.org/x\nRUN evil"},
        {"url": "https://conda.example.org/x.conda#" + "0" * 64},
        {"url": None},
        {"path": "../../x.conda"},
        {"url": None, "path": "../../x.conda"},
        {"url": None, "path": "/etc/passwd"},
        {"sha256": "x"},
        {"sha256": "A" * 64},
        {"md5": "0"},
        {"noarch": "../x"},
        {"channel": "https://conda.example.org\n@EXPLICIT"},
        {"requested": ["x\ny"]},
        {"depends": ["x\x1b[0m"]},
        {"constrains": ["x\u2028y"]},
        {"name": "shapes"},
        {"file": "shapes-1.2-pyh0_0.tar.bz2"},
        {"file": "x.whl"},
    ],
)
def test_a_hostile_package_is_refused(changes: dict[str, Any], conda_lock: Lock) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(with_package(conda_lock, **changes))


@pytest.mark.parametrize(
    "path",
    [
        *["", "/", "//", "env", "./env", "../env", "/opt/../etc", "/opt/./x", "/opt/x/", "/opt//x", "//opt/x"],
        *[
            "/usr",
            "/usr/local",
            "/usr/local/lib",
            "/usr/local/lib/x",
            "/usr/share/x",
            "/usr/local/../x",
            "/etc/x",
            "/bin",
            "/lib/x",
            "/proc/1",
            "/dev/x",
            "/sys",
            "/run/x",
            "/sbin/x",
        ],
        *["/work", "/tmp", "/opt", "/home", "/root", "/var", "/opt/x\nRUN evil", "/opt/\x1b", "/opt/\ud800"],
    ],
)
def test_a_hostile_prefix_is_refused(path: str, conda_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="no folder that conda packages"):
        lockfile.dump(with_prefix(conda_lock, path=path))


@pytest.mark.parametrize(
    "path",
    ["/opt/conda", "/root/miniconda3/envs/a b", "/home/a/x/.pixi/envs/default", "/data/é", "/usr/local/miniconda3"],
)
def test_a_usual_prefix_is_taken(path: str) -> None:
    assert is_usable_prefix(path)


@given(path=st.text(max_size=30))
def test_a_prefix_that_is_taken_is_below_a_folder_of_its_own(path: str) -> None:
    if is_usable_prefix(path):
        assert path.startswith("/")
        assert not {"", ".", ".."} & {*path[1:].split("/")}
        assert path.split("/")[1] != "usr" or path.startswith("/usr/local/")
        assert path.split("/")[1] not in {"etc", "proc", "bin", "lib", "dev", "sys"}
        assert "\n" not in path


@given(text=st.text(max_size=20), field=st.sampled_from(["name", "version", "build", "subdir", "file"]))
def test_what_is_believed_is_a_plain_word(text: str, field: str, conda_lock: Lock) -> None:
    if not list(complaints_about_conda(with_package(conda_lock, **{field: text}))):
        assert text.isascii()
        assert not {*text} & {*"/\\ \n\t\0\"'$`;"}
        assert text not in {"", ".", ".."}


def test_conda_packages_without_a_prefix_are_refused(conda_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="no folder to install"):
        lockfile.dump(replace(conda_lock, conda_prefix=None))
    for changes in ({"tool": "x"}, {"edits": "x"}, {"virtual_packages": ["x\n"]}):
        with pytest.raises(RefusedError):
            lockfile.dump(with_prefix(conda_lock, **changes))
    assert conda_lock.conda_prefix is not None
    installer = conda_lock.conda_prefix.installer
    assert installer is not None
    for wheel in (
        replace(installer, name="../x.whl"),
        replace(installer, url="file:///x"),
        replace(installer, sha256=""),
    ):
        with pytest.raises(RefusedError):
            lockfile.dump(with_prefix(conda_lock, installer=wheel))


# What is inside an image


def facts(lock: Lock, **changes: Any) -> Facts:
    records = [
        CondaRecord(record="x", name=one.name, version=one.version, build=one.build, sha256=one.sha256)
        for one in lock.conda
    ]
    records[0] = replace(records[0], **changes)
    found = [Distribution(name=one.name, version=one.version, path="x", layout="dist-info") for one in lock.packages]
    owned = Distribution(name="Shapes", version="1.2", path="x", layout="dist-info", conda="shapes")
    return Facts(
        format=1,
        interpreter=lock.python,
        executable="x",
        prefix="x",
        base_prefix="x",
        paths=[],
        distributions=[*found, owned],
        system=lock.system,
        hardware=lock.hardware,
        conda=Conda(tool="unknown", records=records),
    )


def test_conda_records_are_compared(conda_lock: Lock) -> None:
    assert compare_environment(conda_lock, facts(conda_lock)) == []
    (finding,) = compare_environment(conda_lock, facts(conda_lock, build="other"))
    assert (finding.where, finding.subject, finding.fatal) == ("conda", "python", True)
    assert "other" in finding.observed
    missing, extra = compare_environment(conda_lock, facts(conda_lock, name="pythons"))
    assert (missing.subject, missing.observed) == ("python", "missing")
    assert (extra.subject, extra.frozen) == ("pythons", "missing")
    assert compare_environment(conda_lock, facts(conda_lock, sha256="0" * 64))


def test_a_lock_and_its_environment_do_not_differ_in_packages(conda_lock: Lock) -> None:
    lock, live = contents_of_lock(conda_lock), contents_of_facts(facts(conda_lock), settings=None)
    areas = {"packages", "conda", "python"}
    assert not [one for one in find_differences(lock, live) if one.area in areas]
    other = contents_of_facts(facts(conda_lock, version="3.11.8"), settings=None)
    assert [one.subject for one in find_differences(lock, other) if one.area in areas] == ["python"]


def test_the_summary_names_the_prefix(conda_lock: Lock) -> None:
    text = describe_freeze(conda_lock, Path("pylock.train.toml"), LOCK_SHA256)
    assert "2 archives pinned by sha256, for /home/user/miniforge3/envs/train, with edited files" in text


@pytest.mark.parametrize(("version", "image"), [("3.8.18", "3.11"), ("3.9.18", "3.11"), ("3.10.13", "3.10.13")])
def test_the_base_can_run_what_installs_the_archives(version: str, image: str, conda_lock: Lock) -> None:
    """It needs Python 3.10; the environment's own Python comes with conda's packages, whatever the base has."""
    seen = facts(conda_lock)
    seen = replace(seen, interpreter=replace(seen.interpreter, version=version))
    assert candidate_references(seen)[0] == f"python:{image}-slim-bookworm"
    plain = replace(seen, interpreter=replace(seen.interpreter, kind="venv"))
    assert candidate_references(plain)[0] == f"python:{version}-slim-bookworm"


def test_a_free_threaded_python_has_a_folder_of_its_own(conda_lock: Lock) -> None:
    """The conda layer names it to the installer (CEP 17); below other environments no official image has such a one."""
    threaded = replace(conda_lock.python, version="3.13.0", abi="cpython-313t-x86_64-linux-gnu")
    plan = json.loads(files_of(replace(conda_lock, python=threaded))["conda.json"].content or b"")
    assert [entry["site"] for entry in plan["packages"]] == ["lib/python3.13t/site-packages", None]
    plain = json.loads(files_of(conda_lock)["conda.json"].content or b"")
    assert [entry["site"] for entry in plain["packages"]] == [None, None]
    seen = replace(facts(conda_lock), interpreter=replace(threaded, kind="venv"))
    base, (gap,) = resolve_base(seen, explicit=None)
    assert base.digest is None
    assert "free-threaded" in gap.reason
    assert "--base" in gap.consequence


# What is exported


def served(lock: Lock) -> Lock:
    """Give the lock with every archive and wheel in a channel or an index."""
    url = "https://conda.example.org/main/noarch/shapes-1.2-pyh0_0.tar.bz2"
    shapes = replace(lock.conda[1], url=url, path=None, channel="https://conda.example.org/main")
    beta = lock.packages[1]
    wheel = replace(beta.wheel, path=None, url=f"https://files.example.org/b/{beta.wheel.name}")
    return replace(lock, conda=[lock.conda[0], shapes], packages=[lock.packages[0], replace(beta, wheel=wheel)])


def test_an_explicit_list(conda_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    check_golden("conda-explicit.txt", FORMATS["conda-explicit"](conda_lock))


def test_readers_of_explicit_lists_read_it(conda_lock: Lock) -> None:
    """Pixi's library takes each line for the archive that it is; what is beside the lock is named by its path."""
    from rattler import MatchSpec

    carried = [line for line in FORMATS["conda-explicit"](conda_lock).splitlines() if line.startswith("./")]
    shapes = conda_lock.conda[1]
    assert carried == [f"./.envcap/store/{shapes.sha256}/{shapes.file}#sha256:{shapes.sha256}"]
    lock = served(conda_lock)
    text = FORMATS["conda-explicit"](lock)
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "@"))]
    by_url = {package.url: package for package in lock.conda}
    assert {line.partition("#")[0] for line in lines} == {*by_url}
    for line in lines:
        spec = MatchSpec.from_url(line)
        package = by_url[line.partition("#")[0]]
        assert spec.sha256 == bytes.fromhex(package.sha256)
        assert f'"{package.name}"' in str(spec.name)
    assert text.index("/python-3.11.7") < text.index("/shapes-1.2"), "what others depend on comes first"


def test_an_environment_file_for_people(conda_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    check_golden("environment.yml", FORMATS["environment.yml"](conda_lock))


def test_conda_lock_reads_what_it_is_given(conda_lock: Lock, tmp_path: Path) -> None:
    from conda_lock.conda_lock import render_lockfile_for_platform
    from conda_lock.lockfile import parse_conda_lock_file

    lock = served(conda_lock)
    path = tmp_path / "conda-lock.yml"
    path.write_text(FORMATS["conda-lock"](lock))
    content = parse_conda_lock_file(path)
    found = {(one.manager, one.name): one for one in content.package}
    assert sorted(found) == [("conda", "python"), ("conda", "shapes"), ("pip", "alpha"), ("pip", "beta-tools")]
    python = found["conda", "python"]
    assert (python.url, python.hash.sha256, python.hash.md5) == (lock.conda[0].url, "3" * 64, "4" * 32)
    assert python.build == "hab00c5b_1_cpython"
    assert found["conda", "shapes"].dependencies == {"python": ">=3.10"}
    lines = render_lockfile_for_platform(
        lockfile=content, include_dev_dependencies=False, extras=set(), kind="explicit", platform="linux-64"
    )
    assert any(line.startswith(str(lock.conda[0].url)) for line in lines)


def test_pixi_reads_what_it_is_given(conda_lock: Lock, tmp_path: Path) -> None:
    from rattler import LockFile

    path = tmp_path / "pixi.lock"
    path.write_text(FORMATS["pixi.lock"](served(conda_lock)))
    environment = LockFile.from_path(path).default_environment()
    assert environment is not None
    packages = [package for found in environment.packages_by_platform().values() for package in found]
    assert sorted(package.name for package in packages) == ["alpha", "beta-tools", "python", "shapes"]
    alpha = next(package for package in packages if package.name == "alpha")
    assert alpha.hashes is not None
    assert alpha.hashes.sha256 == bytes.fromhex("1" * 64)


@pytest.mark.parametrize("form", ["conda-lock", "pixi.lock"])
def test_what_a_format_cannot_hold_is_told(form: str, conda_lock: Lock) -> None:
    with pytest.raises(NotRunError, match="shapes") as failed:
        FORMATS[form](conda_lock)
    assert "conda-explicit" in failed.value.hint
    with pytest.raises(NotRunError, match="beta-tools") as failed:
        FORMATS[form](replace(served(conda_lock), packages=conda_lock.packages))
    assert "--format requirements" in failed.value.hint


@pytest.mark.parametrize("form", ["conda-lock", "pixi.lock", "conda-explicit", "environment.yml"])
def test_another_environment_has_nothing_for_conda(form: str, sample_lock: Lock) -> None:
    with pytest.raises(NotRunError, match="not of a conda environment"):
        FORMATS[form](sample_lock)


@pytest.mark.parametrize(("form", "module"), [("conda-lock", "conda_lock"), ("pixi.lock", "rattler")])
def test_a_missing_extra_is_named(form: str, module: str, conda_lock: Lock, tmp_path: Path) -> None:
    """In a process of its own, where the library cannot be imported."""
    path = tmp_path / "pylock.envcap.toml"
    lockfile.write(lockfile.dump(replace(served(conda_lock), name="envcap")), path)
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"sys.argv = ['envcap', 'export', '--format', {form!r}]\n"
        "from envcap.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "pip install 'envcap[conda]'" in " ".join(done.stderr.split())
