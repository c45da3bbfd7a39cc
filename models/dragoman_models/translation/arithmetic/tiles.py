"""Products of a few rows with a panel of a weight matrix, on the CPU's vector unit.

All matrix products of a compiled decoding step are done by one innermost loop: `ROWS` rows of
activations times a panel of 48 or 64 outputs, whose sums stay in registers. The types of the arrays
choose the instruction, when a function is compiled:

    activations   weights    sums      g   instruction
    uint8         int8       int32     4   AVX-512 VNNI: 64 products of bytes, four to a sum
    uint16        uint16     float32   2   AVX-512 BF16: 32 products of bfloat16, two to a sum
    float32       float32    float32   1   a fused multiplication and addition of 16 lanes

where g components of a row lie side by side. A bfloat16 is the upper half of a float32 and has no
type in numpy, so arrays hold it as uint16. The first two need a CPU with their instructions; the
last one runs anywhere.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dragoman_models.embeddings.training.simd import LANES, Float32x16

ROWS = 5  # of a tile: as many as the default beam has hypotheses
GATE_VECTORS = 3  # of the panels of gates: reset, update and new gate of 16 units
DENSE_VECTORS = 4  # of all other panels

# llvmlite and numba are untyped.
Builder: TypeAlias = Any
Value: TypeAlias = Any


class _BfloatType(ir.types.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not know."""

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BfloatType)

    def __hash__(self) -> int:
        return hash(_BfloatType)


_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_FLOAT, _HALF, _BFLOAT = ir.FloatType(), ir.HalfType(), _BfloatType()
_FLOATS, _SUMS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_I32, LANES)
_BYTES, _BFLOATS = ir.VectorType(_I8, 64), ir.VectorType(_BFLOAT, 32)
_lanes: Any = Float32x16()  # type: ignore[no-untyped-call]
_pointer_type: Any = types.CPointer


class _Kind:
    """How one kind of weight is multiplied."""

    def __init__(self, name: str) -> None:
        self.group = {"int8": 4, "uint16": 2, "float32": 1}[name]
        self.element, self.sums = {
            "int8": (_I8, _SUMS), "uint16": (_I16, _FLOATS), "float32": (_FLOAT, _FLOATS),
        }[name]  # fmt: skip
        self.vector = {"int8": _BYTES, "uint16": _BFLOATS, "float32": _FLOATS}[name]
        self.one = _FLOAT if name == "float32" else _I32
        self._name = name

    def multiply_add(self, builder: Builder, total: Value, factor: Value, weights: Value) -> Value:
        operands = [total, builder.bitcast(_spread(builder, factor), self.vector), weights]
        kind = ir.FunctionType(self.sums, [self.sums, self.vector, self.vector])
        if self._name == "float32":
            operands = [*operands[1:], operands[0]]
        name = {
            "int8": "llvm.x86.avx512.vpdpbusd.512",
            "uint16": "llvm.x86.avx512bf16.dpbf16ps.512",
            "float32": "llvm.fma.v16f32",
        }[self._name]
        return builder.call(builder.module.declare_intrinsic(name, fnty=kind), operands)


def _spread(builder: Builder, value: Value) -> Value:
    """A vector of 16 times `value`."""
    vector = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    vector = builder.insert_element(vector, value, _I32(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(_SUMS, [0] * LANES))


def _tile(vectors: int) -> Any:
    """The function `tile(activations, row, packed, panel, starts, sums)`.

        activations  (rows, K): rows `row` .. `row + ROWS - 1` are read
        packed       (panels, K / g, 16 vectors, g): see `packing`
        starts       (panels, 16 vectors): what the sums begin with
        sums         (ROWS, 16 vectors): takes starts[panel] + activations @ weights of the panel

    All arrays are contiguous, and K is a multiple of g.
    """

    @intrinsic
    def tile(
        _: Any, activations: Any, row: Any, packed: Any, panel: Any, starts: Any, sums: Any
    ) -> Any:
        signature = types.void(activations, types.int64, packed, types.int64, starts, sums)

        def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            _generate(context, builder, signature, arguments, vectors)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _generate(context: Any, builder: Builder, signature: Any, arguments: Any, vectors: int) -> None:
    kind = _Kind(signature.args[2].dtype.name)

    def array(position: int) -> Any:
        return context.make_array(signature.args[position])(context, builder, arguments[position])

    groups = builder.extract_value(array(2).shape, 1)
    row_length = builder.mul(groups, _I64(kind.group))
    first = builder.mul(arguments[1], row_length)
    rows = [
        builder.gep(array(0).data, [builder.add(first, builder.mul(row_length, _I64(i)))])
        for i in range(ROWS)
    ]
    group_length = LANES * vectors * kind.group
    place = builder.mul(arguments[3], builder.mul(groups, _I64(group_length)))
    weights = builder.gep(array(2).data, [place])
    start = builder.gep(array(4).data, [builder.mul(arguments[3], _I64(LANES * vectors))])
    starts = [_load(builder, start, _I64(v * LANES), kind.sums) for v in range(vectors)]
    totals = _sum_groups(builder, kind, groups, rows, weights, starts)
    for i, total in enumerate(totals):
        place = builder.gep(array(5).data, [_I64(i * LANES)])
        builder.store(total, builder.bitcast(place, kind.sums.as_pointer()), align=4)


def _sum_groups(
    builder: Builder, kind: _Kind, groups: Value, rows: list[Value], weights: Value,
    starts: list[Value],
) -> list[Value]:  # fmt: skip
    """The loop over groups of components: totals of each row and vector, row by row."""
    before = builder.block
    loop, after = builder.append_basic_block("groups"), builder.append_basic_block("summed")
    builder.branch(loop)
    builder.position_at_end(loop)
    group = builder.phi(_I64)
    group.add_incoming(_I64(0), before)
    totals = [builder.phi(kind.sums) for _ in rows for _ in starts]
    stride = LANES * kind.group
    place = builder.mul(group, _I64(len(starts) * stride))
    loaded = [
        _load(builder, weights, builder.add(place, _I64(v * stride)), kind.vector)
        for v in range(len(starts))
    ]
    results = []
    component = builder.mul(group, _I64(kind.group))
    for i, row in enumerate(rows):
        address = builder.bitcast(builder.gep(row, [component]), kind.one.as_pointer())
        factor = builder.load(address, align=1 if kind.group == 4 else 2 if kind.group == 2 else 4)
        for v, vector in enumerate(loaded):
            total = totals[i * len(starts) + v]
            total.add_incoming(starts[v], before)
            results.append(kind.multiply_add(builder, total, factor, vector))
            total.add_incoming(results[-1], loop)
    following = builder.add(group, _I64(1))
    group.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, after)
    builder.position_at_end(after)
    return results


def _load(builder: Builder, start: Value, offset: Value, kind: Any) -> Value:
    place = builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())
    return builder.load(place, align=4)


gate_tile = _tile(GATE_VECTORS)
dense_tile = _tile(DENSE_VECTORS)


def _load_lanes(_: Any, pointer: Any, index: Any) -> Any:
    """16 numbers as float32: from float32, int32, or half precision kept as uint16."""

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        place = arguments[1]
        match signature.args[0].dtype.name:
            case "float32":
                return _load(builder, arguments[0], place, _FLOATS)
            case "int32":
                return builder.sitofp(_load(builder, arguments[0], place, _SUMS), _FLOATS)
            case _:
                address = builder.gep(arguments[0], [place])
                halves = ir.VectorType(_HALF, LANES)
                loaded = builder.load(builder.bitcast(address, halves.as_pointer()), align=2)
                return builder.fpext(loaded, _FLOATS)

    return _lanes(pointer, types.int64), emit


def _store_activations(_: Any, pointer: Any, index: Any, value: Any) -> Any:
    """16 numbers from -1 to 1 as activations of the array's type (uint8: 128 + 127 x)."""

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        stored = _converted(builder, arguments[2], signature.args[0].dtype.name)
        address = builder.gep(arguments[0], [arguments[1]])
        place = builder.bitcast(address, stored.type.as_pointer())
        builder.store(stored, place, align=1)
        return context.get_dummy_value()

    return types.void(pointer, types.int64, _lanes), emit


def _converted(builder: Builder, value: Value, name: str) -> Value:
    if name == "float32":
        return value
    if name == "uint8":
        scale, middle = (ir.Constant(_FLOATS, [x] * LANES) for x in (127.0, 128.5))
        codes = builder.fptosi(builder.fadd(builder.fmul(value, scale), middle), _SUMS)
        return builder.trunc(codes, ir.VectorType(_I8, LANES))
    # The nearest bfloat16, ties to even: add half a unit of the last place kept, cut the rest.
    bits = builder.bitcast(value, _SUMS)
    sixteen, one, half = (ir.Constant(_SUMS, [x] * LANES) for x in (16, 1, 0x7FFF))
    odd = builder.and_(builder.lshr(bits, sixteen), one)
    rounded = builder.add(bits, builder.add(half, odd))
    return builder.trunc(builder.lshr(rounded, sixteen), ir.VectorType(_I16, LANES))


def _lanes_above(_: Any, value: Any, threshold: Any) -> Any:
    """Bit l of the result: lane l is greater than the threshold (NaN is not)."""

    def emit(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        above = builder.fcmp_ordered(">", arguments[0], _spread(builder, arguments[1]))
        return builder.zext(builder.bitcast(above, _I16), _I64)

    return types.int64(_lanes, types.float32), emit


load_lanes: Any = intrinsic(_load_lanes)
store_activations: Any = intrinsic(_store_activations)
lanes_above: Any = intrinsic(_lanes_above)
