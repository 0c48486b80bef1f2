"""How the weights move: AdamW for most of them, Muon for the matrices, and the learning rate.

AdamW (Loshchilov & Hutter 2017, "Decoupled Weight Decay Regularization") moves each weight by
itself. Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") looks
at a matrix as a whole and makes its step equally strong in all directions. On the stories it ends
nearer to the floor after the same number of steps; the README has both results. Embeddings, norms
and biases stay with AdamW.
"""

from torch import nn, optim

from phase_08.config import OptimizerConfig


def make_optimizers(model: nn.Module, config: OptimizerConfig) -> list[optim.Optimizer]:
    """Return the optimizers that share the model's parameters among them.

    Weight decay pulls on matrices and embeddings only: a norm or a bias has no reason to be small.
    """
    in_blocks, embeddings, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            vectors.append(parameter)
        elif name.startswith("blocks."):
            in_blocks.append(parameter)
        else:
            embeddings.append(parameter)

    decayed = embeddings if config.matrices == "muon" else embeddings + in_blocks
    optimizers: list[optim.Optimizer] = [
        optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            fused=True,
        )
    ]
    if config.matrices == "muon":
        optimizers.append(
            optim.Muon(
                in_blocks,
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",  # so that one learning rate serves both
            )
        )
    return optimizers


def learning_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Return the learning rate of a step, counted from 0: up in a line, then down to zero."""
    rising = (step + 1) / (config.warmup_steps + 1)
    falling = 1 - step / steps
    return config.learning_rate * min(1.0, rising) * falling


def set_learning_rate(optimizers: list[optim.Optimizer], value: float) -> None:
    """Give every parameter the learning rate ``value``."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = value
