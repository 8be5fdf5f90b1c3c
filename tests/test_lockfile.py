"""The lock's file: what is written comes back, and nothing else is ever believed."""

import hashlib
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock

from envcap import lockfile
from envcap.errors import RefusedError, StrictError, WrongUsageError
from envcap.model.evaluation import Artifact, Declaration, Tolerance
from envcap.model.lock import Edits, Lock, Package, Wheel
from envcap.tables import to_document

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

replace = msgspec.structs.replace


def signed(text: str) -> bytes:
    """Put the right digest into a lock that was changed: what somebody who means harm would do."""
    place = re.compile(r'(?m)^(lock-digest = "sha256:)[0-9a-f]{64}"')
    blank = place.sub(rf'\g<1>{"0" * 64}"', text)
    return place.sub(rf'\g<1>{hashlib.sha256(blank.encode()).hexdigest()}"', blank).encode()


def forged(lock: Lock) -> bytes:
    """Write a lock as a stranger's program would: in our format, with the right digest, and without our checks."""
    return signed(tomli_w.dumps(to_document(lock, digest=f"sha256:{'0' * 64}"), multiline_strings=False))


def with_package(lock: Lock, **changes: Any) -> Lock:
    first, *rest = lock.packages
    wheel = {name: changes.pop(name) for name in list(changes) if name in {"url", "path", "sha256"}}
    if "file" in changes:
        wheel["name"] = changes.pop("file")
    return replace(lock, packages=[replace(first, wheel=replace(first.wheel, **wheel), **changes), *rest])


def with_declaration(lock: Lock, **changes: Any) -> Lock:
    return replace(lock, declaration=replace(lock.declaration, **changes))


# What is written comes back


def test_a_lock_comes_back_as_it_was(sample_lock: Lock) -> None:
    assert lockfile.parse(lockfile.dump(sample_lock), source="x") == sample_lock


def test_a_small_lock_comes_back_as_it_was(sample_lock: Lock) -> None:
    small = replace(
        sample_lock,
        packages=[],
        data=[],
        gaps=[],
        runs=sample_lock.runs[:1],
        code=replace(sample_lock.code, repository=None, commit=None, branch=None, patch=None, untracked=[]),
        base=replace(sample_lock.base, digest=None, media_type=None, manifest_digest=None),
        hardware=replace(sample_lock.hardware, gpus=[], driver=None, cuda_driver=None),
        declaration=Declaration(command=["true"], metrics="stdout-json"),
    )
    assert lockfile.parse(lockfile.dump(small), source="x") == small


def test_the_file_is_what_a_reviewer_has_read(sample_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    check_golden("pylock.train.toml", lockfile.dump(sample_lock).decode())


def test_a_file_of_this_format_can_still_be_read(sample_lock: Lock) -> None:
    golden = Path(__file__).with_name("golden") / "pylock.train.toml"
    lock, sha256 = lockfile.read(golden)
    assert lock == sample_lock
    assert sha256 == hashlib.sha256(golden.read_bytes()).hexdigest()


def test_the_same_lock_gives_the_same_bytes(sample_lock: Lock) -> None:
    content = lockfile.dump(sample_lock)
    assert lockfile.dump(sample_lock) == content
    assert lockfile.dump(lockfile.parse(content, source="x")) == content


def test_only_declared_fields_change_between_two_freezes(sample_lock: Lock) -> None:
    later = replace(
        sample_lock,
        created_at="2025-01-01T00:00:00Z",
        runs=[replace(run, seconds=9.5, peak_memory=7) for run in sample_lock.runs],
    )
    before, after = (lockfile.dump(lock).decode().splitlines() for lock in (sample_lock, later))
    changed = {line.split(" = ")[0] for line in set(before).symmetric_difference(after)}
    assert changed == {"created-at", "lock-digest", "seconds", "peak-memory"}


def test_the_standard_reader_reads_it(sample_lock: Lock) -> None:
    document = tomllib.loads(lockfile.dump(sample_lock).decode())
    pylock = Pylock.from_dict(document)
    assert [(package.name, str(package.version)) for package in pylock.packages] == [
        ("alpha", "1.0"),
        ("beta-tools", "2.1.post1+local"),
    ]
    assert str(pylock.requires_python) == "==3.11.*"


def test_nothing_is_written_as_none(sample_lock: Lock) -> None:
    small = replace(
        sample_lock, base=replace(sample_lock.base, digest=None), code=replace(sample_lock.code, patch=None)
    )

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    text = lockfile.dump(small).decode()
    assert not re.search(r"\b(None|null|nil)\b", text)
    assert None not in leaves(tomllib.loads(text))


def test_nan_and_infinities_survive(sample_lock: Lock) -> None:
    metrics: dict[str, bool | int | float | str] = {"nan": math.nan, "up": math.inf, "down": -math.inf, "zero": -0.0}
    lock = replace(sample_lock, runs=[replace(sample_lock.runs[0], metrics=metrics)])
    back = lockfile.parse(lockfile.dump(lock), source="x").runs[0].metrics
    assert repr(back) == repr(metrics)


words = st.text(st.characters(exclude_categories=["Cs"]))
values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | words


@given(metrics=st.dictionaries(words, values, max_size=5), text=words)
def test_any_metric_and_any_text_come_back(
    metrics: dict[str, bool | int | float | str], text: str, sample_lock: Lock
) -> None:
    lock = replace(
        with_declaration(sample_lock, command=["python", text.replace("\0", "")]),
        runs=[replace(sample_lock.runs[0], metrics=metrics)],
        gaps=[replace(sample_lock.gaps[0], subject=text)],
        hardware=replace(sample_lock.hardware, cpu=text),
    )
    back = lockfile.parse(lockfile.dump(lock), source="x")
    assert back == lock
    assert repr(back.runs[0].metrics) == repr(lock.runs[0].metrics)  # 1 and 1.0 and True are equal, but not the same


def test_a_digest_that_looks_blank_is_kept(sample_lock: Lock) -> None:
    lock = with_package(sample_lock, sha256="0" * 64)
    assert lockfile.parse(lockfile.dump(lock), source="x") == lock


def test_a_name_of_odd_bytes_is_written_escaped(sample_lock: Lock) -> None:
    lock = replace(sample_lock, code=replace(sample_lock.code, untracked=["caf\udce9.txt"]))
    assert lockfile.parse(lockfile.dump(lock), source="x").code.untracked == ["caf\\udce9.txt"]


# Damage


def refuse(content: bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        lockfile.parse(content, source="pylock.train.toml")
    assert refused.value.exit_code == 5
    return refused.value.message


@pytest.mark.parametrize("damage", ["flip", "delete", "cut", "double"])
def test_a_damaged_file_is_refused(damage: str, sample_lock: Lock) -> None:
    content = lockfile.dump(sample_lock)
    strides = {"flip": 11, "delete": 13, "cut": 17, "double": 19}  # all over the file, and still quick
    for position in range(0, len(content), strides[damage]):
        before, byte, after = content[:position], content[position], content[position + 1 :]
        damaged = {
            "flip": before + bytes([byte ^ (1 << position % 8)]) + after,
            "delete": before + after,
            "cut": before,
            "double": before + bytes([byte, byte]) + after,
        }[damage]
        assert damaged != content
        refuse(damaged)


def test_every_bit_of_the_digest_counts(sample_lock: Lock) -> None:
    content = lockfile.dump(sample_lock)
    start = content.index(b"lock-digest")
    for position in range(start, content.index(b"\n", start) + 1):
        for bit in range(8):
            refuse(content[:position] + bytes([content[position] ^ 1 << bit]) + content[position + 1 :])


def test_appended_and_prepended_bytes_are_refused(sample_lock: Lock) -> None:
    content = lockfile.dump(sample_lock)
    for more in (b"\n", b" ", b"# a comment\n", b"\xef\xbb\xbf", b"\0", b"x = 1\n"):
        refuse(content + more)
        refuse(more + content)


def test_another_spelling_of_the_same_values_is_refused(sample_lock: Lock) -> None:
    content = lockfile.dump(sample_lock)
    assert "changed after envcap wrote it" in refuse(content.replace(b"\n", b"\r\n"))
    assert "changed after envcap wrote it" in refuse(content.replace(b"seconds = 1.5\n", b"seconds = 1.50\n"))


# Other files


def test_a_newer_format_says_what_to_do(sample_lock: Lock) -> None:
    content = signed(lockfile.dump(sample_lock).decode().replace("\nformat = 1\n", "\nformat = 2\nnew-key = 1\n"))
    with pytest.raises(RefusedError) as refused:
        lockfile.parse(content, source="x")
    assert "format `2`" in refused.value.message
    assert "newer envcap" in refused.value.hint


@pytest.mark.parametrize("written", ["0", "-1", "true", '"1"', "1.0", "[1]"])
def test_a_format_that_never_was_is_refused(written: str, sample_lock: Lock) -> None:
    refuse(signed(lockfile.dump(sample_lock).decode().replace("\nformat = 1\n", f"\nformat = {written}\n")))


def test_a_pylock_of_another_tool_is_told_apart() -> None:
    foreign = b'lock-version = "1.0"\ncreated-by = "another tool"\npackages = []\n'
    assert "envcap did not write" in refuse(foreign)
    assert "envcap did not write" in refuse(foreign + b'[tool]\nenvcap = "yes"\n')


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("[tool.envcap.python]\n", "[tool.envcap.python]\ncolour = 1\n", "colour"),
        ("[[packages]]\n", "[[packages]]\nmarker = \"os_name == 'x'\"\n", "marker"),
        ("[tool.envcap.base]\n", "[tool.envcap.base]\nmanifest_digest = 1\n", "manifest_digest"),
        ('lock-version = "1.0"\n', 'lock-version = "1.0"\nextras = ["a"]\n', "extras"),
        ("cores = 8\n", 'cores = "8"\n', "cores"),
        ("cores = 8\n", "cores = 8.5\n", "cores"),
        ("requested = true\n", "requested = 1\n", "requested"),
        ("command = [", "command = [1, ", "command"),
        ('command = [\n    "python",', 'command = "python"\nunused = [', "command"),
        ("accuracy = 0.91\n", "accuracy = 2020-01-01\n", "metrics"),
        ("accuracy = 0.91\n", "accuracy = [1]\n", "metrics"),
        ('name = "train"\n', "", "name"),
        ('version = "1.0"\n', 'version = "one point oh"\n', "version"),
        ('name = "alpha"\n', 'name = "Alpha"\n', "name"),
        ("sha256 = ", "md5 = ", "sha256"),
    ],
)
def test_a_wrong_key_or_type_is_named(before: str, after: str, named: str, sample_lock: Lock) -> None:
    text = lockfile.dump(sample_lock).decode()
    assert before in text
    assert named in refuse(signed(text.replace(before, after, 1)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"not toml",
        b"a = 1\na = 1\n",
        b"x = " + b"[" * 100_000,
        b"x = " + b"[" * 100_000 + b"]" * 100_000,
        b"x = " + b"{a=" * 20_000,
        b"a." * 3_000 + b"b = 1",
        b"[" + b"a." * 3_000 + b"b]",
        b"x = " + b"1" * 100_000,
        b"x = 1e" + b"9" * 10_000,
        b'x = "' + b"y" * 1_000_000,
        b"x = 9999-99-99",
        b'lock-version = "1.0"\n[tool.envcap]\nformat = 1\n',
        b'lock-version = "9.9"\n[tool.envcap]\nformat = 1\n',
        b"lock-version = []\n[tool.envcap]\nformat = 99999999999999999999999999\n",
        b"tool = []\n",
    ],
    ids=range(18),
)
def test_rubbish_is_refused(content: bytes) -> None:
    refuse(content)


def test_a_key_given_twice_is_refused(sample_lock: Lock) -> None:
    text = lockfile.dump(sample_lock).decode()
    refuse(signed(text.replace("cores = 8\n", "cores = 8\ncores = 8\n")))
    refuse(signed(text + '\n[tool.envcap.base]\nreference = "x"\n'))


def test_a_very_long_text_does_no_harm(sample_lock: Lock) -> None:
    long = "x" * 1_000_000
    lock = replace(sample_lock, created_by=long)
    assert lockfile.parse(lockfile.dump(lock), source="x").created_by == long
    text = lockfile.dump(sample_lock).decode().replace("alpha-1.0-py3-none-any.whl", long)
    refuse(signed(text))


# What a lock with a right digest could still smuggle in. Nothing of it is written by `dump` either.

URLS = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://files.example.org/a.whl",
    "git+https://git.example.org/x",
    "javascript:alert(1)",
    "//files.example.org/alpha-1.0-py3-none-any.whl",
    "/etc/passwd",
    "",
    "https://",
    "https://files.example.org/a b.whl",
    "https://files.example.org/a\n--index-url x",
    " https://files.example.org/a.whl",
]
FILE_NAMES = [
    "alpha-1.0-py3-none-any.whl --index-url=https://x.example.org",
    "alpha-1.0-py3-none-any\n--index-url=x.whl",
    "alpha\n-1.0-py3-none-any.whl",
    "alpha-1.0-py3-none-any.whl\n",
    "alpha-1.0-py3-none-any .whl",
    "alpha-1.0-py3-none-any.whl x.whl",
    "alpha-1.0-py3-none-any.whl\nx.whl",
    "../alpha-1.0-py3-none-any.whl",
    "a/alpha-1.0-py3-none-any.whl",
    "a\\alpha-1.0-py3-none-any.whl",
    "-alpha-1.0-py3-none-any.whl",
    "--alpha-1.0-py3-none-any.whl",
    ".alpha-1.0-py3-none-any.whl",
    "alpha-1.0-py3-none-any.whl\0",
    "alpha-1.0-py3-none-any;x.whl",
    "alpha-1.0-py3-none-any$(id).whl",
    "alpha-1.0-py3-none-any#.whl",
    "alpha-1.0-py3-none-any.zip",
    "alpha-1.0.tar.gz",
    "beta-1.0-py3-none-any.whl",
    "alpha-2.0-py3-none-any.whl",
    "",
    ".",
    "..",
]
PATHS = [
    "/etc/passwd",
    "../alpha-1.0-py3-none-any.whl",
    "alpha-1.0-py3-none-any.whl",
    ".envcap/store/../../alpha-1.0-py3-none-any.whl",
    f".envcap/store/{'1' * 64}/../{'1' * 64}/alpha-1.0-py3-none-any.whl",
    f".envcap/store/{'2' * 64}/alpha-1.0-py3-none-any.whl",
    f"./.envcap/store/{'1' * 64}/alpha-1.0-py3-none-any.whl",
    f".envcap/store/{'1' * 64}/other-1.0-py3-none-any.whl",
    f".envcap/store/{'1' * 64}/alpha-1.0-py3-none-any.whl\n",
]
DIGESTS = ["", "1", "1" * 63, "1" * 65, "A" * 64, "g" * 64, "../../../../tmp", "1" * 63 + "\n", "1" * 64 + "\n"]
OUTPUTS = ["/etc/passwd", "../x", "a/../../x", "..", ".", "", "a\0b", "/"]


def hostile_locks(lock: Lock) -> list[tuple[str, Lock]]:
    run = lock.runs[0]
    cases: list[tuple[str, Lock]] = []
    cases += [(f"url {url!r}", with_package(lock, url=url)) for url in URLS]
    cases += [
        (f"file {name!r}", with_package(lock, file=name, url="https://files.example.org/x")) for name in FILE_NAMES
    ]
    cases += [(f"path {path!r}", with_package(lock, url=None, path=path)) for path in PATHS]
    for digest in DIGESTS:
        cases.append((f"package {digest!r}", with_package(lock, sha256=digest)))
        cases.append((f"code {digest!r}", replace(lock, code=replace(lock.code, archive=digest))))
        cases.append((f"patch {digest!r}", replace(lock, code=replace(lock.code, patch=digest))))
        cases.append((f"data {digest!r}", replace(lock, data=[replace(lock.data[0], sha256=digest)])))
        cases.append((f"data files {digest!r}", replace(lock, data=[replace(lock.data[0], manifest=digest)])))
        artifact = Artifact(path="results/a.csv", size=1, sha256=digest)
        cases.append((f"artifact {digest!r}", replace(lock, runs=[replace(run, artifacts=[artifact])])))
    for path in OUTPUTS:
        cases.append((f"metrics {path!r}", with_declaration(lock, metrics=path)))
        cases.append((f"output {path!r}", with_declaration(lock, artifacts=[path])))
        artifact = Artifact(path=path, size=1, sha256="e" * 64)
        cases.append((f"written {path!r}", replace(lock, runs=[replace(run, artifacts=[artifact])])))
    for name in ("", "..", "a b", "a/b", "x\nRUN evil", "a.b", "é", "-x\0"):
        cases.append((f"name {name!r}", replace(lock, name=name)))
    for version in ("", "3", "3.11", "3.11.7\n", "../../tmp", "3.11.7 --x", "three", "3.11.x", "٣.11.7"):
        cases.append((f"python {version!r}", replace(lock, python=replace(lock.python, version=version))))
    for name, value in (
        ("A=B", "x"),
        ("A\nRUN evil", "x"),
        ("", "x"),
        ("1A", "x"),
        ("A B", "x"),
        ("A", "x\nRUN evil"),
        ("A", "x\rRUN evil"),
        ("A", "x\0"),
        ("A", "x\x1b[31m"),
        ("A", "x\u2028RUN evil"),
        ("LD_PRELOAD", "/tmp/evil.so"),
        ("LD_LIBRARY_PATH", "/tmp"),
        ("NVIDIA_VISIBLE_DEVICES", "all"),
        ("PATH", "/tmp"),
        ("PYTHONPATH", "/tmp"),
    ):
        cases.append((f"{name!r}={value!r}", replace(lock, system=replace(lock.system, environment={name: value}))))
    hostile_declarations: list[dict[str, Any]] = [
        {"command": []},
        {"command": [""]},
        {"command": ["python", "a\0b"]},
        {"repeat": 0},
        {"repeat": -1},
        {"timeout": 0.0},
        {"timeout": -1.0},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"data": [""]},
        {"data": ["a\0"]},
        {"tolerance": {"loss": Tolerance(absolute=math.inf)}},
        {"tolerance": {"loss": Tolerance(absolute=math.nan)}},
        {"tolerance": {"loss": Tolerance(relative=-1.0)}},
    ]
    cases += [(str(changes), with_declaration(lock, **changes)) for changes in hostile_declarations]
    twice = Package(
        name="gamma", version="1.0", wheel=Wheel(name="gamma-1.0-py3-none-any.whl", sha256="3" * 64, url=URLS[8] + "x")
    )
    cases.append(("two packages of one name", replace(lock, packages=[twice, twice])))
    for index in ("https://x.example.org/\n--trusted-host x", "x\0", "\u2028"):
        cases.append((f"index {index!r}", with_package(lock, index=index)))
    for name in ("gamma", "", "alpha-1.0-py3-none-any.whl", "alpha\n"):
        cases.append((f"dependency {name!r}", with_package(lock, dependencies=(name,))))
    for edits in (Edits(files=1, paths=("a",), patch="../x"), Edits(files=0, paths=("a",))):
        cases.append((f"edits {edits!r}", with_package(lock, edits=edits)))
    cases.append(("no run", replace(lock, runs=[])))
    cases.append(("runs with other outputs", replace(lock, runs=[run, replace(run, metrics={"other": 1})])))
    return cases


def test_a_smuggled_value_is_refused_when_read_and_when_written(sample_lock: Lock) -> None:
    for case, lock in hostile_locks(sample_lock):
        with pytest.raises(RefusedError):
            pytest.fail(f"{case} was written: {lockfile.dump(lock)!r}")
        with pytest.raises(RefusedError):
            pytest.fail(f"{case} was believed: {lockfile.parse(forged(lock), source='x')}")


def test_the_value_that_was_refused_is_named(sample_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="file:///etc/passwd"):
        lockfile.dump(with_package(sample_lock, url="file:///etc/passwd"))
    with pytest.raises(RefusedError, match="`/etc/passwd`"):
        lockfile.dump(with_declaration(sample_lock, artifacts=["/etc/passwd"]))
    with pytest.raises(RefusedError, match="inf"):
        lockfile.dump(with_declaration(sample_lock, tolerance={"loss": Tolerance(absolute=math.inf)}))


# The file itself


@pytest.mark.parametrize("name", ["train", "a-b_C9", "-"])
def test_a_lock_is_named_as_the_standard_says(name: str, tmp_path: Path) -> None:
    assert lockfile.lock_path(tmp_path, name) == tmp_path / f"pylock.{name}.toml"


@pytest.mark.parametrize("name", ["", ".", "..", "a.b", "a/b", "../x", "a b", "a\n", "é", "a\0"])
def test_no_name_leaves_the_project(name: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match="cannot name a lock"):
        lockfile.lock_path(tmp_path, name)


def test_a_written_lock_is_read(sample_lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "pylock.train.toml"
    written = lockfile.write(lockfile.dump(sample_lock), path)
    lock, sha256 = lockfile.read(path)
    assert (lock, sha256) == (sample_lock, written)
    assert [item.name for item in tmp_path.iterdir()] == ["pylock.train.toml"]


def test_a_missing_lock_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError) as wrong:
        lockfile.read(tmp_path / "pylock.train.toml")
    assert "envcap freeze" in wrong.value.hint
    with pytest.raises(WrongUsageError, match="is a folder"):
        lockfile.read(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "pylock.train.toml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # holes only: it takes no space
    with pytest.raises(RefusedError, match="larger than any lock"):
        lockfile.read(path)


def test_strict_lists_every_gap(sample_lock: Lock) -> None:
    lockfile.require_no_gaps(sample_lock, strict=False)
    lockfile.require_no_gaps(replace(sample_lock, gaps=[]), strict=True)
    with pytest.raises(StrictError, match=r"code `\.env`") as strict:
        lockfile.require_no_gaps(sample_lock, strict=True)
    assert strict.value.exit_code == 3


def test_a_wheel_name_that_stands_for_tags_without_end_is_refused(sample_lock: Lock) -> None:
    """Reading it would expand each part with each other one: hours for a name of some kilobytes."""
    name = "-".join([".".join(f"a{number}" for number in range(400))] * 3)
    content = lockfile.dump(sample_lock).replace(b"alpha-1.0-py3-none-any.whl", f"alpha-1.0-{name}.whl".encode())
    with pytest.raises(RefusedError, match="no name of a wheel"):
        lockfile.parse(content, source="pylock.toml")
