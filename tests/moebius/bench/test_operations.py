"""The operations of a network, counted while it runs, against a hand count of its layers."""

import pytest
import torch

from moebius.bench.operations import count_operations
from moebius.models.fused import ops
from moebius.models.unet import BACKGROUND_IDS, FOREGROUND_IDS, MoebiusUNet

HEADS, TOKENS, WINDOW, TILE = 8, 10, 5, 4
"""Of the small student below; TILE: positions whose windows the fused Local-λ takes as one product in float32."""


def separable(places: int, inputs: int, outputs: int) -> int:
    """Multiply-adds of a depthwise 3×3 and a pointwise convolution."""
    return places * (9 * inputs + inputs * outputs)


def residual(places: int, inputs: int, outputs: int) -> int:
    shortcut = places * inputs * outputs if inputs != outputs else 0
    return separable(places, inputs, outputs) + separable(places, outputs, outputs) + shortcut


def transformer(side: int, width: int, shared: int, batch: int) -> int:
    """Multiply-adds of a λ block; `shared` pictures until the condition enters, `batch` afterwards."""
    before, after, depth = shared * side**2, batch * side**2, width // HEADS
    span = (TILE + WINDOW - 1) * WINDOW
    local = before * (
        width * width  # into the block
        + width * width
        + width * 2 * depth  # queries; keys and values
        + depth * depth  # content lambda
        + HEADS * depth * WINDOW**2  # queries with the relative positions
        + HEADS * span * depth  # a window's weights with its values, zeros of a tile included
        + HEADS * depth * depth  # queries with the content lambda
    )
    interactive = after * (width * width + 3 * HEADS * TOKENS * depth)  # queries; with keys, with table, with values
    hidden = int(2.5 * width)
    feed_forward = after * (width * 2 * hidden + 9 * 2 * hidden + hidden * width)
    return local + interactive + feed_forward + after * width * width  # out of the block


def fused_student(shared: int, batch: int) -> int:
    """Multiply-adds of a step: widths 32 and 64, sides 8 and 4, one pair in a down stage and two in an up stage."""
    return sum(
        (
            separable(shared * 64, 9, 32),
            residual(shared * 64, 32, 32),
            transformer(8, 32, shared, batch),
            batch * 16 * 9 * 32 * 32,  # to half the side
            residual(batch * 16, 32, 64),
            transformer(4, 64, batch, batch),
            residual(batch * 16, 64 + 64, 64),
            transformer(4, 64, batch, batch),
            residual(batch * 16, 64 + 32, 64),
            transformer(4, 64, batch, batch),
            batch * 16 * 4 * (4 * 64) * 64,  # to twice the side: four kinds of pixels, 2×2 inputs each
            residual(batch * 64, 64 + 32, 32),
            transformer(8, 32, batch, batch),
            residual(batch * 64, 32 + 32, 32),
            transformer(8, 32, batch, batch),
            separable(batch * 64, 32, 4),
        )
    )


@pytest.mark.parametrize(("shared", "batch"), [(1, 1), (1, 2), (2, 4)])
def test_the_fused_student_is_counted_as_by_hand(shared, batch):
    network = MoebiusUNet(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        encoder_hid_dim=48,
        local_window=WINDOW,
    )
    fast = network.requires_grad_(False).eval().fuse()
    conditions = torch.tensor([FOREGROUND_IDS, BACKGROUND_IDS]).repeat_interleave(shared, 0)[:batch]

    def step() -> None:
        fast(torch.zeros(shared, 9, 8, 8), 500, conditions)

    step()  # what belongs to the condition and to the time is kept from here on
    assert count_operations(step) == 2 * fused_student(shared, batch)


def test_every_kind_of_product_is_counted():
    x, weight = torch.ones(3, 5), torch.ones(7, 5)
    image, kernel = torch.zeros(1, 3, 10, 10), torch.zeros(5, 3, 3, 3)
    a, b, c = torch.ones(2, 3, 4), torch.ones(2, 4, 5), torch.ones(2, 3, 5)
    assert count_operations(lambda: x @ weight.T) == 2 * 3 * 5 * 7
    assert count_operations(lambda: ops.product(x, weight)) == 2 * 3 * 5 * 7
    assert count_operations(lambda: torch.conv2d(image, kernel, padding=1)) == 2 * 10 * 10 * 5 * 3 * 9
    assert count_operations(lambda: c.baddbmm(a, b)) == 2 * 2 * 3 * 4 * 5
    assert count_operations(lambda: c.baddbmm_(a, b)) == 2 * 2 * 3 * 4 * 5  # torch's own counter leaves it out
    assert count_operations(lambda: torch.ones(3, 7).addmm_(x, weight.T)) == 2 * 3 * 5 * 7
