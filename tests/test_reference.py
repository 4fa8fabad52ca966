"""The float network against the published code's arrays, and its own contracts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from golden.config import REMOVABLE, DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters
from golden.reference import OPTIMISERS, Direction, FloatNetwork, Optimisers

DATA = Path(__file__).parent / "data"
ORACLES = ("net_s4_h2x3_a3.npz", "net_s4_h8x8_a5.npz")
RULES = ("published", "conditional", "contrastive")
SMALL = DeviceConfig(inputs=3, groups=2, group_size=3, actions=4)


def random_parameters(config, seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    n = config.neurons
    block = np.triu(rng.normal(size=(n, n)) * scale)
    weight = np.vstack((block + block.T, rng.normal(size=(config.inputs, n)) * scale)) * config.mask
    sizes = (config.groups, config.group_size, config.actions, config.inputs)
    return Parameters(weight, rng.normal(size=n) * scale, *sizes)


def random_network(config, seed=0, scale=0.5, dtype=torch.float32):
    network = FloatNetwork(config, dtype)
    network.load(random_parameters(config, seed, scale))
    return network


def random_batch(config, batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    obs = torch.rand(batch, config.inputs, generator=generator)
    sizes = torch.tensor(np.diff(config.group_start))
    winners = (torch.rand(batch, config.groups + 1, generator=generator) * sizes).long()
    return obs, winners, torch.randn(batch, generator=generator)


@pytest.fixture(params=ORACLES)
def oracle(request):
    with np.load(DATA / request.param) as archive:
        return {key: archive[key] for key in archive.files}


@pytest.fixture
def oracle_network(oracle):
    sizes = [int(oracle[key]) for key in ("H_groups", "H_size", "A", "S")]
    config = DeviceConfig(groups=sizes[0], group_size=sizes[1], actions=sizes[2], inputs=sizes[3])
    network = FloatNetwork(config)
    network.load(Parameters(oracle["weight"].astype(np.float64), oracle["bias"].astype(np.float64), *sizes))
    return network


# --- published code ------------------------------------------------------------------------------------
def test_mask_is_that_of_the_published_code(oracle, oracle_network):
    np.testing.assert_array_equal(oracle_network.mask.numpy(), oracle["mask"])


def test_twelve_passes_reproduce_the_published_code(oracle, oracle_network):
    drive = oracle_network.drive(torch.from_numpy(oracle["x"]))
    potential, q = oracle_network.trace(drive, q0=torch.from_numpy(oracle["q0"]), iterations=12)
    np.testing.assert_allclose(potential.numpy(), oracle["pot"], atol=1e-5)
    np.testing.assert_allclose(q.numpy(), oracle["q"], atol=1e-5)


def test_published_update_reproduces_the_published_code(oracle, oracle_network):
    n, batch = oracle_network.config.neurons, len(oracle["x"])
    q, v = torch.from_numpy(oracle["final_q_has"][:, :n]), torch.from_numpy(oracle["v_ha"])
    # `gradient` is M / B; the published code divides by B once more, this project does not.
    total = oracle_network.published(q, v, torch.from_numpy(oracle["x"]), torch.from_numpy(oracle["gradient"]))
    np.testing.assert_allclose(total.weight.numpy() / batch, oracle["weight_target"], atol=1e-6)
    np.testing.assert_allclose(total.bias.numpy() / batch, oracle["bias_target"], atol=1e-6)


# --- inference -----------------------------------------------------------------------------------------
def test_first_pass_of_a_silent_start_sees_the_feed_forward_drive_alone():
    network = random_network(SMALL)
    obs, _, _ = random_batch(SMALL, 5)
    potential, q = network.trace(network.drive(obs))
    torch.testing.assert_close(potential[0], obs @ network.observation + network.bias)
    again, _ = network.settle(network.drive(obs), q0=torch.zeros(5, SMALL.neurons), iterations=1)
    torch.testing.assert_close(potential[0], again)
    assert len(q) == SMALL.iterations


def test_uniform_start_shares_each_group_evenly():
    config = SMALL.replace(start="uniform")
    network = random_network(config)
    drive = network.drive(random_batch(config, 5)[0])
    start = torch.tensor([1 / 3] * 6 + [1 / 4] * 4).expand(5, 10)
    assert torch.equal(network.settle(drive)[1], network.settle(drive, q0=start)[1])
    assert not torch.allclose(network.settle(drive)[1], random_network(SMALL).settle(drive)[1], atol=1e-4)


def test_settle_is_the_last_pass_of_trace():
    network = random_network(SMALL)
    drive = network.drive(random_batch(SMALL, 5)[0])
    for last, every in zip(network.settle(drive, iterations=7), network.trace(drive, iterations=7), strict=True):
        assert torch.equal(last, every[-1])


def test_passes_are_synchronous():
    network = random_network(SMALL, dtype=torch.float64)
    n = SMALL.neurons
    obs = random_batch(SMALL, 4)[0].double()
    potential, q = network.trace(network.drive(obs), iterations=5)
    for step in range(1, 5):
        expected = 2 * q[step - 1] @ network.weight[:n] + obs @ network.weight[n:] + network.bias
        torch.testing.assert_close(potential[step], expected)


def test_every_group_sums_to_one_even_for_large_potentials():
    network = random_network(SMALL)
    q = network.softmax(torch.tensor([[1e4, -1e4, 0, 3, 3, 3, 80, 90, 100, -1e30]]))
    assert torch.isfinite(q).all()
    torch.testing.assert_close(torch.stack([q[0, :3].sum(), q[0, 3:6].sum(), q[0, 6:].sum()]), torch.ones(3))
    assert q[0, :3].tolist() == [1.0, 0.0, 0.0]


def test_noise_enters_activity_and_observation_of_every_pass():
    network = random_network(SMALL, dtype=torch.float64)
    n = SMALL.neurons
    obs = random_batch(SMALL, 4)[0].double()
    noise = 0.02 * torch.randn(3, 4, SMALL.sources, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    potential, q = network.trace(network.drive(obs), iterations=3, noise=noise)
    before = torch.zeros(4, n, dtype=torch.float64)
    for step in range(3):
        seen, observed = before + noise[step, :, :n], obs + noise[step, :, n:]
        expected = 2 * seen @ network.weight[:n] + observed @ network.weight[n:] + network.bias
        torch.testing.assert_close(potential[step], expected)
        before = q[step]


def test_at_least_one_pass_is_asked_for():
    network = random_network(SMALL)
    with pytest.raises(ValueError, match="at least one pass"):
        network.settle(network.drive(random_batch(SMALL, 1)[0]), iterations=0)


def test_clamped_phase_goes_on_from_the_settled_activity_with_the_action_held():
    network = random_network(SMALL, dtype=torch.float64)
    h, n = SMALL.hidden, SMALL.neurons
    obs, winners, _ = random_batch(SMALL, 6)
    obs, action = obs.double(), winners[:, -1]
    drive = network.drive(obs)
    _, q = network.settle(drive)
    held = torch.nn.functional.one_hot(action, SMALL.actions).double()
    expected = q.clone()
    for _ in range(3):
        expected[:, h:] = held
        expected = network.softmax(2 * expected @ network.weight[:n] + drive)
    clamped = network.clamp(drive, q, action, iterations=3)
    torch.testing.assert_close(clamped[:, :h], expected[:, :h])
    assert torch.equal(clamped[:, h:], held)


@pytest.mark.parametrize("removed", ["hh", "hhsa"])
def test_clamped_phase_without_hidden_hidden_links_is_at_its_fixed_point(removed):
    network = random_network(SMALL.replace(removed=removed))
    obs, winners, _ = random_batch(SMALL, 6)
    drive = network.drive(obs)
    clamped = network.clamp(drive, network.settle(drive)[1], winners[:, -1])
    again = network.softmax(2 * clamped @ network.recurrent + drive)
    torch.testing.assert_close(clamped[:, : SMALL.hidden], again[:, : SMALL.hidden])


# --- winners -------------------------------------------------------------------------------------------
def test_sampling_inverts_the_cumulative_distribution_of_each_group():
    q = torch.tensor([[0.25, 0.25, 0.5, 0.0, 1.0, 0.0, 0.1, 0.2, 0.3, 0.4]]).repeat(6, 1)
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.9999])[:, None].repeat(1, 3)
    winners = FloatNetwork(SMALL).sample(q, uniforms)
    assert winners[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert winners[:, 1].tolist() == [1] * 6
    assert winners[:, 2].tolist() == [0, 1, 1, 2, 2, 3]


def test_sampling_frequencies_are_the_activity():
    network = random_network(SMALL)
    obs, _, _ = random_batch(SMALL, 1)
    _, q = network.settle(network.drive(obs))
    count = 4096
    uniforms = ((torch.arange(count) + 0.5) / count)[:, None].repeat(1, SMALL.groups + 1)
    v = network.one_hot(network.sample(q.repeat(count, 1), uniforms))
    torch.testing.assert_close(v.mean(0), q[0], atol=2 / count, rtol=0)


def test_neuron_of_zero_activity_never_wins():
    q = torch.tensor([[0.0, 1.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0]])
    extremes = torch.tensor([[0.5 / 65536] * 3, [1 - 0.5 / 65536] * 3])
    winners = FloatNetwork(SMALL).sample(q.repeat(2, 1), extremes)
    assert winners.tolist() == [[1, 0, 2], [1, 2, 2]]


def test_greedy_takes_the_largest_potential_and_the_first_of_equals():
    u = torch.tensor([[0.0, 2.0, 2.0, -1.0, -2.0, -3.0, 5.0, 7.0, 6.0, 7.0]])
    assert FloatNetwork(SMALL).greedy(u).tolist() == [[1, 0, 1]]


def test_one_hot_places_winners_group_by_group():
    v = FloatNetwork(SMALL).one_hot(torch.tensor([[0, 2, 3], [1, 0, 0]]))
    assert v.tolist() == [[1, 0, 0, 0, 0, 1, 0, 0, 0, 1], [0, 1, 0, 1, 0, 0, 1, 0, 0, 0]]


def test_action_given_hidden_depends_on_the_hidden_winners_alone():
    network = random_network(SMALL, dtype=torch.float64)
    h, n = SMALL.hidden, SMALL.neurons
    obs, winners, _ = random_batch(SMALL, 7)
    obs = obs.double()
    got = network.action_given_hidden(network.drive(obs), winners)
    v = network.one_hot(winners)[:, :h]
    expected = 2 * v @ network.weight[:h, h:] + obs @ network.weight[n:, h:] + network.bias[h:]
    torch.testing.assert_close(got, torch.softmax(expected, -1))
    other = winners.clone()
    other[:, -1] = 0
    assert torch.equal(got, network.action_given_hidden(network.drive(obs), other))


# --- learning ------------------------------------------------------------------------------------------
def eligibility(network, rule, obs, winners):
    """The rules as written in docs/learning.md, synapse by synapse, for one sample."""
    config = network.config
    h, n = config.hidden, config.neurons
    drive = network.drive(obs)
    _, settled = network.settle(drive)
    q, v, s = settled[0].numpy(), network.one_hot(winners)[0].numpy(), obs[0].numpy()
    e = np.zeros((config.sources, n))
    if rule == "contrastive":
        c = network.clamp(drive, settled, winners[:, -1])[0].numpy()
        p = c - q
        for i in range(n):
            for j in range(n):
                e[i, j] = 2 * (c[i] * c[j] - q[i] * q[j])
    else:
        p = v - q
        if rule == "conditional":
            p[h:] = v[h:] - network.action_given_hidden(drive, winners)[0].numpy()
        for i in range(n):
            for j in range(n):
                across = rule == "conditional" and (i < h) != (j < h)
                trace_i = v[i] if across and i < h else q[i]
                trace_j = v[j] if across and j < h else q[j]
                e[i, j] = trace_i * p[j] + p[i] * trace_j
    e[n:] = np.outer(s, p)
    return e * config.mask, p


@pytest.mark.parametrize("removed", REMOVABLE)
@pytest.mark.parametrize("rule", RULES)
def test_batched_products_equal_the_rule_synapse_by_synapse(rule, removed):
    config = SMALL.replace(removed=removed)
    network = random_network(config, dtype=torch.float64)
    obs, winners, modulator = random_batch(config, 6)
    obs, modulator = obs.double(), modulator.double()
    total = network.direction(rule, obs, winners, modulator)
    each = [eligibility(network, rule, obs[k : k + 1], winners[k : k + 1]) for k in range(6)]
    expected = sum(float(m) * e for m, (e, _) in zip(modulator, each, strict=True))
    np.testing.assert_allclose(total.weight.numpy(), expected, atol=1e-12)
    expected = sum(float(m) * p for m, (_, p) in zip(modulator, each, strict=True))
    np.testing.assert_allclose(total.bias.numpy(), expected, atol=1e-12)


def test_contrastive_rule_reads_the_action_alone():
    network = random_network(SMALL)
    obs, winners, modulator = random_batch(SMALL, 6)
    other = winners.clone()
    other[:, :-1] = 0
    got, same = (network.direction("contrastive", obs, w, modulator) for w in (winners, other))
    assert torch.equal(got.weight, same.weight) and torch.equal(got.bias, same.bias)


@pytest.mark.parametrize("removed", REMOVABLE)
def test_removed_connections_stay_zero_and_the_others_learn(removed):
    config = SMALL.replace(removed=removed)
    network = random_network(config, scale=0.1)
    optimisers = Optimisers(network)
    before = network.weight.clone()
    for rule in RULES:
        for name in OPTIMISERS:
            total = network.direction(rule, *random_batch(config, 16))
            optimisers.step(name, total, 1e-2, 1e-2)
    mask = torch.tensor(config.mask)
    assert (network.weight[~mask] == 0).all()
    assert (network.weight[mask] != before[mask]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(4, 3, 5), (8, 8, 5), (7, 5, 3)])
def test_recurrent_block_is_symmetric_to_the_bit_after_a_random_history(size, dtype):
    config = DeviceConfig(inputs=5, groups=size[0], group_size=size[1], actions=size[2])
    network = random_network(config, dtype=dtype)
    optimisers = Optimisers(network)
    rng = np.random.default_rng(0)
    for step in range(60):
        obs, winners, modulator = random_batch(config, int(rng.integers(1, 40)), seed=step)
        total = network.direction(str(rng.choice(RULES)), obs.to(dtype), winners, modulator.to(dtype))
        assert torch.equal(total.weight[: config.neurons], total.weight[: config.neurons].T)
        optimisers.step(str(rng.choice(OPTIMISERS)), total, 2.0 ** -int(rng.integers(5, 11)), 1e-3)
        assert torch.equal(network.recurrent, network.recurrent.T)
    assert torch.isfinite(network.weight).all()
    network.parameters().matches(config)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_rounding_differences_between_mirror_images_do_not_reach_the_weights(name):
    network = random_network(SMALL)
    weight = torch.ones_like(network.weight) * network.mask
    weight[0, 5] += 1e-7  # as a kernel's vector and remainder loops might differ
    for _ in range(3):
        Optimisers(network).step(name, Direction(weight, torch.ones(SMALL.neurons)), 0.1, 0.1)
    assert torch.equal(network.recurrent, network.recurrent.T)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("sgd", lambda g, rate: rate * g),
        ("rmsprop", lambda g, rate: rate * g / (np.sqrt(0.01 * g**2) + 1e-8)),
        ("adam", lambda g, rate: rate * g / (np.abs(g) + 1e-8)),
    ],
)
def test_first_step_climbs_along_the_direction_at_its_own_rate(name, first):
    network = FloatNetwork(SMALL, dtype=torch.float64)
    n = SMALL.neurons
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(SMALL.sources, n, generator=generator, dtype=torch.float64)
    weight[:n] += weight[:n].T.clone()
    weight *= network.mask
    bias = torch.randn(n, generator=generator, dtype=torch.float64)
    Optimisers(network).step(name, Direction(weight, bias), 0.5, 0.125)
    np.testing.assert_allclose(network.recurrent.numpy(), first(weight[:n].numpy(), 0.5), rtol=1e-9)
    np.testing.assert_allclose(network.observation.numpy(), first(weight[n:].numpy(), 0.125), rtol=1e-9)
    np.testing.assert_allclose(network.bias.numpy(), first(bias.numpy(), 0.5), rtol=1e-9)


def test_unknown_rule_and_optimiser_are_refused():
    network = random_network(SMALL)
    with pytest.raises(SvpgError, match="rule 'hebb' is unknown"):
        network.direction("hebb", *random_batch(SMALL, 1))
    with pytest.raises(SvpgError, match="optimiser 'lion' is unknown"):
        Optimisers(network).step("lion", Direction(network.weight, network.bias), 0.1, 0.1)


# --- parameters ----------------------------------------------------------------------------------------
def test_parameters_survive_a_round_trip():
    network = random_network(SMALL)
    other = FloatNetwork(SMALL)
    other.load(network.parameters())
    assert torch.equal(network.weight, other.weight) and torch.equal(network.bias, other.bias)


def test_parameters_beyond_the_type_are_refused():
    parameters = random_parameters(SMALL)
    parameters.bias[0] = 1e39
    with pytest.raises(SvpgError, match=r"beyond torch\.float32"):
        FloatNetwork(SMALL).load(parameters)


def test_trained_pendulum_policy_decides_the_same_with_more_passes():
    with np.load(DATA / "pendulum_policy.npz") as archive:
        data = {key: archive[key] for key in archive.files}
    sizes = [int(data[key]) for key in ("groups", "group_size", "actions", "inputs")]
    config = DeviceConfig(groups=sizes[0], group_size=sizes[1], actions=sizes[2], inputs=sizes[3])
    network = FloatNetwork(config)
    network.load(Parameters(data["weight"].astype(np.float64), data["bias"].astype(np.float64), *sizes))
    drive = network.drive(torch.from_numpy(data["visited_obs"]))
    few, many = (network.greedy(network.settle(drive, iterations=count)[0])[:, -1] for count in (4, 40))
    assert (few == many).float().mean() > 0.99
    assert len(set(few.tolist())) > 1
