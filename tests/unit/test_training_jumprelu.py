"""JumpReLU's straight-through estimator against finite differences of the function it is the gradient of."""

import pytest
import torch

from ct_widgets.training.jumprelu import jump_relu

BANDWIDTH = 0.6
DELTA = 1e-6


def smoothed(h: torch.Tensor, theta: torch.Tensor, height: torch.Tensor) -> torch.Tensor:
    """JumpReLU with its jump spread over the band: relu(h - height) + height Phi((h - theta) / eps).

    The jump's height equals theta, and does not move with it: a feature that is on has activation h whatever theta.
    """
    phi = ((h - theta) / BANDWIDTH + 0.5).clamp(0, 1)
    return torch.relu(h - height) + height * phi


@pytest.fixture
def grid() -> tuple[torch.Tensor, torch.Tensor]:
    # Away from the corners of K and of the ReLU, where no derivative exists.
    h = torch.linspace(-1, 2, 301, dtype=torch.float64) + 0.00321
    theta = torch.tensor(0.4, dtype=torch.float64)
    return h, theta


def gradients(h: torch.Tensor, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    h = h.clone().requires_grad_()
    thetas = theta.expand_as(h).clone().requires_grad_()
    jump_relu(h, thetas, BANDWIDTH).sum().backward()
    assert h.grad is not None
    assert thetas.grad is not None
    return h.grad, thetas.grad


def test_forward_is_strict(grid: tuple[torch.Tensor, torch.Tensor]) -> None:
    h, theta = grid
    torch.testing.assert_close(jump_relu(h, theta, BANDWIDTH), torch.where(h > theta, h, 0))
    assert jump_relu(theta, theta, BANDWIDTH) == 0


def test_gradient_of_h_matches_finite_differences(grid: tuple[torch.Tensor, torch.Tensor]) -> None:
    h, theta = grid
    expected = (smoothed(h + DELTA, theta, theta) - smoothed(h - DELTA, theta, theta)) / (2 * DELTA)
    torch.testing.assert_close(gradients(h, theta)[0], expected, atol=1e-6, rtol=1e-6)


def test_gradient_of_threshold_matches_finite_differences(grid: tuple[torch.Tensor, torch.Tensor]) -> None:
    h, theta = grid
    expected = (smoothed(h, theta + DELTA, theta) - smoothed(h, theta - DELTA, theta)) / (2 * DELTA)
    torch.testing.assert_close(gradients(h, theta)[1], expected, atol=1e-6, rtol=1e-6)


def test_mean_threshold_gradient_is_that_of_the_true_mean() -> None:
    # Over evenly spread h, d/dtheta of the mean of JumpReLU is -theta; the estimator must agree without smoothing.
    h = torch.linspace(-1, 2, 300_001, dtype=torch.float64)
    theta = torch.tensor(0.4, dtype=torch.float64)
    mean = gradients(h, theta)[1].mean() * 3
    torch.testing.assert_close(mean, -theta, atol=1e-4, rtol=0)


def test_exp_outside_keeps_the_chain_rule_factor() -> None:
    h = torch.tensor([0.41], dtype=torch.float64)
    log_theta = torch.tensor([0.4], dtype=torch.float64).log().requires_grad_()
    jump_relu(h, log_theta.exp(), BANDWIDTH).sum().backward()
    assert log_theta.grad is not None
    torch.testing.assert_close(log_theta.grad, -(log_theta.detach().exp() ** 2) / BANDWIDTH)


def test_threshold_broadcasts_over_layers_and_tokens() -> None:
    h = torch.randn(2, 5, 3, dtype=torch.float64)
    theta = torch.rand(2, 1, 3, dtype=torch.float64).requires_grad_()
    jump_relu(h, theta, BANDWIDTH).sum().backward()
    assert theta.grad is not None
    assert theta.grad.shape == theta.shape
    torch.testing.assert_close(theta.grad, gradients(h, theta.detach())[1].sum(1, keepdim=True))
