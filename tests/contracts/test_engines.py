"""One suite over every engine: what engine.py promises must hold for each of them."""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from envcap.engines import ENGINES
from envcap.engines.engine import Engine
from envcap.engines.inspection import inspect_engine
from envcap.errors import NotRunError, RefusedError
from envcap.model.image import Context, ContextFile, Image, Mount, Outcome, Task
from envcap.model.progress import Progress, say_nothing
from envcap.pins.base_image import resolve_base
from envcap.probe.handover import probe_host
from envcap.render.quoting import exec_form

TAG = "envcap/contract:1"
PROGRAM = """\
import json, os, pathlib, sys
import contractpackage
mode = sys.argv[1]
if mode == "write":
    pathlib.Path("results").mkdir(exist_ok=True)
    pathlib.Path("results/metrics.json").write_text(json.dumps({"value": contractpackage.VALUE}))
    pathlib.Path("plain.txt").write_text(os.environ["CONTRACT_VALUE"])
    print("to stdout"); print("to stderr", file=sys.stderr)
elif mode == "fail":
    print("about to fail"); sys.exit(7)
elif mode == "sleep":
    import time
    print("sleeping", flush=True); time.sleep(600)
elif mode == "data":
    print(pathlib.Path("data/input.txt").read_text())
elif mode == "links":
    pathlib.Path("out").mkdir()
    pathlib.Path("out/epoch3.csv").write_text("three")
    os.symlink("epoch3.csv", "out/last.csv")
    os.link("out/epoch3.csv", "out/hard.csv")
    os.symlink("out/last.csv", "best.csv")
elif mode == "much":
    pathlib.Path("plain.txt").write_text("x" * 100_000)
elif mode == "surroundings":
    seen = {"environment": dict(os.environ), "files": sorted(os.listdir(".")), "cpus": len(os.sched_getaffinity(0))}
    seen["place"] = [os.getuid(), os.uname().nodename, os.getcwd()]
    pathlib.Path("plain.txt").write_text("x")
    print(json.dumps(seen))
"""


def wheel() -> tuple[str, bytes]:
    """Make a tiny real wheel."""
    info = "contractpackage-1.0.dist-info"
    members = {
        "contractpackage/__init__.py": "VALUE = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: contractpackage\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*members, f"{info}/RECORD"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return "contractpackage-1.0-py3-none-any.whl", stream.getvalue()


def code() -> bytes:
    """Make the frozen code: one program below `work/`, owned as the real archive is."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        folder = tarfile.TarInfo("work")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, 65532, 65532
        archive.addfile(folder)
        member = tarfile.TarInfo("work/program.py")
        member.size, member.uid, member.gid = len(PROGRAM), 65532, 65532
        archive.addfile(member, io.BytesIO(PROGRAM.encode()))
    return stream.getvalue()


def write_context(folder: Path, *, base: str, broken: bool = False) -> Context:
    """Write a small context; with `broken`, one whose second step cannot succeed."""
    name, content = wheel()
    archive = code()
    step = ["/opt/env/bin/python", "-m", "pip", "install", "--no-index", "--no-deps", f"/context/{name}"]
    dockerfile = f"""\
FROM {base}
RUN ["python3", "-m", "venv", "/opt/env"]
COPY ["wheels/{name}", "/context/"]
RUN {exec_form(["python3", "-c", "raise SystemExit('no such luck')"] if broken else step)}
ENV CONTRACT_VALUE="recorded" PATH="/opt/env/bin:$PATH"
ADD ["code.tar", "/"]
USER 65532:65532
WORKDIR /work
LABEL dev.envcap.lock.sha256="{"c" * 64}"
"""
    files = [
        ContextFile(path="Dockerfile", content=dockerfile.encode()),
        ContextFile(path="code.tar", sha256=hashlib.sha256(archive).hexdigest()),
        ContextFile(path=f"wheels/{name}", sha256="0" * 64 if broken else hashlib.sha256(content).hexdigest()),
    ]
    (folder / "wheels").mkdir(parents=True)
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "code.tar").write_bytes(archive)
    (folder / "wheels" / name).write_bytes(content)
    return Context(
        tag=TAG,
        lock_sha256="c" * 64,
        platform={"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[platform.machine()],
        python=platform.python_version(),
        environment={"CONTRACT_VALUE": "recorded"},
        files=files,
    )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("docker", marks=[pytest.mark.engine, pytest.mark.xdist_group("engine")]),
        pytest.param("podman", marks=[pytest.mark.engine, pytest.mark.xdist_group("engine")]),
        pytest.param("venv", marks=pytest.mark.xdist_group("venv")),
    ],
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with closing(ENGINES[request.param](tmp_path_factory.mktemp("project"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def base_image(engine: Engine) -> str:
    """Name the image below, pinned as freeze would do it; an engine without images has no use for one."""
    if engine.name == "venv":
        return "unused"
    base, gaps = resolve_base(probe_host(Path(sys.executable)), explicit=None)
    assert not gaps
    return f"{base.reference}@{base.digest}"


@pytest.fixture(scope="module")
def image(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("context")
    return engine.build(write_context(folder, base=base_image), folder, tag=TAG, use_cache=True, tell=say_nothing)


def run(engine: Engine, image: Image, mode: str, results: Path, **options: object) -> Outcome:
    task = Task(command=["python", "program.py", mode], **{"timeout": 60.0, **options})  # type: ignore[arg-type]
    return engine.run(image, task, results=results, tell=say_nothing)


def test_every_engine_is_under_contract() -> None:
    assert set(ENGINES) == {"docker", "podman", "venv"}


def test_finds_what_it_built(engine: Engine, image: Image) -> None:
    found = engine.find(TAG)
    assert found is not None
    assert found.lock_sha256 == image.lock_sha256 == "c" * 64
    assert engine.find("envcap/contract:absent") is None


def test_brings_back_outputs_from_folders_and_files(engine: Engine, image: Image, tmp_path: Path) -> None:
    outcome = run(engine, image, "write", tmp_path, outputs=["results/metrics.json", "plain.txt", "absent.txt"])
    assert outcome.code == 0, outcome.tail
    assert outcome.stdout == "to stdout\n"
    assert set(outcome.tail) == {"to stdout", "to stderr"}
    assert json.loads((tmp_path / "results/metrics.json").read_text()) == {"value": 42}
    assert (tmp_path / "plain.txt").read_text() == "recorded"
    assert not (tmp_path / "absent.txt").exists()


def test_brings_back_a_whole_folder(engine: Engine, image: Image, tmp_path: Path) -> None:
    run(engine, image, "write", tmp_path, outputs=["results"])
    assert json.loads((tmp_path / "results/metrics.json").read_text()) == {"value": 42}


def test_links_come_back_as_what_they_lead_to(engine: Engine, image: Image, tmp_path: Path) -> None:
    run(engine, image, "links", tmp_path, outputs=["out", "best.csv"])
    names = ("out/epoch3.csv", "out/last.csv", "out/hard.csv", "best.csv")
    assert {name: (tmp_path / name).read_text() for name in names} == dict.fromkeys(names, "three")


def test_no_more_comes_back_than_is_allowed(engine: Engine, image: Image, tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="more than 50,000 bytes of outputs"):
        run(engine, image, "much", tmp_path, outputs=["plain.txt"], most_output=50_000)


def test_tells_what_the_code_inside_is(engine: Engine, image: Image) -> None:
    digest = hashlib.sha256(PROGRAM.encode()).hexdigest()
    assert engine.fingerprints(image, "/work", most=1 << 20) == {"program.py": f"-{digest}"}
    assert engine.fingerprints(image, "/no-such-folder", most=1 << 20) == {}
    with pytest.raises(RefusedError, match="not what was frozen"):
        engine.fingerprints(image, "/work", most=100)


def test_each_run_starts_fresh(engine: Engine, image: Image, tmp_path: Path) -> None:
    run(engine, image, "write", tmp_path)
    outcome = run(engine, image, "surroundings", tmp_path)
    assert json.loads(outcome.stdout)["files"] == ["program.py"]


def test_passes_on_the_exit_code_and_last_lines(engine: Engine, image: Image, tmp_path: Path) -> None:
    outcome = run(engine, image, "fail", tmp_path)
    assert (outcome.code, outcome.timed_out, outcome.tail) == (7, False, ["about to fail"])


def test_stops_at_the_time_limit(engine: Engine, image: Image, tmp_path: Path) -> None:
    outcome = run(engine, image, "sleep", tmp_path, timeout=3.0)
    assert outcome.timed_out
    assert outcome.seconds < 30
    assert outcome.tail == ["sleeping"]


def test_reads_data_where_the_evaluation_expects_them(engine: Engine, image: Image, tmp_path: Path) -> None:
    data = tmp_path / "some data"
    data.mkdir()
    (data / "input.txt").write_text("precious")
    outcome = run(engine, image, "data", tmp_path / "results", mounts=[Mount(source=data, target="data")])
    assert outcome.stdout == "precious\n", outcome.tail
    assert (data / "input.txt").read_text() == "precious"


def test_reads_what_links_in_data_lead_to(engine: Engine, image: Image, tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (elsewhere / "input.txt").write_text("precious")
    (data / "folder").symlink_to(elsewhere)
    (data / "input.txt").symlink_to("../elsewhere/input.txt")
    targets = {"data": data, "data/folder": elsewhere, "data/input.txt": elsewhere / "input.txt"}
    mounts = [Mount(source=source, target=target) for target, source in targets.items()]
    outcome = run(engine, image, "data", tmp_path / "results", mounts=mounts)
    assert outcome.stdout == "precious\n", outcome.tail


def test_lays_further_files_into_the_working_directory(engine: Engine, image: Image, tmp_path: Path) -> None:
    task = Task(command=["python", "further.py"], files={"further.py": b"print('laid in')"}, timeout=60)
    assert engine.run(image, task, results=tmp_path, tell=say_nothing).stdout == "laid in\n"


def test_keeps_the_hosts_variables_out(
    engine: Engine, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "canary")
    outcome = run(engine, image, "surroundings", tmp_path)
    environment = json.loads(outcome.stdout)["environment"]
    assert environment["CONTRACT_VALUE"] == "recorded"
    assert "canary" not in str(environment)


def test_a_task_brings_variables_and_processors_of_its_own(engine: Engine, image: Image, tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    outcome = run(engine, image, "surroundings", tmp_path, environment={"CONTRACT_VALUE": "other", "NEW": "1"}, cpus=1)
    seen = json.loads(outcome.stdout)
    assert (seen["environment"]["CONTRACT_VALUE"], seen["environment"]["NEW"], seen["cpus"]) == ("other", "1", 1)
    assert os.sched_getaffinity(0) == before


def test_a_container_can_have_another_user_host_and_folder(engine: Engine, image: Image, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mounts = [Mount(source=data, target="data")]
    options = {"user": 54321, "host": "elsewhere", "folder": "/elsewhere/work", "outputs": ["plain.txt"]}
    outcome = run(engine, image, "surroundings", tmp_path, mounts=mounts, **options)
    seen = json.loads(outcome.stdout)
    assert seen["files"] == ["data", "program.py"]
    assert (tmp_path / "plain.txt").read_text() == "x"
    if engine.name != "venv":  # which is no container
        assert seen["place"] == [54321, "elsewhere", "/elsewhere/work"]


def test_names_a_command_that_is_not_there(engine: Engine, image: Image, tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="no-such-program"):
        engine.run(image, Task(command=["no-such-program"], timeout=60), results=tmp_path, tell=say_nothing)


def test_tells_output_as_it_comes(engine: Engine, image: Image, tmp_path: Path) -> None:
    told: list[Progress] = []
    task = Task(command=["python", "program.py", "write"], timeout=60)
    engine.run(image, task, results=tmp_path, tell=told.append)
    assert {item.text for item in told if item.kind == "output"} == {"to stdout", "to stderr"}


def test_a_build_that_fails_leaves_nothing_and_says_where(engine: Engine, base_image: str, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", base=base_image, broken=True)
    with pytest.raises((NotRunError, RefusedError), match=r"no such luck|sha256"):
        engine.build(context, tmp_path / "context", tag="envcap/contract:broken", use_cache=True, tell=say_nothing)
    assert engine.find("envcap/contract:broken") is None


def test_two_builds_of_one_tag_at_once_both_succeed(engine: Engine, base_image: str, tmp_path: Path) -> None:
    def build(folder: Path) -> Image:
        context = write_context(folder, base=base_image)
        return engine.build(context, folder, tag="envcap/contract:twice", use_cache=False, tell=say_nothing)

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(build, [tmp_path / "one", tmp_path / "two"]))
    assert {image.lock_sha256 for image in images} == {"c" * 64}
    assert engine.find("envcap/contract:twice") is not None


def test_what_is_removed_is_not_found_again(engine: Engine, base_image: str, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", base=base_image)
    image = engine.build(context, tmp_path / "context", tag="envcap/contract:gone", use_cache=True, tell=say_nothing)
    for _ in range(2):
        engine.remove(image)
        assert engine.find("envcap/contract:gone") is None


def test_a_gpu_that_the_engine_cannot_give_is_named(engine: Engine, image: Image, tmp_path: Path) -> None:
    if engine.name == "venv" or (engine.name == "docker" and "nvidia" in inspect_engine().runtimes):
        run(engine, image, "write", tmp_path, gpus=[])  # this machine's own are there for whoever runs on it
        return
    with pytest.raises(NotRunError, match=r"no NVIDIA runtime|cannot give a GPU") as raised:
        run(engine, image, "write", tmp_path, gpus=[])
    assert "nvidia-container-toolkit" in raised.value.hint
