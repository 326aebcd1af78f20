"""Which flags of evaluate.py say something about what is measured. Others are refused, lest somebody trust in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from astra_jax.errors import UserError

_COMPARE = ("clip", "dino", "dinov2", "mobilenet")
_BANK = ("pose_bank", "pose_embedder")
_DREAMBENCH = ("data", "list", "num_images", *_COMPARE)
_PEOPLE = ("portraits", "photos", "vitpose", "movenet")
# Of the flags that not all benchmarks read: those that one reads.
READ: dict[str, tuple[str, ...]] = {
    "puppets": ("track", "scenes", "keypoints", *_BANK),
    "dreambench_single": _DREAMBENCH,
    "dreambench_multi": _DREAMBENCH,
    "coco_complex_pose": ("track", "data", "num_images", *_PEOPLE, *_COMPARE, *_BANK),
}
# What an ablation says itself to the processes that it starts, or leaves at their defaults.
_ONE_RUN = ("benchmark", "images", "partial", "limit", "controls")
_PROCESSES = ("coordinator", "processes", "process_id", "coordinator_timeout")
_ABLATION = ("ablation_steps", "ablation_start_steps", "ablation_seeds", "ablation_processes")
_ABLATION_READS = ("scenes", "keypoints")


def refuse_idle(given: Collection[str], benchmark: str, track: str, drawing: Collection[str]) -> None:
    """Raises `UserError` for the first of the `given` flags that says nothing beside the others.

    Args:
        given: names of the command line's flags, without their dashes.
        benchmark, track: the values of these flags, given or by default.
        drawing: names of the flags that say how pictures are drawn.
    """
    some = {flag for read in READ.values() for flag in read}
    if "ablation" in given:
        _refuse(given, "with --ablation", [*(some - {*_ABLATION_READS}), *_ONE_RUN, *_PROCESSES, *drawing])
        return
    _refuse(given, "without --ablation", _ABLATION)
    _refuse(given, f"with --benchmark {benchmark}", some - {*READ[benchmark]})
    if track != "rag":
        _refuse(given, f"with --track {track}", _BANK)
    if "vitpose" in given:
        _refuse(given, "with --vitpose", ["movenet"])
    if "images" not in given:
        _refuse(given, "without --images", ["partial"])


def _refuse(given: Collection[str], beside: str, idle: Iterable[str]) -> None:
    if found := sorted({*given} & {*idle}):
        raise UserError(f"--{found[0]} says nothing {beside}: leave it out")
