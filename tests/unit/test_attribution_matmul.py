"""Matrix products of the fast path, of every size and layout, against float64."""

from __future__ import annotations

import pytest
import torch

from ct_widgets.attribution.fast.matmul import add_matmul, matmul, matmul_in_runs


def draw(n: int, width: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(n + width)
    return torch.randn(n, inputs), torch.randn(width, inputs)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 900, 1301])
@pytest.mark.parametrize("layout", ["rows", "transposed", "every other row"])
def test_matmul_equals_float64_whatever_the_size_and_layout(n: int, layout: str) -> None:
    x, W = draw(n, 512, 384)
    if layout == "transposed":
        W = W.T.contiguous().T
    elif layout == "every other row":
        x, W = torch.randn(n, 2, 384)[:, 1], torch.randn(512, 2, 384)[:, 1]
    exact = x.double() @ W.double().T
    torch.testing.assert_close(matmul(x, W).double(), exact, rtol=0, atol=2e-4)
    ones = torch.ones(n, 512)
    add_matmul(ones, x, W)
    torch.testing.assert_close(ones.double(), exact + 1, rtol=0, atol=2e-4)
    torch.testing.assert_close(matmul_in_runs(x, W, ones.fill_(torch.nan)).double(), exact, rtol=0, atol=2e-4)
    torch.testing.assert_close(matmul_in_runs(x, W, ones.fill_(1), add=True).double(), exact + 1, rtol=0, atol=2e-4)


def test_columns_of_a_matrix_are_added_to() -> None:
    x, W = draw(700, 512, 512)
    rows = torch.zeros(700, 600)
    add_matmul(rows[:, 40:552], x, W)
    torch.testing.assert_close(rows[:, 40:552], x @ W.T, rtol=0, atol=2e-4)
    assert not rows[:, :40].any()
    assert not rows[:, 552:].any()


def test_other_numbers_than_float32_stay_what_they_are() -> None:
    x, W = draw(700, 512, 512)
    assert matmul(x.double(), W.double()).dtype == torch.float64
    torch.testing.assert_close(matmul_in_runs(x.double(), W.double(), x.double()), x.double() @ W.double().T)
