"""Which flags of evaluate.py say something about what is measured. Others are refused, lest somebody trust in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from astra_jax.errors import UserError

_ANY = ("seed", "limit", "controls", "images", "partial")
_COMPARE = ("clip", "dino", "dinov2", "mobilenet")
_DREAMBENCH = (*_ANY, "data", "list", "num_images", *_COMPARE)
_PEOPLE = ("portraits", "photos", "vitpose", "movenet")
# Benchmark -> the flags that, beside the model's, decide its figures.
MEASURING: dict[str, tuple[str, ...]] = {
    "puppets": (*_ANY, "track", "scenes", "keypoints"),
    "dreambench_single": _DREAMBENCH,
    "dreambench_multi": _DREAMBENCH,
    "coco_complex_pose": (*_ANY, "track", "data", "num_images", *_PEOPLE, *_COMPARE),
}
# Of the model's flags: what poses are retrieved from, and the canvas that COCO's people stand on. Scores of
# coco_complex_pose depend on both, whoever drew the pictures.
_BANK, _CANVAS = ("pose_bank", "pose_embedder"), ("height", "width")
_PROCESSES = ("coordinator", "processes", "process_id", "coordinator_timeout")
_ABLATION = ("ablation_steps", "ablation_start_steps", "ablation_seeds", "ablation_processes")
ABLATION_MEASURING = ("seed", "scenes", "keypoints")  # what an ablation hands on to the processes that it starts


def refuse_idle(given: Collection[str], benchmark: str, track: str, drawing: Collection[str]) -> None:
    """Raises `UserError` for one of the `given` flags that says nothing beside the others.

    Args:
        given: names of the command line's flags, without their dashes.
        benchmark, track: the values of these flags, given or by default.
        drawing: names of the flags that say how pictures are drawn.
    """
    measuring = {flag for read in MEASURING.values() for flag in read}
    if "ablation" in given:
        own = ["benchmark", *(measuring - {*ABLATION_MEASURING})]
        _refuse(given, "with --ablation", [*own, *drawing, *_PROCESSES])
        return
    _refuse(given, "without --ablation", _ABLATION)
    retrieves = "track" in MEASURING[benchmark]
    _refuse(given, f"with --benchmark {benchmark}", measuring - {*MEASURING[benchmark]})
    _refuse(given, f"with --benchmark {benchmark}", () if retrieves else _BANK)
    _refuse(given, f"with --track {track}", () if track == "rag" else _BANK)
    _refuse(given, "with --vitpose", ["movenet"] if "vitpose" in given else ())
    if "images" in given:
        scored_by = (*_BANK, *_CANVAS) if benchmark == "coco_complex_pose" else ()
        _refuse(given, "with --images, where nothing is drawn", {*drawing} - {*scored_by})
    else:
        _refuse(given, "without --images", ["partial"])


def _refuse(given: Collection[str], beside: str, idle: Iterable[str]) -> None:
    if found := sorted({*given} & {*idle}):
        raise UserError(f"--{found[0]} says nothing {beside}: leave it out")
