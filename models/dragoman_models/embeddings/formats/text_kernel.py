"""The parsing of decimal numbers at machine speed, a block of lines at a time."""

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.compiled import compiled

WELL, TOO_FEW, TOO_MANY_UNCLEAR = 0, 1, 2
_LARGEST_POWER = 60
_POWERS = 10.0 ** np.arange(_LARGEST_POWER + 1)
_DIGITS = 19  # that a uint64 holds
# A number computed below is within 4e-16 of the decimal, relatively: three roundings.
_MARGIN = 4e-16
_LEAST, _GREATEST = 1e-37, 1e38  # normal float32 numbers
_SPACE, _TAB, _RETURN, _LINE_FEED = 32, 9, 13, 10
_PLUS, _MINUS, _POINT, _ZERO, _NINE, _UPPER_E, _LOWER_E = 43, 45, 46, 48, 57, 69, 101


@compiled
def parse_lines(
    data: NDArray[np.uint8],
    width: int,
    vectors: NDArray[np.float32],
    words: NDArray[np.int64],
    unclear: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Parse lines of `data`, each ended by a line feed: a word, then `width` numbers.

    `vectors` (n, width) takes the numbers and `words` (n, 2) where each word starts and stops.
    `unclear` (m, 3) takes (line, start, stop) of the numbers that this parser leaves to the
    caller, with their column in the order of reading. Returns how many lines and bytes were read,
    how many numbers are unclear, and WELL, TOO_FEW (fields in the line that follows) or
    TOO_MANY_UNCLEAR (call again for the rest).
    """
    line, start, unclear_count = 0, 0, 0
    while line < len(vectors):
        stop = start
        while stop < len(data) and data[stop] != _LINE_FEED:
            stop += 1
        if stop == len(data):
            break
        if unclear_count + width > len(unclear):
            return line, start, unclear_count, TOO_MANY_UNCLEAR
        word_stop, numbers = _numbers_start(data, start, stop, width)
        if word_stop < 0:
            return line, start, unclear_count, TOO_FEW
        words[line, 0], words[line, 1] = start, word_stop
        place = numbers
        for column in range(width):
            while data[place] == _SPACE or data[place] == _TAB:
                place += 1
            field = place
            while (
                place < stop
                and data[place] != _SPACE
                and data[place] != _TAB
                and data[place] != _RETURN
            ):
                place += 1
            value, clear = _number(data, field, place)
            vectors[line, column] = np.float32(value)
            if not clear:
                unclear[unclear_count, 0] = line * width + column
                unclear[unclear_count, 1], unclear[unclear_count, 2] = field, place
                unclear_count += 1
        line += 1
        start = stop + 1
    return line, start, unclear_count, WELL


@compiled
def _numbers_start(data: NDArray[np.uint8], start: int, stop: int, width: int) -> tuple[int, int]:
    """Where a line's word stops and its last `width` fields start; -1 where there are fewer."""
    place = stop
    for _ in range(width):
        while place > start and (
            data[place - 1] == _SPACE or data[place - 1] == _TAB or data[place - 1] == _RETURN
        ):
            place -= 1
        while place > start and data[place - 1] != _SPACE and data[place - 1] != _TAB:
            place -= 1
        if place == start:
            return -1, -1
    word_stop = place - 1
    while word_stop > start and (data[word_stop - 1] == _SPACE or data[word_stop - 1] == _TAB):
        word_stop -= 1
    return word_stop, place


@compiled
def _number(data: NDArray[np.uint8], start: int, stop: int) -> tuple[float, bool]:
    """The number in data[start:stop], and whether its float32 is sure to be the nearest one."""
    place = start
    negative = data[place] == _MINUS
    if negative or data[place] == _PLUS:
        place += 1
    mantissa, digits, power, seen, point = np.uint64(0), 0, 0, 0, False
    while place < stop:
        byte = data[place]
        if byte == _POINT and not point:
            point = True
        elif _ZERO <= byte <= _NINE:
            seen += 1
            if digits < _DIGITS:
                mantissa = mantissa * np.uint64(10) + np.uint64(byte - _ZERO)
                digits += mantissa != 0
                power -= point
            else:
                power += not point
        else:
            break
        place += 1
    if place < stop and seen and (data[place] == _LOWER_E or data[place] == _UPPER_E):
        exponent, place = _exponent(data, place + 1, stop)
        power += exponent
    if place < stop or not seen or power > _LARGEST_POWER or power < -_LARGEST_POWER:
        return 0.0, False
    if mantissa == 0:
        return -0.0 if negative else 0.0, True
    size = np.float64(mantissa)
    size = size * _POWERS[power] if power >= 0 else size / _POWERS[-power]
    low, high = np.float32(size * (1 - _MARGIN)), np.float32(size * (1 + _MARGIN))
    clear = low == high and _LEAST < size < _GREATEST
    return -size if negative else size, clear


@compiled
def _exponent(data: NDArray[np.uint8], start: int, stop: int) -> tuple[int, int]:
    """The exponent, and where it ends: at `start` where there is none."""
    place, value = start, 0
    negative = place < stop and data[place] == _MINUS
    if place < stop and (negative or data[place] == _PLUS):
        place += 1
    first = place
    while place < stop and _ZERO <= data[place] <= _NINE and place - first < 6:
        value = value * 10 + int(data[place]) - _ZERO
        place += 1
    if place == first:
        return 0, start - 1
    return -value if negative else value, place
