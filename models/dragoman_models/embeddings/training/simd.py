"""Sixteen float32 at a time, for compiled loops: LLVM's vector operations as numba functions.

Numba's own vectorizer does not manage loops of a few iterations over several rows, which is all
that training word vectors does. These functions say outright which vector instruction is meant;
LLVM makes of it what the machine has (one AVX-512 instruction, two of AVX2, four of NEON). They
can be called from compiled functions only. Rows must be padded to a multiple of `LANES`.

They take pointers rather than arrays, for an array that is passed on costs two atomic additions to
its count of references. Whoever takes a pointer keeps the array alive.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

LANES = 16

Lanes: TypeAlias = Any  # what a compiled function sees as one value: Float32x16 below
Integer: TypeAlias = Any  # a whole number, of whatever width
Pointer: TypeAlias = Any  # to the first component of an array; `pointer[i]` is component i

_FLOAT, _I32 = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INTEGERS = ir.VectorType(_I32, LANES)
_FAST = ("reassoc", "contract", "arcp", "nsz")


class Float32x16(types.Type):
    """The numba type of sixteen float32."""

    def __init__(self) -> None:
        super().__init__("Float32x16")


class _Float32x16Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)  # type: ignore[no-untyped-call]


register_model(Float32x16)(_Float32x16Model)
# Parts of numba without annotations.
_lanes_type: Any = Float32x16
_pointer_type: Any = types.CPointer
_tuple_type: Any = types.UniTuple
_function: Any = cgutils.get_or_insert_function

_lanes = _lanes_type()
_float_pointer = _pointer_type(types.float32)


def _pointer(typing_context: Any, array: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return _pointer_type(array.dtype)(array), emit


def _address(builder: Any, pointer: Any, index: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())


def _load(typing_context: Any, pointer: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(_address(builder, *arguments))
        loaded.align = 4
        return loaded

    return _lanes(_float_pointer, types.int64), emit


def _store(typing_context: Any, pointer: Any, index: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(builder, *arguments[:2])).align = 4
        return context.get_dummy_value()

    return types.void(_float_pointer, types.int64, _lanes), emit


def _prefetch(typing_context: Any, pointer: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte_pointer, _I32, _I32, _I32])
        function = _function(builder.module, kind, "llvm.prefetch.p0i8")
        address = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte_pointer)
        # For reading, to be kept in all caches, of data.
        builder.call(function, [address, *(ir.Constant(_I32, hint) for hint in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(pointer, types.int64), emit


def _broadcast(typing_context: Any, value: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(undefined, arguments[0], ir.Constant(_I32, 0))
        return builder.shuffle_vector(first, undefined, ir.Constant(_INTEGERS, [0] * LANES))

    return _lanes(types.float32), emit


def _operation(operands: int, emit_one: Callable[..., Any]) -> Any:
    """A function of sixteen lanes, each lane by itself."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit_one(builder, *arguments)

    def unary(typing_context: Any, a: Any) -> Any:
        return _lanes(_lanes), emit

    def binary(typing_context: Any, a: Any, b: Any) -> Any:
        return _lanes(_lanes, _lanes), emit

    def ternary(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
        return _lanes(_lanes, _lanes, _lanes), emit

    return intrinsic((unary, binary, ternary)[operands - 1])


def _llvm(name: str, operands: int) -> Any:
    """LLVM's own function of that name."""

    def emit_one(builder: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * operands)
        function = _function(builder.module, kind, f"llvm.{name}.v16f32")
        return builder.call(function, arguments)

    return _operation(operands, emit_one)


def _emit_scale(builder: Any, value: Any, exponent: Any) -> Any:
    """value 2^exponent, for whole exponents that keep the result a normal number."""
    twenty_three = ir.Constant(_INTEGERS, [23] * LANES)
    shifted = builder.shl(builder.fptosi(exponent, _INTEGERS), twenty_three)
    return builder.bitcast(builder.add(builder.bitcast(value, _INTEGERS), shifted), _VECTOR)


def _emit_where_negative(builder: Any, condition: Any, negative: Any, other: Any) -> Any:
    zeros = ir.Constant(_VECTOR, [0.0] * LANES)
    return builder.select(builder.fcmp_ordered("<", condition, zeros), negative, other)


def _reduce(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
    name = "llvm.vector.reduce.fadd.v16f32"
    function = _function(builder.module, kind, name)
    return builder.call(function, [ir.Constant(_FLOAT, 0.0), vector], fastmath=("reassoc",))


def _total(typing_context: Any, a: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _reduce(builder, arguments[0])

    return types.float32(_lanes), emit


def _totals(typing_context: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Four sums for little more than the price of one: the vectors are interleaved first."""

    def shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_I32, len(lanes)), lanes)
        return builder.shuffle_vector(a, b, mask)

    def interleaved(builder: Any, a: Any, b: Any, *patterns: tuple[int, ...]) -> Any:
        # Within each quarter: no lane crosses a 128-bit boundary, which would cost more.
        halves = [
            shuffled(builder, a, b, [quarter + lane for quarter in (0, 4, 8, 12) for lane in lanes])
            for lanes in patterns
        ]
        return builder.fadd(*halves, flags=_FAST)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, c, d = arguments
        alternate = (0, 16, 1, 17), (2, 18, 3, 19)
        pairs = [interleaved(builder, *both, *alternate) for both in ((a, b), (c, d))]
        # Each quarter then holds partial sums of a, b, c and d.
        every = interleaved(builder, *pairs, (0, 1, 16, 17), (2, 3, 18, 19))
        eight = [shuffled(builder, every, every, list(range(s, s + 8))) for s in (0, 8)]
        folded = builder.fadd(*eight, flags=_FAST)
        four = [shuffled(builder, folded, folded, list(range(s, s + 4))) for s in (0, 4)]
        sums = builder.fadd(*four, flags=_FAST)
        values = [builder.extract_element(sums, ir.Constant(_I32, i)) for i in range(4)]
        return context.make_tuple(builder, signature.return_type, values)

    return _tuple_type(types.float32, 4)(_lanes, _lanes, _lanes, _lanes), emit


pointer_to: Any = intrinsic(_pointer)  # an array with packed components
load: Any = intrinsic(_load)  # (pointer, index): the 16 components from there
store: Any = intrinsic(_store)  # (pointer, index, value)
prefetch: Any = intrinsic(_prefetch)  # (pointer, index): its cache line will be wanted soon
broadcast: Any = intrinsic(_broadcast)  # one float32 in all lanes
total: Any = intrinsic(_total)  # the sum of the lanes
totals: Any = intrinsic(_totals)  # the sums of the lanes of four values, as a tuple
add: Any = _operation(2, lambda builder, a, b: builder.fadd(a, b, flags=_FAST))
multiply: Any = _operation(2, lambda builder, a, b: builder.fmul(a, b, flags=_FAST))
divide: Any = _operation(2, lambda builder, a, b: builder.fdiv(a, b))
scale_by_power_of_two: Any = _operation(2, _emit_scale)  # (value, whole exponent)
where_negative: Any = _operation(
    3, _emit_where_negative
)  # (condition, if it is below 0, otherwise)
multiply_add: Any = _llvm("fma", 3)  # a b + c
square_root: Any = _llvm("sqrt", 1)
magnitude: Any = _llvm("fabs", 1)
nearest_whole: Any = _llvm("rint", 1)
greater: Any = _llvm("maxnum", 2)
smaller: Any = _llvm("minnum", 2)


def padded_width(dimensions: int) -> int:
    """`dimensions` rounded up to a multiple of `LANES`."""
    return -(-dimensions // LANES) * LANES


def padded_matrix(rows: int, dimensions: int) -> NDArray[np.float32]:
    """Zeros of shape (rows, padded width), each row at the start of a cache line."""
    width = padded_width(dimensions)
    memory = np.zeros(rows * width + LANES, dtype=np.float32)
    start = -(memory.ctypes.data // 4) % LANES
    return memory[start : start + rows * width].reshape(rows, width)
