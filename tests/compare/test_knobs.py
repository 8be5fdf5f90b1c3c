"""Which one thing a rerun changes for each suspect, and where it is known beforehand to be impossible."""

import pytest
from msgspec.structs import replace

from envcap.compare.knobs import HASH_SEED, Knob, knobs_for, what_applies
from envcap.model.cause import Cause
from envcap.model.facts import Facts
from envcap.model.lock import Lock
from envcap.model.numerics import NumericLibrary, Numerics

OPENBLAS = NumericLibrary(name="libscipy_openblas64_-abc.so", version="OpenBLAS 0.3.31", kernel="SkylakeX", threads=8)
FROZEN = Numerics(
    operations={"numpy matmul float64": "0" * 16},
    libraries=[OPENBLAS],
    features=["AVX2", "FMA3"],
    settings={"torch cpu capability": "AVX2"},
)


def cause(key: str, *evidence: str) -> Cause:
    return Cause(
        key=key, title=key, strength="likely", points=40, evidence=[*evidence], confirm="rerun", remedy="set it"
    )


def facts(lock: Lock, *, cores: int = 8, locale: str = "", encoding: str = "", timezone: str = "") -> Facts:
    """Give what is inside: as frozen but for what is named."""
    system = replace(
        lock.system,
        locale=locale or lock.system.locale,
        encoding=encoding or lock.system.encoding,
        timezone=timezone or lock.system.timezone,
    )
    return Facts(
        format=1,
        interpreter=lock.python,
        executable="/opt/env/bin/python",
        prefix="/opt/env",
        base_prefix="/usr/local",
        paths=[],
        distributions=[],
        system=system,
        hardware=replace(lock.hardware, cores=cores),
    )


def knobs(lock: Lock, key: str, inside: Facts, observed: Numerics = FROZEN, evidence: str = "") -> list[Knob]:
    return knobs_for([cause(key, evidence)], lock=lock, facts=inside, frozen=FROZEN, observed=observed)


@pytest.fixture
def lock(sample_lock: Lock) -> Lock:
    """Give a lock from a machine of eight processors, in Berlin."""
    system = replace(
        sample_lock.system,
        environment={},
        locale="de_DE.UTF-8",
        locale_categories={},
        encoding="utf-8",
        timezone="Europe/Berlin",
    )
    return replace(sample_lock, system=system, hardware=replace(sample_lock.hardware, cores=8), numerics=FROZEN)


def test_without_a_cause_the_two_cheapest_are_tried(lock: Lock) -> None:
    found = knobs_for([], lock=lock, facts=facts(lock), frozen=FROZEN, observed=FROZEN)
    assert [one.suspect for one in found] == ["hash seed", "threads"]
    assert (found[1].cpus, found[1].environment["OMP_NUM_THREADS"]) == (1, "1")


def test_the_kernel_is_set_back_and_the_library_asked_whether_it_obeys(lock: Lock) -> None:
    library = replace(OPENBLAS, name="libscipy_openblas64_-def.so", kernel="Haswell")  # of another build's file name
    (knob,) = knobs(lock, "blas", facts(lock), replace(FROZEN, libraries=[library]))
    assert knob.environment == {"OPENBLAS_CORETYPE": "SkylakeX"}
    assert (knob.asks, knob.expected) == ("numerics", {"kernel": "SkylakeX"})
    assert knobs(lock, "blas", facts(lock)) == []  # nothing differs
    assert knobs(lock, "blas", facts(lock), replace(FROZEN, libraries=[])) == []


def test_instruction_sets_are_masked_and_never_given_back(lock: Lock) -> None:
    more = replace(FROZEN, features=["AVX2", "AVX512F", "FMA3"], settings={"torch cpu capability": "AVX512"})
    (masked,) = knobs(lock, "simd", facts(lock), more)
    assert masked.environment == {"NPY_DISABLE_CPU_FEATURES": "AVX512F", "ATEN_CPU_CAPABILITY": "avx2"}
    assert (masked.impossible, masked.expected) == ("", {"features": "AVX2 FMA3"})
    (lacking,) = knobs(lock, "simd", facts(lock), replace(FROZEN, features=["FMA3"]))
    assert lacking.impossible == "this processor has no AVX2, which the frozen one had"
    assert knobs(lock, "simd", facts(lock)) == []


def test_threads_are_those_that_were_frozen(lock: Lock) -> None:
    (enough,) = knobs(lock, "threads", facts(lock, cores=16))
    assert (enough.cpus, enough.environment["OPENBLAS_NUM_THREADS"], enough.asks) == (8, "8", "nothing")
    (few,) = knobs(lock, "threads", facts(lock, cores=2))
    assert (few.cpus, few.expected) == (None, {"threads": "8"})  # the libraries are asked whether they obey
    (none,) = knobs(lock, "threads", facts(lock, cores=2), replace(FROZEN, libraries=[]))
    assert none.impossible == "there are 2 processors here, and 8 when it was frozen"
    recorded = replace(lock, system=replace(lock.system, environment={"OMP_NUM_THREADS": "4"}))
    (stated,) = knobs(recorded, "threads", facts(lock, cores=16))
    assert (stated.cpus, stated.environment["MKL_NUM_THREADS"]) == (4, "4")


def test_locale_and_time_zone_are_set_back_where_they_differ(lock: Lock) -> None:
    assert knobs(lock, "locale", facts(lock)) == knobs(lock, "timezone", facts(lock)) == []
    (locale,) = knobs(lock, "locale", facts(lock, locale="C", encoding="ascii"))
    assert locale.environment == {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONUTF8": "1"}
    several = replace(lock, system=replace(lock.system, locale_categories={"LC_TIME": "C"}))
    (knob,) = knobs(several, "locale", facts(lock))
    assert knob.expected == {"locale": "de_DE.UTF-8, LC_TIME C"}
    assert (knob.environment["LC_ALL"], knob.environment["LC_TIME"]) == ("", "C")
    latin = replace(lock, system=replace(lock.system, encoding="iso8859-1"))
    (plain,) = knobs(latin, "locale", facts(lock, locale="C"))
    assert plain.environment["PYTHONUTF8"] == "0"
    (zone,) = knobs(lock, "timezone", facts(lock, timezone="Asia/Tokyo"))
    assert (zone.environment, zone.expected) == ({"TZ": "Europe/Berlin"}, {"timezone": "Europe/Berlin"})


def test_the_variables_that_the_evidence_names_are_set_back(lock: Lock) -> None:
    recorded = replace(lock, system=replace(lock.system, environment={"SCALE": "3", "OTHER": "1"}))
    (knob,) = knobs(recorded, "variable", facts(lock), evidence="variable `SCALE`: frozen 3, inside 2")
    assert (knob.words, knob.environment) == ("SCALE as recorded", {"SCALE": "3"})
    assert knobs(recorded, "variable", facts(lock), evidence="`evaluate.py` reads the variable NEW") == []


def test_a_cause_without_a_knob_has_none(lock: Lock) -> None:
    assert knobs(lock, "packages", facts(lock)) == []
    assert knobs(lock, "hash seed", facts(lock)) == [HASH_SEED]
    (tf32,) = knobs(lock, "tf32", facts(lock))
    assert tf32.environment == {"NVIDIA_TF32_OVERRIDE": "0"}


def test_what_an_environment_says_of_itself(lock: Lock) -> None:
    said = what_applies(facts=facts(lock), numerics=FROZEN)
    assert said == {
        "locale": "de_DE.UTF-8",
        "timezone": "Europe/Berlin",
        "features": "AVX2 FMA3",
        "kernel": "SkylakeX",
        "threads": "8",
    }
    assert what_applies(facts=None, numerics=None) == {}
