"""The student's training: which tokens, blocks and weights are compared, and what comes of it."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from moebius.__main__ import main
from moebius.models.pixelhacker import PixelHackerUNet
from moebius.models.unet import MoebiusUNet
from moebius.pipeline import MoebiusInpaintPipeline, make_scheduler
from moebius.training import losses, networks, perceptual, teachers
from moebius.training.config import ConfigError, Loss, Teacher, TrainConfig, build
from moebius.training.distillation import Distillation
from moebius.training.loop import accelerator, run
from tests.helpers.deterministic import fill_
from tests.helpers.tiny_training import STUDENT, photos, table

SMALL_PIXELHACKER = {
    "sample_size": 8,
    "block_out_channels": (16, 16, 32, 32),
    "layers_per_block": 1,
    "num_attention_heads": 2,
    "cross_attention_dim": 16,
    "encoder_hid_dim": 16,
    "norm_num_groups": 8,
}
THREE_STAGES = STUDENT | {"sample_size": 8, "block_out_channels": [16, 16, 16]}


def trainee(settings: dict) -> Distillation:
    config = build(TrainConfig, settings)
    return Distillation(config, accelerator(config.run))


def average(made: Distillation) -> dict[str, torch.Tensor]:
    return made.ema.copy_to(made.judged).state_dict()


def pixelhacker(folder) -> str:
    """A small PixelHacker with random weights, as a pipeline folder, with the autoencoder that `table` made."""
    vae = networks.autoencoder(build(TrainConfig, table(folder)).autoencoder)
    unet = fill_(PixelHackerUNet(**SMALL_PIXELHACKER))
    MoebiusInpaintPipeline(unet=unet, vae=vae, scheduler=make_scheduler()).save_pretrained(folder / "pixelhacker")
    return str(folder / "pixelhacker")


def from_pixelhacker(folder, **changes) -> dict:
    return table(
        folder,
        **{
            "student": THREE_STAGES,
            "teacher": {"kind": "pixelhacker", "weights": pixelhacker(folder)},
            "loss": {"output": 0.01, "feature": 0.01},
            "data": {"size": 64},
        }
        | changes,
    )


# ---- what is compared ----


def test_probes_and_features_are_the_published_ones():
    """The last proj_out of the third down stage, conv_out's pointwise; 1280 × 16 × 16 from both networks."""
    with FakeTensorMode():  # shapes alone: no memory, no arithmetic
        student, teacher = MoebiusUNet(), PixelHackerUNet()
        learner = teachers.Learner(student, teacher)
        at_features, at_output = learner.probes()
        assert at_features is student.down_blocks[2].attentions[1].proj_out.weight
        assert at_output is student.conv_out.conv_pw.weight
        assert at_features.shape == (1280, 1280, 1, 1) and at_output.shape == (4, 320, 1, 1)
        assert isinstance(learner.to_teacher, torch.nn.Identity)
        sample = torch.empty(1, 9, 64, 64)
        ids = torch.empty(1, 10, dtype=torch.int64)
        noise, features = learner(sample, torch.empty(1), ids)
        _, blocks = teacher(sample, torch.empty(1), ids, return_dict=False)
    assert noise.shape == (1, 4, 64, 64)
    assert teachers.feature_block(student) == 2 and teachers.feature_block(teacher) == 5 and len(blocks) == 9
    assert features.shape == blocks[5].shape == (1, 1280, 16, 16)
    teachers.check(student, teacher, 4, Loss(output=1, feature=1, perceptual=0))


def test_the_features_are_the_outputs_of_these_modules(tmp_path):
    made = trainee(from_pixelhacker(tmp_path))
    caught = {}
    stages = {"student": made.learner.student.down_blocks[2], "teacher": made.teacher.unet.up_blocks[0]}
    for name, module in stages.items():
        module.register_forward_hook(lambda m, i, out, name=name: caught.update({name: out}))
    seen = {}
    real = losses.feature_loss
    losses.feature_loss = lambda s, t: seen.update(student=s, teacher=t) or real(s, t)
    try:
        made.terms(made._held_back, made.draws(["a"], 0), 0)
    finally:
        losses.feature_loss = real
    assert torch.equal(seen["teacher"], caught["teacher"])
    assert seen["teacher"].shape == (1, 32, 2, 2)
    mapped = made.learner.to_teacher(caught["student"][0])  # 16 channels to the teacher's 32
    assert torch.equal(seen["student"], mapped)


def test_terms_are_their_formulas_on_one_noised_batch(tmp_path):
    made = trainee(from_pixelhacker(tmp_path))
    made.learner.eval()  # so that a second forward sees the same statistics
    batch, draws = made._held_back, made.draws(["a"], 0)
    terms = made.terms(batch, draws, 0)

    both = batch.mean + batch.std * draws.posterior
    alpha = make_scheduler().alphas_cumprod[draws.timesteps][:, None, None, None]
    noised = alpha.sqrt() * both[:, 0] + (1 - alpha).sqrt() * draws.noise
    sample = torch.cat([noised, batch.hole, both[:, 1]], dim=1)
    ids = torch.arange(10)[None]  # background
    student = made.learner.student(sample, draws.timesteps, ids)
    taught = made.teacher(sample, draws.timesteps, ids)
    features = made.learner.to_teacher(student.block_outputs[2])
    x0 = (noised - (1 - alpha).sqrt() * student.sample) / alpha.sqrt()
    expected = {
        "task": (student.sample - draws.noise).square().mean(),
        "output": (student.sample - taught.sample).square().mean(),
        "feature": (features - taught.block_outputs[5]).square().mean(),
        "perceptual": perceptual.pyramid(x0, both[:, 0]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(terms, name), value, rtol=1e-3, atol=1e-4)


def test_a_student_of_v_is_judged_by_v_and_by_the_latents_that_it_implies(tmp_path):
    settings = table(tmp_path, student={"prediction_type": "v_prediction"}, loss={"known": 0.1, "adaptive": False})
    made = trainee(settings)
    made.learner.eval()
    batch, draws = made._held_back, made.draws(["a"], 0)
    terms = made.terms(batch, draws, 0)
    clean, masked = batch.latents(draws.posterior)
    alpha = make_scheduler().alphas_cumprod[draws.timesteps][:, None, None, None]
    noised = alpha.sqrt() * clean + (1 - alpha).sqrt() * draws.noise
    sample = torch.cat([noised, batch.hole, masked], dim=1)
    student = made.learner.student(sample, draws.timesteps, torch.arange(10)[None]).sample
    wrong = (student - (alpha.sqrt() * draws.noise - (1 - alpha).sqrt() * clean)).square().mean(dim=1)
    weight = 0.1 + 0.9 * batch.hole[:, 0]
    torch.testing.assert_close(terms.task, (weight * wrong).sum() / weight.sum(), rtol=1e-3, atol=1e-5)
    x0 = alpha.sqrt() * noised - (1 - alpha).sqrt() * student
    torch.testing.assert_close(terms.perceptual, perceptual.pyramid(x0, clean), rtol=1e-3, atol=1e-5)
    assert made.validate()["heldout_task"] > 0


def test_student_and_teacher_of_two_kinds_of_prediction_are_refused(tmp_path):
    settings = from_pixelhacker(tmp_path)
    settings["student"] = settings["student"] | {"prediction_type": "sample"}
    with pytest.raises(ConfigError, match="student and teacher predict sample and epsilon"):
        trainee(settings)


def test_the_teacher_is_frozen_and_the_student_moves(tmp_path):
    made = trainee(from_pixelhacker(tmp_path, run={"steps": 1}))
    before = {name: tensor.clone() for name, tensor in made.teacher.state_dict().items()}
    student = {name: tensor.clone() for name, tensor in made.learner.state_dict().items()}
    made.begin(0)
    values = made.step(0)
    assert {"loss", "task", "output", "feature", "perceptual", "w_task", "w_output", "w_perceptual"} <= set(values)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.teacher.state_dict().items())
    still = [name for name, tensor in made.learner.state_dict().items() if torch.equal(student[name], tensor)]
    assert still == []  # every parameter, every running statistic
    assert not made.teacher.training and made.learner.training


def test_running_statistics_are_the_same_with_gradient_checkpointing(tmp_path):
    states = []
    for name, checkpointing in (("a", False), ("b", True)):
        made = trainee(table(tmp_path, name, run={"steps": 1, "gradient_checkpointing": checkpointing}))
        made.begin(0)
        made.step(0)
        states.append({k: v for k, v in made.learner.state_dict().items() if "num_batches" not in k})
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-4, atol=1e-5)


@pytest.fixture
def fresh_accelerator():
    """accelerate keeps the first precision that a process asked for."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_bfloat16_keeps_parameters_in_float32(tmp_path, fresh_accelerator):
    made = trainee(from_pixelhacker(tmp_path, run={"steps": 1, "precision": "bfloat16"}))
    made.begin(0)
    assert np.isfinite(list(made.step(0).values())).all()
    assert {parameter.dtype for parameter in made.learner.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in made.teacher.parameters()} == {torch.bfloat16}


# ---- what does not fit ----


def test_networks_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"student and teacher halve theirs 1 and 2 times"):
        trainee(from_pixelhacker(tmp_path, student=dict(STUDENT)))
    with pytest.raises(ConfigError, match=r"in_channels 33 and out_channels 16; latents of 4 channels need 9 and 4"):
        trainee(table(tmp_path, student={"in_channels": 33, "out_channels": 16}))
    with pytest.raises(ConfigError, match=r"unknown key student.widths; allowed here: init, sample_size"):
        trainee(table(tmp_path, student={"widths": [1]}))
    with pytest.raises(ConfigError, match=r"student: block_out_channels must be divisible"):
        trainee(table(tmp_path, student={"block_out_channels": [15, 30]}))
    with pytest.raises(ConfigError, match=r"holds no autoencoder"):
        trainee(table(tmp_path, autoencoder={"weights": str(tmp_path / "photos")}))


def test_a_teacher_without_weights_says_where_they_would_be(tmp_path):
    with pytest.raises(ValueError, match="holds no weights of PixelHacker"):
        teachers.load(Teacher(kind="pixelhacker", weights=tmp_path), torch.device("cpu"))
    assert teachers.load(Teacher(), torch.device("cpu")) is None


# ---- the perceptual term ----


def test_e_latent_lpips_says_what_is_missing(tmp_path, monkeypatch):
    weights = tmp_path / "weights.pth"
    config = Loss(perceptual_weights=weights)
    monkeypatch.setattr(perceptual, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs its package"):
        perceptual.for_latents(config, 4, torch.device("cpu"))
    monkeypatch.setattr(perceptual, "find_spec", lambda name: object())
    with pytest.raises(ConfigError, match="latents of 4 channels, the autoencoder has 16"):
        perceptual.for_latents(config, 16, torch.device("cpu"))
    with pytest.raises(ConfigError, match="weights.pth does not exist"):
        perceptual.for_latents(config, 4, torch.device("cpu"))


def test_e_latent_lpips_is_asked_as_published(tmp_path, monkeypatch):
    """A stand-in for the package: the encoder's name, the augmentation, ensembling, and weights from the file."""
    asked = {}

    class ELatentLPIPS(torch.nn.Module):
        def __init__(self, **options):
            super().__init__()
            asked.update(options)
            self.scale = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, y, ensembling):
            asked["ensembling"] = ensembling
            return self.scale * (x - y).abs().mean(dim=(1, 2, 3), keepdim=True)

    monkeypatch.setitem(
        sys.modules, "elatentlpips", types.SimpleNamespace(ELatentLPIPS=ELatentLPIPS, __spec__=object())
    )
    torch.save({"scale": torch.tensor(3.0)}, tmp_path / "w.pth")
    distance = perceptual.for_latents(Loss(perceptual_weights=tmp_path / "w.pth"), 4, torch.device("cpu"))
    x = torch.zeros(2, 4, 4, 4, requires_grad=True)
    value = distance(x, torch.full((2, 4, 4, 4), 2.0))
    assert value.item() == pytest.approx(6.0)
    value.backward()
    assert x.grad.abs().sum().item() == pytest.approx(3.0)
    assert (asked["encoder"], asked["augment"], asked["ensembling"]) == ("sdxl", "bg", True)
    torch.save({"other": torch.tensor(3.0)}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="1 keys are missing, the first scale"):
        perceptual.for_latents(Loss(perceptual_weights=tmp_path / "w.pth"), 4, torch.device("cpu"))


# ---- what comes of it ----


def test_a_finished_model_fills_a_photo_from_the_command_line(tmp_path, capsys):
    config = build(
        TrainConfig, table(tmp_path, run={"steps": 2, "validate_every": 1, "grid_every": 1, "grid_steps": 2})
    )
    made = Distillation(config, accelerator(config.run))
    report = run(made, config, made.accelerator)
    assert report["finished"] and np.isfinite(report["metrics"]["heldout_task"])
    grid = np.asarray(Image.open(tmp_path / "run" / "grids" / "fills-00000002.png"))
    assert grid.shape == (32, 96, 3)  # one held-out picture: holed, filled, as it is
    np.testing.assert_array_equal(grid[:, 64:], made.samples.held_back(0).picture)

    photo = next(photos(tmp_path / "p", 1).iterdir())
    mask = np.zeros((48, 48), np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    line = ["inpaint", str(photo), str(tmp_path / "mask.png"), "-o", str(tmp_path / "out.png"), "--model", "moebius"]
    line += [
        "--weights",
        str(tmp_path / "run" / "pipeline"),
        "--steps",
        "2",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--json",
    ]
    assert main(line) == 0
    assert json.loads(capsys.readouterr().out)["changed_pixels"] >= 400
    out, source = (np.asarray(Image.open(path)) for path in (tmp_path / "out.png", photo))
    assert out.shape == source.shape and (out != source)[12:28, 12:28].mean() > 0.5
    np.testing.assert_array_equal(out[40:], source[40:])


def test_the_saved_weights_are_the_average(tmp_path):
    config = build(TrainConfig, table(tmp_path, run={"steps": 3}, optimizer={"ema_decay": 0.5}))
    made = Distillation(config, accelerator(config.run))
    run(made, config, made.accelerator)
    saved = MoebiusInpaintPipeline.from_pretrained(tmp_path / "run" / "pipeline").unet.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in average(made).items())
    assert any(not torch.equal(saved[name], t) for name, t in made.learner.student.state_dict().items())


def test_training_can_start_from_weights(tmp_path):
    config = build(TrainConfig, table(tmp_path, run={"steps": 1}))
    made = Distillation(config, accelerator(config.run))
    run(made, config, made.accelerator)
    again = networks.student({"init": str(tmp_path / "run" / "pipeline")}, seed=0)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in average(made).items())
    assert again.training and all(parameter.requires_grad for parameter in again.parameters())
    with pytest.raises(ConfigError, match="brings its own sizes; drop sample_size"):
        networks.student({"init": str(tmp_path / "run" / "pipeline"), "sample_size": 4}, seed=0)


def test_the_held_out_loss_is_the_averages_and_repeats(tmp_path):
    made = trainee(table(tmp_path, data={"validation": 2, "validation_draws": 3}))
    first = made.validate()["heldout_task"]
    with torch.no_grad():
        for parameter in made.learner.student.parameters():
            parameter.add_(1.0)  # the average has not seen it
    assert made.validate()["heldout_task"] == first
    made.ema.update()
    assert made.validate()["heldout_task"] != first
