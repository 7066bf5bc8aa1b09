"""Names of features are read, printed and checked in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_widgets.errors import FeatureError
from ct_widgets.feature_name import FeatureName

SIZES = [14, 3]


@given(layer=st.integers(0, 200), index=st.integers(0, 10**7))
def test_a_printed_name_reads_back(layer: int, index: int) -> None:
    name = FeatureName(layer, index)
    assert str(name) == f"{name}" == f"L{layer}/{index}"
    assert FeatureName.parse(str(name)) == (layer, index)
    assert FeatureName.of(str(name)) == FeatureName.of((layer, index)) == name


@pytest.mark.parametrize(
    "text", ["", "2/517", "L2", "L2/", "L2/517 ", "l2/517", "L2/5/17", "L-1/3", "L٢/3", "<img src=x>"]
)
def test_what_is_not_a_name_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(FeatureError, match='is not the name of a feature; expected layer and index as in "L2/517"'):
        FeatureName.parse(text)


def test_a_name_is_checked_against_the_layers_that_there_are() -> None:
    assert FeatureName(1, 2).check(SIZES) == (1, 2)
    with pytest.raises(FeatureError, match="L1/3 does not exist; layer 1 has features 0 to 2"):
        FeatureName(1, 3).check(SIZES)
    for layer in (-1, 2):
        with pytest.raises(FeatureError, match="does not exist; there are layers 0 to 1"):
            FeatureName(layer, 0).check(SIZES)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_numbers_count_through_all_layers(sizes: list[int]) -> None:
    names = [FeatureName(layer, index) for layer, n in enumerate(sizes) for index in range(n)]
    assert [name.number(sizes) for name in names] == list(range(len(names)))
    assert [FeatureName.of_number(number, sizes) for number in range(len(names))] == names
    with pytest.raises(FeatureError, match="no feature of this number"):
        FeatureName.of_number(len(names), sizes)
