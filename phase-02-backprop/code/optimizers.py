"""Optimizers: how the gradient g becomes a step of the parameters θ.

    SGD        θ ← θ − η g
    Momentum   u ← β u + g                                       θ ← θ − η u
    RMSProp    v ← β v + (1 − β) g²                              θ ← θ − η g / (√v + ε)
    Adam       m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²    θ ← θ − η m̂ / (√v̂ + ε)
               m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)             at step t = 1, 2, …
    AdamW      as Adam, and before it                            θ ← θ − η λ θ

θ, g, u, m and v have the shape of the parameter; all operations go entry by entry. η is the
learning rate. u is a velocity: what the last steps have in common grows, what flips its sign
cancels. v measures how large a parameter's gradients are; dividing by √v gives every parameter
steps of about η. m and v are running averages of g and of g²; m̂ and v̂ correct them for having begun
at 0, and t counts the steps from 1. ε is tiny and keeps a division from being one by 0. λ is the
weight decay, and each β says how slowly an average forgets.

Kingma & Ba 2014, "Adam: A Method for Stochastic Optimization". Loshchilov & Hutter 2017, "Decoupled
Weight Decay Regularization". Worked by hand in ``notes/optimizers.md``. Run
``python phase-02-backprop/code/optimizers.py``.
"""

import math

import numpy as np
from matplotlib.figure import Figure

from phase_02.layers import Array, Arrays
from shared.checks import check_array, check_number, check_share
from shared.plotting import BLUE, GRAY, GREEN, ORANGE, PINK
from shared.script import finish, lesson_arguments


class Optimizer:
    """What every optimizer offers.

    Parameters
    ----------
    params
        The arrays to adjust, by name. They are changed in place.
    learning_rate
        How far one step goes; it may be changed between steps.

    Raises
    ------
    ValueError
        If an array holds no finite floating-point numbers, or a setting makes no sense.
    """

    def __init__(self, params: Arrays, learning_rate: float) -> None:
        for name, param in params.items():
            if check_array(name, param, np.shape(param), "start from finite numbers") is not param:
                kind = param.dtype if isinstance(param, np.ndarray) else type(param).__name__
                raise ValueError(
                    f"{name}: expected an array of floating-point numbers, got {kind}: it is "
                    "changed in place by fractions, make it with np.array(..., float)"
                )
        self.params = params
        self.learning_rate = check_number("learning_rate", learning_rate, 0)
        self.steps = 0

    def step(self, grads: Arrays) -> None:
        """Move every parameter once.

        Parameters
        ----------
        grads
            The gradient of the loss for each parameter, under its name and of its shape.

        Raises
        ------
        ValueError
            If a name is missing or unknown, a shape differs, a gradient is not finite, or the
            learning rate was set to what is not 0 or more. No parameter has moved then.
        """
        if not 0 <= self.learning_rate < np.inf:
            raise ValueError(
                f"learning_rate: expected 0 or more, got {self.learning_rate!r}: mend the schedule"
            )
        if set(grads) != set(self.params):
            raise ValueError(
                f"grads: expected one for each of {sorted(self.params)}, got {sorted(grads)}: "
                "pass what backward returned"
            )
        checked = {}
        for name, param in self.params.items():
            g = check_array(f"grads[{name!r}]", grads[name], param.shape, "pass what backward gave")
            checked[name] = g.astype(param.dtype, copy=False)
        self.steps += 1
        for name, param in self.params.items():
            self.update(name, param, checked[name])

    def update(self, name: str, param: Array, g: Array) -> None:
        """Move one parameter in place."""
        raise NotImplementedError

    def zeros(self) -> Arrays:
        """Return an array of zeros for each parameter, to remember something in."""
        return {name: np.zeros_like(param) for name, param in self.params.items()}


class SGD(Optimizer):
    """Step straight down the slope underfoot."""

    def update(self, name: str, param: Array, g: Array) -> None:
        """Move by −η g."""
        param -= self.learning_rate * g


class Momentum(Optimizer):
    """Keep a part of the last step, like a heavy ball.

    Parameters
    ----------
    beta
        The share of the velocity that stays, from 0 to below 1.
    """

    def __init__(self, params: Arrays, learning_rate: float, beta: float = 0.9) -> None:
        super().__init__(params, learning_rate)
        self.beta = check_share("beta", beta, "try 0.9")
        self.velocity = self.zeros()

    def update(self, name: str, param: Array, g: Array) -> None:
        """Move by −η u."""
        u = self.velocity[name]
        u *= self.beta
        u += g
        param -= self.learning_rate * u


class RMSProp(Optimizer):
    """Divide by how large this parameter's gradients are of late.

    It was published in 2012 in G. Hinton's lectures, not in a paper.

    Parameters
    ----------
    beta
        The share of the average that stays.
    eps
        ε, above 0.
    """

    def __init__(
        self, params: Arrays, learning_rate: float, beta: float = 0.9, eps: float = 1e-8
    ) -> None:
        super().__init__(params, learning_rate)
        self.beta, self.eps = check_share("beta", beta, "try 0.9"), check_number("eps", eps, 0)
        self.second_moment = self.zeros()

    def update(self, name: str, param: Array, g: Array) -> None:
        """Move by −η g / (√v + ε)."""
        v = self.second_moment[name]
        v *= self.beta
        v += (1 - self.beta) * g**2
        param -= self.learning_rate * g / (np.sqrt(v) + self.eps)


class Adam(Optimizer):
    """Momentum for the direction, RMSProp for the size, both corrected for their start at 0.

    Parameters
    ----------
    beta1, beta2
        The shares of the two averages that stay.
    eps
        ε, above 0.
    """

    def __init__(
        self,
        params: Arrays,
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, learning_rate)
        self.beta1 = check_share("beta1", beta1, "try 0.9")
        self.beta2 = check_share("beta2", beta2, "try 0.999")
        self.eps = check_number("eps", eps, 0)
        self.first_moment, self.second_moment = self.zeros(), self.zeros()

    def update(self, name: str, param: Array, g: Array) -> None:
        """Move by −η m̂ / (√v̂ + ε)."""
        m, v = self.first_moment[name], self.second_moment[name]
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * g**2
        m_hat = m / (1 - self.beta1**self.steps)
        v_hat = v / (1 - self.beta2**self.steps)
        param -= self.learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)


class AdamW(Adam):
    """Adam, and a pull of every matrix towards 0 that Adam's division does not touch.

    Parameters
    ----------
    weight_decay
        The strength λ of the pull, from 0 to below 1. Vectors, such as biases, are not pulled.
    settings
        Those of `Adam`.
    """

    def __init__(
        self, params: Arrays, learning_rate: float, weight_decay: float = 0.1, **settings: float
    ) -> None:
        super().__init__(params, learning_rate, **settings)
        self.weight_decay = check_share("weight_decay", weight_decay, "try 0.1")

    def update(self, name: str, param: Array, g: Array) -> None:
        """Shrink matrices by η λ θ, then move as Adam."""
        if param.ndim > 1:
            param -= self.learning_rate * self.weight_decay * param
        super().update(name, param, g)


def clip_gradients(grads: Arrays, max_norm: float) -> tuple[Arrays, float]:
    """Shorten all gradients by one factor if together they are longer than ``max_norm``.

    Returns
    -------
    tuple
        The gradients, and the length ‖g‖ over all of them before.

    Raises
    ------
    ValueError
        If there are none, one is not finite, or ``max_norm`` is not above 0.
    """
    max_norm = check_number("max_norm", max_norm, 0)
    if not grads:
        raise ValueError("grads: expected at least one, got none: pass what backward returned")
    grads = {
        name: check_array(f"grads[{name!r}]", grad, np.shape(grad), "pass what backward returned")
        for name, grad in grads.items()
    }
    # In float64, because in float32 the square of 1e20 is infinite.
    norm = math.sqrt(sum(float(np.sum(grad.astype(float) ** 2)) for grad in grads.values()))
    if norm <= max_norm:
        return grads, norm
    return {name: grad * (max_norm / norm) for name, grad in grads.items()}, norm


def warmup_cosine(step: int, steps: int, peak: float, warmup: int = 0, low: float = 0.0) -> float:
    """Return the learning rate of a step, counted from 0: up in a line, down in half a cosine.

    Parameters
    ----------
    step, steps
        Which step, and how many there are.
    peak, low
        The highest learning rate, and the last one (if more than one step follows the warm-up).
    warmup
        How many steps it takes to come up.

    Raises
    ------
    ValueError
        If the step is not one of the steps, the warm-up is not shorter than they are, the peak is
        not above 0, or ``low`` is not from 0 to the peak.
    """
    check_number("peak", peak, 0)
    if not 0 <= low <= peak:
        raise ValueError(f"low: expected from 0 to the peak {peak:g}, got {low!r}: choose another")
    if not (0 <= step < steps and 0 <= warmup < steps):
        raise ValueError(
            f"step, warmup: expected 0 or more and below steps = {steps}, "
            f"got {step} and {warmup}: give more steps"
        )
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup - 1, 1)
    return low + (peak - low) * 0.5 * (1 + math.cos(math.pi * done))


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "SGD": SGD,
    "Momentum": Momentum,
    "RMSProp": RMSProp,
    "Adam": Adam,
    "AdamW": AdamW,
}


def distance(kind: type[Optimizer], gradient: float, steps: int) -> float:
    """Return how far one number comes under a gradient that never changes, with η = 0.01."""
    params = {"w": np.zeros(1)}
    optimizer = kind(params, 0.01)
    for _ in range(steps):
        optimizer.step({"w": np.array([gradient])})
    return abs(float(params["w"][0]))


def draw() -> Figure:
    """Draw how far each optimizer goes under small and large gradients, and a schedule."""
    figure = Figure(figsize=(8, 3.4))
    reach, schedule = figure.subplots(1, 2)
    gradients = np.logspace(-3, 3, 25)
    styles = ((BLUE, "-"), (GREEN, "-"), (PINK, "-"), (ORANGE, "--"))
    for name, (color, style) in zip(("SGD", "Momentum", "RMSProp", "Adam"), styles, strict=True):
        ends = [distance(OPTIMIZERS[name], gradient, 100) for gradient in gradients.tolist()]
        reach.loglog(gradients, ends, style, color=color, label=name)
    reach.set_xlabel("size of the gradient")
    reach.set_ylabel("distance after 100 steps")
    reach.set_title("Adam hardly sees the size")
    reach.legend()

    rates = [warmup_cosine(step, 1000, 1e-3, warmup=100) for step in range(1000)]
    schedule.plot(rates, color=BLUE)
    schedule.axvline(100, color=GRAY, linestyle=":", linewidth=1.5)
    schedule.set_xlabel("step")
    schedule.set_ylabel("learning rate")
    schedule.set_title("Warm up, then cool down")
    figure.tight_layout()
    return figure


def main() -> None:
    """Watch each optimizer take three steps, and clip a gradient."""
    arguments = lesson_arguments(__doc__, __file__)

    print("w = 1, shape (1, 1); gradients 4, 4, −4; learning rate 0.1")
    for name, kind in OPTIMIZERS.items():
        params = {"w": np.ones((1, 1))}
        optimizer = kind(params, 0.1)
        places = []
        for gradient in (4.0, 4.0, -4.0):
            optimizer.step({"w": np.array([[gradient]])})
            places.append(f"{params['w'].item():7.4f}")
        print(f"  {name:9} {'  '.join(places)}")

    clipped, norm = clip_gradients({"W": np.array([[3.0, 4.0]]), "b": np.array([12.0])}, 1.0)
    print(
        f"clipping to length 1: ‖g‖ was {norm:g}; "
        f"W {clipped['W'].round(3)}, b {clipped['b'].round(3)}"
    )
    rates = [warmup_cosine(step, 100, 1.0, warmup=10) for step in (0, 9, 54, 99)]
    print(f"schedule at steps 0, 9, 54, 99 of 100: {np.round(rates, 3)}")
    finish(draw(), arguments)


if __name__ == "__main__":
    main()
