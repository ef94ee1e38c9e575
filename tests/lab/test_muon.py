"""Muon: orthogonal steps, of any shapes."""

from __future__ import annotations

import pytest
import torch

from pipeline.lab.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 16, 4), (1, 4, 16)])
def test_five_iterations_bring_all_singular_values_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    assert values.min() > 0.3 and values.max() < 1.3
    assert torch.allclose(orthogonal(matrices * 100), orthogonal(matrices), atol=1e-4)  # their size does not matter


def test_it_fits_matrices_of_several_shapes() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(6, 12, bias=False), torch.nn.Linear(12, 4, bias=False)
    inputs, wanted = torch.randn(64, 6), torch.randn(64, 4)
    muon = Muon([first.weight, second.weight], weight_decay=0.0)
    losses = []
    for _ in range(150):
        loss = (second(torch.relu(first(inputs))) - wanted).square().mean()
        losses.append(float(loss.detach()))
        loss.backward()
        muon.step(0.02)
        first.weight.grad = second.weight.grad = None
    assert losses[-1] < 0.7 * losses[0]
