"""The splitter of events into digits against the document, on Verilator."""

from __future__ import annotations

from golden.config import DeviceConfig
from hdl.digits import DigitSplitter
from sim.bench.run import run

CONFIG = DeviceConfig(
    inputs=3, groups=2, group_size=3, actions=2, obs_bits=9, activity_frac=6, mode="spike", steps=4, window=4
)


def test_digits_are_those_of_the_document() -> None:
    run(DigitSplitter(CONFIG), "sim.bench.digits", config=CONFIG, seed=1)
