"""What the lines of a watched run mean, and which of it an image would lack."""

import os
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.evaluate.classify import Ground, classify, may_be_owned, read_of_packages
from envcap.evaluate.deep import parse_strace
from envcap.evaluate.observe import describe_events, disables_hook, mapped_libraries, parse_events
from envcap.evaluate.opaque import opaque_readers
from envcap.evaluate.reading import undeclared_data, watched_files, watching_gaps
from envcap.model.evaluation import Declaration
from envcap.model.observed import Observed

ENV = {"PATH": "/usr/bin:/bin"}


def line(kind: str, text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return b"\t".join([kind.encode(), b"12", os.fsencode(escaped)]) + b"\n"


@given(st.lists(st.tuples(st.sampled_from(["read", "map", "run"]), st.text(alphabet="a/\\\n\t é", min_size=1))))
def test_events_come_back_as_they_were(events: list[tuple[str, str]]) -> None:
    found = parse_events(b"".join(line(kind, text) for kind, text in events))
    assert {(kind, text) for kind, texts in found.items() for text in texts} == set(events)


@given(st.binary())
def test_any_bytes_can_be_read(content: bytes) -> None:
    describe_events(parse_events(content), env=ENV, cwd="/")
    mapped_libraries(content)


def test_a_torn_line_is_left_out() -> None:
    assert parse_events(line("read", "/a") + b"read\t12") == {"read": {"/a"}}


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("cat a.txt | sort -u > b.txt", {"cat", "sort"}),
        ("A=1 B='x y' env; true && ls || absent-program", {"env", "true", "ls"}),
        ("echo 'unfinished", set()),
        ("", set()),
    ],
)
def test_shell_text_names_programs(text: str, programs: set[str]) -> None:
    observed = describe_events(parse_events(line("shell", text)), env=ENV, cwd="/")
    assert {Path(path).name for path in observed.started} == programs


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("connect", "127.0.0.1\n80"), ("connect", "::1\n80"), ("lookup", "localhost\n80")], []),
        ([("lookup", "data.example.org\n443"), ("named", "192.0.2.7\n443")], ["data.example.org:443"]),
        (
            [("lookup", "data.example.org\n443"), ("named", "192.0.2.7\n443"), ("connect", "192.0.2.7\n443")],
            ["data.example.org:443"],
        ),
        (
            [("lookup", "data.example.org\n443"), ("connect", "192.0.2.8\n443")],
            ["192.0.2.8:443", "data.example.org:443"],
        ),
        ([("lookup", "data.example.org\n")], ["data.example.org"]),
        ([("lookup", "data.example.org\n443")], ["data.example.org:443"]),
        ([("connect", "192.0.2.7\n8080")], ["192.0.2.7:8080"]),
        ([("lookup", f"{os.uname().nodename}\n0")], []),
    ],
)
def test_connections_are_named_by_what_was_looked_up(lines: list[tuple[str, str]], expected: list[str]) -> None:
    events = parse_events(b"".join(line(*item) for item in lines))
    assert describe_events(events, env=ENV, cwd="/").connections == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python a.py -I", False),
        ("python -I a.py", True),
        ("python -BS a.py", True),
        ("python -X importtime -W error a.py", False),
        ("python -c -I", False),
        ("python -m module -S", False),
        ("python --version", False),
        ("python", False),
        ("python -sE", True),
    ],
)
def test_options_that_leave_the_hook_out(command: str, *, expected: bool) -> None:
    assert disables_hook(command.split()) is expected


def test_libraries_are_told_from_other_mapped_files(tmp_path: Path) -> None:
    (tmp_path / "values.bin").write_bytes(b"\0" * 100)
    program = str(Path(sys.executable).resolve())
    events = parse_events(b"".join(line("map", path) for path in (program, str(tmp_path / "values.bin"))))
    observed = describe_events(events, env=ENV, cwd="/")
    assert (observed.mapped, observed.read) == ([program], [str(tmp_path / "values.bin")])
    assert mapped_libraries(line("map", "/usr/lib/libz.so.1.2") + line("map", "/usr/bin/ls")) == [
        "/usr/lib/libz.so.1.2"
    ]


OWNED = "/usr/share/dict/words"
GROUND = Ground(project="/home/ada/project", environment=("/srv/env/",), temporary="/scratch", owned=frozenset({OWNED}))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/env/lib/x.py", "environment"),
        ("/home/ada/.cache/matplotlib/fontlist.json", "cache"),
        ("/usr/local/lib/python3.11/site-packages/distutils-precedence.pth", "cache"),
        ("/home/ada/.cache/models/weights.bin", "data"),
        ("/home/ada/.cache/torch/hub/checkpoints/resnet18.pth", "data"),
        ("/data/m.pth", "data"),
        ("/home/ada/project/best.pth", "project"),
        ("/home/ada/project/values.csv", "project"),
        ("/home/ada/projections/values.csv", "data"),
        ("/tmp/x", "data"),
        ("/scratch/x", "data"),
        ("/etc/passwd", "system"),
        ("/etc/hosts", "system"),
        ("/usr/share/zoneinfo/UTC", "system"),
        ("/usr/share/mime/mime.cache", "system"),
        ("/usr/lib/locale/locale-archive", "system"),
        ("/var/cache/fontconfig/x", "system"),
        ("/var/lib/dpkg/status", "system"),
        ("/run/x", "system"),
        ("/usr/local/bin/tool", "system"),
        ("/usr/local/cuda-12.4/nvvm/libdevice/libdevice.10.bc", "system"),
        (OWNED, "system"),
        ("/usr/share/corpora/words", "data"),
        ("/usr/local/share/models/m.bin", "data"),
        ("/opt/models/m.bin", "data"),
        ("/srv/models/m.bin", "data"),
        ("/var/lib/models/m.bin", "data"),
    ],
)
def test_files_are_classified(path: str, kind: str) -> None:
    assert classify(path, GROUND, made=False) == kind


def test_what_the_run_made_is_no_data() -> None:
    for path in ("/tmp/x", "/scratch/x", "/opt/models/m.bin", "/home/ada/other/x"):
        assert classify(path, GROUND, made=True) == "temporary"
    assert classify("/home/ada/project/x", GROUND, made=True) == "project"


def test_without_a_database_of_packages_the_system_is_left_alone() -> None:
    unknown = msgspec.structs.replace(GROUND, owned=None)
    assert classify("/usr/share/corpora/words", unknown, made=False) == "system"
    assert classify("/srv/models/m.bin", unknown, made=False) == "data"


def test_what_the_run_read_of_packages_is_wanted_and_what_every_base_has_is_not() -> None:
    owner = {
        OWNED: "wamerican",
        "/usr/share/fonts/truetype/a.ttf": "fonts-a",
        "/usr/share/zoneinfo/UTC": "tzdata",
        "/usr/lib/locale/C.utf8/LC_CTYPE": "libc-bin",
        "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache": "libc6",
    }
    read = sorted([*owner, "/usr/share/corpora/words"])
    observed = Observed(read=read)
    candidates = may_be_owned(observed, GROUND)
    assert candidates == read
    assert read_of_packages(observed, owner, candidates) == {
        "fonts-a": "/usr/share/fonts/truetype/a.ttf",
        "wamerican": OWNED,
    }
    index = Observed(read=read, written=["/home/ada/.cache/matplotlib/fontlist-v390.json"])
    assert set(read_of_packages(index, owner, candidates)) == {"wamerican"}


def test_undeclared_data_is_offered_with_the_line_to_paste(tmp_path: Path) -> None:
    project = tmp_path.resolve() / "project"
    for name in (
        "evaluate.py",
        "data/a.csv",
        "extra/b.csv",
        "extra/deep/c.csv",
        "single.bin",
        "out.csv",
        "metrics.json",
    ):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    declaration = Declaration(
        command=["python", "evaluate.py"], metrics="metrics.json", data=["data"], artifacts=["out.csv"]
    )
    read = [str(path) for path in sorted(project.rglob("*")) if path.is_file()] + [str(project / "gone")]
    observed = Observed(read=read, watched=True)
    ground = Ground(project=str(project), environment=(), temporary="/scratch")
    found = undeclared_data(observed, declaration, ground, inputs=[str(project / "data")], taken={"evaluate.py"})
    assert found == ["extra", "single.bin"]
    gaps = watching_gaps(observed, declaration, found)
    assert [gap.subject for gap in gaps] == ["extra", "single.bin"]
    assert gaps[0].consequence.endswith('put: data = ["data", "extra", "single.bin"]')


def test_files_are_counted_by_kind_and_passing_names_are_left_out(tmp_path: Path) -> None:
    project = tmp_path.resolve() / "project"
    (project / "__pycache__").mkdir(parents=True)
    names = ("evaluate.py", "data/a.csv", "__pycache__/evaluate.cpython-311.pyc", "log.txt", "runs/x.bin", "tmpk3j2")
    for name in (*names, "metrics.json", "run-20260101"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).touch()
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "lib.py").touch()
    ground = Ground(project=str(project), environment=(f"{tmp_path.resolve()}/env/",), temporary="/scratch")
    declaration = Declaration(command=["python"], metrics="metrics.json", data=["data"])
    first = Observed(
        read=[str(project / "evaluate.py"), str(project / "data/a.csv"), str(tmp_path.resolve() / "env/lib.py")],
        written=[str(project / name) for name in ("log.txt", "runs/x.bin", "tmpk3j2", "metrics.json", "run-20260101")],
    )
    again = msgspec.structs.replace(
        first,
        read=[*first.read[1:], str(project / "__pycache__/evaluate.cpython-311.pyc"), str(project / "log.txt")],
        held=[str(project / "log.txt")],
    )
    for observed in (first, again):
        files = watched_files(observed, declaration, ground, inputs=[str(project / "data")], undeclared=[])
        assert files.read == {"environment": 1, "project": 1, "data": 1}
        assert files.written == ["log.txt", "runs/"]


def test_several_files_of_a_common_folder_are_named_one_by_one(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name in ("a.bin", "b.bin", "models/c.bin", "models/d.bin"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    ground = Ground(project="/home/ada/project", environment=(), temporary=str(root))
    observed = Observed(read=[str(root / name) for name in ("a.bin", "b.bin", "models/c.bin", "models/d.bin")])
    declaration = Declaration(command=["python"], metrics="metrics.json")
    found = undeclared_data(observed, declaration, ground, inputs=[], taken=[])
    assert found == [f"{root}/a.bin", f"{root}/b.bin", f"{root}/models"]
    later = msgspec.structs.replace(observed, since=0.0)
    assert undeclared_data(later, declaration, ground, inputs=[], taken=[]) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("run", "/usr/bin/cat"), ("run", "/usr/bin/python3"), ("run", "/usr/bin/uname")], ["cat"]),
        ([("shell", "cat a | sort; true")], ["cat", "sort"]),
        ([("run", "/bin/bash"), ("script", "/bin/bash\n/srv/run.sh")], ["bash run.sh"]),
        ([("run", "/usr/bin/git"), ("git", "rev-parse")], []),
        ([("run", "/usr/bin/git"), ("git", "rev-parse"), ("git", "clone")], ["git"]),
        ([("shell", "git status")], []),
        ([("shell", "git fetch origin")], ["git"]),
    ],
)
def test_programs_whose_reading_is_not_seen(events: list[tuple[str, str]], expected: list[str]) -> None:
    observed = describe_events(parse_events(b"".join(line(*event) for event in events)), env=ENV, cwd="/")
    assert observed.opaque == expected


def test_scripts_of_python_take_part_and_others_do_not(tmp_path: Path) -> None:
    for name, first in (("seen", "#!/usr/bin/env python3"), ("unseen", "#!/bin/sh")):
        (tmp_path / name).write_text(f"{first}\n")
    started = [str(tmp_path / name) for name in ("seen", "unseen")]
    assert opaque_readers(started, [], scripts=[], git=[]) == ["unseen"]
    mapped = ["/srv/env/h5py.libs/libhdf5-1a2b.so.310", "/srv/env/safetensors/_safetensors_rust.abi3.so"]
    assert opaque_readers([], mapped, scripts=[], git=[]) == ["h5py or netCDF", "safetensors"]


def test_programs_are_one_gap_and_none_after_a_deep_look() -> None:
    declaration = Declaration(command=["python"], metrics="m.json")
    seen = Observed(opaque=[f"tool{number:02}" for number in range(20)], watched=True)
    (gap,) = watching_gaps(seen, declaration, [])
    assert gap.subject.endswith("tool11 and 8 more")
    assert "--deep" in gap.consequence
    assert watching_gaps(msgspec.structs.replace(seen, deep=True), declaration, []) == []


def test_a_process_of_another_user_is_told() -> None:
    observed = describe_events(parse_events(line("foreign", "worker")), env=ENV, cwd="/")
    assert observed.unwatched == ["worker: it ran as another user"]


def test_what_could_not_be_watched_is_a_gap() -> None:
    declaration = Declaration(command=["./run.sh"], metrics="m.json")
    seen = Observed(connections=["data.example.org:443"], old=["3.7"], unwatched=["python -I: why"], watched=True)
    gaps = watching_gaps(seen, declaration, [])
    assert [(gap.where, gap.subject) for gap in gaps] == [
        ("evaluation.network", "data.example.org:443"),
        ("evaluation.watch", "Python 3.7"),
        ("evaluation.watch", "python -I"),
    ]
    assert [gap.subject for gap in watching_gaps(Observed(), declaration, [])] == ["./run.sh"]
    many = watching_gaps(Observed(watched=True), declaration, [f"folder{number}" for number in range(40)])
    assert len(many) == 13


def test_lines_of_strace() -> None:
    text = (
        '12 execve("/usr/bin/file", ["file"], 0x7ffe /* 5 vars */) = 0\n'
        '12 execve("/usr/local/bin/absent", ["absent"], 0x7ffe /* 5 vars */) = -1 ENOENT (No such file or directory)\n'
        '13 openat(AT_FDCWD</job>, "data/\\303\\251.bin", O_RDONLY|O_CLOEXEC) = 3</job/data/\\303\\251.bin>\n'
        '13 openat(4</job>, "out", O_WRONLY|O_CREAT, 0666) = 5</job/out>\n'
        '13 openat(AT_FDCWD</job>, "/usr/lib/libx.so.1", O_RDONLY <unfinished ...>\n'
        '13 openat(AT_FDCWD</job>, "/absent", O_RDONLY) = -1 ENOENT (No such file or directory)\n'
        '13 openat(AT_FDCWD</job>, ".", O_RDONLY|O_DIRECTORY) = 3</job>\n'
        "13 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), "
        'sin_addr=inet_addr("192.0.2.7")}, 16) = -1 EINPROGRESS (Operation now in progress)\n'
        "13 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(53), "
        'sin_addr=inet_addr("192.0.2.1")}, 16) = 0\n'
        "13 +++ exited with 0 +++\n"
    )
    older = text.replace("AT_FDCWD</job>", "AT_FDCWD").replace("</job", "<")  # before strace 5.13
    assert parse_strace(text, cwd="/") == parse_strace(older.replace("4<>", "4</job>"), cwd="/job")
    assert parse_strace(text, cwd="/") == {
        ("run", "/usr/bin/file"),
        ("read", "/job/data/é.bin"),
        ("write", "/job/out"),
        ("map", "/usr/lib/libx.so.1"),
        ("connect", "192.0.2.7\n443"),
    }


@given(st.text())
def test_any_text_can_be_read_as_a_trace(text: str) -> None:
    parse_strace(text, cwd="/")
    parse_strace(f'12 openat(AT_FDCWD</a>, "{text}", O_RDONLY) = 3', cwd="/")
