"""What the lines of a watched run mean, and which of it an image would lack."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.evaluate.deep import parse_strace
from envcap.evaluate.observe import describe_events, disables_hook, mapped_libraries, parse_events
from envcap.evaluate.reading import classify, undeclared_data, watching_gaps
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
        ([("lookup", "data.example.org\n443"), ("connect", "192.0.2.7\n443")], ["data.example.org:443"]),
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


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/env/lib/x.py", "environment"),
        ("/home/ada/.cache/matplotlib/fontlist.json", "cache"),
        ("/home/ada/.cache/models/weights.bin", "data"),
        ("/home/ada/project/values.csv", "project"),
        ("/home/ada/projections/values.csv", "data"),
        ("/tmp/x", "temporary"),
        ("/scratch/x", "temporary"),
        ("/etc/passwd", "system"),
        ("/usr/share/zoneinfo/UTC", "system"),
    ],
)
def test_files_are_classified(path: str, kind: str) -> None:
    found = classify(path, project="/home/ada/project", environment=("/srv/env/",), temporary="/scratch")
    assert found == kind


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
    found = undeclared_data(
        observed,
        declaration,
        project=project,
        inputs=[str(project / "data")],
        environment=(),
        taken={"evaluate.py"},
        temporary="/scratch",
    )
    assert found == ["extra", "single.bin"]
    gaps = watching_gaps(observed, declaration, found)
    assert [gap.subject for gap in gaps] == ["extra", "single.bin"]
    assert gaps[0].consequence.endswith('put: data = ["data", "extra", "single.bin"]')


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
    assert parse_strace(text) == {
        ("run", "/usr/bin/file"),
        ("read", "/job/data/é.bin"),
        ("write", "/job/out"),
        ("map", "/usr/lib/libx.so.1"),
        ("connect", "192.0.2.7\n443"),
    }


@given(st.text())
def test_any_text_can_be_read_as_a_trace(text: str) -> None:
    parse_strace(text)
    parse_strace(f'12 openat(AT_FDCWD</a>, "{text}", O_RDONLY) = 3')
