"""Machine operations that numba lacks, for kernels: prefetch, popcount, unaligned loads."""

# ruff: noqa: ANN401, ARG001  (numba passes its own types, and finds arguments by number)
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD_BITS = 64

LANES = 32
"""Tags that ``near`` compares at once."""


@intrinsic
def pointer(_context: Any, address: Any) -> Any:
    """Convert an address to a pointer, for numba.carray."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), codegen


@intrinsic
def prefetch(_context: Any, array: Any, index: Any) -> Any:
    """Start to load the cache line of array[index]; the index may lie outside."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _element(context, builder, signature, args)
        word = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word]),
            "llvm.prefetch.p0",
        )
        # for reading, into all levels, data
        builder.call(function, [builder.bitcast(at, cgutils.voidptr_t), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def near(_context: Any, tags: Any, index: Any, tag: Any, bound: Any) -> Any:
    """Return the mask of the LANES u16 tags from ``index`` on that are within ``bound`` bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lane = ir.IntType(16)
        vector = ir.VectorType(lane, LANES)
        at = builder.bitcast(_element(context, builder, signature, args), vector.as_pointer())
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i16"
        )

        def spread(value: Any) -> Any:
            undefined = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(undefined, builder.trunc(value, lane), ir.IntType(32)(0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [ir.IntType(32)(0)] * LANES)
            return builder.shuffle_vector(first, undefined, zeros)

        difference = builder.xor(builder.load(at, align=2), spread(args[2]))
        within = builder.icmp_unsigned("<=", builder.call(count, [difference]), spread(args[3]))
        return builder.zext(builder.bitcast(within, ir.IntType(LANES)), ir.IntType(64))

    return types.int64(tags, types.intp, types.intp, types.intp), codegen


def _loads(bits: int) -> Any:
    @intrinsic
    def load(_context: Any, octets: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _element(context, builder, signature, args)
            value = builder.load(builder.bitcast(at, ir.IntType(bits).as_pointer()), align=1)
            return value if bits == _WORD_BITS else builder.zext(value, ir.IntType(_WORD_BITS))

        return types.int64(octets, types.intp), codegen

    return load


load_16, load_32, load_64 = _loads(16), _loads(32), _loads(_WORD_BITS)
"""The 16, 32 or 64 bits from octets[index] on, aligned or not."""


@intrinsic
def ones(_context: Any, word: Any) -> Any:
    """Return the number of bits set in 64."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def lowest(_context: Any, word: Any) -> Any:
    """Return the place of the lowest bit set in 64; one must be set."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.int64), codegen


def _element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])
