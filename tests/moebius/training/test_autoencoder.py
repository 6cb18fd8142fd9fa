"""The small autoencoder: its losses, its scaling factor, its training and what takes it."""

import json

import numpy as np
import pytest
import torch

from moebius.training import autoencoder, checkpoints, metrics, networks
from moebius.training.config import AutoencoderConfig, ConfigError, Weights, build
from moebius.training.loop import accelerator, run
from tests.helpers.deterministic import normal
from tests.helpers.tiny_training import photos, start, toml

SIZES = {"block_out_channels": [8, 8, 8], "latent_channels": 3, "layers_per_block": 1, "norm_num_groups": 4}


def table(folder, out="run", **changes) -> dict:
    if not (folder / "photos").exists():
        photos(folder / "photos")
    base = {
        "run": {
            "out": str(folder / out),
            "steps": 4,
            "batch_size": 4,
            "device": "cpu",
            "log_every": 1,
            "validate_every": 0,
            "grid_every": 0,
            "checkpoint_every": 2,
            "workers": 1,
        },
        "autoencoder": dict(SIZES),
        "loss": {"adversarial_from": 2},
        "optimizer": {"learning_rate": 3e-3, "warmup_steps": 0, "matrices": "adamw"},
        "data": {
            "size": 32,
            "validation": 1,
            "sources": [{"kind": "pictures", "path": str(folder / "photos"), "masks": ["mat-small"]}],
        },
    }
    return base | {name: base[name] | values for name, values in changes.items()}


def trainee(settings: dict) -> autoencoder.AutoencoderTraining:
    config = build(AutoencoderConfig, settings)
    return autoencoder.AutoencoderTraining(config, accelerator(config.run))


def test_hinge_is_its_formula():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert autoencoder.hinge(real, fake).item() == pytest.approx(((0 + 0.5) / 2 + (0 + 1) / 2) / 2)


def test_the_kl_is_its_formula_per_latent():
    vae = autoencoder.build(SIZES, seed=0)
    pictures = normal(1, 2, 3, 16, 16)
    _, kl = autoencoder.Reconstruction(vae)(pictures, torch.zeros(2, 3, 4, 4))
    posterior = vae.encode(pictures).latent_dist
    direct = 0.5 * (posterior.mean**2 + posterior.std**2 - 1 - 2 * posterior.std.log()).mean()
    assert kl.item() == pytest.approx(direct.item(), rel=1e-4)


def test_the_adversarial_weight_is_the_ratio_of_gradients_at_the_last_layer(tmp_path):
    made = trainee(table(tmp_path))
    last = made.learner.vae.decoder.conv_out.weight
    first, second = normal(1, *last.shape), normal(2, *last.shape)
    weight = made._balance((last * first).sum(), 0.01 * (last * second).sum())
    assert weight.item() == pytest.approx((first.norm() / (0.01 * second.norm() + 1e-4)).item(), rel=1e-5)


def test_the_adversary_waits_and_then_learns_against(tmp_path):
    made = trainee(table(tmp_path))
    before = {name: tensor.clone() for name, tensor in made.adversary.state_dict().items()}
    made.begin(0)
    seen = [set(made.step(step)) for step in range(2)]
    assert all("adversary" not in names for names in seen)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.adversary.state_dict().items())
    values = made.step(2)
    assert values["adversary"] > 0 and values["w_adversarial"] > 0
    assert not any(torch.equal(before[n], t) for n, t in made.adversary.state_dict().items() if n.endswith("weight"))


def test_reconstruction_gets_better(tmp_path):
    made = trainee(table(tmp_path, run={"steps": 60}, loss={"adversarial": 0}, optimizer={"ema_decay": 0.8}))
    begin = made.validate()["heldout_psnr"]
    run(made, made.config, made.accelerator)
    assert made.validate()["heldout_psnr"] > begin + 2


def test_latents_times_the_measured_factor_have_a_deviation_of_one(tmp_path):
    made = trainee(table(tmp_path))
    scale = made.scaling_factor()
    squares = torch.cat([made._pictures((made.samples.sample(number),)) for number in range(20)])
    posterior = made.judged.encode(squares).latent_dist
    latents = scale * (posterior.mean + posterior.std * made._draws(tuple(range(20))))
    assert latents.std().item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.slow
def test_the_command_writes_an_autoencoder_that_training_takes_and_goes_on_exactly(tmp_path):
    (tmp_path / "straight.toml").write_text(toml(table(tmp_path, "straight")))
    process = start("train-vae", tmp_path / "straight.toml", "--json")
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    report = json.loads(out)
    assert report["finished"] and report["output"] == str(tmp_path / "straight" / "autoencoder")
    vae = networks.autoencoder(Weights(weights=tmp_path / "straight" / "autoencoder"))
    assert vae.config.latent_channels == 3 and vae.config.scaling_factor != 0.18215

    # Two commands of the same run, the first ends at a checkpoint. Commands as well, because the process of the tests
    # may have another number of threads, and sums in another order are not the same to the last bit.
    (tmp_path / "parts.toml").write_text(toml(table(tmp_path, "parts")))
    for steps in (2, 4):
        process = start("train-vae", tmp_path / "parts.toml", "--set", f"run.steps={steps}")
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    assert metrics.read(tmp_path / "parts") == metrics.read(tmp_path / "straight")
    last = [checkpoints.checkpoints(tmp_path / name / "checkpoints")[-1] for name in ("parts", "straight")]
    states = [checkpoints.load(path)["trainee"]["learner"] for path in last]
    assert all(torch.equal(states[0][name], tensor) for name, tensor in states[1].items())


BLOCKS = {"block_size": 4, "latent_channels": 3, "refiner_channels": 8, "refiner_layers": 1}


def of_blocks(folder, **changes) -> dict:
    return {**table(folder, **changes), "autoencoder": dict(BLOCKS)}


def test_of_blocks_it_begins_with_their_components_and_only_the_rest_learns(tmp_path):
    made = trainee(of_blocks(tmp_path, loss={"adversarial_from": 0}, run={"accumulate": 2}, data={"validation": 0}))
    vae = made.learner.vae
    squares = np.stack([made.samples.sample(number).picture for number in range(autoencoder.FITTED)])
    blocks = squares.reshape(-1, 8, 4, 8, 4, 3).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 48) / 127.5 - 1
    values, vectors = np.linalg.eigh(np.cov(blocks.T, bias=True))  # by another library, the greatest last
    kept = vae.encoder.weight.flatten(1).numpy()
    kept = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((kept * vectors.T[:-4:-1]).sum(1)), 1, atol=1e-3)
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    made.begin(0)
    for step in range(2):
        assert made.step(step)["adversary"] > 0
    moved = {name for name, tensor in vae.state_dict().items() if not torch.equal(before[name], tensor)}
    assert moved == {name for name in before if not name.startswith(("encoder.", "decoder.blocks.", "decoder.mean"))}


def test_of_blocks_and_on_the_device_it_gets_better_goes_on_exactly_and_is_read_back(tmp_path):
    """The written folder is the averaged network, to whoever loads it."""
    changes = {"data": {"on_device": True, "holes": 4}, "loss": {"adversarial": 0}, "optimizer": {"ema_decay": 0.8}}
    made = trainee(of_blocks(tmp_path, run={"steps": 40, "validate_every": 40}, **changes))
    assert made.shape == (3, 8, 8)
    begin = made.validate()["heldout_psnr"]
    assert run(made, made.config, made.accelerator)["finished"]
    assert made.validate()["heldout_psnr"] > begin + 0.3
    vae = networks.autoencoder(Weights(weights=tmp_path / "run" / "autoencoder"))
    pictures = normal(1, 2, 3, 32, 32)
    wanted, got = (v.encode(pictures).latent_dist.mean for v in (made.ema.copy_to(made.judged), vae))
    torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(vae.decode(got).sample, made.judged.decode(got).sample)
    for steps in (20, 40):
        parts = trainee(of_blocks(tmp_path, out="parts", run={"steps": steps, "validate_every": 40}, **changes))
        run(parts, parts.config, parts.accelerator)
    averages = [one.ema.copy_to(one.judged).state_dict() for one in (made, parts)]
    for name, tensor in averages[0].items():
        assert torch.equal(averages[1][name], tensor), name


def test_stopped_by_the_clock_it_leaves_what_it_has_and_goes_on(tmp_path):
    settings = table(tmp_path, run={"minutes": 1e-6, "steps": 3})
    for step in (1, 2):
        made = trainee(settings)
        result = run(made, made.config, made.accelerator)
        assert (result["step"], result["finished"], result["written"]) == (step, False, True)
        vae = networks.autoencoder(Weights(weights=tmp_path / "run" / "autoencoder"))
        assert torch.equal(vae.decoder.conv_out.weight, made.ema.copy_to(made.judged).decoder.conv_out.weight)
    result = run(made := trainee(settings), made.config, made.accelerator)
    assert (result["step"], result["finished"]) == (3, True)


def test_pictures_of_a_grid_are_the_held_out_ones_beside_their_reconstruction(tmp_path):
    made = trainee(table(tmp_path))
    grid = made.grid(1)
    assert grid.shape == (32, 64, 3)
    np.testing.assert_array_equal(grid[:, :32], made.samples.held_back(0).picture)


def test_sizes_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="unknown key autoencoder.widths; allowed here: .*block_out_channels"):
        trainee(table(tmp_path, autoencoder={"widths": [8]}))
    with pytest.raises(ConfigError, match="autoencoder: block_size must be a multiple of 4, got 6"):
        trainee(table(tmp_path) | {"autoencoder": BLOCKS | {"block_size": 6}})
    with pytest.raises(ConfigError, match="unknown key autoencoder.widths; allowed here: block_size, latent_channels,"):
        trainee(table(tmp_path) | {"autoencoder": BLOCKS | {"widths": [8]}})
    with pytest.raises(ConfigError, match=r"data.size \(34\) must be divisible by the autoencoder's factor 4"):
        trainee(table(tmp_path, data={"size": 34}))
