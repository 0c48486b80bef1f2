"""The shape of a GPT: every size that the model has, checked when it is made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT-2. The defaults are those of GPT-2 small, with 124M parameters."""

    vocab_size: int = 50257
    """V, how many different tokens there are"""

    block_size: int = 1024
    """the longest sequence the model can read, in tokens"""

    n_layer: int = 12
    """how many blocks stand on top of each other"""

    n_head: int = 12
    """H, attention heads per block"""

    n_embd: int = 768
    """C, how many numbers describe one token; a multiple of n_head"""

    dropout: float = 0.0
    """share of activations set to zero in training, from 0 to below 1; GPT-2 used 0.1"""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}: choose a larger one")
        if self.n_embd % self.n_head != 0:
            nearest = max(1, round(self.n_embd / self.n_head)) * self.n_head
            raise ValueError(
                f"n_embd: expected a multiple of n_head = {self.n_head}, got {self.n_embd}: "
                f"the nearest is {nearest}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"dropout: expected a share from 0 to below 1, got {self.dropout}: 0 turns it off"
            )

    @property
    def head_dim(self) -> int:
        """D, how many numbers each head works with."""
        return self.n_embd // self.n_head
