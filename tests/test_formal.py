"""What is proved about components for every input, and that a proof can fail."""

from __future__ import annotations

import importlib.util

import pytest

from golden.config import DeviceConfig
from golden.errors import SvpgError
from sim.formal import Verdict, prove
from sim.properties import EligibilityReturns, QueueLosesNothing, ReaderAnswers, TracesEnd

SMALLEST = DeviceConfig(
    inputs=1,
    groups=1,
    group_size=2,
    actions=2,
    lanes=4,
    activity_frac=4,
    acc_frac=12,
    acc_bits=24,
    grad_bits=14,
    moment_frac=18,
)
"""The fewest neurons and bits there can be: proofs are about control, which has no more states with more of them."""
TWO_INPUTS = SMALLEST.replace(inputs=2)


def test_the_queue_of_observations_loses_and_invents_nothing() -> None:
    assert prove(QueueLosesNothing(TWO_INPUTS), 24).verdict == Verdict.PROVED


def test_every_walk_over_the_neurons_ends() -> None:
    assert prove(TracesEnd(TWO_INPUTS, lanes=2), 24).verdict == Verdict.PROVED


def test_the_eligibility_returns_as_far_as_was_looked() -> None:
    proof = prove(EligibilityReturns(SMALLEST, lanes=2), 12)
    assert (proof.verdict, proof.cycles) == (Verdict.HOLDS, 12)


@pytest.mark.slow
def test_the_eligibility_always_returns() -> None:
    assert prove(EligibilityReturns(SMALLEST, lanes=2), 70).verdict == Verdict.PROVED


def test_every_frame_becomes_one_request_as_far_as_was_looked() -> None:
    assert prove(ReaderAnswers(SMALLEST.replace(lanes=2)), 8).verdict == Verdict.HOLDS


@pytest.mark.slow
def test_longer_frames_become_one_request() -> None:
    assert prove(ReaderAnswers(SMALLEST.replace(lanes=2)), 20).verdict == Verdict.HOLDS


def test_a_property_that_is_wrong_is_broken_by_an_example() -> None:
    proof = prove(QueueLosesNothing(TWO_INPUTS, wrong=True), 12)
    assert proof.verdict == Verdict.BROKEN
    assert r"\rewind" in proof.trace and r"\put__valid" in proof.trace


def test_without_a_solver_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SvpgError, match="Yosys with SAT solver is missing; install the project with its test extra"):
        prove(TracesEnd(SMALLEST, lanes=2), 2)
