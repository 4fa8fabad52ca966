"""The draw generators against golden, on Verilator."""

from __future__ import annotations

import pytest

from golden.errors import SvpgError
from hdl.rng import DrawGenerator
from hdl.spike_draws import make_generator
from sim.bench.run import run


def check(rounds_per_cycle: int, blocks: int, seed: int) -> None:
    component = make_generator(rounds_per_cycle, pipelined=rounds_per_cycle == 0)
    run(component, "sim.bench.rng", rounds_per_cycle=rounds_per_cycle, blocks=blocks, seed=seed)


@pytest.mark.parametrize("rounds_per_cycle", [1, 4, 0], ids=["one", "four", "pipelined"])
def test_draws_equal_golden(rounds_per_cycle: int) -> None:
    check(rounds_per_cycle, blocks=100, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("rounds_per_cycle", [1, 2, 4, 20, 0])
def test_draws_equal_golden_at_length(rounds_per_cycle: int) -> None:
    check(rounds_per_cycle, blocks=1000, seed=2)


@pytest.mark.parametrize("rounds_per_cycle", [0, 3, 8])
def test_rounds_that_do_not_fit_are_refused(rounds_per_cycle: int) -> None:
    with pytest.raises(SvpgError, match="choose 1, 2, 4 or 20"):
        DrawGenerator(rounds_per_cycle=rounds_per_cycle)
