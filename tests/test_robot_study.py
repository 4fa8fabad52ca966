"""The study of the robot tasks: what it measures, that it goes on where it was, and what it writes."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.errors import SvpgError
from golden.start import random_start
from host.agent import Agent
from host.backend import Decision
from host.evaluation import Validation
from host.seeds import Purpose
from host.study.runner import Case, Finished
from host.tasks import get_task
from host.training import Trainer

pytest.importorskip("pybullet", reason="PyBullet has wheels for CPython 3.11 and older only")

from host.study import robot_training, robots
from host.study.robot_shipped import shipped_case
from host.study.robot_training import train_case
from host.study.robot_trials import Chance, trials
from host.study.runs import MLP, run_config, trained, trained_mlp, unseeing

SMALL = [
    "network.groups=2",
    "network.group_size=3",
    "ppo.envs=2",
    "ppo.update_every=16",
    "ppo.batch=16",
    "centring.frames=300",
    "critic.hidden=4",
    "training.validation_episodes=2",
    "training.validate_every=2",
]


class Constant:
    """An agent that always does the same."""

    def __init__(self, action: int) -> None:
        self._action = action
        self.policies: set[str] = set()

    def decide(self, obs: Any, purpose: Purpose, first: int, policy: str) -> Any:
        self.policies.add(policy)
        return type("Decision", (), {"action": np.full(len(obs), self._action)})()


def test_oracle_takes_as_many_steps_as_are_enough() -> None:
    result = trials(None, get_task("robot-arm"), 6, 1, split=2)
    assert (result.success, result.score, result.ratio) == (1.0, 1.0, 1.0) and result.steps == result.shortest > 3


def test_chance_takes_all_actions_alike() -> None:
    decision = Chance(5, 1).decide(np.zeros((5000, 3)), Purpose.PLAY, 0, "greedy")
    assert np.abs(np.bincount(decision.action, minlength=5) - 1000).max() < 120
    assert decision.action_prob.shape == (5000, 5) and (decision.action_prob == 0.2).all()


def test_a_policy_that_never_arrives_has_no_steps() -> None:
    agent = Constant(0)
    result = trials(agent, get_task("robot-arm"), 3, 1)  # type: ignore[arg-type]
    assert agent.policies == {"greedy"}
    trials(agent, get_task("robot-arm"), 1, 1, "sample")  # type: ignore[arg-type]
    assert agent.policies == {"greedy", "sample"}
    assert result.to_dict() == {"episodes": 3, "success": 0.0, "steps": 0.0, "ratio": 0.0, "score": 0.0}


@pytest.mark.parametrize("backend", ["golden", MLP])
def test_a_case_trains_and_tries_the_best_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(robot_training, "TRIALS", 3)
    monkeypatch.setattr(robot_training, "MANY", 4)
    result = train_case("robot-arm", backend, 1, SMALL, 3, str(tmp_path / "run"))
    assert result["validation"] and all(0 <= row[2] <= 1 for row in result["validation"])
    assert result["trials"]["episodes"] == 3 and result["many"]["episodes"] == 4 == result["sampled"]["episodes"]
    assert (result["zeroed"] is None) == (backend == MLP)
    assert result["blank"]["success"] <= 1 and result["mirrored"]["success"] <= 1


def test_a_run_that_is_there_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    config = run_config("robot-arm", "golden", 1, SMALL, 2)
    first, again = trained(config, tmp_path / "run"), trained(config, tmp_path / "run")
    assert (first.validations, first.steps) == (again.validations, again.steps)
    np.testing.assert_array_equal(first.agent.read().weight, again.agent.read().weight)
    with pytest.raises(SvpgError, match="holds a run with other settings"):
        trained(dataclasses.replace(config, seed=2), tmp_path / "run")


def test_the_perceptron_keeps_its_best_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    scores: list[float] = [0.1, 0.4, 0.2]
    states: list[dict[str, Any]] = []

    def validated(self: Validation, agent: Agent) -> Any:
        states.append(agent.state())
        return np.array([scores[len(states) - 1]])

    monkeypatch.setattr(Validation, "run", validated)
    run = trained_mlp(run_config("robot-arm", MLP, 1, [*SMALL, "training.validate_every=1", "ppo.envs=1"], 3))
    assert [row[2] for row in run.validations] == scores
    assert run.steps >= run.validations[-1][1] > 0
    weights = {name: values for name, values in run.agent.state().items() if name.startswith("backend.")}
    assert not np.array_equal(states[0]["backend.0.weight"], states[2]["backend.0.weight"])
    for name, values in weights.items():
        np.testing.assert_array_equal(values, states[1][name])


@pytest.mark.parametrize(("task", "policy"), [("robot-navigation", "greedy"), (robots.HARDER, "sample")])
def test_training_validates_by_the_policy_of_its_task(task: str, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policies: list[str] = []

    def validated(self: Agent, obs: Any, purpose: Purpose, first: int, policy: str, spikes: bool = False) -> Decision:
        policies.extend([policy] * (purpose == Purpose.VALIDATE))
        return decide(self, obs, purpose, first, policy, spikes)

    decide = Agent.decide
    monkeypatch.setattr(Agent, "decide", validated)
    with contextlib.closing(Trainer(run_config(task, "golden", 1, SMALL, 2))) as trainer:
        trainer.validate()
    assert set(policies) == {policy}


def test_a_policy_that_sees_nothing_keeps_all_other_weights() -> None:
    config = get_task("robot-arm").defaults("golden", "ppo").network.replace(removed="none")
    before = random_start(config, 1, 0.5, 0.5)
    after, hidden = unseeing(before).weight, config.hidden
    assert (after[config.neurons :, :hidden] == 0).all() and before.weight[config.neurons :, :hidden].any()
    np.testing.assert_array_equal(after[: config.neurons], before.weight[: config.neurons])
    np.testing.assert_array_equal(after[:, hidden:], before.weight[:, hidden:])


def test_first_seed_of_everything_comes_first(tmp_path: Path) -> None:
    cases = robots.cases(5, None, tmp_path)
    seeds = [case.arguments["seed"] for case in cases]
    assert seeds == sorted(seeds)
    assert len({(case.name, case.arguments["seed"]) for case in cases}) == len(cases)
    for task in robots.TASKS:
        assert [case.arguments["seed"] for case in cases if case.name == f"{task}|contrastive|golden"] == [
            1,
            2,
            3,
            4,
            5,
        ]


def finished(name: str, seed: int, success: float, zeroed: bool = True) -> Finished:
    played = {"episodes": 50, "success": success, "steps": 8.0, "ratio": 1.1, "score": success}
    other = {**played, "success": 0.25}
    result = {
        "trials": played,
        "many": {**played, "success": success + 0.01},
        "sampled": {**played, "success": success + 0.02, "ratio": 1.2},
        "blank": other,
        "mirrored": other,
        "zeroed": other if zeroed else None,
        "validation": [[100, 2000, 0.5], [200, 4000 * seed, 0.9]],
    }
    return Finished(Case(name, train_case, {"seed": seed}), result)


def wanted(folder: Path, seeds: int) -> list[Case]:
    """Golden's cases as the study names them."""
    cases = robots.cases(seeds, None, folder / "robots")
    tasks = (*robots.TASKS, robots.HARDER)
    return [case for task in tasks for case in cases if case.name == f"{task}|contrastive|golden"]


def test_report_needs_golden(tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="holds no finished run of robot-arm on golden; give --workers 1"):
        robots.run(tmp_path, tmp_path / "robots.jsonl", 1, False, 0)


def test_report_holds_every_seed_and_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [finished(f"{task}|contrastive|golden", seed, 0.9 + seed / 50) for task in robots.TASKS for seed in (1, 2)]
    runs.append(finished(f"{robots.HARDER}|contrastive|golden", 1, 0.1))
    *begun, lacks = wanted(tmp_path, 2)
    assert lacks.name.startswith(robots.HARDER)
    for run, case in zip(runs, begun, strict=True):
        object.__setattr__(run, "case", case)
    runs.append(finished(f"robot-arm|MLP, backpropagation|{MLP}", 1, 0.0, zeroed=False))
    # As in a journal of before there were many.
    del runs[-1].result["many"], runs[-1].result["sampled"]
    played = {"success": 0.95, "steps": 7.0, "ratio": 1.07}
    ready = {"trials": played, "decisions": 200, "mismatches": 0, "cycles": 13553.03, "lanes": 64}
    shown = [Finished(Case("robot-arm", shipped_case), ready)]
    monkeypatch.setattr(robots, "run_cases", lambda cases, *_: runs if len(cases) > 3 else shown)
    monkeypatch.setattr(robots, "_film", lambda *_: None)
    monkeypatch.setattr(robots, "_bounds", lambda: "bounds here")
    table = robots.run(tmp_path, tmp_path / "robots.jsonl", 2, False, 1)
    row = "92 %, 94 % | 93 %, 95 % | 94 % (1.20), 96 % (1.20) | 8.0 | 1.10, 1.10 | 6000"
    assert f"| robot-arm | contrastive | golden | {row} |" in table
    assert "| robot-arm | MLP, backpropagation | float | 0 % | – | – | – | – | 4000 |" in table
    text = (tmp_path / "robots.md").read_text()
    # Both seeds of golden's are there but in rooms that vary, and none of others.
    lacking = text.split("have not been run")[1]
    assert "robot-arm, published, golden: 2" in lacking and "robot-arm, contrastive, golden" not in lacking
    assert f"{robots.HARDER}, contrastive, golden: 1" in lacking
    assert "| robot-arm | 95 % | 7.0 | 1.07 | 200 | 0 | 13,553 |" in text
    assert "bounds here" in text and "| robot-arm | contrastive | golden | 93 % | 25 % | 25 % | 25 % |" in text
    assert "| robot-arm | MLP, backpropagation | float | 0 % | – | 25 % | 25 % |" in text
    # By the policy of its task, which draws.
    assert f"| {robots.HARDER} | contrastive | golden | 12 % | 25 % | 25 % | 25 % |" in text
    assert {path.name for path in tmp_path.glob("*.png")} == {"robot-arm.png", "robot-navigation.png"}
