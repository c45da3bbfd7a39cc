"""Integer dot products of 16 rows with 1 or 8 queries at a time, on the CPU's vector unit.

The innermost loop of the scan over 8-bit codes, written as LLVM instructions because a compiler
does not find it by itself: on a CPU with AVX-512 VNNI, one instruction multiplies 64 pairs of
bytes and adds them, four to a sum, to 16 sums. On others LLVM makes the best of the same
arithmetic. The sums are exact either way.
"""

from typing import Any, TypeAlias

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROWS = 16  # of a tile: as many as there are 32-bit sums in a 512-bit register
COMPONENTS = 4  # that one instruction multiplies and adds up
QUERIES = 8  # of the wide tile

# llvmlite and numba are untyped.
Builder: TypeAlias = Any
Value: TypeAlias = Any

_INT8, _INT16, _INT32, _INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_FLOAT = ir.FloatType()
_TILE_BYTES = ROWS * COMPONENTS
_BYTES = ir.VectorType(_INT8, _TILE_BYTES)
_SUMS = ir.VectorType(_INT32, ROWS)
_FLOATS = ir.VectorType(_FLOAT, ROWS)
_VNNI = "llvm.x86.avx512.vpdpbusd.512"


def _has_vnni() -> bool:
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vnni", False))


def _tile(query_count: int, *, use_vnni: bool) -> Any:
    """The function `tile(codes, block, queries, query, offsets, scales, thresholds, sums)`.

    It scores the 16 rows of one block against queries `query` .. `query + query_count - 1`:

        codes       uint8 (blocks, G, 16, 4), 64-byte aligned: each row's code plus 128
        queries     int8 (B, 4 G): the codes of the queries
        offsets     int32 (B,): minus 128 times the sum of each query's codes
        scales      float32 (16 blocks,): of the rows
        thresholds  float32 (B,)
        sums        int32 (8, 16): takes the dot products, query by query

    Returns an int64 with bit q set where, for any row, sum times scale reaches the threshold of
    query `query + q`. A scale of NaN reaches none.
    """

    @intrinsic
    def tile(  # The parameters are the types of the arguments.
        _: Any,
        codes: Any,
        block: Any,
        queries: Any,
        query: Any,
        offsets: Any,
        scales: Any,
        thresholds: Any,
        sums: Any,
    ) -> Any:
        signature = types.int64(codes, block, queries, query, offsets, scales, thresholds, sums)

        def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
            unpacked = _Arguments(context, builder, signature, arguments)
            totals = _dot_products(builder, unpacked, query_count, use_vnni=use_vnni)
            return _store_and_compare(builder, unpacked, totals)

        return signature, generate

    return tile


class _Arguments:
    """The arguments of a tile as LLVM pointers and numbers."""

    def __init__(self, context: Any, builder: Builder, signature: Any, arguments: Any) -> None:
        def array(position: int) -> Any:
            return context.make_array(signature.args[position])(
                context, builder, arguments[position]
            )

        def number(position: int) -> Value:
            given = signature.args[position]
            return context.cast(builder, arguments[position], given, types.int64)

        def pointer(position: int, element: Any) -> Value:
            return builder.bitcast(array(position).data, ir.PointerType(element))

        self.groups = builder.extract_value(array(0).shape, 1)
        block, query = number(1), number(3)
        block_bytes = builder.mul(self.groups, _INT64(_TILE_BYTES))
        self.codes = builder.gep(pointer(0, _INT8), [builder.mul(block, block_bytes)])
        self.query_bytes = builder.mul(self.groups, _INT64(COMPONENTS))
        first_byte = builder.mul(query, self.query_bytes)
        self.queries = builder.gep(pointer(2, _INT8), [first_byte])
        self.offsets = builder.gep(pointer(4, _INT32), [query])
        first_row = builder.mul(block, _INT64(ROWS))
        self.scales = builder.gep(pointer(5, _FLOAT), [first_row])
        self.thresholds = builder.gep(pointer(6, _FLOAT), [query])
        self.sums = pointer(7, _INT32)


def _dot_products(
    builder: Builder, arguments: _Arguments, query_count: int, *, use_vnni: bool
) -> list[Value]:
    """For each query its 16 sums, kept in registers through the loop over the components."""
    queries = [
        builder.gep(arguments.queries, [builder.mul(arguments.query_bytes, _INT64(q))])
        for q in range(query_count)
    ]
    starts = [
        _spread(builder, builder.load(builder.gep(arguments.offsets, [_INT64(q)])))
        for q in range(query_count)
    ]
    before = builder.block
    loop, after = builder.append_basic_block("groups"), builder.append_basic_block("summed")
    builder.branch(loop)
    builder.position_at_end(loop)
    group = builder.phi(_INT64)
    group.add_incoming(_INT64(0), before)
    totals = [builder.phi(_SUMS) for _ in queries]
    rows = _load_vector(
        builder, arguments.codes, builder.mul(group, _INT64(_TILE_BYTES)), _BYTES, align=64
    )
    place = builder.mul(group, _INT64(COMPONENTS))
    sums = []
    for total, start, query in zip(totals, starts, queries, strict=True):
        total.add_incoming(start, before)
        four = builder.load(builder.bitcast(builder.gep(query, [place]), ir.PointerType(_INT32)))
        four.align = COMPONENTS
        factors = builder.bitcast(_spread(builder, four), _BYTES)
        sums.append(_add_products(builder, total, rows, factors, use_vnni=use_vnni))
        total.add_incoming(sums[-1], loop)
    following = builder.add(group, _INT64(1))
    group.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, arguments.groups), loop, after)
    builder.position_at_end(after)
    return sums


def _add_products(
    builder: Builder, total: Value, rows: Value, factors: Value, *, use_vnni: bool
) -> Value:
    """`total` plus the products of unsigned `rows` and signed `factors`, four to a sum."""
    if use_vnni:
        kind = ir.FunctionType(_SUMS, [_SUMS, _BYTES, _BYTES])
        instruction = builder.module.declare_intrinsic(_VNNI, fnty=kind)
        return builder.call(instruction, [total, rows, factors])
    wide = ir.VectorType(_INT16, _TILE_BYTES)  # 255 * -128 fits in 16 bits
    products = builder.mul(builder.zext(rows, wide), builder.sext(factors, wide))
    products = builder.sext(products, ir.VectorType(_INT32, _TILE_BYTES))
    for count in (2 * ROWS, ROWS):
        places = ir.VectorType(_INT32, count)
        even, odd = (
            builder.shuffle_vector(
                products, products, ir.Constant(places, [2 * i + offset for i in range(count)])
            )
            for offset in (0, 1)
        )
        products = builder.add(even, odd)
    return builder.add(total, products)


def _store_and_compare(builder: Builder, arguments: _Arguments, totals: list[Value]) -> Value:
    scales = _load_vector(builder, arguments.scales, _INT64(0), _FLOATS, align=4)
    reached = _INT64(0)
    for query, total in enumerate(totals):
        place = builder.gep(arguments.sums, [_INT64(query * ROWS)])
        builder.store(total, builder.bitcast(place, ir.PointerType(_SUMS)), align=4)
        scores = builder.fmul(builder.sitofp(total, _FLOATS), scales)
        threshold = builder.load(builder.gep(arguments.thresholds, [_INT64(query)]))
        high = builder.fcmp_ordered(">=", scores, _spread(builder, threshold))
        any_high = builder.icmp_unsigned("!=", builder.bitcast(high, _INT16), _INT16(0))
        bit = builder.shl(builder.zext(any_high, _INT64), _INT64(query))
        reached = builder.or_(reached, bit)
    return reached


def _load_vector(builder: Builder, start: Value, offset: Value, kind: Any, *, align: int) -> Value:
    place = builder.bitcast(builder.gep(start, [offset]), ir.PointerType(kind))
    return builder.load(place, align=align)


def _spread(builder: Builder, value: Value) -> Value:
    """A vector of 16 times `value`."""
    vector = ir.Constant(ir.VectorType(value.type, ROWS), ir.Undefined)
    vector = builder.insert_element(vector, value, _INT32(0))
    return builder.shuffle_vector(vector, vector, ir.Constant(_SUMS, [0] * ROWS))


narrow_tile = _tile(1, use_vnni=_has_vnni())
wide_tile = _tile(QUERIES, use_vnni=_has_vnni())
portable_tile = _tile(QUERIES, use_vnni=False)
