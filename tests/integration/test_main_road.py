"""The main job on the real engine: freeze, build, verify, and what must not pass."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import msgspec
import pytest

from envcap import lockfile

pytestmark = [pytest.mark.engine, pytest.mark.network]
LOCK = "pylock.envcap.toml"


def test_the_number_comes_back(digits: Any, demonstrate: Callable[[], Any], engine_state: Any) -> None:
    before = engine_state.look()
    shown = demonstrate()
    assert shown.code == 0, shown.out + shown.err
    assert "Going on with" not in shown.err
    assert shown.out.partition("$ envcap verify\n")[2].startswith("IDENTICAL")
    lock, _ = lockfile.read(digits.project / LOCK)
    assert lock.gaps == []
    assert [package.name for package in lock.packages].count("scikit-learn") == 1
    # scikit-learn and scipy bring their own, which numpy does not load.
    computing = {one.path.split("/")[0]: one for one in lock.numerics.libraries}
    assert computing.keys() >= {"numpy.libs", "scipy.libs", "scikit_learn.libs"}
    assert all(one.threads for one in computing.values())
    assert (computing["scipy.libs"].version or "").startswith("OpenBLAS")
    built = digits.ok("build", "--engine", "docker", "--json").document
    verified = digits.ok("verify", "--engine", "docker", "--json").document
    assert verified["verdict"] == "IDENTICAL"
    assert verified["exit-code"] == 0
    assert {check["name"] for check in verified["checks"]} >= {"accuracy", "log_loss", "predictions.csv"}
    assert [finding for finding in verified["findings"] if finding["fatal"] or finding["where"] == "numerics"] == []
    # The fingerprint came back from inside: its lack would be a gap, and another one a finding.
    assert len(lock.numerics.operations) >= 12
    assert [gap for gap in verified["gaps"] if gap["where"] == "numerics"] == []

    check_image(built["image"]["reference"], digits.project)
    refuses_changed_code(digits)
    refuses_another_version(digits)
    renders_the_same_bytes(digits)
    assert engine_state.left_since({*before, f"tag {built['image']['reference']}"}, tags=True) == set()
    assert list((digits.project.parent / "scratch").iterdir()) == []


def check_image(reference: str, project: Path) -> None:
    """Find a non-root user, the lock's digest as a label, the packages without the files they came from."""
    client = docker.from_env()
    image = client.images.get(reference)
    _, sha256 = lockfile.read(project / LOCK)
    assert image.labels["dev.envcap.lock.sha256"] == sha256
    assert image.labels["org.opencontainers.image.base.name"].startswith("python:")
    assert image.attrs["Config"]["User"] == "65532:65532"
    assert image.attrs["Config"]["Cmd"] == ["python", "evaluate.py"]
    find = ["find", "/", "-xdev", "-name", "*.whl", "-path", "*context*"]
    found = client.containers.run(image, find, user="0", remove=True, network_mode="none")
    assert found == b""
    client.close()


def refuses_changed_code(digits: Any) -> None:
    """One hyper-parameter is changed after freezing."""
    program = digits.project / "evaluate.py"
    text = program.read_text()
    program.write_text(text.replace("REGULARISATION = 0.05", "REGULARISATION = 0.5"))
    for verb in ("build", "verify"):
        refused = digits(verb, "--engine", "docker")
        assert refused.code == 5
        assert "`evaluate.py` was changed" in refused.err
    assert digits("verify", "--engine", "docker", "--frozen-code").code == 0
    program.write_text(text)


def refuses_another_version(digits: Any) -> None:
    """One package version is changed in a copy of the lock: by hand, and with a digest that fits again."""
    original = (digits.project / LOCK).read_bytes()
    lock, _ = lockfile.read(digits.project / LOCK)
    version = next(package.version for package in lock.packages if package.name == "joblib")
    changed = digits.project / "pylock.changed.toml"
    changed.write_bytes(original.replace(f'version = "{version}"'.encode(), b'version = "0.0.1"', 1))
    refused = digits("verify", "--engine", "docker", "--name", "changed")
    assert refused.code == 5
    assert "joblib" in refused.err

    packages = [
        msgspec.structs.replace(package, wheel=msgspec.structs.replace(package.wheel, sha256="0" * 64))
        if package.name == "joblib"
        else package
        for package in lock.packages
    ]
    changed.write_bytes(lockfile.dump(msgspec.structs.replace(lock, packages=packages)))
    refused = digits("build", "--engine", "docker", "--name", "changed", "--trust")
    assert refused.code == 5
    assert "joblib" in refused.err
    image = f"envcap/envcap:{digest_of(digits.project)}"
    refused = digits("verify", "--engine", "docker", "--name", "changed", "--image", image, "--trust")
    assert refused.code == 5
    assert "was built from" in refused.err
    changed.unlink()


def test_another_version_in_a_lock_that_is_signed_anew(shelved: Any, shelf: Any) -> None:
    """A copy of the lock names another version of a package, and its own digest fits.

    With the wheel of the frozen version under the name of the other, the look into the image refuses; with the other's
    own wheel, the number tells.
    """
    lock, _ = lockfile.read(shelved.project / LOCK)
    (package,) = lock.packages
    name = "shelved-1.1-py3-none-any.whl"
    wheel = msgspec.structs.replace(package.wheel, name=name, size=None)
    other = msgspec.structs.replace(wheel, url=f"{shelf.url}/files/{name}", sha256=shelf.put("shelved", "1.1"))
    words = ["--engine", "docker", "--name", "copy"]

    def sign(wheel: Any) -> None:
        changed = msgspec.structs.replace(package, version="1.1", wheel=wheel)
        copy = msgspec.structs.replace(lock, name="copy", packages=[changed])
        (shelved.project / "pylock.copy.toml").write_bytes(lockfile.dump(copy))

    sign(wheel)
    shelved.ok("build", *words, "--trust")
    refused = shelved("verify", *words, "--trust", "--json")
    assert refused.code == 5, refused.err
    assert [finding["subject"] for finding in refused.document["findings"] if finding["fatal"]] == ["shelved"]
    sign(other)
    shelved.ok("build", *words, "--trust")
    verified = shelved("verify", *words, "--trust", "--json")
    assert verified.code == 1
    assert verified.document["verdict"] == "DIFFERENT"
    assert [check["name"] for check in verified.document["checks"] if check["verdict"] == "DIFFERENT"] == ["version"]


def digest_of(project: Path) -> str:
    return lockfile.read(project / LOCK)[1][:12]


def renders_the_same_bytes(digits: Any) -> None:
    """Render the same lock twice: the same context, byte for byte."""
    first, second = digits.project.parent / "first", digits.project.parent / "second"
    digits.ok("build", "--output", str(first))
    digits.ok("build", "--output", str(second))
    compared = subprocess.run(["diff", "-r", first, second], capture_output=True, text=True, check=False)
    assert compared.stdout == ""
    assert "sha256:" in (first / "Dockerfile").read_text()


def test_a_changed_result_is_different(small: Any, engine_state: Any) -> None:
    """The result depends on who runs it, which no lock can hold: verify says so and names the metric."""
    program = small.project / "evaluate.py"
    program.write_text(program.read_text().replace("'count': 12", "'count': 12, 'user': os.getuid()"))
    program.write_text("import os\n" + program.read_text())
    before = engine_state.look()
    small.ok("freeze")
    image = small.ok("build", "--engine", "docker", "--json").document["image"]["reference"]
    differences = small("diff", "envcap", image, "--engine", "docker", "--json").document["differences"]
    assert {one["area"] for one in differences} & {"packages", "conda", "settings", "base"} == set()
    verified = small("verify", "--engine", "docker", "--json")
    assert verified.code == verified.document["exit-code"] == 1
    assert verified.document["verdict"] == "DIFFERENT"
    assert [check["name"] for check in verified.document["checks"] if check["verdict"] == "DIFFERENT"] == ["user"]
    assert "`user`" in verified.document["reasons"][0]
    assert "DIFFERENT" in small("verify", "--engine", "docker").out
    assert engine_state.left_since(before) == set()


def test_inside_there_is_no_way_out(small: Any, tmp_path: Path) -> None:
    """No network, no capabilities, a read-only root, a plain user, none of the host's variables; data read-only.

    What links in the data lead to is there, at whatever place of the host it lies, and read-only too.
    """
    (small.project / "data").mkdir()
    (small.project / "data" / "input.txt").write_text("precious")
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "one.txt").write_text("1")
    (small.project / "data" / "relative").symlink_to("../../shared")
    (small.project / "data" / "absolute.txt").symlink_to(shared / "one.txt")
    (small.project / "evaluate.py").write_text(PRISON)
    small.environ["OF_THE_HOST"] = "canary"
    small.ok("freeze", "--data", "data", "--", "python", "evaluate.py")
    small.ok("build", "--engine", "docker")
    result = small("verify", "--engine", "docker", "--json")
    checks = result.document["checks"]
    observed = {check["name"]: check["observed"] for check in checks if check["kind"] == "metric"}
    assert observed == {
        "network": "'unreachable'",
        "root": "'read-only'",
        "data": "'read-only'",
        "scratch": "'writable'",
        "user": "65532",
        "capabilities": "'0000000000000000'",
        "privileges": "'1'",
        "secret": "'absent'",
        "linked": "'11'",
        "linked folder": "'read-only'",
    }
    assert f"it reads `data/relative`, a link to `{shared}`" in result.err


PRISON = """\
import json, os, pathlib, socket

def attempt(action, good, bad):
    try:
        action()
    except OSError:
        return bad
    return good

status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
answers = {
    "network": attempt(lambda: socket.create_connection(("192.0.2.1", 9), timeout=2), "open", "unreachable"),
    "root": attempt(lambda: pathlib.Path("/opt/new").write_text("x"), "writable", "read-only"),
    "data": attempt(lambda: pathlib.Path("data/new").touch(), "writable", "read-only"),
    "scratch": attempt(lambda: pathlib.Path("/tmp/new").write_text("x"), "writable", "read-only"),
    "user": os.getuid(),
    "capabilities": status["CapEff"],
    "privileges": status["NoNewPrivs"],
    "secret": os.environ.get("OF_THE_HOST", "absent"),
    "linked": pathlib.Path("data/relative/one.txt").read_text() + pathlib.Path("data/absolute.txt").read_text(),
    "linked folder": attempt(lambda: pathlib.Path("data/relative/new").touch(), "writable", "read-only"),
}
pathlib.Path("data/new").unlink(missing_ok=True) if os.getuid() == 0 else None
pathlib.Path("data/relative/new").unlink(missing_ok=True) if os.getuid() == 0 else None
pathlib.Path("/opt/new").unlink(missing_ok=True) if os.getuid() == 0 else None
pathlib.Path("metrics.json").write_text(json.dumps(answers))
pathlib.Path("table.csv").write_text("a\\n1\\n")
"""


def test_folders_and_data_are_as_the_evaluation_left_them(small: Any) -> None:
    """It writes to a folder that git does not hold, and reads data that only their owner may read."""
    (small.project / "results").mkdir()
    (small.project / "data").mkdir(mode=0o700)
    (small.project / "data" / "input.txt").write_text("precious")
    program = small.project / "evaluate.py"
    program.write_text(
        "import pathlib\n"
        "text = pathlib.Path('data/input.txt').read_text()\n"
        "pathlib.Path('results/metrics.json').write_text('{\"length\": %d}' % len(text))\n"
    )
    (small.project / "envcap.toml").write_text(
        '[evaluation]\ncommand = ["python", "evaluate.py"]\nmetrics = "results/metrics.json"\ndata = ["data"]\n'
    )
    small.ok("freeze", "--repeat", "1")
    small.ok("build", "--engine", "docker")
    closed = small("verify", "--engine", "docker")
    assert closed.code == 3
    assert "chmod -R o+rX data" in closed.err
    (small.project / "data").chmod(0o755)
    assert small("verify", "--engine", "docker").out.startswith("IDENTICAL")


def test_what_stops_a_run_inside(small: Any, engine_state: Any) -> None:
    """Out of memory, out of time, a failure, Ctrl-C: each is told as what it is, and nothing is left."""
    program = small.project / "evaluate.py"
    program.write_text(program.read_text() + STOPPERS)
    small.ok("freeze")
    small.ok("build", "--engine", "docker")
    before = engine_state.look()
    memory = small("verify", "--engine", "docker", "--memory", "64M")
    assert memory.code == 3, memory.err
    assert "out of memory" in memory.err
    slow = small("verify", "--engine", "docker", "--timeout", "3s")
    assert slow.code == 3, slow.err
    assert "did not end within 3 s" in slow.err
    stopped = small.stop_when("inside", "verify", "--engine", "docker", times=3)
    assert stopped.code == 130
    assert engine_state.left_since(before, tags=True) == set()
    assert list((small.project.parent / "scratch").iterdir()) == []


STOPPERS = """
import os, time
if os.getuid():
    print("inside", flush=True)
    limit = pathlib.Path("/sys/fs/cgroup/memory.max"), pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    text = next(path.read_text().strip() for path in limit if path.exists())
    if text == str(64 << 20):
        hoard = bytearray(256 << 20)
    time.sleep(60)
"""


def test_a_failing_build_names_the_step_and_leaves_nothing(small: Any, engine_state: Any) -> None:
    before = engine_state.look()
    small.ok("freeze", "--base", f"example.org/absent:1@sha256:{'0' * 64}")
    failed = small("build", "--engine", "docker")
    assert failed.code == 3
    assert "The build failed in `FROM example.org/absent:1" in failed.err
    assert "envcap build --output" in failed.err
    assert engine_state.left_since(before, tags=True) == set()


def test_no_secret_reaches_lock_image_or_report(small: Any) -> None:
    """Canaries in the places where credentials live; none comes out anywhere."""
    canary = "canary-4711"
    small.environ.update(API_TOKEN=canary, OMP_AUTH_TOKEN=canary, MY_NOTE=f"https://user:{canary}@example.org/")
    (small.project / ".env").write_text(f"KEY={canary}\n")
    (small.project / "id_rsa").write_text(canary)
    (small.project / "envcap.toml").write_text(
        (small.project / "envcap.toml").read_text() + 'environment = ["API_TOKEN", "MY_NOTE"]\n'
    )
    address = f"https://user:{canary}@example.org/project.git"
    subprocess.run(["git", "remote", "add", "origin", address], cwd=small.project, check=True)
    said = [small.ok("freeze", "--json"), small.ok("build", "--engine", "docker", "--json")]
    said.append(small("verify", "--engine", "docker", "--json"))
    context = small.project.parent / "context"
    said.append(small.ok("build", "--output", str(context)))
    for result in said:
        assert canary not in result.out + result.err
    kept = [small.project / LOCK, *(small.project / ".envcap").rglob("*"), *context.rglob("*")]
    assert [path for path in kept if path.is_file() and canary.encode() in path.read_bytes()] == []
    client = docker.from_env()
    image = client.images.get(said[1].document["image"]["reference"])
    assert canary not in json.dumps([image.attrs, image.history()])
    client.close()
