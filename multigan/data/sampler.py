"""The order in which a dataset is read: a function of the seed and the position, for any number of processes."""

import numpy


class Sampler:
    """An endless sequence of row numbers: random permutations of all rows, one after another.

    Position p of the sequence depends on the seed and p alone, so any part of any batch can be found without the parts
    before it, and none is lost at the end of a pass.

    Args:
        size: Rows in the dataset.
        seed: Seed of the orders.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self._order: tuple[int, numpy.ndarray, numpy.ndarray] | None = None

    def rows(self, start: int, stop: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The row numbers at positions ``start`` to ``stop``, int64 ``(stop - start,)``, and a uniform number each."""
        positions = numpy.arange(start, stop)
        passes = positions // self.size
        found, shares = numpy.empty(len(positions), numpy.int64), numpy.empty(len(positions))
        for number in numpy.unique(passes):
            here = passes == number
            order, uniform = self._pass(int(number))
            found[here], shares[here] = order[positions[here] % self.size], uniform[positions[here] % self.size]
        return found, shares

    def _pass(self, number: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        if self._order is None or self._order[0] != number:
            # Philox is counter-based: a pass does not depend on earlier passes.
            generator = numpy.random.Generator(numpy.random.Philox(key=[self.seed, number]))
            self._order = number, generator.permutation(self.size), generator.random(self.size)
        return self._order[1:]
