"""A capsule comes back byte for byte, and one that anybody changed writes nothing outside and is refused."""

import io
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.capsule import MANIFEST, Entry, Manifest, unpack, write_capsule
from envcap.errors import RefusedError, WrongUsageError
from envcap.model.progress import say_nothing
from envcap.store import file_sha256

LOCK = "pylock.envcap.toml"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    made = {}
    for name, content in {"lock": b"lock", "wheel": b"w" * 3000, "code": b"", "blob": b"{}" * 512}.items():
        (folder / name).write_bytes(content)
        made[name] = folder / name
    places = {
        "wheel": f".envcap/inputs/{file_sha256(made['wheel'])}/{'long_' * 40}.whl",
        "code": f".envcap/store/{file_sha256(made['code'])}/code.tar",
        "blob": f".envcap/base/blobs/sha256/{file_sha256(made['blob'])}",
        "lock": LOCK,
    }
    return {path: made[name] for name, path in places.items()}


@pytest.fixture(scope="module")
def content(files: dict[str, Path]) -> bytes:
    stream = io.BytesIO()
    write_capsule(stream, LOCK, files, tell=say_nothing)
    return stream.getvalue()


def attempt(content: bytes, folder: Path) -> Manifest:
    (folder / "into").mkdir()
    (folder / "x.capsule").write_bytes(content)
    return unpack(folder / "x.capsule", folder / "into", tell=say_nothing)


def test_it_comes_back_as_it_was(content: bytes, files: dict[str, Path], tmp_path: Path) -> None:
    manifest = attempt(content, tmp_path)
    found = {
        path.relative_to(tmp_path / "into").as_posix(): path.read_bytes()
        for path in (tmp_path / "into").rglob("*")
        if path.is_file()
    }
    found.pop(MANIFEST)
    assert found == {path: file.read_bytes() for path, file in files.items()}
    assert [entry.path for entry in manifest.files] == sorted(files)


def test_other_programs_can_read_it(content: bytes, files: dict[str, Path]) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == [MANIFEST, *sorted(files)]
        assert all(member.isreg() for member in archive)


@given(data=st.data())
def test_no_byte_can_be_another(data: st.DataObject, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    position = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RefusedError):
        attempt(bytes(changed), tmp_path_factory.mktemp("changed"))


@given(data=st.data())
def test_neither_less_nor_more(data: st.DataObject, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    length = data.draw(st.integers(0, len(content) - 1))
    for other in (content[:length], content + content[:length] + b"\0"):
        with pytest.raises(RefusedError):
            attempt(other, tmp_path_factory.mktemp("changed"))


def forged(path: str, *, size: int = 1, sha256: str = "0" * 64, more: list[Entry] | None = None) -> bytes:
    entries = sorted([Entry(path=path, sha256=sha256, size=size), *(more or [])], key=lambda entry: entry.path)
    manifest = Manifest(format=1, lock=LOCK, files=entries)
    described = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, body in {MANIFEST: described, path: b"x"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return stream.getvalue()


LOCK_ENTRY = Entry(path=LOCK, sha256="0" * 64, size=0)
BAD = [
    "../evil",
    "/tmp/evil",
    ".envcap/../../evil",
    f".envcap/store/{'0' * 64}/..",
    f".envcap/store/{'0' * 64}/a/b",
    f".envcap/inputs/{'0' * 64}/a\\b",
    f".envcap/inputs/{'0' * 64}/a\nb",
    f".envcap/inputs/{'1' * 64}/other-digest",
    ".envcap/base/blobs/sha256/../../../evil",
    "evaluate.py",
    ".git/config",
    "pylock.other.toml",
]


@pytest.mark.parametrize("path", BAD)
def test_a_name_without_a_place_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        attempt(forged(path, more=[LOCK_ENTRY]), tmp_path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["into", "x.capsule"]
    assert list((tmp_path / "into").iterdir()) == []


@given(path=st.text(max_size=80))
def test_no_made_up_name_is_taken(path: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("made-up")
    try:
        capsule = forged(path, more=[LOCK_ENTRY])
    except (UnicodeEncodeError, msgspec.EncodeError):
        return
    with pytest.raises(RefusedError):
        attempt(capsule, folder)
    assert list((folder / "into").iterdir()) == []


@pytest.mark.parametrize("size", [-1, 1 << 60])
def test_a_size_that_cannot_be_is_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="bytes"):
        attempt(forged(f".envcap/store/{'0' * 64}/x", size=size, more=[LOCK_ENTRY]), tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_link_or_device_in_place_of_a_file_is_refused(
    kind: bytes, content: bytes, files: dict[str, Path], tmp_path: Path
) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=stream, mode="w") as new:
        for member in old:
            body = old.extractfile(member)
            if member.name.endswith("code.tar"):
                member.type, member.linkname = kind, "/etc/passwd"
            new.addfile(member, body)
    with pytest.raises(RefusedError):
        attempt(stream.getvalue(), tmp_path)
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_a_newer_format_and_no_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RefusedError, match="formats up to `1`"):
        attempt(content.replace(b'"format": 1', b'"format": 2', 1), tmp_path)
    with pytest.raises(WrongUsageError):
        unpack(tmp_path / "none", tmp_path, tell=say_nothing)
