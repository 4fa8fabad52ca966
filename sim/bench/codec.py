"""Payloads of streams as plain Python values."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data


class Codec:
    """Bits of a payload to and from integers, lists (arrays) and dictionaries (structures).

    Parameters
    ----------
    shape: shape or layout of the payload.
    """

    def __init__(self, shape: Any) -> None:
        self._fields: dict[Any, tuple[int, Codec]] = {}
        self._list = isinstance(shape, data.ArrayLayout)
        if isinstance(shape, data.Layout):
            self._fields = {key: (field.offset, Codec(field.shape)) for key, field in shape}
        cast = Shape.cast(shape)
        self.width = cast.width
        self._signed = cast.signed
        self._mask = (1 << cast.width) - 1

    def pack(self, value: Any) -> int:
        """Bits of a value."""
        if self._fields:
            keys = range(len(value)) if self._list else value
            assert len(value) == len(self._fields), "every member has a value"
            return sum(self._fields[key][1].pack(value[key]) << self._fields[key][0] for key in keys)
        low, high = (-(1 << (self.width - 1)), self._mask >> 1) if self._signed else (0, self._mask)
        assert low <= value <= high, f"{value} does not fit"
        return int(value) & self._mask

    def unpack(self, bits: int) -> Any:
        """Value of some bits."""
        if self._fields:
            values = {key: codec.unpack(bits >> offset) for key, (offset, codec) in self._fields.items()}
            return list(values.values()) if self._list else values
        bits &= self._mask
        return bits - (1 << self.width) if self._signed and bits >> (self.width - 1) else bits
