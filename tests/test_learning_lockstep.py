"""Golden and hardware learn side by side: equal devices go on, one flipped bit stops, and the report tells where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.arguments import SECTIONS, Apply
from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Ints
from golden.errors import SvpgError
from golden.protocol import Abilities, Command, Section, Words
from golden.server import FrameServer
from host import hardware
from host.cli import main
from sim.learning_report import FILE, write_learning_report
from sim.lesson import LearningCase
from sim.twins import LearningDivergenceError, Twins, relearn
from tests.test_lockstep import CONFIG, golden

UPDATE = Apply("rmsprop", 3, 6, 7)


class Faulty(FrameServer):
    """A golden device behind frames of which one memory goes wrong after some samples or updates.

    Parameters
    ----------
    after: transactions of a kind that are done right.
    command: the kind, ``LEARN`` or ``APPLY``.
    section, place: the value in which a bit flips; ``counter`` changes a counter instead.
    """

    def __init__(self, after: int, command: Command, section: str, place: int = 5) -> None:
        super().__init__(CONFIG)
        self._left, self._command, self._section, self._place = after, command, section, place

    def _execute(self, command: Command, flags: int, arguments: dict[str, Ints]) -> dict[str, Ints]:
        if command != self._command:
            return super()._execute(command, flags, arguments)
        count = len(next(iter(arguments.values())))
        results = []
        for number in range(count):
            results.append(super()._execute(command, flags, {k: v[number : number + 1] for k, v in arguments.items()}))
            self._left -= 1
            if self._left == -1 and self._section == "counter":
                results[-1]["learn_words"] = results[-1]["learn_words"] + 1
            elif self._left == -1:
                value = self.device.read(self._section, self._place, 1) ^ 1
                self.device.load(self._section, value, self._place)
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


class Silent(FrameServer):
    """A device that stops answering ``LEARN``."""

    def exchange(self, words: Words, responses: int | None = None) -> Words:
        if words.size and words[0] & 0xFF == Command.LEARN:
            raise SvpgError("the device is at fault: nothing has moved")
        return super().exchange(words, responses)


def twins(server: FrameServer) -> Twins:
    return Twins(golden(), FrameDevice(CONFIG, server), {"softmax_lanes": 4})


def study(pair: Twins, samples: int, rule: str = "contrastive", seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    obs = rng.integers(-300, 300, (samples, CONFIG.inputs))
    winners = np.hstack([rng.integers(0, 3, (samples, 2)), rng.integers(0, 5, (samples, 1))])
    pair.learn(obs, winners, rng.integers(-500, 500, samples), rule)


@pytest.mark.parametrize("rule", ["published", "conditional", "contrastive"])
def test_equal_devices_learn_alike(rule: str) -> None:
    pair = twins(FrameServer(CONFIG))
    for number in range(3):
        study(pair, 8, rule, number)
        study(pair, 3, rule, 10 + number)
        pair.apply(UPDATE)
        pair.infer(np.zeros((2, 4), dtype=np.int64), np.arange(2, dtype=np.uint64), "sample")
    assert (pair.samples, pair.updates, pair.decisions) == (33, 3, 6)
    for section in SECTIONS:
        assert np.array_equal(pair.read(section), pair.hardware.read(section)), section
    assert pair.read("weight").any() and not np.array_equal(pair.read("weight"), golden().read("weight"))


@pytest.mark.parametrize(
    ("section", "wrong"), [("acc", ["acc"]), ("acc_bias", ["acc_bias"]), ("counter", ["learn_words"])]
)
def test_one_wrong_bit_of_a_sample_is_found_and_its_sample_named(
    section: str, wrong: list[str], tmp_path: Path
) -> None:
    def faulty() -> FrameServer:
        return Faulty(11, Command.LEARN, section)

    pair = twins(faulty())
    study(pair, 4)
    pair.apply(UPDATE)
    with pytest.raises(LearningDivergenceError) as caught:
        study(pair, 20, seed=1)
        pair.apply(UPDATE)
    case = caught.value.case
    assert case.wrong == wrong
    assert (case.updates, len(case.lessons)) == (1, 20)
    # On fresh hardware the fault, which comes after 11 samples, comes 4 samples later than in the comparison.
    found = relearn(case, FrameDevice(CONFIG, faulty()))
    assert (found.sample, list(found.golden)) == (11, wrong)
    assert not relearn(case, FrameDevice(CONFIG, FrameServer(CONFIG))).differs
    text = write_learning_report(
        tmp_path / "report", case, lambda: FrameDevice(CONFIG, faulty()), lambda file: f"replay {file}"
    ).read_text()
    assert "number 11 of 20" in text and str(case.lessons.obs[11].tolist()) in text
    assert f"{wrong[0]}: 1 of" in text and "bits 0x" in text
    if section == "acc":
        assert "(from group 0, neuron 0 to group 1, neuron 2)" in text
    loaded = LearningCase.load(tmp_path / "report" / FILE)
    assert vars(loaded.lessons).keys() == vars(case.lessons).keys()
    assert np.array_equal(loaded.lessons.modulator, case.lessons.modulator)
    assert all(np.array_equal(loaded.memories[name], case.memories[name]) for name in SECTIONS)
    assert (loaded.update, loaded.wrong, loaded.samples) == (case.update, case.wrong, case.samples)


@pytest.mark.parametrize("section", ["weight", "bias", "acc", "moment", "moment_bias"])
def test_one_wrong_bit_of_an_update_is_found_in_every_memory(section: str) -> None:
    pair = twins(Faulty(1, Command.APPLY, section))
    study(pair, 4)
    pair.apply(UPDATE)
    study(pair, 4)
    with pytest.raises(LearningDivergenceError) as caught:
        pair.apply(UPDATE)
    case = caught.value.case
    assert (case.wrong, case.updates, case.update, len(case.lessons)) == ([section], 1, UPDATE, 4)
    found = relearn(case, FrameDevice(CONFIG, Faulty(0, Command.APPLY, section)))
    assert (found.sample, list(found.golden)) == (None, [section])


def test_a_device_that_does_not_answer_is_reported(tmp_path: Path) -> None:
    pair = twins(Silent(CONFIG))
    with pytest.raises(LearningDivergenceError) as caught:
        study(pair, 3)
    found = relearn(caught.value.case, FrameDevice(CONFIG, Silent(CONFIG)))
    assert (found.sample, found.fault) == (0, "the device is at fault: nothing has moved")
    path = write_learning_report(
        tmp_path / "r", caught.value.case, lambda: FrameDevice(CONFIG, Silent(CONFIG)), lambda file: "again"
    )
    assert "nothing has moved" in path.read_text()


def test_hardware_without_second_moments_is_compared_in_what_it_has() -> None:
    abilities = Abilities(frozenset({"contrastive"}), frozenset({"sgd"}))
    pair = twins(FrameServer(CONFIG, abilities=abilities))
    assert Section.MOMENT not in pair.hardware.sections
    study(pair, 4)
    pair.apply(Apply("sgd", 2, 5, 5))
    assert pair.updates == 1


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(SvpgError, match="no such file"):
        LearningCase.load(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(SvpgError, match="not a readable lesson"):
        LearningCase.load(path)
    np.savez(path, weight=np.zeros(3))
    with pytest.raises(SvpgError, match="not a readable lesson"):
        LearningCase.load(path)


# --- the command -------------------------------------------------------------------------------------------
SMALL = ["network.groups=2", "network.group_size=3", "network.lanes=4"]
SET = [part for setting in SMALL for part in ("--set", setting)]


def test_a_task_is_learned_on_golden_and_rtl_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lockstep", "inverted-pendulum", "--learn", "--samples", "300", "--json", *SET]) == 0
    data: Any = json.loads(capsys.readouterr().out)
    assert data["mismatches"] == 0
    assert data["samples"] >= 300 and data["updates"] > 0 and data["decisions"] > 0
    assert data["cycles_per_sample"] > 30
    # Sixteen rows of three words, biases included.
    assert data["cycles_per_update"] == 16 * 3 + 14


def test_where_they_learn_differently_a_report_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pool(config: DeviceConfig, options: object) -> FrameDevice:
        return FrameDevice(config, Faulty(200, Command.LEARN, "acc"))

    monkeypatch.setattr(hardware, "core_pool", pool)
    out = tmp_path / "out"
    line = ["lockstep", "inverted-pendulum", "--learn", "--samples", "2000", "--json", "--out", str(out), *SET]
    assert main(line) == 1
    data: Any = json.loads(capsys.readouterr().out)
    assert data["mismatches"] == 1 and data["samples"] >= 200
    text = Path(data["report"]).read_text()
    # The real core is right, so the fault of the monkey's does not come back.
    assert "it does not happen" in text and f"--replay {out / FILE}" in text
    assert main(["lockstep", "--replay", str(out / FILE), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differs"] is False


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--learn", "--decisions", "5"], "with --learn give --samples"),
        (["--samples", "5"], "give it with --learn"),
        (["--learn", "--set", "core.rules=published"], "go together"),
        (["--learn", "--set", "core.rules=published", "--set", "core.optimisers=sgd"], "without the"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lockstep", "inverted-pendulum", *SET, *more]) == 2
    assert message in capsys.readouterr().err
