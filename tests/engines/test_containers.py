"""What is laid into a container and brought back out of it."""

import io
import tarfile

import pytest

from envcap.engines.containers import tar_of


@pytest.mark.parametrize("files", [{}, {"a": b""}, {"a.py": b"x" * 513, "folder/b": b"y" * 20_000}])
def test_an_archive_ends_with_its_end_mark(files: dict[str, bytes]) -> None:
    archive = tar_of(files)
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        found = [(member.name, member.size) for member in members]
    assert found == [(name, len(content)) for name, content in files.items()]
    blocks = sum(1 + -(-len(content) // tarfile.BLOCKSIZE) for content in files.values())
    assert len(archive) == (blocks + 2) * tarfile.BLOCKSIZE
