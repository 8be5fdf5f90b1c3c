"""What surrounds the interpreter, read from text and from this machine."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from envcap.probe.handover import decode, pack, probe_host
from envcap.probe.target.gaps import Gaps
from envcap.probe.target.hardware import describe_hardware, numbers_as_ranges, parse_cpuinfo, parse_meminfo
from envcap.probe.target.libc import describe_libc, parse_musl
from envcap.probe.target.limits import describe_limits, parse_cgroup, parse_cpu_max
from envcap.probe.target.system import describe_system, parse_os_release, zone_of_link, zone_of_variable

_RELEASE = """\
# a remark
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID='debian'
QUOTED="a \\"b\\" \\\\\\$c \\` d"

broken
"""

_MUSL = """\
musl libc (x86_64)
Version 1.2.4_git20230717
Dynamic Program Loader
Usage: /lib/ld-musl-x86_64.so.1 [options] [--] pathname [args]
"""

_ARM = """\
processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp sve bf16 i8mm
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd40
"""

_INTEL = """\
processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags		: fpu sse4_2 avx2 avx avx512f amx_tile fma
"""


def test_os_release_is_unquoted() -> None:
    assert parse_os_release(_RELEASE) == {
        "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
        "VERSION_ID": "12",
        "VERSION_CODENAME": "bookworm",
        "ID": "debian",
        "QUOTED": 'a "b" \\$c ` d',
    }


def test_musl_tells_its_version() -> None:
    assert parse_musl(_MUSL) == "1.2.4_git20230717"
    assert parse_musl("") == ""


def test_musl_is_found_by_its_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> str:
        raise ValueError("unrecognized configuration name")

    loader = tmp_path / "ld-musl-x86_64.so.1"
    loader.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{_MUSL}END\nexit 1\n")
    loader.chmod(0o755)
    monkeypatch.setattr(os, "confstr", unknown)
    gaps = Gaps()
    assert describe_libc(gaps, loaders=str(tmp_path)) == ("musl", "1.2.4_git20230717")
    assert gaps.found == []


@pytest.mark.parametrize(
    ("value", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("<+03>-3", "<+03>-3"),
        ("", "UTC"),
        ("two words", None),
        ("x" * 65, None),
    ],
)
def test_the_zone_of_the_variable(value: str, zone: str | None) -> None:
    assert zone_of_variable(value) == zone


def test_the_zone_of_the_link() -> None:
    assert zone_of_link("../usr/share/zoneinfo/Etc/UTC") == "Etc/UTC"
    assert zone_of_link("/somewhere/else") is None


def test_processors() -> None:
    assert parse_cpuinfo(_INTEL) == (
        "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        ["amx_tile", "avx", "avx2", "avx512f", "fma", "sse4_2"],
    )
    assert parse_cpuinfo(_ARM) == (
        "implementer 0x41 part 0xd40",
        ["asimd", "asimdhp", "bf16", "fphp", "i8mm", "sve"],
    )
    assert parse_cpuinfo("") == ("", [])


@pytest.mark.parametrize(
    ("numbers", "text"), [(set(), ""), ({3}, "3"), ({0, 1, 2, 8}, "0-2,8"), ({1, 3, 4}, "1,3-4"), ({9, 10, 11}, "9-11")]
)
def test_processors_as_the_kernel_writes_them(numbers: set[int], text: str) -> None:
    assert numbers_as_ranges(numbers) == text


def test_a_process_that_is_bound_to_some_processors_says_to_which() -> None:
    """On a machine with one processor there is nothing to be bound to."""
    usable = os.sched_getaffinity(0)
    first = min(usable)
    taskset = f"import os, sys; os.sched_setaffinity(0, {{{first}}}); os.execv(sys.executable, sys.argv)"
    words = [sys.executable, "-c", taskset, "-B", "-"]
    done = subprocess.run(words, input=pack(), capture_output=True, check=True)
    hardware = decode(done.stdout).hardware
    assert hardware.cores == 1
    assert hardware.affinity == (str(first) if (os.cpu_count() or 1) > 1 else "")


def test_memory() -> None:
    assert parse_meminfo("MemFree: 1 kB\nMemTotal:       16384 kB\n") == 16384 * 1024
    assert parse_meminfo("MemFree: 1 kB\n") is None


def test_this_machine() -> None:
    env = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}
    facts = probe_host(Path(sys.executable), env=env)
    system, hardware = facts.system, facts.hardware
    assert (system.timezone, system.locale, system.encoding) == ("Asia/Tokyo", "C.UTF-8", "UTF-8")
    assert (system.kernel, system.architecture) == (os.uname().release, os.uname().machine)
    assert hardware.cores == len(os.sched_getaffinity(0))
    assert hardware.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_locale_that_is_not_installed_is_a_gap() -> None:
    facts = probe_host(Path(sys.executable), env={"LC_ALL": "tlh_QO.UTF-8"})
    assert facts.system.locale == "C"
    assert "locale" in [gap.subject for gap in facts.gaps]


def test_the_umask_is_told_and_kept() -> None:
    before = os.umask(0o027)
    try:
        assert probe_host(Path(sys.executable)).system.umask == "027"
        assert describe_system(Gaps())["umask"] == "027"
        assert os.umask(0o022) == 0o027
    finally:
        os.umask(before)


def test_a_machine_that_tells_nothing_gives_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: str, *_: object, **__: object) -> int:
        raise FileNotFoundError(2, "No such file or directory", path)

    def unknown(_: object) -> str:
        raise ValueError("unrecognized configuration name")

    gaps = Gaps()
    monkeypatch.setattr(os, "open", absent)
    monkeypatch.setattr(os, "confstr", unknown)
    monkeypatch.setattr(os, "listdir", absent)
    monkeypatch.delenv("TZ", raising=False)
    system = describe_system(gaps)
    hardware = describe_hardware(gaps, {})
    monkeypatch.undo()
    assert (system["distribution"], system["version"], system["libc"]) == ("", "", "")
    assert (hardware["cpu"], hardware["memory"]) == ("", 0)
    assert {gap["subject"] for gap in gaps.found} >= {"os-release", "libc", "cpu", "memory"}


def test_limits_are_those_of_the_process() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = describe_limits()
    assert text["nofile"] == str(soft)
    assert all(value.replace(".", "", 1).isdigit() for value in text.values())


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("0::/user.slice/session.scope\n", {"": "/user.slice/session.scope"}),
        ("4:memory:/docker/ab\n3:cpu,cpuacct:/\n", {"memory": "/docker/ab", "cpu": "/", "cpuacct": "/"}),
        ("0::/../elsewhere\nno line\n1:pids\n", {}),
    ],
)
def test_control_groups(text: str, groups: dict[str, str]) -> None:
    assert parse_cgroup(text) == groups


@pytest.mark.parametrize(
    ("text", "processors"),
    [("150000 100000", 1.5), ("max 100000", None), ("-1 100000", None), ("1 0", None), ("", None)],
)
def test_processor_quota(text: str, processors: float | None) -> None:
    assert parse_cpu_max(text) == processors
