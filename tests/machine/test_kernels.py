"""Kernels that earlier runs compiled: the compiler is needed all the same."""

from pathlib import Path

import pytest

from envcap.machine.kernels import with_compilers
from envcap.model.observed import Observed

TRITON = "/home/ada/.triton/cache/ABC/launcher.so"
INDUCTOR = "/tmp/torchinductor_ada/ab/cabc.so"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    for name in ("gcc", "g++", "clang-17"):
        (tmp_path / name).touch(mode=0o755)
    return {"PATH": str(tmp_path)}


def test_a_run_without_kernels_is_left_as_it_is(env: dict[str, str]) -> None:
    observed = Observed(mapped=["/usr/lib/libm.so.6"], read=["/home/ada/x.json"])
    assert with_compilers(observed, env=env) == (observed, [])


@pytest.mark.parametrize(
    ("mapped", "variables", "expected"),
    [
        (TRITON, {}, ["gcc"]),
        (INDUCTOR, {}, ["g++", "gcc"]),
        (TRITON, {"CC": "clang-17"}, ["clang-17"]),
        ("/scratch/kernels/ABC/x.so", {"TRITON_CACHE_DIR": "/scratch/kernels"}, ["g++", "gcc"]),
    ],
)
def test_the_compiler_counts_as_started(
    mapped: str, variables: dict[str, str], expected: list[str], env: dict[str, str]
) -> None:
    observed, (gap,) = with_compilers(Observed(mapped=["/usr/lib/libm.so.6", mapped]), env={**env, **variables})
    assert [Path(path).name for path in observed.started] == expected
    assert observed.mapped == ["/usr/lib/libm.so.6"]
    assert mapped.startswith(gap.subject)
    assert all(name in gap.consequence for name in expected)


def test_a_run_that_compiled_tells_by_itself(env: dict[str, str]) -> None:
    seen = Observed(mapped=[TRITON], started=["/usr/bin/x86_64-linux-gnu-gcc-12"])
    observed, gaps = with_compilers(seen, env=env)
    assert (observed.started, observed.mapped, gaps) == (seen.started, [], [])


def test_without_a_compiler_here_the_gap_says_so(tmp_path: Path) -> None:
    observed, (gap,) = with_compilers(Observed(read=[TRITON]), env={"PATH": str(tmp_path)})
    assert observed.started == []
    assert "no compiler is here" in gap.consequence
