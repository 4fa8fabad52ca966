"""The float backend keeps the contract of host.backend.Backend."""

import dataclasses

import numpy as np
import pytest
import torch

from golden.config import REMOVABLE, DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters
from golden.reference import OPTIMISERS, FloatNetwork
from golden.rng import STREAM_WINNERS, draws
from host.backend import POLICIES, RULES, Backend, Update
from host.backends.float import FloatBackend

CONFIG = DeviceConfig(inputs=3, groups=2, group_size=3, actions=4)
H, N = CONFIG.hidden, CONFIG.neurons


def random_parameters(config=CONFIG, seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    n = config.neurons
    block = np.triu(rng.normal(size=(n, n)) * scale)
    weight = np.vstack((block + block.T, rng.normal(size=(config.inputs, n)) * scale)) * config.mask
    sizes = (config.groups, config.group_size, config.actions, config.inputs)
    return Parameters(weight, rng.normal(size=n) * scale, *sizes)


def make_backend(config=CONFIG, **options):
    backend = FloatBackend(config, **options)
    backend.load(random_parameters(config))
    return backend


def random_batch(batch=8, seed=0, config=CONFIG):
    rng = np.random.default_rng(seed)
    obs = rng.random((batch, config.inputs))
    return obs, rng.integers(0, 2**64, batch, dtype=np.uint64), rng.normal(size=batch)


def train(backend, steps=4, first=0):
    """Decide, learn and update with every rule and optimiser in turn."""
    for step in range(first, first + steps):
        obs, nonce, modulator = random_batch(seed=step)
        rule = RULES[step % len(RULES)]
        decision = backend.infer(obs, nonce, "conditional" if rule == "conditional" else "sample")
        backend.learn(obs, decision.winners, modulator, rule)
        backend.apply(Update(OPTIMISERS[(step // 2) % len(OPTIMISERS)], 2.0**-6, 2.0**-7, len(obs)))


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype == other[key].dtype
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


# --- infer ---------------------------------------------------------------------------------------------
def test_it_is_a_backend():
    backend: Backend = make_backend()
    assert backend.name == "float"
    assert backend.config is CONFIG
    assert backend.info()["config"] == CONFIG.to_dict()
    assert backend.info()["dtype"] == "float32"


@pytest.mark.parametrize("removed", REMOVABLE)
@pytest.mark.parametrize("policy", POLICIES)
def test_decisions_have_the_shapes_types_and_ranges_of_the_contract(policy, removed):
    config = CONFIG.replace(removed=removed)
    obs, nonce, _ = random_batch()
    decision = make_backend(config).infer(obs, nonce, policy)
    assert decision.winners.shape == (8, 3) and decision.winners.dtype == np.int64
    assert ((decision.winners >= 0) & (decision.winners < [3, 3, 4])).all()
    assert decision.action_prob.shape == (8, 4) and decision.action_prob.dtype == np.float64
    np.testing.assert_allclose(decision.action_prob.sum(axis=1), 1.0, atol=1e-6)
    assert decision.q.shape == (8, N) and decision.q.dtype == np.float64
    np.testing.assert_array_equal(decision.iterations, np.full(8, config.iterations))
    assert decision.iterations.dtype == np.int64
    assert decision.counters == {}


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_row_does_not_depend_on_its_batch_mates(policy, noise):
    backend = make_backend(noise=noise)
    obs, nonce, _ = random_batch(64)
    whole = backend.infer(obs, nonce, policy)
    for k in range(64):
        row = backend.infer(obs[k : k + 1], nonce[k : k + 1], policy)
        np.testing.assert_array_equal(row.winners[0], whole.winners[k])
        np.testing.assert_allclose(row.q[0], whole.q[k], atol=1e-6)  # the order of sums may differ


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_equal_nonces_give_equal_bits_and_others_do_not(noise):
    backend = make_backend(noise=noise)
    obs, nonce, _ = random_batch(64)
    first, again, other = backend.infer(obs, nonce), backend.infer(obs, nonce), backend.infer(obs, nonce + np.uint64(1))
    np.testing.assert_array_equal(first.winners, again.winners)
    np.testing.assert_array_equal(first.q, again.q)
    assert (first.winners != other.winners).any()
    assert (first.q != other.q).any() == (noise > 0)


def test_winners_are_drawn_with_the_generator_of_the_devices():
    obs, nonce, _ = random_batch(64)
    decision = make_backend().infer(obs, nonce)
    uniform = (draws(nonce, 3, STREAM_WINNERS) + 0.5) / 2**16
    for group in range(3):
        low, high = CONFIG.group_start[group : group + 2]
        upper = decision.q[:, low:high].cumsum(axis=1)
        margin = np.abs(upper / upper[:, -1:] - uniform[:, group, None]).min(axis=1)
        expected = (upper / upper[:, -1:] <= uniform[:, group, None]).sum(axis=1)
        assert (margin > 1e-6).all()
        np.testing.assert_array_equal(decision.winners[:, group], expected)


def test_sampled_policy_is_the_mean_field_activity_of_the_action_group():
    obs, nonce, _ = random_batch()
    decision = make_backend().infer(obs, nonce)
    np.testing.assert_array_equal(decision.action_prob, decision.q[:, H:])
    np.testing.assert_array_equal(decision.action, decision.winners[:, -1])


def test_greedy_takes_the_most_active_neurons_and_ignores_the_nonce():
    backend = make_backend()
    obs, nonce, _ = random_batch(32)
    decision = backend.infer(obs, nonce, "greedy")
    np.testing.assert_array_equal(decision.action, decision.q[:, H:].argmax(axis=1))
    np.testing.assert_array_equal(decision.winners[:, 1], decision.q[:, 3:6].argmax(axis=1))
    np.testing.assert_array_equal(decision.winners, backend.infer(obs, nonce * np.uint64(3), "greedy").winners)


def test_conditional_policy_is_that_of_the_drawn_hidden_winners():
    backend = make_backend()
    obs, nonce, _ = random_batch(64)
    drawn = backend.infer(obs, nonce, "conditional")
    np.testing.assert_array_equal(drawn.winners[:, :-1], backend.infer(obs, nonce).winners[:, :-1])
    parameters = backend.read()
    v = np.zeros((64, H))
    v[np.arange(64)[:, None], drawn.winners[:, :-1] + [0, 3]] = 1.0
    u = 2 * v @ parameters.weight[:H, H:] + obs @ parameters.weight[N:, H:] + parameters.bias[H:]
    expected = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(drawn.action_prob, expected, atol=1e-6)


def test_hidden_winners_can_be_fixed_to_reevaluate_a_decision():
    backend = make_backend()
    obs, nonce, _ = random_batch(32)
    drawn = backend.infer(obs, nonce, "conditional")
    given = drawn.winners.copy()
    given[:, -1] = -7  # not read
    again = backend.infer(obs, nonce + np.uint64(99), "conditional", winners=given)
    np.testing.assert_array_equal(again.winners[:, :-1], drawn.winners[:, :-1])
    np.testing.assert_array_equal(again.action_prob, drawn.action_prob)


def test_noise_is_normal_and_of_the_given_size():
    config = DeviceConfig(inputs=200, groups=2, group_size=3, actions=4, iterations=1)
    parameters = random_parameters(config, scale=0.0)
    parameters.weight[config.neurons :, 0] = 1.0 / np.sqrt(config.inputs)  # one neuron sees the mean of the noise
    noise = 0.3
    quiet, noisy = FloatBackend(config), FloatBackend(config, noise=noise)
    quiet.load(parameters)
    noisy.load(parameters)
    obs, nonce = np.full((2000, 200), 0.5), np.arange(2000, dtype=np.uint64)

    def potential(backend):
        q = backend.infer(obs, nonce, "greedy").q
        return np.log(q[:, 0] / q[:, 1])

    shift = potential(noisy) - potential(quiet)
    assert abs(shift.mean()) < 4 * noise / np.sqrt(2000)
    assert shift.std() == pytest.approx(noise, rel=0.07)


def test_initial_activity_can_be_given():
    backend, network = make_backend(), FloatNetwork(CONFIG)
    network.load(backend.read())
    obs, nonce, _ = random_batch()
    q0 = np.random.default_rng(1).random((8, N))
    drive = network.drive(torch.from_numpy(obs).float())
    _, expected = network.settle(drive, q0=torch.from_numpy(q0).float())
    np.testing.assert_array_equal(backend.infer(obs, nonce, q0=q0).q, expected.double().numpy())
    assert (backend.infer(obs, nonce).q != expected.double().numpy()).any()


@pytest.mark.parametrize("q0", [np.zeros((8, N + 1)), np.full((8, N), np.nan)])
def test_initial_activity_must_fit_and_be_finite(q0):
    obs, nonce, _ = random_batch()
    with pytest.raises(SvpgError, match="q0 has shape"):
        make_backend().infer(obs, nonce, q0=q0)


# --- learn and apply -----------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", RULES)
def test_the_batch_is_divided_once(rule):
    backend, network = make_backend(dtype=torch.float64), FloatNetwork(CONFIG, torch.float64)
    before = backend.read()
    network.load(before)
    obs, nonce, modulator = random_batch(16)
    winners = backend.infer(obs, nonce).winners
    backend.learn(obs, winners, modulator, rule)
    backend.apply(Update("sgd", 0.5, 0.25, 16))
    total = network.direction(rule, *map(torch.from_numpy, (obs, winners, modulator)))
    after = backend.read()
    np.testing.assert_allclose(after.weight[:N] - before.weight[:N], 0.5 * total.weight[:N].numpy() / 16, atol=1e-12)
    np.testing.assert_allclose(after.weight[N:] - before.weight[N:], 0.25 * total.weight[N:].numpy() / 16, atol=1e-12)
    np.testing.assert_allclose(after.bias - before.bias, 0.5 * total.bias.numpy() / 16, atol=1e-12)


def test_accumulating_in_parts_equals_one_batch():
    parts, whole = make_backend(dtype=torch.float64), make_backend(dtype=torch.float64)
    obs, nonce, modulator = random_batch(12)
    winners = whole.infer(obs, nonce).winners
    whole.learn(obs, winners, modulator, "contrastive")
    for part in (slice(0, 5), slice(5, 6), slice(6, 12)):
        parts.learn(obs[part], winners[part], modulator[part], "contrastive")
    for backend in (whole, parts):
        backend.apply(Update("adam", 0.01, 0.01, 12))
    np.testing.assert_allclose(parts.read().weight, whole.read().weight, atol=1e-10)


def test_apply_clears_the_accumulators():
    backend = make_backend()
    obs, nonce, modulator = random_batch()
    backend.learn(obs, backend.infer(obs, nonce).winners, modulator, "published")
    backend.apply(Update("sgd", 0.1, 0.1, 8))
    after = backend.read()
    backend.apply(Update("sgd", 0.1, 0.1, 8))
    np.testing.assert_array_equal(backend.read().weight, after.weight)


@pytest.mark.parametrize("rule", RULES)
def test_rewarded_actions_become_likelier(rule):
    backend = make_backend()
    obs, nonce, _ = random_batch(1)
    before = backend.infer(obs, nonce).action_prob[0]
    action = int(before.argmin())
    for step in range(20):
        winners = backend.infer(obs, nonce + np.uint64(step)).winners
        winners[:, -1] = action
        backend.learn(obs, winners, np.ones(1), rule)
        backend.apply(Update("sgd", 0.05, 0.05, 1))
    assert backend.infer(obs, nonce).action_prob[0, action] > 2 * before[action]


@pytest.mark.parametrize("removed", REMOVABLE)
def test_trained_parameters_are_a_valid_parameter_file(removed, tmp_path):
    backend = make_backend(CONFIG.replace(removed=removed))
    train(backend, 12)
    backend.read().save(tmp_path / "params.npz")
    loaded = Parameters.load(tmp_path / "params.npz")  # checks symmetry to the bit
    loaded.matches(backend.config)
    other = FloatBackend(backend.config)
    other.load(loaded)
    np.testing.assert_array_equal(other.read().weight, backend.read().weight)


# --- state ---------------------------------------------------------------------------------------------
def test_training_goes_on_from_a_restored_state_with_the_same_bits(tmp_path):
    straight = make_backend()
    train(straight, 12)
    obs, nonce, modulator = random_batch(seed=99)
    straight.learn(obs, straight.infer(obs, nonce).winners, modulator, "published")  # left in the accumulators
    np.savez(tmp_path / "state.npz", **straight.state())
    resumed = make_backend()
    train(resumed, 3, first=50)  # whatever it held before is gone
    with np.load(tmp_path / "state.npz") as archive:
        resumed.restore(dict(archive))
    assert_same_state(resumed.state(), straight.state())
    for backend in (straight, resumed):
        train(backend, 12, first=12)
    assert_same_state(resumed.state(), straight.state())


def test_state_is_a_copy():
    backend = make_backend()
    train(backend, 6)
    state = backend.state()
    kept = {key: array.copy() for key, array in state.items()}
    train(backend, 6)
    assert_same_state(state, kept)
    backend.restore(state)
    train(backend, 6)
    assert_same_state(state, kept)


def test_load_forgets_accumulators_and_moments():
    backend, fresh = make_backend(), make_backend()
    train(backend, 6)
    obs, nonce, modulator = random_batch()
    backend.learn(obs, backend.infer(obs, nonce).winners, modulator, "published")
    backend.load(random_parameters())
    assert_same_state(backend.state(), fresh.state())
    for one in (backend, fresh):
        train(one, 6)
    assert_same_state(backend.state(), fresh.state())


def test_each_optimiser_keeps_its_own_moments():
    backend = make_backend()
    train(backend, 6)
    assert {key.split(".")[1] for key in backend.state() if key.startswith("optimiser.")} == {"rmsprop", "adam"}


def change(key, value):
    def apply(state):
        state[key] = value

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("bias"), "bias is missing"),
        (change("weight", np.zeros((2, 2), np.float32)), r"weight is float32 \(2, 2\)"),
        (change("weight", np.zeros((13, 10))), "weight is float64"),
        (change("moment", np.zeros(3)), "moment does not belong"),
        (change("optimiser.lion.0.step", np.zeros(())), r"'lion\.0\.step' is no optimiser state"),
        (change("optimiser.adam.7.step", np.zeros(())), r"'adam\.7\.step' is no optimiser state"),
        (change("optimiser.adam", np.zeros(())), "'adam' is no optimiser state"),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(damage, message):
    backend = make_backend()
    train(backend, 6)
    before = backend.state()
    state = make_backend().state()
    damage(state)
    with pytest.raises(SvpgError, match=message):
        backend.restore(state)
    assert_same_state(backend.state(), before)


# --- bad arguments -------------------------------------------------------------------------------------
OBS, NONCE = np.full((2, 3), 0.5), np.zeros(2, np.uint64)
WINNERS = np.zeros((2, 3), np.int64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((OBS[:, :2], NONCE), r"observations have shape \(2, 2\), expected \(batch, 3\)"),
        ((OBS[0], NONCE), "observations have shape"),
        ((OBS * np.nan, NONCE), "6 of 6 values are not finite"),
        ((OBS * np.inf, NONCE), "6 of 6 values are not finite"),
        ((OBS * 1e39, NONCE), "6 of 6 values are not finite"),
        ((OBS, NONCE[:1]), r"nonce has shape \(1,\)"),
        ((OBS, NONCE.astype(float)), "type float64"),
        ((OBS, NONCE, "random"), "policy 'random' is unknown"),
        ((OBS, NONCE, "sample", WINNERS), "with policy 'conditional' only"),
        ((OBS, NONCE, "conditional", WINNERS[:, :2]), r"winners have shape \(2, 2\)"),
        ((OBS, NONCE, "conditional", WINNERS - np.array([1, 0, 0])), "2 indices lie outside"),
    ],
)
def test_infer_refuses_bad_arguments(arguments, message):
    with pytest.raises(SvpgError, match=message):
        make_backend().infer(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((OBS * np.nan, WINNERS, np.ones(2), "published"), "not finite"),
        ((OBS, WINNERS[:1], np.ones(2), "published"), "winners have shape"),
        ((OBS, WINNERS.astype(float), np.ones(2), "published"), "type float64"),
        ((OBS, WINNERS + np.array([0, 0, 4]), np.ones(2), "published"), "2 indices lie outside"),
        ((OBS, WINNERS, np.ones((2, 1)), "published"), "modulator has shape"),
        ((OBS, WINNERS, np.array([1.0, np.nan]), "published"), "1 of 2 values are not finite"),
        ((OBS, WINNERS, np.ones(2), "hebb"), "rule 'hebb' is unknown"),
    ],
)
def test_learn_refuses_bad_arguments_and_changes_nothing(arguments, message):
    backend = make_backend()
    before = backend.state()
    with pytest.raises(SvpgError, match=message):
        backend.learn(*arguments)
    assert_same_state(backend.state(), before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": "sign"}, "optimiser 'sign' is unknown"),
        ({"rate": -1.0}, r"rate = -1\.0 is not a learning rate"),
        ({"obs_rate": float("nan")}, "obs_rate = nan is not a learning rate"),
        ({"batch": 0}, "batch = 0"),
    ],
)
def test_apply_refuses_bad_arguments_and_changes_nothing(changes, message):
    backend = make_backend()
    backend.learn(OBS, WINNERS, np.ones(2), "published")
    before = backend.state()
    with pytest.raises(SvpgError, match=message):
        backend.apply(dataclasses.replace(Update("sgd", 0.1, 0.1, 2), **changes))
    assert_same_state(backend.state(), before)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_noise_must_be_a_standard_deviation(noise):
    with pytest.raises(SvpgError, match="not a standard deviation"):
        FloatBackend(CONFIG, noise=noise)


def test_parameters_of_another_size_are_refused():
    with pytest.raises(SvpgError, match="inputs is 5 but the device has 3"):
        make_backend().load(random_parameters(CONFIG.replace(inputs=5)))
