#!/usr/bin/env bash
# OpenCV 4.14: cv2.grabCut gives another mask when it is called again with the same picture and the same marks.
#
# Guess: the function takes no seed, so the same input gives the same output.
# Seen: it draws the first colours of its mixtures from OpenCV's generator, whose state goes on from call to call. Ten
# calls on one picture gave masks that differ from the first in up to 2 % of the pixels, on a photo it was up to 7 %.
# After cv2.setRNGSeed the same seed gives the same mask. Not every picture shows it.
# Why it matters: who fits a rough stroke to an object sees another outline with each press of the button, a record of a
# fill cannot be made again, and a test that compares masks fails now and then.
# What helps: call cv2.setRNGSeed right before each call, on the same thread.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q opencv-python-headless==4.14.0.94 numpy==2.4.6
cd "$work"
cat > try.py <<'P'
import cv2
import numpy as np

random = np.random.default_rng(3)
clouds = [random.integers(0, 256, (*size, 3)).astype(np.float32) for size in ((4, 6), (14, 20))]
picture = sum(cv2.resize(cloud, (400, 280), interpolation=cv2.INTER_CUBIC) / 2 for cloud in clouds)
picture = picture.clip(0, 255).astype(np.uint8)


def cut(seed=None):
    marks = np.full(picture.shape[:2], cv2.GC_PR_BGD, np.uint8)
    marks[90:200, 120:280] = cv2.GC_PR_FGD
    marks[:10] = marks[-10:] = cv2.GC_BGD
    if seed is not None:
        cv2.setRNGSeed(seed)
    cv2.grabCut(picture, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    return marks & 1


cv2.setRNGSeed(0)  # once, so that this script prints the same each time
masks = [cut() for _ in range(10)]
differing = [int((mask != masks[0]).sum()) for mask in masks[1:]]
print("OpenCV", cv2.__version__, "pixels that differ from the first mask, of", masks[0].size, ":", differing)
assert max(differing) > 100, "changed: the same input now gives the same mask"
assert (cut(1) == cut(1)).all(), "changed: a seed no longer fixes the mask"
print("after cv2.setRNGSeed(1): the same mask twice")
P
"$work/env/bin/python" try.py
