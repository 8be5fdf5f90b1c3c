"""What an Apple computer tells, through a C library with the interface of its kernel's."""

import subprocess
import sys
from pathlib import Path

import pytest

from envcap.probe.target.apple import describe_apple

KERNEL = """\
#include <string.h>
int sysctlbyname(const char *name, void *value, size_t *size, void *other, size_t length) {
    unsigned long memory = 34359738368UL;
    if (!strcmp(name, "hw.memsize")) { memcpy(value, &memory, 8); *size = 8; return 0; }
    if (strcmp(name, "machdep.cpu.brand_string")) return -1;
    if (*size < sizeof BRAND) return -1;
    memcpy(value, BRAND, sizeof BRAND); *size = sizeof BRAND; return 0;
}
"""


def kernel(folder: Path, brand: str) -> str:
    library = folder / "kernel.so"
    words = ["cc", "-shared", "-fPIC", f'-DBRAND="{brand}"', "-x", "c", "-", "-o", str(library)]
    subprocess.run(words, input=KERNEL.encode(), check=True)
    return str(library)


def test_a_chip_of_its_own_is_processor_and_gpu(tmp_path: Path) -> None:
    assert describe_apple(kernel(tmp_path, "Apple M2 Pro")) == {
        "cpu": "Apple M2 Pro",
        "memory": 32 << 30,
        "gpus": [{"name": "Apple M2 Pro GPU", "maker": "apple", "memory": 32 << 30, "compute-capability": ""}],
    }


def test_the_gpu_beside_another_processor_is_not_told(tmp_path: Path) -> None:
    told = describe_apple(kernel(tmp_path, "Intel(R) Core(TM) i9-9880H CPU @ 2.30GHz"))
    assert sorted(told) == ["cpu", "memory"]


def test_a_library_without_it_tells_nothing(tmp_path: Path) -> None:
    library = tmp_path / "empty.so"
    subprocess.run(["cc", "-shared", "-x", "c", "-", "-o", library], input=b"int nothing;", check=True)
    assert describe_apple(str(library)) == {}
    assert describe_apple(str(tmp_path / "absent.so")) == {}


def test_another_system_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert describe_apple() == {}
