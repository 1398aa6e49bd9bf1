"""How many points are evaluated at once, chosen from shapes."""

from typing import Any, NamedTuple, TypeAlias

Count: TypeAlias = Any  # an integer, or a symbol while a program is exported for any number


class Tiles(NamedTuple):
    """A loop over `repeats` tiles of `points` points each."""

    repeats: int
    points: Count
    points_first: bool  # activations (points, features) instead of (features, points)


def processor_tiles(
    points: Count, widths: tuple[int, ...], rows: bool = False, derivative: bool = False
) -> Tiles:
    """Tiles for a processor with caches."""
    # A processor computes a product of 64 x 64 with 64 x P in less time than main memory takes to
    # move the P activations in and out, so a tile's activations should stay in cache from the first
    # layer to the last. Measured on two cores (benchmarks/RESULTS.md):
    #
    # - Up to 47 units: 1,024 to 2,048 points, features first. Bias and ReLU run along the points,
    #   a long axis; along fewer than 40 features they take longer than the product.
    # - 48 to 191 units: 16,384 points, points first: the smallest product of this width that is
    #   worth sharing between cores, in the order that is packed with less work. Derivatives
    #   multiply by the transposed matrices, too: features first.
    # - From 192 units on every product is shared, and dominates; 4,096 points keep it busy.
    # - Sparse matrices gather rows of the activations (`rows`): features first.
    width = max(widths)
    if width < 48 or rows:
        return _split(points, min(max(2**15 // width, 512), 8192), False)
    if width < 192:
        return _split(points, 2**14, not derivative)
    return _split(points, 4096, False)


def accelerator_tiles(
    points: Count, widths: tuple[int, ...], rows: bool = False, derivative: bool = False
) -> Tiles:
    """Tiles for a GPU or TPU: as many points as fit into a bounded memory."""
    # 2^26 activations of a layer are 256 MiB in float32; far fewer already fill the device.
    return _split(points, max(2**26 // max(widths), 1), not rows)


def _split(points: Count, target: int, points_first: bool) -> Tiles:
    """Tiles of equal size, at most about `target` points, with little left over in the last."""
    if not isinstance(points, int):  # exported for any number of points: one tile
        return Tiles(1, points, points_first)
    repeats = max(1, -(-points // target))
    size = max(1, -(-points // repeats))
    if repeats > 1:
        size = -(-size // 16) * 16  # whole vectors of a processor
    return Tiles(repeats, size, points_first)
