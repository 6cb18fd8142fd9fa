"""The frozen teacher: a denoiser of the same latents, whose outputs and features the student learns.

Any network can be a teacher that is called like `MoebiusUNet`: forward(sample, timestep, token_ids, return_dict=False)
-> (noise, block outputs)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moebius.training.config import ConfigError, Loss, Teacher
from moebius.weights import locate


def load(config: Teacher, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module | None:
    """Load the teacher that a configuration names, in eval mode; None for `none`.

    Raises:
        WeightsError: its weights are missing or belong to another network.
    """
    if config.kind == "none":
        return None
    from moebius.weights import load as weights

    files = locate.locate(config.variant, config.weights, network=config.kind)
    teacher = weights.load_denoiser(files, dtype).to(device)
    if config.shard:
        _shard(teacher)
    return teacher


def _shard(teacher: nn.Module) -> None:
    """Divide the teacher among all processes (FSDP), block by block. The student is whole in each process: the
    gradients of its probes are needed, and with optimizer and average it takes about 5 GB at the published size."""
    from torch import distributed
    from torch.distributed.fsdp import fully_shard

    if not distributed.is_initialized():
        raise ConfigError("teacher.shard needs several processes (accelerate launch); set it to false")
    for module in teacher.modules():
        if type(module).__name__ in teacher._no_split_modules:
            fully_shard(module)
    fully_shard(teacher)


def feature_block(network: nn.Module) -> int:
    """Index of the block output that L_feat compares, (B, 1280, 16, 16) at the published sizes.

    PixelHacker: its first up stage's, after the upsampler (the sixth of nine). The student and its kind: the last down
    stage's (the third of six).
    """
    stages = len(network.config.block_out_channels)
    return stages + 1 if type(network).__name__ == "PixelHackerUNet" else stages - 1


def feature_channels(network: nn.Module) -> int:
    """Width of that block's output."""
    return network.config.block_out_channels[-1]


class Learner(nn.Module):
    """The student and, if its features have another width than the teacher's, a linear map between them.

    The map is trained with the student and not kept; at the published sizes there is none.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module | None):
        super().__init__()
        self.student, self.block = student, feature_block(student)
        self.to_teacher: nn.Module = nn.Identity()
        if teacher is not None and feature_channels(student) != feature_channels(teacher):
            self.to_teacher = nn.Conv2d(feature_channels(student), feature_channels(teacher), 1)

    def forward(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2C + 1, h, w) -> predicted noise (B, C, h, w) and features in the teacher's width."""
        noise, blocks = self.student(sample, timesteps, token_ids, return_dict=False)
        return noise, self.to_teacher(blocks[self.block])

    def probes(self) -> tuple[Tensor, Tensor]:
        """The weights whose gradient norms are measured: the last proj_out of the last down stage, and conv_out's
        pointwise."""
        return self.student.down_blocks[-1].attentions[-1].proj_out.weight, self.student.conv_out.conv_pw.weight


def check(student: nn.Module, teacher: nn.Module | None, channels: int, loss: Loss) -> None:
    """Raises ConfigError if networks and latents do not fit together."""
    for name, network in (("student", student), ("teacher", teacher)):
        if network is not None and (network.config.in_channels, network.config.out_channels) != (
            2 * channels + 1,
            channels,
        ):
            raise ConfigError(
                f"the {name} has in_channels {network.config.in_channels} and out_channels "
                f"{network.config.out_channels}; latents of {channels} channels need {2 * channels + 1} and {channels}"
            )
    if teacher is not None and loss.output:
        kinds = [network.config.get("prediction_type", "epsilon") for network in (student, teacher)]
        if kinds[0] != kinds[1]:
            raise ConfigError(
                f"loss.output compares predictions of one kind; student and teacher predict {kinds[0]} and {kinds[1]}: "
                f'set student.prediction_type = "{kinds[1]}" or loss.output = 0'
            )
    if teacher is not None and loss.feature:
        halvings = [_halvings(network) for network in (student, teacher)]
        if halvings[0] != halvings[1]:
            raise ConfigError(
                "loss.feature compares grids of one size, but student and teacher halve theirs "
                f"{halvings[0]} and {halvings[1]} times before it; change the stages or set loss.feature = 0"
            )


def _halvings(network: nn.Module) -> int:
    """How many times the grid is halved before `feature_block`."""
    stages = len(network.config.block_out_channels)
    return stages - 2 if type(network).__name__ == "PixelHackerUNet" else stages - 1
