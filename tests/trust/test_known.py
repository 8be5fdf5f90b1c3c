"""Which locks are this user's own: a private note each, and nobody else's word for it."""

import os
from pathlib import Path

import pytest

from envcap.trust.known import is_known, remember
from envcap.trust.steering import is_steering

STEERING = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "PATH",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "PYTHONINSPECT",
    "PYTHONPYCACHEPREFIX",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "OPENSSL_CONF",
    "MALLOC_TRACE",
    "HOSTALIASES",
    "BASH_ENV",
    "GIT_SSH_COMMAND",
    "PIP_INDEX_URL",
    "DOCKER_HOST",
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_INJECTION64_PATH",
    "OMP_TOOL_LIBRARIES",
    "NODE_OPTIONS",
    "PERL5OPT",
    "HSA_TOOLS_LIB",
    "NCCL_NET_PLUGIN",
]
HARMLESS = [
    "PYTHONHASHSEED",
    "PYTHONUTF8",
    "OMP_NUM_THREADS",
    "MKL_CBWR",
    "GLIBC_TUNABLES",
    "NVIDIA_TF32_OVERRIDE",
    "TZ",
    "MALLOC_ARENA_MAX",
    "CUBLAS_WORKSPACE_CONFIG",
    "NCCL_ALGO",
    "ENVIRONMENT",
    "MY_PATH",
]
LOCK, OTHER = "a" * 64, "b" * 64


def test_a_noted_lock_is_known_and_the_note_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "locks"
    assert not is_known(LOCK, folder=folder)
    assert remember(LOCK, how="frozen", folder=folder)
    assert remember(LOCK, how="confirmed", folder=folder)
    assert is_known(LOCK, folder=folder)
    assert not is_known(OTHER, folder=folder)
    assert [path.name for path in folder.iterdir()] == [LOCK]
    assert (folder / LOCK).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_others_can_write_vouches_for_nothing(tmp_path: Path) -> None:
    remember(LOCK, how="frozen", folder=tmp_path)
    (tmp_path / OTHER).symlink_to(tmp_path / LOCK)
    assert not is_known(OTHER, folder=tmp_path)
    (tmp_path / LOCK).chmod(0o666)
    assert not is_known(LOCK, folder=tmp_path)
    (tmp_path / LOCK).chmod(0o600)
    assert is_known(LOCK, folder=tmp_path)
    tmp_path.chmod(0o777)
    assert not is_known(LOCK, folder=tmp_path)
    tmp_path.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(tmp_path / LOCK, 4242, -1)
        assert not is_known(LOCK, folder=tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not remember(LOCK, how="frozen", folder=tmp_path / "file" / "locks")
    assert not is_known(LOCK, folder=tmp_path / "file" / "locks")


@pytest.mark.parametrize("name", STEERING)
def test_a_variable_that_decides_what_is_loaded(name: str) -> None:
    assert is_steering(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_variable_that_does_not(name: str) -> None:
    assert not is_steering(name)
