"""Two Dockerfiles of one lock, and what a user expects of an image: on the real engine, built as a user builds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.model.facts import Distribution
from envcap.probe.handover import decode, pack

pytestmark = [pytest.mark.engine, pytest.mark.network]

# A package from an index, one that no index has, a library of the operating system, and a home to write to.
PROGRAM = """\
import ctypes, getpass, json, os, pathlib, pwd
import handmade, toolz
gomp = ctypes.CDLL("libgomp.so.1")
gomp.omp_set_num_threads(3)
pathlib.Path.home().joinpath("seen").write_text("x")
account = pwd.getpwuid(os.getuid())
result = {"named": bool(getpass.getuser() and account.pw_name), "home": pathlib.Path(account.pw_dir).is_dir()}
result |= {"version": toolz.__version__, "made": handmade.VALUE, "threads": gomp.omp_get_max_threads()}
pathlib.Path("metrics.json").write_text(json.dumps(result))
"""
METADATA = ("METADATA", "WHEEL", "RECORD")


@pytest.fixture
def project(small: Any, tmp_path: Path) -> Any:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "toolz==0.12.1"], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    info = site / "handmade-1.0.dist-info"
    info.mkdir()
    (site / "handmade.py").write_text("VALUE = 7\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: handmade\nVersion: 1.0\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text(
        "".join(f"{file},,\n" for file in ("handmade.py", *(f"{info.name}/{name}" for name in METADATA)))
    )
    small.environ["VIRTUAL_ENV"] = str(environment)
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    return small


def test_both_dockerfiles_give_the_same_environment(project: Any, tmp_path: Path, engine_state: Any) -> None:
    before = engine_state.look()
    frozen = project.ok("freeze", "--json").document["frozen"]
    assert [item["name"] for item in frozen["os_packages"]["packages"]] == ["libgomp1"]
    sbom, provenance = tmp_path / "sbom.json", tmp_path / "provenance.json"
    files = ("--sbom", str(sbom), "--provenance", str(provenance))
    built = project.ok("build", "--engine", "docker", "--json", *files).document
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    own = next((os.environ[name] for name in names if os.environ.get(name)), None)
    secret = ("--secret", f"ca={own}") if own else ()
    portable = project.ok("build", "--portable", "--json", *secret).document
    references = [document["image"]["reference"] for document in (built, portable)]
    assert references[1] == f"{references[0]}-portable"

    seen = [look_inside(reference, tmp_path) for reference in references]
    assert seen[0] == seen[1]
    assert {(one.name, one.version) for one in seen[0]} == {("toolz", "0.12.1"), ("handmade", "1.0")}
    for reference in references:
        assert project.ok("verify", "--engine", "docker", "--image", reference).out.startswith("IDENTICAL")
    digest = built["image"]["identity"].removeprefix("sha256:")
    assert json.loads(provenance.read_text())["subject"] == [{"name": references[0], "digest": {"sha256": digest}}]
    assert "pkg:pypi/toolz@0.12.1" in sbom.read_text()
    assert sum(layer["size"] for layer in built["layers"]) > 50e6

    serves_without_the_code(project)
    with_what_users_expect(references[0], project.project / "pylock.envcap.toml")
    with_usable_sources(references[0], f"{frozen['base']['reference']}@{frozen['base']['digest']}")
    assert engine_state.left_since(before) == set()


def look_inside(reference: str, folder: Path) -> list[Distribution]:
    """Run the probe in an image; give the distributions that it sees, but for who put them there from where."""
    probe = folder / "probe.pyz"
    probe.write_bytes(pack())
    command = ["docker", "run", "--rm", "--network", "none", "--volume", f"{probe}:/probe.pyz:ro", reference]
    done = subprocess.run([*command, "python", "-B", "/probe.pyz"], capture_output=True, check=True)
    found = decode(done.stdout).distributions
    same = [msgspec.structs.replace(one, installer=None, requested=False, direct_url=None) for one in found]
    return sorted(same, key=lambda one: one.name)


def serves_without_the_code(project: Any) -> None:
    """Find the packages and no code."""
    served = project.ok("build", "--engine", "docker", "--target", "serve", "--json").document["image"]["reference"]
    look = ["python", "-c", "import os, toolz; print(os.listdir(), toolz.__version__)"]
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", served, *look], capture_output=True, check=True
    )
    assert done.stdout == b"[] 0.12.1\n"
    refused = project("verify", "--engine", "docker", "--image", served)
    assert refused.code == 2
    assert "without the evaluation's code" in refused.err


def with_usable_sources(reference: str, base: str) -> None:
    """Find apt's sources and lists as the base has them, and apt in order after what was installed."""
    look = "apt-get check -qq && dpkg --audit && apt-get update --print-uris; "
    look += "apt-cache policy | grep -c release; find /etc/apt /var/lib/apt -printf '%p %m %u %s %l\\n' | sort"
    words = ["docker", "run", "--rm", "--network", "none", "--user", "0"]
    seen = [
        subprocess.run([*words, image, "sh", "-c", look], capture_output=True, check=True, text=True)
        for image in (reference, base)
    ]
    assert (seen[0].stdout, seen[0].stderr) == (seen[1].stdout, seen[1].stderr)
    assert seen[0].stdout.startswith("'http")  # the first index that an update would take


def with_what_users_expect(reference: str, lock: Path) -> None:
    """Find a plain user with a home, the lock, no file that was used on the way, and an end when it is asked for."""
    look = "id -u; whoami; test -d ~envcap; touch ~/new && echo ~; cat /usr/share/envcap/*; "
    look += "find / -xdev -name '*.deb' -o -name .netrc | wc -l"
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", reference, "sh", "-c", look], capture_output=True, check=True
    )
    uid, user, home, rest = done.stdout.split(b"\n", 3)
    assert (uid, user, home, rest) == (b"65532", b"envcap", b"/home/envcap", lock.read_bytes() + b"0\n")
    waiting = ["python", "-c", "import time; print('up', flush=True); time.sleep(100)"]
    name = f"images-{os.getpid()}"
    command = ["docker", "run", "--rm", "--network", "none", "--name", name, reference, *waiting]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        subprocess.run(["docker", "stop", "--time", "60", name], stdout=subprocess.DEVNULL, check=True)
        assert running.wait() == 130  # what a Python ends with on SIGINT; killed, it would be 137
