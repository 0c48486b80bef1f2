"""Where a token stands: three ways to tell attention, which cannot see it by itself.

    sinusoidal   x_t + p_t     p_{t,2i} = sin(t ω_i), p_{t,2i+1} = cos(t ω_i)     nothing to learn
    learned      x_t + P_t     P is a table with a row for each place     dL_dP_t = Σ dL_dx_t
    rotary       turn (x_i, x_{i+D/2}) by t ω_i, for queries and keys     turn blame back

    ω_i = 10,000^(−2i / C): how fast pair i turns, from 1 down to nearly 0; for rotary, D for C

x_t is the token at place t, C numbers; P is (block_size, C). The Σ goes over all sequences of the
batch. The hands of clocks tell the time in the same way as the sines: a fast hand says which second
it is, a slow one which hour, and together they tell all the places of a text apart.

Rotary turns what is compared instead of adding to it. Two vectors that are turned by t and by s
have a dot product in which only t − s remains: the distance of two tokens counts, not the place.
A turn by the opposite angle undoes it, and so carries the blame.

Sinusoidal: Vaswani et al. 2017, "Attention Is All You Need". Rotary: Su et al. 2021, "RoFormer:
Enhanced Transformer with Rotary Position Embedding". Explained in ``notes/positional_encoding.md``.
Run ``python phase-05-attention-numpy/code/positional_encoding.py``.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, DTypeLike, NDArray

from phase_02.gradient_check import check_gradients, check_layer
from phase_02.layers import Arrays, Layer, check_blame
from phase_05.scaled_dot_product import ScaledDotProduct
from shared.checks import check_array, check_count, check_float_type
from shared.plotting import BLUE, ORANGE
from shared.script import finish, lesson_arguments

Array = NDArray[Any]


def check_even(name: str, value: int) -> int:
    """Return ``value`` if it is a whole number that can be cut into pairs."""
    if check_count(name, value) % 2:
        raise ValueError(
            f"{name}: expected an even number, got {value}: numbers are turned in pairs, add one"
        )
    return value


def speeds(width: int) -> Array:
    """Return ω (width / 2,): how far each pair turns from one place to the next, in radians."""
    return 10_000.0 ** (-np.arange(0, check_even("width", width), 2) / width)


def angles(T: int, width: int) -> Array:
    """Return t ω_i for the places t = 0 … T − 1 and each pair i: (T, width / 2)."""
    return np.arange(check_count("T", T))[:, None] * speeds(width)


def sinusoidal(T: int, width: int) -> Array:
    """Return the table of sines and cosines, (T, width): row t is added to the token at place t."""
    turned = angles(T, width)
    return np.stack([np.sin(turned), np.cos(turned)], axis=-1).reshape(T, width)


class LearnedPositions(Layer):
    """A table with a row for each place, added to the tokens; this is what GPT-2 has.

    Parameters
    ----------
    block_size
        The longest sequence there is a place for.
    width
        C.
    rng
        Where the first numbers come from: a bell curve of width 0.02, as in GPT-2.
    dtype
        Their precision.
    """

    def __init__(
        self,
        block_size: int,
        width: int,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__()
        shape = (check_count("block_size", block_size), check_count("width", width))
        table = 0.02 * rng.normal(size=shape)
        self.params = {"W": table.astype(check_float_type("dtype", dtype))}
        self.shape: tuple[int, ...] = (0, 0, width)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Add its place to each token of x (B, T, C), with T at most ``block_size``."""
        W = self.params["W"]
        x = check_array("x", x, ("B", "T", W.shape[1]), "give C numbers for each token")
        x = x.astype(W.dtype, copy=False)
        if x.shape[1] > len(W):
            raise ValueError(
                f"x: expected at most {len(W)} tokens in a sequence, got {x.shape[1]}: cut it, or "
                "train with a larger block_size"
            )
        self.shape = x.shape
        return x + W[: x.shape[1]]

    def backward(self, dL_da: ArrayLike) -> tuple[Array, Arrays]:
        """Return the blame for x, which passes as it is, and for the table."""
        dL_dx = check_blame(dL_da, self.shape)
        # x + W[:T]: row t served every sequence, so its blame is summed; later rows served none
        dL_dW = np.zeros_like(self.params["W"])
        dL_dW[: self.shape[1]] = dL_dx.sum(axis=0)
        return dL_dx.copy(), {"W": dL_dW}


class Rotary:
    """Turn queries and keys by an angle that grows with their place.

    Entry i is paired with entry i + D/2, as in Llama. The paper pairs neighbours, 2i and 2i + 1:
    the same turns of the same numbers in another order.

    Parameters
    ----------
    head_dim
        D, numbers per head; an even number.
    """

    def __init__(self, head_dim: int) -> None:
        self.head_dim = check_even("head_dim", head_dim)

    def turn(self, x: ArrayLike, direction: int) -> Array:
        """Turn each pair of x (…, T, D) by its angle, forward (1) or back (−1)."""
        x = check_array("x", x, (None, "T", self.head_dim), "give D numbers for each token")
        turned = angles(x.shape[-2], self.head_dim)  # (T, D / 2), in float64: places are large
        cos = np.cos(turned).astype(x.dtype)
        sin = (direction * np.sin(turned)).astype(x.dtype)
        first, second = np.split(x, 2, axis=-1)
        return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)

    def forward(self, x: ArrayLike) -> Array:
        """Turn queries or keys (…, T, D)."""
        return self.turn(x, 1)

    def backward(self, dL_da: ArrayLike) -> Array:
        """Return the blame for what was turned: the blame, turned back."""
        return self.turn(dL_da, -1)


def draw(scores: dict[int, Array]) -> Figure:
    """Draw the table of sines, and rotary scores against distance from two different places."""
    figure = Figure(figsize=(8, 3.4))
    table, distance = figure.subplots(1, 2)
    image = table.imshow(sinusoidal(48, 32).T, cmap="RdBu", aspect="auto", origin="lower")
    figure.colorbar(image, ax=table)
    table.grid(False)
    table.set_xlabel("place t")
    table.set_ylabel("entry of p_t")
    table.set_title("Fast hands below, slow above")
    for (place, values), color, style in zip(
        scores.items(), (BLUE, ORANGE), ("-", "--"), strict=True
    ):
        distance.plot(values, style, color=color, label=f"query at place {place}")
    distance.set_xlabel("distance to the key")
    distance.set_ylabel("q · k, both turned")
    distance.set_title("Rotary: only the distance counts")
    distance.legend()
    figure.tight_layout()
    return figure


def check_rotary(rng: np.random.Generator) -> float:
    """Return the relative error of rotary's backward pass; T = 5, D = 6."""
    rotary, x, c = Rotary(6), rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 5, 6))
    return check_gradients(
        lambda: float(np.sum(rotary.forward(x) * c)), {"x": x}, {"x": rotary.backward(c)}
    )["x"]


def main() -> None:
    """Show that attention sees no order, and three ways to give it one."""
    arguments = lesson_arguments(__doc__, __file__)
    rng = np.random.default_rng(0)
    words = rng.normal(size=(4, 8))  # four tokens of eight numbers
    shuffled = [2, 0, 3, 1]
    attention = ScaledDotProduct()

    def look(x: Array) -> Array:
        return attention.forward(x, x, x)

    print("tokens in another order: how much does what each one gets change?")
    places = {
        "without places": np.zeros((4, 8)),
        "sinusoidal": sinusoidal(4, 8),
        "learned": rng.normal(size=(4, 8)),
    }
    for name, p in places.items():
        change = look(words[shuffled] + p) - look(words + p)[shuffled]
        print(f"  {name:15} {np.abs(change).max():.3f}")

    print(f"sinusoidal {sinusoidal(3, 4).shape}: places 0, 1, 2 of width 4")
    for row in sinusoidal(3, 4):
        print(f"  {row.round(3)}")

    rotary = Rotary(32)
    q, k = rng.normal(size=(2, 32))
    turned_q = rotary.forward(np.broadcast_to(q, (80, 32)))
    turned_k = rotary.forward(np.broadcast_to(k, (80, 32)))
    scores = {
        place: np.array([turned_q[place] @ turned_k[place - far] for far in range(31)])
        for place in (30, 70)
    }
    print("rotary: q · k at distances 0, 1, 2")
    for place, values in scores.items():
        print(f"  query at place {place}: {values[:3].round(3)}")

    learned = LearnedPositions(6, 4, rng)
    errors = check_layer(learned, rng.normal(size=(3, 5, 4)), rng)
    print(f"gradient check: learned x {errors['x']:.0e}, W {errors['W']:.0e}; ", end="")
    print(f"rotary {check_rotary(rng):.0e}")
    finish(draw(scores), arguments)


if __name__ == "__main__":
    main()
