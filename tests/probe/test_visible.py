"""CUDA_VISIBLE_DEVICES as CUDA reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.probe.target.visible import visible_devices

UUIDS = [["GPU-aa11"], ["GPU-aa22", "MIG-bb33"], ["GPU-cc44"]]
ALIKE = ["H100", "H100", "H100"]
MIXED = ["H100", "T4", "T4"]


@pytest.mark.parametrize(
    ("setting", "chosen"),
    [
        (None, {0, 1, 2}),
        ("", set()),
        ("0", {0}),
        ("2,0", {0, 2}),
        (" 1 , 2 ", {1, 2}),
        ("0,7,1", {0}),  # it ends at the first entry that names nothing
        ("-1", set()),
        ("GPU-cc", {2}),
        ("GPU-aa", set()),  # names two
        ("MIG-bb33", {1}),
        ("gpu-cc44", set()),
        ("NoDevFiles", set()),
        ("²", set()),
    ],
)
def test_choices(setting: str | None, chosen: set[int]) -> None:
    expected = [number in chosen for number in range(3)]
    assert visible_devices(UUIDS, ALIKE, setting, None) == expected
    assert visible_devices(UUIDS, MIXED, setting, "PCI_BUS_ID") == expected


def test_a_number_says_nothing_where_the_fastest_comes_first_and_models_differ() -> None:
    assert visible_devices(UUIDS, MIXED, "0", None) == [None, None, None]
    assert visible_devices(UUIDS, MIXED, "GPU-cc44", None) == [False, False, True]


@given(st.text(max_size=30), st.sampled_from([None, "PCI_BUS_ID", "FASTEST_FIRST"]))
def test_any_setting_has_an_answer(setting: str, order: str | None) -> None:
    assert len(visible_devices(UUIDS, MIXED, setting, order)) == len(MIXED)
