"""Who moves which parameter, and how far."""

import pytest
import torch

from phase_07.config import GPTConfig
from phase_07.model import GPT
from phase_08.config import OptimizerConfig
from phase_08.optimizer import learning_rate, make_optimizers, set_learning_rate

MODEL = GPT(GPTConfig(vocab_size=20, block_size=8, n_layer=2, n_head=2, n_embd=8))


@pytest.mark.parametrize("matrices", ["adamw", "muon"])
def test_every_parameter_is_moved_once_and_vectors_do_not_decay(matrices):
    config = OptimizerConfig(matrices=matrices, weight_decay=0.1)
    optimizers = make_optimizers(MODEL, config)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    moved = [parameter for group in groups for parameter in group["params"]]
    assert sorted(map(id, moved)) == sorted(map(id, MODEL.parameters()))
    for group in groups:
        dimensions = {parameter.dim() for parameter in group["params"]}
        assert dimensions == ({2} if group["weight_decay"] else {1})
    kinds = [type(optimizer) for optimizer in optimizers]
    assert kinds == [torch.optim.AdamW, torch.optim.Muon][: 1 + (matrices == "muon")]
    if matrices == "muon":
        held = {id(parameter) for parameter in optimizers[1].param_groups[0]["params"]}
        assert held == {id(p) for p in MODEL.blocks.parameters() if p.dim() == 2}


def test_learning_rate_rises_and_falls_to_zero():
    config = OptimizerConfig(learning_rate=0.01, warmup_steps=9)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.01 * 1 / 10)
    assert rates.index(max(rates)) == 9
    assert max(rates) == pytest.approx(0.01 * 0.91)
    assert rates[-1] == pytest.approx(0.01 * 0.01)
    assert learning_rate(0, 100, OptimizerConfig(learning_rate=0.01, warmup_steps=0)) == 0.01

    optimizers = make_optimizers(MODEL, config)
    set_learning_rate(optimizers, 0.123)
    assert {group["lr"] for optimizer in optimizers for group in optimizer.param_groups} == {0.123}
