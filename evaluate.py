"""Scores pictures on a benchmark: a model's, which are drawn first, or those of a folder.

    python evaluate.py --out outputs/evaluation            # the built-in benchmark with the built-in weights
    python evaluate.py --benchmark puppets --checkpoint runs/mine --track rag --out outputs/mine
    python evaluate.py --benchmark dreambench_single --data DATA --clip CLIP --dino DINO --config configs/flux.py \
        --weights FLUX.1-dev --lora LORA --out outputs/dreambench
    python evaluate.py --benchmark coco_complex_pose --data DATA --movenet FILE --images PICTURES --out outputs/coco
    python evaluate.py --ablation configs/ablations --out runs/ablation

In --out are then result.json, table.md, report.html and, under pictures/, what was drawn: an evaluation that was
interrupted goes on with the same command. The last line printed is one JSON object with the headline figures.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import jax
import numpy as np
from absl import flags

from astra_jax import cli, hosts
from astra_jax.ablation import Budget, read_ablation, run_ablation
from astra_jax.drawing_run import DrawingRun
from astra_jax.errors import UserError
from astra_jax.evaluation import provenance
from astra_jax.evaluation.coco_complex_pose import CocoComplexPose
from astra_jax.evaluation.coco_scenes import SOURCE, read_scenes
from astra_jax.evaluation.dreambench import PROTOCOLS, DreamBench
from astra_jax.evaluation.dreambench_data import LISTS, PHOTOS, dreambooth_entries, read_subjects, uno_entries
from astra_jax.evaluation.features import ImageFeatures, TextFeatures, open_clip, open_vit
from astra_jax.evaluation.folders import Names, find_pictures
from astra_jax.evaluation.idle_flags import ABLATION_MEASURING, MEASURING, refuse_idle
from astra_jax.evaluation.markdown import markdown
from astra_jax.evaluation.mobilenet import MobileNetFeatures
from astra_jax.evaluation.movenet import MoveNet
from astra_jax.evaluation.portraits import Portraits
from astra_jax.evaluation.real_people import read_real_photos
from astra_jax.evaluation.report import keep, write_report
from astra_jax.evaluation.result import MODEL, Result, headline
from astra_jax.evaluation.samples import TRACKS, Benchmark, Case, Sample, Track
from astra_jax.evaluation.scope import scope_of
from astra_jax.evaluation.scoring import Scored, figures_of, score_samples
from astra_jax.evaluation.vitpose_estimator import published_estimator, puppet_estimator
from astra_jax.inputs.photos import load_photo
from astra_jax.inputs.requests import GivenPose
from astra_jax.model_flags import ModelFlags
from astra_jax.results import ResultWriter, read_png
from astra_jax.weights import vitpose
from astra_jax.weights.feature_networks import OFFICIAL

_HERE = pathlib.Path(__file__).resolve().parent
COCO_KEYPOINTS = ("person_keypoints_val2017.json", "annotations/person_keypoints_val2017.json", "coco_kpts_val2017.npz")
COCO_CAPTIONS = ("captions_val2017.json", "annotations/captions_val2017.json")
_SOURCES = {
    "dreambench_single": PHOTOS, "dreambench_multi": PHOTOS, "coco_complex_pose": SOURCE, "list": LISTS,
}  # fmt: skip

_BENCHMARK = flags.DEFINE_enum("benchmark", "puppets", [*MEASURING], "What is measured.")
_TRACK = flags.DEFINE_enum(
    "track", "oracle", TRACKS, "Poses of puppets and coco_complex_pose: the true ones, retrieved ones, or none."
)
_OUT = flags.DEFINE_string("out", None, "The folder for result.json, table.md, report.html and the pictures.")
_IMAGES = flags.DEFINE_string("images", None, "Score the pictures of this folder ({case}_{number}.png); draw none.")
_PARTIAL = flags.DEFINE_bool("partial", False, "Score the pictures that --images has where it lacks some.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", None, "Pictures a case; by default as the benchmark's protocol says.")
_SEED = flags.DEFINE_integer("seed", 0, "Of pictures, of the scenes of puppets, of who is given which portrait.")
_SCENES = flags.DEFINE_integer("scenes", 120, "How many scenes puppets has.")
_LIMIT = flags.DEFINE_integer("limit", None, "The first cases only.")
_CONTROLS = flags.DEFINE_bool("controls", True, "Also score pictures that tell the ceiling and the floor of figures.")

_ABLATION = flags.DEFINE_string("ablation", None, "A config of configs/ablations: train and measure its variants.")
_STEPS = flags.DEFINE_integer("ablation_steps", None, "Training steps of every variant; by default as its config says.")
_START_STEPS = flags.DEFINE_integer("ablation_start_steps", None, "Training steps of the start they share.")
_SEEDS = flags.DEFINE_multi_integer("ablation_seeds", [], "Seeds that each variant is trained with. Repeatable.")
_PROCESSES = flags.DEFINE_integer("ablation_processes", 2, "Runs at a time.")

# Where a benchmark's data are, and what looks at pictures.
_DATA = flags.DEFINE_string("data", None, "DreamBooth's folder 'dataset', or the folder with COCO's annotations.")
_LIST = flags.DEFINE_string("list", None, "One of UNO's lists of prompts (JSON) for DreamBench; its multi needs one.")
_PORTRAITS = flags.DEFINE_string(
    "portraits", None, "For coco_complex_pose: a folder of portraits that lend identities."
)
_PHOTOS = flags.DEFINE_string("photos", None, "For coco_complex_pose: a folder of COCO's photos: ceiling and floor.")
_NETWORKS = {
    name: flags.DEFINE_string(name, None, f"The folder of {published}, or of another network of its kind.")
    for name, published in (
        *((name.lower(), published) for name, published in OFFICIAL.items()),
        ("vitpose", vitpose.OFFICIAL),
    )
}
_MOVENET = flags.DEFINE_string(
    "movenet", None, "movenet_single_pose_lightning_ptq.tflite: finds poses without --vitpose."
)
_MOBILENET = flags.DEFINE_string("mobilenet", None, "MobileNetV2's .tflite: a stand-in where CLIP and DINO are not.")
_KEYPOINTS = flags.DEFINE_string(
    "keypoints", str(_HERE / "pretrained" / "puppet_keypoints"), "The networks that find the poses of puppets."
)
_MODEL = ModelFlags(_HERE / "pretrained" / "puppets", _HERE / "data" / "pose_library" / "bank")
hosts.define_flags()


def main(argv: Sequence[str]) -> None:
    """Joins the run's other processes, where there are some; an ablation has processes of its own."""
    del argv
    if not _ABLATION.value:
        hosts.connect_by_flags()
    measure()


def measure() -> None:
    """Measures one model on one benchmark, or those of an ablation."""
    # 1. What is measured.
    if not _OUT.value:
        raise UserError("--out is missing: name a folder for the results, e.g. --out=outputs/evaluation")
    out = pathlib.Path(_OUT.value)
    present = [name for name in flags.FLAGS if flags.FLAGS[name].present]
    refuse_idle(present, _BENCHMARK.value, _TRACK.value, _MODEL.names)
    if _ABLATION.value:
        print(json.dumps(_ablation(_ABLATION.value, out)))
        return
    benchmark = _benchmark()
    every_case = benchmark.cases()
    cases = every_case[: _LIMIT.value]
    asked = provenance.given({name: flags.FLAGS[name].value for name in MEASURING[_BENCHMARK.value]})
    asked["num_images"] = cases[0].request.num_images

    # 2. The pictures.
    if _IMAGES.value:
        names, source = find_pictures(pathlib.Path(_IMAGES.value), cases, _PARTIAL.value), {}
    else:
        names, source = _draw(cases, out / "pictures")
    if jax.process_index():
        return  # the first process scores

    # 3. Their scores, and those of pictures that tell what scores mean.
    scored = _scored("pictures", benchmark, _samples(cases, names))
    figures, scope = {MODEL: figures_of(scored)}, scope_of(scored, every_case)
    ids = {one.case for one in scored}
    shown = [case for case in cases if case.id in ids]
    controls = benchmark.controls(shown) if _CONTROLS.value else {}
    for name, samples in controls.items():
        figures[name] = figures_of(_scored(f"pictures of the {name}", benchmark, samples))

    # 4. What they say.
    prompts = {case.id: case.request.prompt for case in cases}
    try:
        records = [keep(one, prompts[one.case], names[one.case, one.index], out) for one in scored]
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose a folder you can write to") from error
    result = Result(
        benchmark=benchmark.name,
        headline=benchmark.headline,
        weights=source.pop("weights", ""),
        settings=dataclasses.asdict(scope) | asked | source,
        figures=figures,
        calibration=benchmark.calibration(shown),
        notes=(scope.note(), *benchmark.notes()),
        samples=tuple(records),
    )
    page = write_report(out, result)
    print(markdown(result))
    print(page)
    print(json.dumps(headline(result)))


def _ablation(config: str, out: pathlib.Path) -> dict[str, Any]:
    """Trains the variants of `config` by train.py, measures each by this program, and returns the last line."""
    budget = Budget(_STEPS.value, _START_STEPS.value, _PROCESSES.value)
    shared = {name: flags.FLAGS[name].value for name in ABLATION_MEASURING}
    evaluate = [sys.executable, str(_HERE / "evaluate.py"), "--benchmark=puppets"]
    evaluate += [f"--{name}={value}" for name, value in shared.items()]
    train = [sys.executable, str(_HERE / "train.py")]
    return run_ablation(read_ablation(config, _SEEDS.value), budget, out, train, evaluate, provenance.given(shared))


def _benchmark() -> Benchmark:
    """The benchmark of the flags. Raises `UserError` for data and networks that are missing."""
    name, track = _BENCHMARK.value, _TRACK.value
    for flag in (_SCENES, _NUM_IMAGES, _LIMIT):
        if flag.value is not None and flag.value < 1:
            raise UserError(f"--{flag.name} must be at least 1, not {flag.value}")
    if name == "puppets":
        from data.puppets.benchmark import PuppetsBenchmark  # draws as many scenes as it has

        return PuppetsBenchmark(puppet_estimator(_KEYPOINTS.value), _SCENES.value, track, seed=_SEED.value)
    if not _DATA.value:
        raise UserError(f"--data is missing: {name} needs {_SOURCES[name]}")
    data, seed = pathlib.Path(_DATA.value), _SEED.value
    if name == "coco_complex_pose":
        return _coco(data, track, seed)
    subjects = read_subjects(data)
    if name == "dreambench_multi" and not _LIST.value:
        raise UserError(f"--list is missing: dreambench_multi needs {_SOURCES['list']}")
    if _LIST.value:
        entries = uno_entries(pathlib.Path(_LIST.value), subjects, PROTOCOLS[name].subjects)
    else:
        entries = dreambooth_entries(data, subjects)
    networks, clip = _networks()
    if not networks and clip is None:
        raise UserError(f"{name} compares pictures: give --clip, --dino, --dinov2 or --mobilenet")
    return DreamBench(name, subjects, entries, networks, clip, _NUM_IMAGES.value, seed=seed)


def _coco(data: pathlib.Path, track: str, seed: int) -> Benchmark:
    keypoints = next((data / file for file in COCO_KEYPOINTS if (data / file).is_file()), data / COCO_KEYPOINTS[0])
    captions = next((data / file for file in COCO_CAPTIONS if (data / file).is_file()), data / COCO_CAPTIONS[0])
    scenes = read_scenes(_HERE / "data" / "coco_complex_pose", keypoints, captions)
    if _NETWORKS["vitpose"].value:
        estimator = published_estimator(_NETWORKS["vitpose"].value)
    elif _MOVENET.value:
        estimator = MoveNet(_MOVENET.value)
    else:
        raise UserError("coco_complex_pose looks for people: give --vitpose or --movenet")
    photos = pathlib.Path(_PHOTOS.value) if _PHOTOS.value else None
    networks, clip = _networks()
    return CocoComplexPose(
        scenes,
        estimator,
        cast(Track, track),
        _MODEL.bank() if track == "rag" else None,
        _MODEL.size((512, 512)),
        _NUM_IMAGES.value or 1,
        seed,
        Portraits(pathlib.Path(_PORTRAITS.value)) if _PORTRAITS.value else None,
        photos,
        networks,
        clip,
        read_real_photos(photos, [keypoints]) if photos else (),
    )


def _networks() -> tuple[list[ImageFeatures], tuple[ImageFeatures, TextFeatures] | None]:
    """What compares pictures, as far as it is given, and CLIP."""
    vits = (("dino", "DINO"), ("dinov2", "DINOv2"))
    networks: list[ImageFeatures] = [open_vit(path, name) for flag, name in vits if (path := _NETWORKS[flag].value)]
    if _MOBILENET.value:
        networks.append(MobileNetFeatures(_MOBILENET.value))
    return networks, open_clip(_NETWORKS["clip"].value) if _NETWORKS["clip"].value else None


def _draw(cases: Sequence[Case], folder: pathlib.Path) -> tuple[Names, dict[str, Any]]:
    """Draws what is not in `folder` yet; returns the pictures' files and what drew them."""
    programs = cli.keep_compiled_programs()
    requests = [dataclasses.replace(case.request, name=case.id) for case in cases]
    needs_bank = any(request.pose == "auto" for request in requests)
    pipe = _MODEL.pipeline(needs_bank, _MODEL.mesh(), programs)
    run = _MODEL.run_settings(pipe)
    writer = ResultWriter(folder, pipe.config, pipe.weights, jax.process_index())
    job = DrawingRun(pipe, run, writer, _MODEL.batch_size, alone=True)
    try:
        job.complete(requests)
    finally:
        writer.discard()
    drawn_by = {"weights": pipe.weights, "bank": pipe.bank_fingerprint} | dataclasses.asdict(run)
    return job.files(), drawn_by


def _samples(cases: Sequence[Case], names: Names) -> Iterator[Sample]:
    """The pictures, read one after another."""
    for case in cases:
        for index in range(case.request.num_images):
            if path := names.get((case.id, index)):
                yield _ours(case, index, path) if _IMAGES.value is None else Sample(case, index, load_photo(path))


def _ours(case: Case, index: int, path: pathlib.Path) -> Sample:
    """A picture that was drawn here, with the pose it was drawn with: the given one, or the one that was found."""
    picture, line = read_png(path)
    pose = case.request.pose
    if isinstance(pose, GivenPose):
        return Sample(case, index, picture, pose.people)
    people = line["pose"].get("people")
    return Sample(case, index, picture, None if people is None else np.asarray(people, np.float32))


def _scored(what: str, benchmark: Benchmark, samples: Iterable[Sample]) -> list[Scored]:
    """The scores, with a line that tells how far they are."""
    begin, scored = time.monotonic(), []
    for scored_one in score_samples(benchmark, samples):
        scored.append(scored_one)
        if sys.stderr.isatty():
            print(f"\r{what}: {len(scored)} scored", end="", file=sys.stderr, flush=True)
    print(f"{len(scored)} {what} scored in {time.monotonic() - begin:.0f} s", flush=True)
    return scored


if __name__ == "__main__":
    cli.run(main)
