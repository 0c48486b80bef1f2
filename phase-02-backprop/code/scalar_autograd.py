"""Automatic differentiation with single numbers: every result remembers what it was made of.

    c = a · b        ∂c/∂a = b      ∂c/∂b = a        the local slopes of one small step
    ∂L/∂a  +=  ∂L/∂c · ∂c/∂a                         the chain rule, once for each use of a

a, b, c and L are single numbers, shape (). Each `Value` keeps its parents and the slope of itself
with respect to each of them. `backward` walks from the result to the inputs, in an order in which a
value is reached only after everything that was made from it (a topological order, backwards), and
hands blame on: its own blame times the local slope. A value that was used twice gets blame from
both sides, so blame is *added*.

One walk gives the gradient with respect to every input, however many there are.

Baydin et al. 2018, "Automatic Differentiation in Machine Learning: a Survey". Worked by hand in
``notes/chain_rule.md``. Run ``python phase-02-backprop/code/scalar_autograd.py``.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from phase_00.derivatives import numerical_gradient
from shared.checks import check_number
from shared.plotting import BLUE, GRAY, ORANGE
from shared.script import finish, lesson_arguments

Parents = Sequence[tuple["Value", float]]


@contextmanager
def too_large(name: str) -> Iterator[None]:
    """Say what to do when a result is beyond the largest float."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{name}: expected a result up to 1.8e308, got a larger one: make the input smaller"
        ) from error


class Value:
    """A number that knows how it was made.

    Parameters
    ----------
    data
        The number.
    parents
        What it was made of: each parent with ∂(this)/∂(parent).
    made_by
        How, for the picture: "+", "tanh"; a name for an input.

    Attributes
    ----------
    grad
        ∂L/∂(this), summed over all calls of ``L.backward()``.

    Raises
    ------
    ValueError
        If the number is not finite.
    """

    def __init__(self, data: float, parents: Parents = (), made_by: str = "") -> None:
        self.data = check_number("data", data, -math.inf)
        self.parents = tuple(parents)
        self.made_by = made_by
        self.grad = 0.0

    def __repr__(self) -> str:
        return f"Value({self.data:g}, grad={self.grad:g})"

    # One step each: forward makes the result, and states the slope for backward beside it.

    def __add__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)], "+")

    def __sub__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data - other.data, [(self, 1.0), (other, -1.0)], "−")

    def __mul__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)], "·")

    def __pow__(self, power: float) -> "Value":
        power = check_number("power", power, -math.inf)
        if (self.data == 0 and power < 1) or (self.data < 0 and not power.is_integer()):
            raise ValueError(
                f"power: expected one for which {self.data:g} has a slope, got {power:g}: "
                "keep what it is taken of above 0"
            )
        with too_large("power"):
            result, slope = self.data**power, power * self.data ** (power - 1)
        return Value(result, [(self, slope)], f"( )^{power:g}")

    def exp(self) -> "Value":
        """Return e to the power of this."""
        with too_large("exp"):
            e = math.exp(self.data)
        return Value(e, [(self, e)], "exp")

    def log(self) -> "Value":
        """Return the natural logarithm; the number must be above 0."""
        check_number("the number under a logarithm", self.data, 0)
        return Value(math.log(self.data), [(self, 1 / self.data)], "ln")

    def tanh(self) -> "Value":
        """Return tanh, which squeezes the number between −1 and 1."""
        a = math.tanh(self.data)
        return Value(a, [(self, 1 - a * a)], "tanh")

    def relu(self) -> "Value":
        """Return the number if it is above 0, else 0."""
        return Value(max(self.data, 0.0), [(self, float(self.data > 0))], "ReLU")

    # The rest follows from these.

    def __neg__(self) -> "Value":
        return 0.0 - self

    def __truediv__(self, other: "Value | float") -> "Value":
        return self * as_value(other) ** -1

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> "Value":
        return as_value(other) - self

    def __rtruediv__(self, other: float) -> "Value":
        return as_value(other) / self

    def topological_order(self) -> list["Value"]:
        """Return all values that this was made of, parents before children, itself last."""
        order: list[Value] = []
        seen: set[int] = set()
        to_visit = [(self, False)]  # a list, not recursion: graphs are deeper than Python's stack
        while to_visit:
            value, parents_are_in = to_visit.pop()
            if parents_are_in:
                order.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                to_visit.append((value, True))
                to_visit += [(parent, False) for parent, _ in value.parents]
        return order

    def backward(self) -> None:
        """Add ∂(this)/∂(value) to the ``grad`` of every value that this was made of."""
        order = self.topological_order()
        blame = {id(value): 0.0 for value in order}
        blame[id(self)] = 1.0
        for value in reversed(order):
            for parent, slope in value.parents:
                blame[id(parent)] += blame[id(value)] * slope
        for value in order:
            value.grad += blame[id(value)]


def as_value(number: "Value | float") -> Value:
    """Return the number as a `Value`, whose gradient nobody asks for."""
    if isinstance(number, Value):
        return number
    return Value(number, made_by=f"{check_number('number', number, -math.inf):g}")


def layout(order: list[Value]) -> dict[int, tuple[float, float]]:
    """Return a place (across, up) for each value: results on top, inputs where first used."""
    column: dict[int, int] = {}
    for value in order:
        column[id(value)] = 1 + max((column[id(parent)] for parent, _ in value.parents), default=-1)
    for value in reversed(order):
        for parent, _ in value.parents:
            if not parent.parents:
                column[id(parent)] = column[id(value)] - 1
    filled: dict[int, int] = {}
    place = {}
    for value in sorted(order, key=lambda value: not value.parents):  # results come first
        row = filled.get(column[id(value)], 0)
        filled[column[id(value)]] = row + 1
        place[id(value)] = (2.0 * column[id(value)], -1.5 * row)
    return place


def draw(result: Value) -> Figure:
    """Draw how a result was made: numbers, blame, and the local slope on each arrow."""
    order = result.topological_order()
    place = layout(order)
    figure = Figure(figsize=(8, 2.7))
    axes = figure.subplots()
    top = 0.6
    for value in order:
        x, y = place[id(value)]
        axes.add_patch(
            FancyBboxPatch(
                (x - 0.45, y - 0.4),
                0.9,
                0.8,
                boxstyle="round,pad=0.08",
                facecolor="white",
                edgecolor=GRAY,
            )
        )
        for up, text, color in (
            (0.27, value.made_by, "black"),
            (0.0, f"{value.data:g}", BLUE),
            (-0.27, f"{value.grad:g}", ORANGE),
        ):
            axes.text(x, y + up, text, color=color, ha="center", va="center")
        for parent, slope in value.parents:
            left, height = place[id(parent)]
            skips = x - left > 2.1  # then the arrow goes over the boxes between
            if skips:
                begin, end = (left + 0.4, height + 0.5), (x - 0.4, y + 0.5)
                middle = ((left + x) / 2, y + 0.5 + 0.12 * (x - left))
            else:
                begin = (left + 0.6, height - 0.2 * (height - y))
                end = (x - 0.6, y + 0.3 * (height - y))
                middle = ((left + x) / 2 - 0.08, 0.62 * height + 0.38 * y + 0.1)
            arrow = {
                "arrowstyle": "-|>",
                "color": GRAY,
                "connectionstyle": f"arc3,rad={-0.25 * skips}",
            }
            axes.annotate("", xy=end, xytext=begin, arrowprops=arrow)
            axes.text(*middle, f"× {slope:g}", ha="center", va="bottom", fontsize=9)
            top = max(top, middle[1] + 0.4)
    axes.set_xlim(-0.8, max(x for x, _ in place.values()) + 0.8)
    axes.set_ylim(min(y for _, y in place.values()) - 0.6, top)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title("Numbers flow right (blue); blame flows left (orange), times each slope")
    return figure


def squared_error(w: Value, b: Value) -> Value:
    """Return how wrong w·x + b is at x = 3 for the target y = 10, squared."""
    x, y = Value(3.0, made_by="x"), Value(10.0, made_by="y")
    return (w * x + b - y) ** 2


def main() -> None:
    """Trace blame through one squared error, check it by nudging, and use a value twice."""
    arguments = lesson_arguments(__doc__, __file__)

    w, b = Value(2.0, made_by="w"), Value(1.0, made_by="b")
    loss = squared_error(w, b)
    loss.backward()
    nudged = numerical_gradient(
        lambda at: squared_error(Value(at[0]), Value(at[1])).data, [w.data, b.data]
    )
    print(f"L = (w·x + b − y)² = {loss.data:g} at w = 2, b = 1, x = 3, y = 10")
    print(f"  ∂L/∂w by blame {w.grad:g}   by nudging {nudged[0]:.6f}")
    print(f"  ∂L/∂b by blame {b.grad:g}    by nudging {nudged[1]:.6f}")
    finish(draw(loss), arguments)

    a = Value(3.0)
    (a * a + a).backward()
    print(f"a is used three times in a·a + a, blame added up: 3 + 3 + 1 = {a.grad:g}")

    many = [Value(0.01 * i) for i in range(1000)]
    total = sum((value.tanh() for value in many), start=Value(0.0))
    total.backward()
    print(f"{len(many):,} inputs, {len(total.topological_order()):,} values: one walk backward")
    print(f"  slope of tanh at 0.00 {many[0].grad:.4f}, at 9.99 {many[-1].grad:.1e}")


if __name__ == "__main__":
    main()
