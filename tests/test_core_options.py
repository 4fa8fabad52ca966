"""What a build may choose, and what it costs in multipliers."""

from __future__ import annotations

import dataclasses

import pytest

from golden.arguments import OPTIMISERS, RULES
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.protocol import Command, Section
from hdl.options import CoreOptions

CONFIG = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5, lanes=69)


def test_a_build_learns_nothing_unless_told() -> None:
    options = CoreOptions()
    assert not options.learns
    assert options.abilities.commands == (Command.INFO, Command.LOAD, Command.READ, Command.INFER)
    assert options.abilities.sections == (Section.WEIGHT,)
    assert options.abilities.masks == (0, 0)


def test_a_build_that_learns_has_what_it_was_told() -> None:
    every = CoreOptions().learning()
    assert (every.abilities.rules, every.abilities.optimisers) == (frozenset(RULES), frozenset(OPTIMISERS))
    assert every.abilities.commands == tuple(Command) and every.abilities.sections == tuple(Section)
    some = CoreOptions(rules=" contrastive , published", optimisers="sgd,sign")
    assert some.abilities.masks == (0b101, 0b101)
    assert some.abilities.sections == (Section.WEIGHT, Section.ACC), "second moments belong to rmsprop"
    assert CoreOptions().learning(["conditional"], ["rmsprop"]).abilities.masks == (0b010, 0b010)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": "backprop", "optimisers": "sgd"}, r"core.rules = 'backprop': backprop is unknown; choose among "),
        ({"rules": "published", "optimisers": "adam,sgd"}, "core.optimisers = 'adam,sgd': adam is unknown"),
        ({"rules": "published"}, "core.rules and core.optimisers go together"),
        ({"optimisers": "sgd"}, "core.rules and core.optimisers go together"),
        ({"products": 0}, "core.products = 0 is not possible; give 1 or 2"),
        ({"words": 3}, "core.words = 3 is not possible; give a power of two"),
        ({"words": 2, "rules": "published", "optimisers": "sgd"}, "give core.shared=false as well"),
    ],
)
def test_what_makes_no_build_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        CoreOptions(**settings)


def test_inference_sees_row_words_as_wide_as_it_takes_them() -> None:
    config = CONFIG.replace(lanes=9)
    assert CoreOptions().wide(config) is config
    assert CoreOptions(words=8).wide(config) == config.replace(lanes=72)
    with pytest.raises(SvpgError, match=r"core.words = 16 is no share of the 8 words of a row; set network.lanes"):
        CoreOptions(words=16).wide(config)
    with pytest.raises(SvpgError, match=r"core.words = 2 is for rate mode only"):
        CoreOptions(words=2).wide(config.replace(mode="spike"))


def test_multipliers_are_those_of_the_lanes_and_of_what_learns() -> None:
    assert CoreOptions(softmax_lanes=3, in_logic=True).multipliers(CONFIG) == 69 + 3
    assert CoreOptions(softmax_lanes=3).multipliers(CONFIG) == 69 + 3 + 2
    learning = CoreOptions(softmax_lanes=3, in_logic=True).learning()
    assert learning.multipliers(CONFIG) == 2 * 69 + 3 + 2
    assert CoreOptions(softmax_lanes=3, in_logic=True, words=8).multipliers(CONFIG.replace(lanes=9)) == 72 + 3
    single = CoreOptions(softmax_lanes=3, in_logic=True, products=1).learning()
    assert single.multipliers(CONFIG) == 69 + 3 + 2
    assert dataclasses.replace(single, shared=False).multipliers(CONFIG) == 2 * 69 + 3 + 2


def test_the_fastest_build_within_some_multipliers() -> None:
    assert CoreOptions.within(CONFIG, 72) == CoreOptions(softmax_lanes=3, in_logic=True)
    learning = {"rules": "contrastive", "optimisers": "sgd", "products": 1}
    assert CoreOptions.within(CONFIG, 75, **learning).softmax_lanes == 4
    with pytest.raises(SvpgError, match="69 lanes do not fit 69 multipliers; set lanes to 68 at most"):
        CoreOptions.within(CONFIG, 69)
    with pytest.raises(SvpgError, match="69 lanes that learn do not fit 140 multipliers; set lanes to 68 at most"):
        CoreOptions.within(CONFIG, 140, **{**learning, "products": 2})
