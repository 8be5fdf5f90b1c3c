"""`envcap upgrade` as a user starts it: a real lock, a real resolution, and the verdict on the new packages."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from envcap import lockfile
from envcap.model.lock import Lock

if TYPE_CHECKING:
    from tests.integration.conftest import Envcap, Result, Shelf


class Case(NamedTuple):
    """A frozen project whose environment came from an index, and that index."""

    envcap: Envcap
    shelf: Shelf

    def __call__(self, *words: str) -> Result:
        return self.envcap("upgrade", *words)

    def lock(self, name: str) -> Lock:
        return lockfile.read(self.envcap.project / f"pylock.{name}.toml")[0]

    def versions(self, name: str) -> dict[str, str]:
        return {package.name: package.version for package in self.lock(name).packages}


@pytest.fixture
def case(tmp_path: Path, small: Envcap, shelf: Shelf) -> Case:
    """Freeze a project that uses `alpha`, which needs `beta` and, until version 2, `gamma`."""
    shelf.put("alpha", "1.0", "beta", "gamma")
    shelf.put("beta", "1.0")
    shelf.put("gamma", "1.0")
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    small.environ |= {**shelf.pip, "VIRTUAL_ENV": str(environment), "PIP_CACHE_DIR": str(tmp_path / "pip")}
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        small.environ.pop(name, None)
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "alpha"]
    subprocess.run(command, env=small.environ, check=True)
    (small.project / "evaluate.py").write_text(
        "import json, pathlib, alpha, beta\n"
        "pathlib.Path('metrics.json').write_text(json.dumps({'score': float(alpha.VERSION)}))\n"
        "pathlib.Path('table.csv').write_text(beta.VERSION)\n"
    )
    small.ok("freeze")
    return Case(small, shelf)


def test_what_is_asked_for_moves_and_the_rest_stays(case: Case) -> None:
    digest = case.shelf.put("alpha", "1.5", "beta", "gamma")
    case.shelf.put("beta", "1.1")
    result = case("--json")
    assert result.code == 0, result.err
    assert result.document["moved"] == [{"package": "alpha", "before": "1.0", "after": "1.5"}]
    assert "resolving for Python" in result.err
    old, new = case.lock("envcap"), case.lock("envcap-upgraded")
    assert case.versions("envcap-upgraded") == {"alpha": "1.5", "beta": "1.0", "gamma": "1.0"}
    alpha = next(package for package in new.packages if package.name == "alpha")
    assert (alpha.wheel.sha256, alpha.confidence, alpha.requested) == (digest, "tags", True)
    assert alpha.index == case.shelf.simple
    assert alpha.dependencies == ("beta", "gamma")
    assert new.packages[1:] == old.packages[1:]
    for field in ("python", "system", "hardware", "base", "code", "declaration", "runs", "data"):
        assert getattr(new, field) == getattr(old, field), field
    assert new.derivation is not None
    content = (case.envcap.project / "pylock.envcap.toml").read_bytes()
    assert (new.derivation.name, new.derivation.sha256) == ("envcap", hashlib.sha256(content).hexdigest())


def test_what_is_forced_moves_what_is_new_comes_and_what_is_unneeded_goes(case: Case) -> None:
    case.shelf.put("alpha", "2.0", "beta>=1.1", "delta; sys_platform == 'linux'", "absent; sys_platform == 'win32'")
    case.shelf.put("beta", "1.1")
    case.shelf.put("delta", "3.0")
    result = case("alpha", "--to", "two")
    assert result.code == 0, result.err
    assert "Nothing" not in result.out, result.err
    assert case.versions("two") == {"alpha": "2.0", "beta": "1.1", "delta": "3.0"}
    shown = case.envcap.ok("show", "--name", "two").out
    for line in ("alpha 1.0 -> 2.0", "beta 1.0 -> 1.1", "delta 3.0 is new", "gamma 1.0 is no longer needed"):
        assert line in shown


def test_only_what_is_named_moves_and_not_beyond_what_was_said(case: Case) -> None:
    for version in ("1.1", "2.0", "3.0"):
        case.shelf.put("beta", version)
        case.shelf.put("alpha", version, "beta", "gamma")
    assert case("beta<3").code == 0
    assert case.versions("envcap-upgraded") == {"alpha": "1.0", "beta": "2.0", "gamma": "1.0"}
    assert case("alpha==1.1", "--to", "exact").code == 0
    assert case.versions("exact")["alpha"] == "1.1"


def test_the_python_of_the_lock_decides(case: Case) -> None:
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    case.shelf.put("alpha", "1.6", "beta", tag="cp36-cp36m-manylinux1_x86_64")
    case.shelf.put("alpha", "1.5", "beta", tag=f"{own}-{own}-manylinux2014_x86_64")
    case.shelf.put("alpha", "1.7", "beta", python=">=3.99")
    case.shelf.put("alpha", "1.8", "beta", tag=f"{own}-{own}-win_amd64")
    assert case().code == 0
    assert case.versions("envcap-upgraded")["alpha"] == "1.5"


def test_the_verdict_is_about_the_new_packages_against_the_old_runs(case: Case) -> None:
    case.shelf.put("alpha", "1.5", "beta", "gamma")
    assert case().code == 0
    case.envcap.ok("build", "--engine", "venv", "--name", "envcap-upgraded")
    result = case.envcap("verify", "--engine", "venv", "--name", "envcap-upgraded", "--json")
    assert result.code == 1, result.err
    assert result.document["verdict"] == "DIFFERENT"
    assert "upgraded: alpha 1.0 -> 1.5" in result.document["reasons"][-1]
    assert result.document["findings"] == []


def test_with_nothing_newer_nothing_is_written(case: Case) -> None:
    before = {path: path.read_bytes() for path in case.envcap.project.rglob("*") if path.is_file()}
    result = case()
    assert (result.code, result.out[:18]) == (0, "Nothing to upgrade")
    document = case("--json").document
    assert (document["lock"], document["moved"]) == (None, [])
    assert {path: path.read_bytes() for path in case.envcap.project.rglob("*") if path.is_file()} == before


IMPOSSIBLE = [
    (["nothing-such"], 2, "`nothing-such` is not in the lock"),
    (["alpha @ https://files.example.org/a.whl"], 2, "no address"),
    (["!!"], 2, "`!!` cannot be upgraded"),
    (["alpha", "Alpha"], 2, "named twice"),
    (["--to", "envcap"], 2, "cannot be called `envcap`"),
    (["--to", "a.b"], 2, "`a.b` cannot name a lock"),
    (["--name", "other"], 2, "no lock `pylock.other.toml`"),
    (["alpha==99"], 3, "Cannot install alpha==99"),
    (["alpha==1.5", "beta>=2"], 3, "alpha 1.5 depends on beta<2"),
]


def test_what_cannot_be_is_said_and_nothing_is_written(case: Case) -> None:
    case.shelf.put("alpha", "1.5", "beta<2", "gamma")
    case.shelf.put("beta", "2.0")
    before = sorted(case.envcap.project.rglob("*"))
    for words, code, said in IMPOSSIBLE:
        result = case(*words)
        assert (result.code, said in result.err) == (code, True), result.err
        assert sorted(case.envcap.project.rglob("*")) == before
    result = case.envcap("upgrade", env={"PIP_INDEX_URL": "http://127.0.0.1:9/simple/", "PIP_RETRIES": "0"})
    assert result.code == 3
    assert "`http://127.0.0.1:9/simple/alpha/` cannot be read" in result.err


def test_what_is_carried_stays_and_binds(case: Case) -> None:
    site = next(Path(case.envcap.environ["VIRTUAL_ENV"]).glob("lib/python*/site-packages"))
    (site / "beta.py").write_text("VERSION = '1.0'\nEDITED = True\n")
    case.envcap.ok("freeze", "--name", "edited")
    case.shelf.put("beta", "2.0")
    case.shelf.put("alpha", "1.5", "beta", "gamma")
    case.shelf.put("alpha", "2.0", "beta>=2", "gamma")
    assert case("--name", "edited").code == 0
    assert case.versions("edited-upgraded") == {"alpha": "1.5", "beta": "1.0", "gamma": "1.0"}
    old, new = case.lock("edited"), case.lock("edited-upgraded")
    assert new.packages[1] == old.packages[1]
    assert new.packages[1].confidence == "carried"
    assert [gap for gap in new.gaps if gap.where == "packages"] == [gap for gap in old.gaps if gap.where == "packages"]
    result = case("beta", "--name", "edited")
    assert (result.code, "`beta` is carried" in result.err) == (2, True)


def test_what_came_from_elsewhere_is_looked_for_there(case: Case, second_shelf: Shelf) -> None:
    """One package from an index that the project names, behind a login; one from an address of its own."""
    second_shelf.put("delta", "1.0")
    second_shelf.put("epsilon", "1.0")
    environ = {**case.envcap.environ, "PIP_TRUSTED_HOST": second_shelf.url[7:]}
    address = second_shelf.simple.replace("://", "://user:c4n4ry-s3cret@")
    for words in (
        ["--index-url", address, "delta"],
        [f"{second_shelf.url}/files/epsilon-1.0-py3-none-any.whl"],
    ):
        pip = [sys.executable, "-m", "pip", "--python", f"{environ['VIRTUAL_ENV']}/bin/python", "install", "-q", *words]
        subprocess.run(pip, env=environ, check=True)
    result = case.envcap("freeze", "--name", "both", env={"UV_EXTRA_INDEX_URL": address})
    assert result.code == 0, result.err
    case.shelf.put("alpha", "1.5", "beta", "gamma")
    second_shelf.put("delta", "2.0")
    second_shelf.put("epsilon", "2.0")
    result = case("alpha", "--name", "both", "--to", "one")
    assert result.code == 0, result.err
    assert case.versions("one") == {"alpha": "1.5", "beta": "1.0", "delta": "1.0", "epsilon": "1.0", "gamma": "1.0"}
    assert case("--name", "both", "--to", "all").code == 0
    assert case.versions("all") == {"alpha": "1.5", "beta": "1.0", "delta": "2.0", "epsilon": "1.0", "gamma": "1.0"}
    delta = next(package for package in case.lock("all").packages if package.name == "delta")
    assert delta.index == second_shelf.simple
    result = case("epsilon", "--name", "both")
    assert (result.code, "`epsilon` comes from an address of its own" in result.err) == (2, True), result.err


def test_a_derived_lock_that_says_what_it_is_not_is_refused(case: Case) -> None:
    case.shelf.put("alpha", "1.5", "beta", "gamma")
    assert case().code == 0
    path = case.envcap.project / "pylock.envcap-upgraded.toml"
    content = path.read_bytes().replace(b'before = "1.0", after = "1.5"', b'before = "1.0", after = "1.6"')
    blank = lockfile._DIGEST_LINE.sub(b'lock-digest = "sha256:' + b"0" * 64 + b'"', content)
    path.write_bytes(blank.replace(b"sha256:" + b"0" * 64, b"sha256:" + hashlib.sha256(blank).hexdigest().encode()))
    result = case.envcap("show", "--name", "envcap-upgraded")
    assert (result.code, "moved to `1.6`, and it did not" in result.err) == (5, True), result.err
    assert json.loads(case.envcap("show", "--json").out)["frozen"]["derivation"] is None
