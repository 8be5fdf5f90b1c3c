"""Which packages share a layer: stable, few, the heavy and seldom changed first."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from envcap.model.lock import Lock, Package, Wheel
from envcap.render.layers import installation_of, layer_files, layer_steps

replace = msgspec.structs.replace
MIB = 1 << 20


def package(name: str, size: int | None = 1000, *, sha256: str = "", **fields: Any) -> Package:
    wheel = Wheel(name=f"{name}-1.0-py3-none-any.whl", sha256=sha256 or name, size=size, url="https://example.org/x")
    return Package(name=name, version="1.0", wheel=wheel, **fields)


def layers_of(packages: list[Package]) -> list[tuple[str, ...]]:
    return [file.wheels for file in layer_files(packages)]


def test_heavy_ones_come_first_and_what_is_made_here_last() -> None:
    packages = [
        package("a-mine", origin="local"),
        package("b-light"),
        package("c-unknown", size=None),
        package("d-heavy", 50 * MIB),
        package("e-heavier", 700 * MIB),
        package("f-heavy", 40 * MIB),
    ]
    assert layers_of(packages) == [("e-heavier",), ("d-heavy",), ("f-heavy",), ("b-light", "c-unknown"), ("a-mine",)]
    assert layer_steps(packages)[0] == (["e-heavier 1.0"], '["layers/01-e-heavier.tar", "/"]')
    assert layer_steps(packages)[-1] == (["a-mine 1.0"], '["layers/05-own.tar", "/"]')


SIZES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True),
    st.one_of(st.none(), st.integers(min_value=1, max_value=900 * MIB)),
    min_size=1,
    max_size=300,
)


@given(sizes=SIZES, data=st.data())
def test_one_changed_package_changes_one_layer(sizes: dict[str, int | None], data: st.DataObject) -> None:
    packages = [package(name, size) for name, size in sorted(sizes.items())]
    before = layers_of(packages)
    assert sorted(wheel for layer in before for wheel in layer) == sorted(sizes)
    assert len(before) <= 60
    changed = data.draw(st.sampled_from(sorted(sizes)))
    after = layers_of(
        [replace(one, wheel=replace(one.wheel, sha256="new")) if one.name == changed else one for one in packages]
    )
    assert len(after) == len(before)
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 1


@given(sizes=SIZES)
def test_a_package_that_comes_in_moves_few_others(sizes: dict[str, int | None]) -> None:
    packages = [package(name, size) for name, size in sorted(sizes.items())]
    before = layers_of(packages)
    after = layers_of([*packages, package("zzzzzzzz")])
    light = [name for name, size in sizes.items() if (size or 0) < 4 * MIB]
    if len(light) not in {16, 32, 64, 128}:  # there the buckets are divided
        assert len(set(after) - set(before)) <= 2


def test_where_packages_are_installed(sample_lock: Lock) -> None:
    assert installation_of(sample_lock).site == "/opt/env/lib/python3.11/site-packages"
    for python, series in (
        ({"version": "3.13.0", "abi": "cpython-313t-x86_64-linux-gnu"}, "python3.13t"),
        ({"version": "3.9.18", "implementation": "pypy", "abi": "pypy39-pp73-x86_64-linux-gnu"}, "pypy3.9"),
        ({"version": "3.6.15", "abi": "cpython-36m-x86_64-linux-gnu"}, "python3.6"),
    ):
        lock = replace(sample_lock, python=replace(sample_lock.python, **python))
        assert installation_of(lock).series == series
