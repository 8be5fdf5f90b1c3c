"""What a lock may not say of the code and the data: commits that are none, words that steer a terminal."""

from typing import Any

import msgspec
import pytest

from envcap import lockfile
from envcap.errors import RefusedError
from envcap.model.lock import LeftOut, Lock, Submodule
from tests.test_lockfile import signed

replace = msgspec.structs.replace


def refused(lock: Lock, **changes: Any) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(replace(lock, code=replace(lock.code, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"commit": "HEAD"},
        {"commit": "0" * 39},
        {"branch": "main\x1b[2J"},
        {"repository": "https://git.example.org/\nfake: line"},
        {"left_out": [LeftOut(why="large", count=0, paths=["a"])]},
    ],
)
def test_code_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock) -> None:
    refused(sample_lock, **changes)


@pytest.mark.parametrize("changes", [{"recorded": "x"}, {"checked_out": "--help"}, {"repository": "https://x\r"}])
def test_a_submodule_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock) -> None:
    refused(sample_lock, submodules=[replace(Submodule(path="sub", recorded="1" * 40), **changes)])


def test_a_reason_that_is_none_is_no_lock(sample_lock: Lock) -> None:
    text = lockfile.dump(sample_lock).decode().replace('why = "ignored"', 'why = "lost"')
    with pytest.raises(RefusedError, match="lost"):
        lockfile.parse(signed(text), source="pylock.toml")


@pytest.mark.parametrize("md5", ["", "0" * 31, f"{'0' * 32}.txt", f"{'0' * 32}\n"])
def test_an_md5_that_is_none(md5: str, sample_lock: Lock) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(replace(sample_lock, data=[replace(sample_lock.data[0], dvc=md5)]))


def test_an_older_lock_says_less(sample_lock: Lock) -> None:
    """It has none of the keys that came later."""
    code = replace(sample_lock.code, submodules=[], notebooks=[], left_out=[])
    text = lockfile.dump(replace(sample_lock, code=code)).decode()
    for key in ("shallow = false\n", "submodules = []\n", "notebooks = []\n", "left-out = []\n"):
        assert text.count(key) == 1
        text = text.replace(key, "")
    assert lockfile.parse(signed(text), source="pylock.toml").code == code
