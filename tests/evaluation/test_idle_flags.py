"""Flags that would say nothing: one line tells which and why, and what a command needs is let through."""

import pytest

from astra_jax.errors import UserError
from astra_jax.evaluation.idle_flags import refuse_idle

DRAWING = ("steps", "cfg_scale", "pose_bank", "pose_embedder", "checkpoint", "height", "width")


@pytest.mark.parametrize(
    ("given", "benchmark", "track", "message"),
    [
        ("num_images", "puppets", "oracle", "--num_images says nothing with --benchmark puppets: leave it out"),
        ("vitpose", "puppets", "oracle", "--vitpose says nothing with --benchmark puppets"),
        ("scenes", "coco_complex_pose", "oracle", "--scenes says nothing with --benchmark coco_complex_pose"),
        ("list", "coco_complex_pose", "oracle", "--list says nothing with --benchmark coco_complex_pose"),
        ("track", "dreambench_single", "none", "--track says nothing with --benchmark dreambench_single"),
        ("pose_bank", "dreambench_multi", "oracle", "--pose_bank says nothing with --benchmark dreambench_multi"),
        ("pose_bank", "puppets", "oracle", "--pose_bank says nothing with --track oracle"),
        ("pose_embedder track", "coco_complex_pose", "none", "--pose_embedder says nothing with --track none"),
        ("movenet vitpose", "coco_complex_pose", "oracle", "--movenet says nothing with --vitpose"),
        ("partial", "puppets", "oracle", "--partial says nothing without --images"),
        ("images steps", "puppets", "oracle", "--steps says nothing with --images, where nothing is drawn: leave it"),
        ("images height", "puppets", "oracle", "--height says nothing with --images, where nothing is drawn"),
        ("images pose_bank", "puppets", "rag", "--pose_bank says nothing with --images, where nothing is drawn"),
        ("images cfg_scale", "coco_complex_pose", "rag", "--cfg_scale says nothing with --images, where nothing"),
        ("images pose_bank", "coco_complex_pose", "oracle", "--pose_bank says nothing with --track oracle"),
        ("ablation_seeds", "puppets", "oracle", "--ablation_seeds says nothing without --ablation"),
        ("ablation benchmark", "puppets", "oracle", "--benchmark says nothing with --ablation"),
        ("ablation track", "puppets", "rag", "--track says nothing with --ablation"),
        ("ablation limit", "puppets", "oracle", "--limit says nothing with --ablation"),
        ("ablation images", "puppets", "oracle", "--images says nothing with --ablation"),
        ("ablation steps", "puppets", "oracle", "--steps says nothing with --ablation"),
        ("ablation cfg_scale", "puppets", "oracle", "--cfg_scale says nothing with --ablation"),
        ("ablation num_images", "puppets", "oracle", "--num_images says nothing with --ablation"),
        ("ablation processes", "puppets", "oracle", "--processes says nothing with --ablation"),
    ],
)
def test_idle_flags_are_refused(given, benchmark, track, message):
    with pytest.raises(UserError) as error:
        refuse_idle(given.split(), benchmark, track, DRAWING)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "benchmark", "track"),
    [
        ("benchmark scenes seed keypoints track limit controls steps verbosity", "puppets", "none"),
        ("track pose_bank pose_embedder cfg_scale", "puppets", "rag"),
        ("data list num_images clip dino dinov2 mobilenet images partial limit", "dreambench_multi", "oracle"),
        ("data track num_images portraits photos movenet clip pose_bank images", "coco_complex_pose", "rag"),
        ("data images height width", "coco_complex_pose", "oracle"),
        ("out ablation ablation_steps ablation_seeds ablation_processes scenes seed keypoints", "puppets", "oracle"),
    ],
)
def test_what_is_read_is_let_through(given, benchmark, track):
    refuse_idle(given.split(), benchmark, track, DRAWING)
