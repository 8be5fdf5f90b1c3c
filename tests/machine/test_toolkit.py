"""Which CUDA of the system an environment uses: told by real paths and owners, and what is not clear stays a gap."""

import subprocess
from pathlib import Path

import pytest

from envcap.machine.linked import Environment, read_static
from envcap.machine.toolkit import Used, is_package_of_toolkit, used_toolkit
from envcap.model.lock import Library

TARGET = "/usr/local/cuda-12.8/targets/x86_64-linux/lib"
MULTIARCH = "/usr/lib/x86_64-linux-gnu"


def library(name: str, path: str, package: str | None = None) -> Library:
    return Library(name=name, path=path, seen="loaded", package=package, version="1" if package else None)


CUDART = library("libcudart.so.12", f"{TARGET}/libcudart.so.12.8.90")
CUBLAS = library("libcublas.so.12", f"{TARGET}/libcublas.so.12.8.4.1", "libcublas-12-8")
CUDNN = library("libcudnn.so.9", f"{MULTIARCH}/libcudnn.so.9.8.0", "libcudnn9-cuda-12")
NCCL = library("libnccl.so.2", f"{MULTIARCH}/libnccl.so.2.25.1", "libnccl2")


def used(release: str, *libraries: str, cudnn: str | None = None) -> Used:
    return Used(release=release, libraries=list(libraries), cudnn=cudnn)


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ([], None),
        ([CUDART], used("12.8", "libcudart.so.12")),
        (
            [NCCL, CUDNN, CUDART, CUBLAS],
            used("12.8", "libcublas.so.12", "libcudart.so.12", "libcudnn.so.9", "libnccl.so.2", cudnn="9.8.0"),
        ),
        ([library("libcudart.so.12", "/opt/apps/CUDA/12.1.1/lib/libcudart.so.12")], used("12.1", "libcudart.so.12")),
        ([library("libcufft.so.10", f"{MULTIARCH}/x.so", "libcufft-11-8")], used("11.8", "libcufft.so.10")),
        ([Library(name="libcudart.so.12", seen="absent")], None),  # an optional part names it, and it is not there
        ([library("libcuda.so.1", f"{MULTIARCH}/libcuda.so.570.26")], None),  # the driver's
        ([library("libcuda.so.1", "/usr/local/cuda-12.8/compat/lib/libcuda.so.1")], None),
        ([library("libcurl.so.4", f"{MULTIARCH}/libcurl.so.4", "libcurl4")], None),
        # Debian's own build is an OS package like others.
        ([library("libcudart.so.11.0", f"{MULTIARCH}/libcudart.so.11.8.89", "libcudart11.0")], None),
    ],
)
def test_the_toolkit_in_use(libraries: list[Library], expected: Used | None) -> None:
    assert used_toolkit(libraries) == (expected, [])


def test_a_copy_of_the_environments_own_comes_first() -> None:
    linked = Library(name="libcudart.so.12", path=f"{TARGET}/libcudart.so.12.8.90", seen="linked")
    assert used_toolkit([linked], provided={"libcudart.so.12"}) == (None, [])
    assert used_toolkit([linked], provided={"libcudnn.so.9"}) == (used("12.8", "libcudart.so.12"), [])
    assert used_toolkit([CUDART], provided={"libcudart.so.12"}) == (used("12.8", "libcudart.so.12"), [])  # loaded


def test_two_releases_are_not_clear() -> None:
    older = library("libcufft.so.10", "/usr/local/cuda-11.8/lib64/libcufft.so.10.9")
    found, (gap,) = used_toolkit([CUDART, older])
    assert found is None
    assert gap.where == "toolkit"
    assert "those of 11.8 and 12.8 are used together" in gap.reason


def test_without_a_release_nothing_is_guessed() -> None:
    found, (gap,) = used_toolkit([CUDNN])  # its package tells the major version alone
    assert found is None
    assert "no release can be told of it" in gap.reason


def test_what_the_images_do_not_hold_is_said() -> None:
    cupti = library("libcupti.so.12", "/usr/local/cuda-12.8/extras/CUPTI/lib64/libcupti.so.12")
    found, (gap,) = used_toolkit([CUDART, cupti])
    assert found == used("12.8", "libcudart.so.12")
    assert gap.subject == "libcupti.so.12"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(
            (name, True)
            for name in ("cuda-cudart-12-8", "libcublas-12-8", "libcublas-dev-12-8", "libnpp-11-8", "libcudnn8")
        ),
        *(
            (name, True)
            for name in ("libcudnn9-cuda-12", "libcudnn9-dev-cuda-12", "libnccl2", "cuda-toolkit-config-common")
        ),
        *((name, False) for name in ("libcurl4", "libgtk-3-0", "libcups2", "libcudart11.0", "libgomp1", "cuda", "")),
    ],
)
def test_nvidias_packages(name: str, *, expected: bool) -> None:
    assert is_package_of_toolkit(name) == expected


def test_an_extension_that_links_to_a_toolkit(tmp_path: Path) -> None:
    """Link a real module to a library laid out as toolkits are, and ask the static pass."""
    target = tmp_path / "cuda-12.8" / "targets" / "x86_64-linux" / "lib"
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    target.mkdir(parents=True)
    site.mkdir(parents=True)
    (tmp_path / "cuda-12.8" / "lib64").symlink_to("targets/x86_64-linux/lib")
    real, lib64 = target / "libcudart.so.12.8.90", tmp_path / "cuda-12.8" / "lib64"
    compiler = ["cc", "-shared", "-fPIC", "-x", "c", "-"]
    function = b"int cudaRuntimeGetVersion(int *version) { *version = 12080; return 0; }"
    subprocess.run([*compiler, "-Wl,-soname,libcudart.so.12", "-o", real], input=function, check=True)
    for name in ("libcudart.so.12", "libcudart.so"):
        (target / name).symlink_to(real.name)
    module = site / "_kernels.cpython-311-x86_64-linux-gnu.so"
    caller = b"int cudaRuntimeGetVersion(int *); int version(void) { int v; cudaRuntimeGetVersion(&v); return v; }"
    linking = ["-Wl,--no-as-needed", f"-L{lib64}", "-lcudart", f"-Wl,-rpath,{lib64}"]
    subprocess.run([*compiler, "-o", module, *linking], input=caller, check=True)
    environment = Environment(
        executable="/bin/true", prefix=str(tmp_path / "env"), base_prefix="/usr", paths=[str(site)]
    )
    static = read_static(environment, environ={})
    assert static.provided >= {module.name}
    linked = [item for item in static.libraries if item.path == str(real)]
    libraries = [Library(name=item.name, path=item.path, seen="linked", needed_by=item.needed_by) for item in linked]
    assert libraries[0].needed_by == [module.name]
    assert used_toolkit(libraries) == (used("12.8", "libcudart.so.12"), [])
