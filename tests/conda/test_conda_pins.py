"""Records of a real prefix as immutable archives, and what of it was changed, replaced or cannot be had."""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from envcap.errors import NotRunError, RefusedError
from envcap.model.facts import Conda, Distribution, Facts
from envcap.model.lock import CondaPackage, Package
from envcap.model.observed import Observed
from envcap.model.progress import say_nothing
from envcap.pins.conda import CondaPinned, pin_conda, with_edits
from envcap.pins.conda_gaps import activation_gaps, require_usable
from envcap.pins.configuration import Configuration, place
from envcap.pins.download import fetch
from envcap.pins.leftovers import find_leftovers
from envcap.pins.session import open_session
from envcap.pins.strays import stray_gaps
from envcap.probe.handover import probe_host
from envcap.probe.target.conda import describe_conda
from envcap.probe.target.gaps import Gaps
from envcap.render.conda import PROGRAM
from envcap.store import Store

replace = msgspec.structs.replace
CANARY = "tk-canary-0123456789"


class Setting(NamedTuple):
    """An environment from the small channel, and the places that pins need."""

    channel: Any
    prefix: Path
    store: Store
    cache: Store
    configuration: Configuration

    @property
    def site(self) -> Path:
        return next(self.prefix.glob("lib/python3*/site-packages"))

    def change(self, name: str, **changes: Any) -> None:
        """Change the record of a package as another tool, or another history, would have left it."""
        (path,) = (self.prefix / "conda-meta").glob(f"{name}-*.json")
        record = {**json.loads(path.read_bytes()), **changes}
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))

    def pin(self) -> CondaPinned:
        document, owners = describe_conda(str(self.prefix), Gaps())
        found = [
            Distribution(name=name, version="1", path=str(self.prefix / path), layout="dist-info", conda=name)
            for path, name in owners.items()
            if (self.prefix / path).is_dir()
        ]
        found += [
            Distribution(name=path.name.split("-")[0], version="2", path=str(path), layout="dist-info")
            for path in self.site.glob("*.dist-info")
            if str(path) not in {one.path for one in found}
        ]
        facts = probe_host(Path(sys.executable))
        facts = replace(
            facts,
            interpreter=replace(facts.interpreter, kind="conda"),
            prefix=str(self.prefix),
            distributions=found,
            conda=msgspec.convert(document, Conda),
        )
        return pin_conda(facts, configuration=self.configuration, store=self.store, cache=self.cache, tell=say_nothing)

    def kept(self, pinned: CondaPinned, *unowned: str) -> list[str]:
        """List what is in the archive of changed files."""
        prefix = with_edits(pinned, unowned, store=self.store)
        if prefix is None or prefix.edits is None:
            return []
        with tarfile.open(self.store.path(prefix.edits, "conda-edits.tar")) as archive:
            return archive.getnames()


@pytest.fixture
def setting(small_channel: Any, tmp_path: Path) -> Setting:
    prefix = tmp_path / "env"
    small_channel.install(prefix, cache=tmp_path / "packages")
    index = tmp_path / "index" / "py-rattler"
    index.mkdir(parents=True)
    (index / "py_rattler-0.28.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").write_bytes(b"wheel")
    (index / "py_rattler-0.28.0-cp310-abi3-musllinux_1_2_x86_64.whl").write_bytes(b"other")
    configuration = Configuration(indexes=[place((tmp_path / "index").as_uri())])
    return Setting(small_channel, prefix, Store(tmp_path / "store"), Store(tmp_path / "cache" / "files"), configuration)


def by_name(pinned: CondaPinned) -> dict[str, CondaPackage]:
    return {package.name: package for package in pinned.packages}


def reasons(pinned: CondaPinned) -> dict[str, str]:
    return {gap.subject: gap.reason for gap in pinned.gaps}


def test_every_record_becomes_an_archive(setting: Setting) -> None:
    pinned = setting.pin()
    assert list(by_name(pinned)) == ["places", "python", "shapes", "six"]
    shapes = by_name(pinned)["shapes"]
    archive = setting.channel.archives["shapes"]
    assert (shapes.sha256, shapes.md5, shapes.size) == (archive.sha256, archive.md5, archive.path.stat().st_size)
    assert shapes.url == f"{setting.channel.address}/noarch/{archive.path.name}"
    assert (shapes.channel, shapes.noarch) == (setting.channel.address, "python")
    assert (shapes.depends, shapes.constrains) == (["python >=3.10", "places"], ["numpy >=9"])
    assert {gap.subject for gap in pinned.gaps} <= {str(setting.prefix)}, "only that it is below /tmp"
    assert {one.conda for one in pinned.facts.distributions} == {"shapes", "six"}
    assert setting.kept(pinned) == []
    assert pinned.prefix is not None
    assert pinned.prefix.installer is not None
    assert pinned.prefix.installer.sha256 == hashlib.sha256(b"wheel").hexdigest()
    assert {text.split("=")[0] for text in pinned.prefix.virtual_packages} >= {"__unix", "__linux", "__glibc"}


def test_edited_files_are_found_and_carried(setting: Setting) -> None:
    (setting.prefix / "share/places/where.txt").write_text("elsewhere\n")
    (setting.site / "shapes.py").write_text("def area(side):\n    return 0.2\n")
    (setting.prefix / "lib/places.bin").unlink()
    pinned = setting.pin()
    told = {(gap.subject, gap.reason.split(":")[0].split(",")[0], gap.reason.rpartition(" ")[2]) for gap in pinned.gaps}
    module = (setting.site / "shapes.py").relative_to(setting.prefix).as_posix()
    assert told >= {
        ("places", "edited after the installation", "`share/places/where.txt`"),
        ("places", "missing", "`lib/places.bin`"),
        ("shapes", "edited after the installation", f"`{module}`"),
    }
    assert setting.kept(pinned) == [module, "share/places/where.txt"]
    assert with_edits(setting.pin(), [], store=setting.store) == with_edits(pinned, [], store=setting.store)


def test_what_pip_put_over_condas_is_pips(setting: Setting) -> None:
    """Another version takes conda's metadata away; the same version again leaves other contents in its place."""
    old = setting.site / "six-1.15.0.dist-info"
    new = setting.site / "six-1.16.0.dist-info"
    old.rename(new)
    (setting.site / "six.py").write_text("__version__ = '1.16.0'\n")
    (new / "RECORD").write_text("six.py,,\nsix-1.16.0.dist-info/METADATA,,\nsix-1.16.0.dist-info/RECORD,,\n")
    info = setting.site / "shapes-1.2.dist-info"
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text("shapes.py,,\nshapes-1.2.dist-info/INSTALLER,,\nshapes-1.2.dist-info/RECORD,,\n")
    (setting.site / "shapes.py").write_text("def area(side):\n    return side\n")
    pinned = setting.pin()
    assert {one.conda for one in pinned.facts.distributions} == {None}
    assert {gap.subject for gap in pinned.gaps} <= {str(setting.prefix)}
    assert setting.kept(pinned) == []


def test_a_token_never_reaches_the_lock(setting: Setting, serve: Callable[[Path], str], tmp_path: Path) -> None:
    """A channel behind a token: its archive is kept beside the lock, from the cache or by fetching it once more."""
    (tmp_path / "private" / "t").mkdir(parents=True)
    (tmp_path / "private" / "t" / CANARY).symlink_to(setting.channel.folder)
    address = f"{serve(tmp_path / 'private')}/t/{CANARY}"
    for name, kept in (("shapes", None), ("places", str(setting.channel.folder / "linux-64" / "places"))):
        archive = setting.channel.archives[name]
        setting.change(
            name,
            url=f"{address}/{archive.description['subdir']}/{archive.path.name}",
            channel=address,
            requested_specs=[f"{address}::{name}"],
            extracted_package_dir=kept,
            link=None,
        )
    pinned = setting.pin()
    for name in ("shapes", "places"):
        package = by_name(pinned)[name]
        assert package.url is None
        assert package.path == f".envcap/store/{package.sha256}/{package.file}"
        assert setting.store.find(package.sha256, package.file) is not None
        assert package.requested == [f"{address.partition('/t/')[0]}::{name}"] or CANARY not in repr(package)
    assert CANARY not in repr(pinned.packages) + repr(pinned.gaps) + repr(pinned.prefix)


def test_a_record_with_only_an_md5(setting: Setting) -> None:
    setting.change("places", sha256=None)
    pinned = setting.pin()
    archive = setting.channel.archives["places"]
    assert by_name(pinned)["places"].sha256 == archive.sha256
    assert by_name(pinned)["places"].url is not None
    assert "only an md5" in reasons(pinned)["places==3.0"]
    setting.change("places", md5="0" * 32)
    pinned = setting.pin()
    assert "places" not in by_name(pinned)
    assert "another archive" in reasons(pinned)["places==3.0"]
    setting.change("places", md5=None)
    assert "neither a sha256 nor an md5" in reasons(setting.pin())["places==3.0"]


def test_a_package_that_was_built_here(setting: Setting) -> None:
    archive = setting.channel.archives["shapes"]
    setting.change("shapes", url=archive.path.as_uri(), channel=setting.channel.folder.as_uri())
    package = by_name(setting.pin())["shapes"]
    assert (package.url, package.channel, package.sha256) == (None, "local", archive.sha256)
    setting.change("shapes", url=None, extracted_package_dir=str(archive.path).removesuffix(".conda"))
    assert by_name(setting.pin())["shapes"].path == package.path
    setting.change("shapes", extracted_package_dir=None, link=None)
    pinned = setting.pin()
    assert "shapes" not in by_name(pinned)
    assert "built on this machine" in reasons(pinned)["shapes==1.2"]
    assert {one.conda for one in pinned.facts.distributions} == {"six", None}


def test_scripts_and_variables_are_gaps(setting: Setting) -> None:
    setting.change("places", files=["bin/.places-post-link.sh"])
    setting.change("python", files=["etc/conda/activate.d/python.sh"])
    (setting.prefix / "conda-meta" / "state").write_text('{"env_vars": {"KNOWN": "1", "OTHER": "2"}}')
    pinned = setting.pin()
    assert "installing it runs" in reasons(pinned)["places==3.0"]
    assert any("activate.d" in gap.reason for gap in pinned.gaps)
    assert [gap.subject for gap in activation_gaps(pinned.facts, recorded=["KNOWN"])] == ["OTHER"]


def laid(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("made by hand\n")


def test_files_that_no_package_owns(setting: Setting, tmp_path: Path) -> None:
    """What the runs read is carried; conda's own files and other environments are no matter of this one."""
    used = ["share/corpus/words.txt", "etc/credentials.json", "etc/written.txt"]
    others = ["share/unused.txt", "etc/conda/activate.d/mine.sh", "etc/conda/deactivate.d/mine.sh"]
    laid(setting.prefix, *used, *others, "envs/other/conda-meta/history", "pkgs/x", "x/pyvenv.cfg", "x/y")
    pinned = setting.pin()
    read = [str(setting.prefix / path) for path in [*used, "share/places/where.txt"]]
    observed = Observed(read=read, written=[str(setting.prefix / "etc/written.txt")])
    left = find_leftovers(pinned.facts, observed, project=tmp_path / "project")
    assert left.carried == ["share/corpus/words.txt"]
    assert setting.kept(pinned, *left.carried) == ["share/corpus/words.txt"]
    script, rest = left.gaps
    assert (script.subject, script.reason.partition(" runs it")[1]) == ("etc/conda/activate.d/mine.sh", " runs it")
    assert "3 files (`etc/credentials.json`, `share/corpus/words.txt`, `share/unused.txt`)" in rest.reason
    assert "1 file (`share/corpus/words.txt`), and not the others" in rest.consequence
    venv = replace(pinned.facts, interpreter=replace(pinned.facts.interpreter, kind="venv"))
    (gap,) = find_leftovers(venv, observed, project=tmp_path / "project").gaps
    assert gap.where == "packages"
    assert "used 2 files (`etc/credentials.json`, `share/corpus/words.txt`)" in gap.reason
    assert find_leftovers(venv, Observed(), project=tmp_path).gaps == []
    inside = find_leftovers(pinned.facts, Observed(), project=setting.prefix / "share")
    assert not [path for path in inside.found if path.startswith("share/")], "a project in it is no part of it"


def test_modules_of_conda_are_nobodys_strays(setting: Setting) -> None:
    """Many of its packages have modules and no metadata for Python."""
    laid(setting.site, "bindings.py", "mine.py")
    record = next((setting.prefix / "conda-meta").glob("places-*.json"))
    files = [*json.loads(record.read_bytes())["files"], f"{setting.site.relative_to(setting.prefix)}/bindings.py"]
    setting.change("places", files=files)
    facts = replace(setting.pin().facts, paths=[str(setting.site)])
    (gap,) = stray_gaps(facts, claimed=set(), carried_roots=set())
    assert "`mine.py`" in gap.reason
    assert "bindings" not in gap.reason


def test_what_no_image_can_have_is_told_before_the_evaluation(setting: Setting) -> None:
    (record,) = (setting.prefix / "conda-meta").glob("shapes-*.json")
    twice = record.with_name("shapes-1.1-pyh0_0.json")
    twice.write_bytes(record.read_bytes())
    with pytest.raises(NotRunError, match=r"two records of the package `shapes`.*`shapes-1.1.*shapes-1.2"):
        setting.pin()
    twice.unlink()
    with pytest.raises(NotRunError, match="files of its own") as failed:
        require_usable("/usr/lib/conda", [])
    assert "--clone /usr/lib/conda" in failed.value.hint


def test_a_channel_that_does_not_answer_is_an_error(setting: Setting) -> None:
    """As an index is. One that answers and has not the archive any more is a Gap."""
    gone = "http://127.0.0.1:9/t/tk-0123456789/noarch/shapes-1.2-pyh0_0.conda"
    setting.change("shapes", url=gone, extracted_package_dir=None, package_tarball_full_path=None, link=None)
    with pytest.raises(NotRunError, match="`shapes` cannot be had") as failed:
        setting.pin()
    assert "tk-0123456789" not in failed.value.message
    missing = f"{setting.channel.address}/t/tk-0123456789/noarch/shapes-1.2-pyh0_0.conda"
    setting.change("shapes", url=missing)
    assert "cannot be had" in reasons(setting.pin())["shapes==1.2"]


def test_no_installer_to_be_had_is_a_gap(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    configuration = Configuration(indexes=[place((tmp_path / "empty").as_uri())])
    pinned = setting._replace(configuration=configuration).pin()
    assert pinned.prefix is not None
    assert pinned.prefix.installer is None
    assert "no index offers" in reasons(pinned)["py-rattler"]


def test_other_environments_have_no_conda_layer(setting: Setting) -> None:
    facts: Facts = probe_host(Path(sys.executable))
    pinned = pin_conda(
        facts, configuration=setting.configuration, store=setting.store, cache=setting.cache, tell=say_nothing
    )
    assert (pinned.packages, pinned.prefix, pinned.gaps) == ([], None, [])


# Tampered archives


def test_a_tampered_archive_is_refused_when_it_is_fetched(setting: Setting, tmp_path: Path) -> None:
    package = by_name(setting.pin())["shapes"]
    path = setting.channel.archives["shapes"].path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    wanted = [Package(name=package.name, version=package.version, wheel=package.archive)]
    with (
        open_session(setting.configuration) as session,
        pytest.raises(RefusedError, match="not the file that was frozen"),
    ):
        fetch(wanted, cache=setting.cache, lock_folder=tmp_path, session=session, tell=say_nothing)


def prepared(setting: Setting, folder: Path, *more: str, replaced: tuple[str, ...] = (), site: str = "") -> Path:
    """Give a folder as the image's first stage has it: the program, its plan, and the archives."""
    (folder / "conda").mkdir(parents=True)
    packages = []
    for name in ("python", "shapes", "places", *more):
        archive = setting.channel.archives[name]
        (folder / "conda" / archive.path.name).write_bytes(archive.path.read_bytes())
        packages.append(
            {
                **dict.fromkeys(("noarch", "size")),
                "site": site if site and name == "python" else None,
                "requested": [],
                "constrains": [],
                **archive.description,
                "channel": setting.channel.address,
                "file": archive.path.name,
                "url": f"https://conda.example.org/{archive.path.name}",
                "sha256": archive.sha256,
                "md5": archive.md5,
            }
        )
    program = Path(sys.modules[Package.__module__].__file__ or "").parents[1] / "render" / PROGRAM
    (folder / PROGRAM).write_bytes(program.read_bytes())
    plan = {"prefix": str(folder / "env"), "root": str(folder / "out"), "link_scripts": False}
    plan |= {"packages": packages, "replaced": list(replaced)}
    (folder / "conda.json").write_text(json.dumps(plan))
    return folder


def installing(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, folder / PROGRAM], capture_output=True, text=True, check=False)


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Give what a layer would hold of each path: mode, time, contents."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def test_a_tampered_archive_is_refused_before_it_is_installed(setting: Setting, tmp_path: Path) -> None:
    folder = prepared(setting, tmp_path / "stage")
    path = folder / "conda" / setting.channel.archives["shapes"].path.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = installing(folder)
    assert done.returncode != 0
    assert "was frozen" in done.stderr
    assert not (folder / "env").exists()


def test_what_pip_replaces_leaves_nothing_behind(setting: Setting, tmp_path: Path) -> None:
    """Also of packages that distutils or setuptools installed, which have no RECORD. Byte code goes with its module."""
    file = setting.channel.file
    series = "lib/python3.13t/site-packages"
    old = {f"{series}/{path}": file(b"") for path in ("old.py", "__pycache__/old.cpython-313.pyc", "olden.py")}
    old |= {f"{series}/old-1-py3.13.egg-info/PKG-INFO": file(b"")}
    old |= {f"{series}/old-1-py3.13.egg-info/top_level.txt": file(b"old\nolds\n"), f"{series}/olds/x.py": file(b"")}
    setting.channel.add("old", "1", old)
    lone = {f"{series}/lone.py": file(b""), f"{series}/lone-1-py3.13.egg-info": file(b"Name: lone\n")}
    setting.channel.add("lone", "1", lone)
    folder = prepared(setting, tmp_path / "stage", "old", "lone", replaced=("old", "lone", "shapes"), site=series)
    done = installing(folder)
    assert done.returncode == 0, done.stderr
    site = folder.joinpath("out", *(folder / "env").parts[1:], series)
    assert sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()) == [
        "lone.py",
        "olden.py",
    ]


def test_noarch_packages_go_where_the_interpreter_looks(setting: Setting, tmp_path: Path) -> None:
    """CEP 17: a Python without a global lock names its folder, which cannot be told from its version."""
    site = "lib/python3.13t/site-packages"
    folder = prepared(setting, tmp_path / "stage", site=site)
    assert installing(folder).returncode == 0
    assert folder.joinpath("out", *(folder / "env").parts[1:], site, "shapes.py").is_file()


def test_the_same_archives_give_the_same_files(setting: Setting, tmp_path: Path) -> None:
    folder = prepared(setting, tmp_path / "stage")
    made = folder.joinpath("out", *(folder / "env").parts[1:])
    trees = []
    for _ in range(2):
        done = installing(folder)
        assert done.returncode == 0, done.stderr
        trees.append(snapshot(folder / "out"))
        shutil.rmtree(folder / "out")
        shutil.rmtree(folder / "cache")
    assert trees[0] == trees[1]
    record = json.loads(trees[0][str(made / "conda-meta/shapes-1.2-pyh0_0.json")][2] or b"")  # type: ignore[arg-type]
    assert record["url"] == "https://conda.example.org/shapes-1.2-pyh0_0.conda"
    assert record["depends"] == ["python >=3.10", "places"]
    assert not {"extracted_package_dir", "link"} & {*record}
    modes = [mode for path, (mode, *_) in trees[0].items() if path.startswith(f"{made}/") and isinstance(mode, int)]
    assert modes
    assert all(mode & 0o444 == 0o444 for mode in modes)
