"""docs/numerics.md states the numbers that the code uses."""

from __future__ import annotations

import re
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from golden import config as config_module
from golden.arguments import OPTIMISERS, POLICIES, RULES, SECTIONS, Apply
from golden.config import CONTRACT_VERSION, EXP_FRAC, REMOVABLE, STARTS, DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.fixed import Format
from golden.rng import PARITY, ROTATIONS, ROUNDS, STREAM_START, STREAM_WINNERS
from golden.start import DRAWS_PER_WEIGHT
from golden.tables import exp2_table, reciprocal_table

TEXT = (Path(__file__).parent.parent / "docs" / "numerics.md").read_text(encoding="utf-8")
DEFAULT = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5)
DEFAULTS: dict[str, object] = {
    field.name: field.default for field in fields(DeviceConfig) if isinstance(field.default, int)
}
FORMATS = {
    "weight, bias": DEFAULT.weight,
    "observation s": DEFAULT.obs,
    "activity q": DEFAULT.activity,
    "reported action probability": DEFAULT.probability,
    "modulator M": DEFAULT.modulator,
    "accumulator": DEFAULT.accumulator,
    "batch-mean gradient g": DEFAULT.gradient,
    "second moment v": DEFAULT.moment,
    "softmax term e": Format("e", EXP_FRAC + 1, EXP_FRAC, signed=False),
    "reciprocal r": Format("r", config_module.RECIPROCAL_FRAC + 1, config_module.RECIPROCAL_FRAC, signed=False),
    "random draw": Format("draw", config_module.DRAW_BITS, config_module.DRAW_BITS, signed=False),
}


def table_rows() -> list[list[str]]:
    """Cells of the formats table, without its head."""
    table = TEXT.split("<!-- formats -->")[1].split("<!-- /formats -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]


def stated(pattern: str) -> tuple[str, ...]:
    """The groups of the only place that matches."""
    found = re.findall(pattern, TEXT)
    assert len(found) == 1, f"{pattern!r} occurs {len(found)} times"
    return found[0] if isinstance(found[0], tuple) else (found[0],)


def test_the_table_lists_every_format_once() -> None:
    assert [row[0] for row in table_rows()] == list(FORMATS)


@pytest.mark.parametrize("row", table_rows(), ids=lambda row: row[0])
def test_formats_are_those_of_the_code(row: list[str]) -> None:
    name, _, signed, bits, frac, _ = row
    number_format = FORMATS[name]
    assert (signed == "yes", int(bits), int(frac)) == (number_format.signed, number_format.bits, number_format.frac)


@pytest.mark.parametrize("row", table_rows(), ids=lambda row: row[0])
def test_the_fields_named_exist_and_have_the_stated_defaults(row: list[str]) -> None:
    _, _, _, bits, frac, names = row
    for name in re.findall(r"`(\w+)`", names):
        value = DEFAULTS[name] if name in DEFAULTS else getattr(config_module, name)
        assert value == int(bits if name.endswith("_bits") and name != "DRAW_BITS" else frac), name


def test_the_table_covers_every_width_of_the_configuration() -> None:
    widths = {name for name in DEFAULTS if name.endswith(("_bits", "_frac"))} - {"exp_index_bits"}
    named = {name for row in table_rows() for name in re.findall(r"`(\w+)`", row[5])}
    assert widths <= named


def test_version_and_names() -> None:
    assert stated(r"# Numeric contract, version (\d+)") == (str(CONTRACT_VERSION),)
    patterns = TEXT[TEXT.index("the removed pattern:") :].split(". ")[0]
    assert set(re.findall(r"`(\w+)` ", patterns)) == set(REMOVABLE)
    for names in (POLICIES, RULES, OPTIMISERS, SECTIONS):
        for name in names:
            assert re.search(rf"\b{name}\b", TEXT), name
    assert "`start = uniform`" in TEXT
    assert STARTS == ("silent", "uniform")


def test_constants_of_the_softmax() -> None:
    assert stated(r"t = `exp_index_bits` \((\d+)\)") == (str(DEFAULT.exp_index_bits),)
    assert stated(r"if n_j ≤ (\d+), else 0") == (str(EXP_FRAC),)
    segments, remainder = 1 << config_module.RECIPROCAL_INDEX_BITS, 1 << config_module.RECIPROCAL_REMAINDER_BITS
    assert stated(r"\(μ >> (\d+)\) mod (\d+),\s+remainder \S = μ mod (\d+)") == (
        str(config_module.RECIPROCAL_REMAINDER_BITS),
        str(segments),
        str(remainder),
    )
    assert stated(r"c = (\d+) \+ k \S F") == (str(config_module.RECIPROCAL_FRAC),)
    assert stated(r"θ = \(R·Σ\) >> (\d+)") == (str(config_module.DRAW_BITS),)


def test_constants_of_the_generator() -> None:
    assert stated(r"k2 = (0x[0-9A-F]+)") == (f"0x{PARITY:08X}",)
    assert stated(r"for round = 0 … (\d+):") == (str(ROUNDS - 1),)
    assert tuple(int(r) for r in stated(r"R = ([\d, ]+)\n")[0].split(",")) == ROTATIONS
    assert stated(r"Stream (\d): winners\. Stream (\d): random start") == (str(STREAM_WINNERS), str(STREAM_START))


def test_constants_of_the_random_start() -> None:
    count = DRAWS_PER_WEIGHT
    assert stated(r"owns draws (\d+)·\(i·N \+ j\) … \+(\d+)") == (str(count), str(count - 1))
    assert stated(r"their sum minus (\d+)·65535") == (str(count // 2),)


def test_defaults_of_apply() -> None:
    defaults = {field.name: field.default for field in fields(Apply)}
    assert tuple(int(v) for v in stated(r"Defaults: decay = (\d+), floor = (\d+), grid = (\d+)\.")) == (
        defaults["decay"],
        defaults["floor"],
        defaults["grid"],
    )


def bound(word: str) -> int:
    """A number of the text, or the configuration's default of that name."""
    return int(getattr(DEFAULT, word)) if word in DEFAULTS else int(word.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize(
    ("pattern", "names", "optimiser"),
    [
        (r"mean_shift (\S+) … (\w+),", ["mean_shift"], "rmsprop"),
        (r"rate and obs_rate (\S+) … (\w+) ", ["rate", "obs_rate"], "rmsprop"),
        (r"`sign`: (\S+) …\s+(\w+)\)", ["rate", "obs_rate"], "sign"),
        (r"decay (\S+) … (\w+),", ["decay"], "rmsprop"),
        (r"floor (\S+) … (\w+),", ["floor"], "rmsprop"),
        (r"grid (\S+) … (\w+)\.", ["grid"], "sign"),
    ],
)
def test_apply_accepts_exactly_the_stated_ranges(pattern: str, names: list[str], optimiser: str) -> None:
    low, high = (bound(word) for word in stated(pattern))
    usual = {"mean_shift": 0, "rate": 0, "obs_rate": 0}
    for name in names:
        for value in (low, high):
            Device(DEFAULT).apply(Apply(optimiser, **(usual | {name: value})))
        for value in (low - 1, high + 1):
            with pytest.raises(SvpgError, match=rf"{name} = {value} is out of range"):
                Device(DEFAULT).apply(Apply(optimiser, **(usual | {name: value})))


def test_checksums_of_the_tables() -> None:
    base, slope = reciprocal_table()
    expected = stated(r"T for t = (\d+) `(\w+)`, B\[1…63\] `(\w+)`, C `(\w+)`")

    def checksum(values: NDArray[np.int64]) -> str:
        assert 0 <= values.min() <= values.max() < 1 << 16
        return f"{zlib.crc32(values.astype('>u2').tobytes()):08x}"

    assert expected == ("9", checksum(exp2_table(9)), checksum(base[1:]), checksum(slope))
    assert base[0] == 1 << 16
