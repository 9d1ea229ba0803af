"""The least count that will do, for a condition that stays true once it is."""

from collections.abc import Callable


def first_that(holds: Callable[[int], bool], *, guess: int, most: int, least: int = 1) -> int:
    """Return the least count from *least* to *most* that *holds*, or *most* when none does.

    Looks at *guess* and its neighbours first and doubles its stride from there, so that a count
    which hardly changes costs two questions.
    """
    stride, low, high = 1, least - 1, min(max(guess, least), most)
    if holds(high):
        while high - stride >= least and holds(high - stride):
            high -= stride
            stride *= 2
        low = max(low, high - stride)
    else:
        low = high
        while low < most and not holds(min(low + stride, most)):
            low = min(low + stride, most)
            stride *= 2
        high = min(low + stride, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
