"""How many skeleton pictures one core draws in a second, bodies alone and with hands and faces.

    python -m benchmarks.pose_drawing
    python -m benchmarks.pose_drawing --people 4 --processes 2 --clock wall

The people stand side by side and fill the canvas. Rates are for one thread, by the processor time it took, which other
work on the machine disturbs less than the clock (by the clock: `--clock wall`); each is the best of several repeats.
With `--processes` several draw at the same time, as a data loader's workers do, and their rates are added up.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import time

import numpy as np

from astra_jax.pose.drawing import draw, fit
from astra_jax.pose.skeleton import FACE, FEET, LEFT_HAND, RIGHT_HAND, WHOLE_BODY_POINTS

# Somebody who stands, on a picture of 100 x 100 pixels; a hand of 12 pixels, spread; a face of 10 pixels.
_BODY = ((50, 12), (53, 9), (47, 9), (57, 11), (43, 11), (62, 25), (38, 25), (66, 42), (34, 42), (68, 58), (32, 58),
         (58, 56), (42, 56), (58, 75), (42, 75), (58, 94), (42, 94))  # fmt: skip
_LEFT_WRIST, _RIGHT_WRIST, _LEFT_ANKLE, _RIGHT_ANKLE = 9, 10, 15, 16


def standing(count: int) -> np.ndarray:
    """`count` whole bodies [count, 133, 3] side by side on a picture of 100 x 100 pixels."""
    person = np.full((WHOLE_BODY_POINTS, 3), 2, np.float32)
    person[:17, :2] = _BODY
    person[FEET, :2] = person[[_LEFT_ANKLE] * 3 + [_RIGHT_ANKLE] * 3, :2] + [[3, 3], [4, 2], [-1, 2]] * 2
    angles = np.linspace(0, 2 * np.pi, 68)
    person[FACE, :2] = person[0, :2] + 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1) * [1, 1.2]
    fingers = np.linspace(-0.6, 0.6, 5).repeat(4)
    reach = np.tile([3, 6, 9, 12], 5)
    hand = np.stack([np.sin(fingers) * reach, np.cos(fingers) * reach], axis=1)
    for place, wrist in ((LEFT_HAND, _LEFT_WRIST), (RIGHT_HAND, _RIGHT_WRIST)):
        person[place, :2] = person[wrist, :2] + np.concatenate([[[0, 0]], hand])
    people = np.tile(person, (count, 1, 1))
    people[..., 0] = (people[..., 0] + 100 * np.arange(count)[:, None]) / count
    return people


def rate(people: np.ndarray, side: int, pictures: int, repeats: int, clock: str) -> float:
    """Pictures of side x side pixels a second."""
    now = time.process_time if clock == "process" else time.perf_counter
    fitted, size = fit(people, (100, 100), (side, side)), (side, side)
    draw(fitted, size)
    seconds = []
    for _ in range(repeats):
        start = now()
        for _ in range(pictures):
            draw(fitted, size)
        seconds.append(now() - start)
    return pictures / min(seconds)


def main() -> None:
    """Prints a line for every size and kind of person, then all as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1, help="in every picture (default: %(default)s)")
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 512], help="pixels (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=50, help="a repeat (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=10, help="the best counts (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="draw at once (default: %(default)s)")
    parser.add_argument("--clock", choices=("process", "wall"), default="process", help="(default: %(default)s)")
    arguments = parser.parse_args()
    people = standing(arguments.people)
    figures: dict[str, float | int | str] = {
        "people": arguments.people,
        "clock": arguments.clock,
        "processes": arguments.processes,
    }
    for side in arguments.sides:
        for kind, points in (("body", 17), ("whole_body", WHOLE_BODY_POINTS)):
            job = (people[:, :points], side, arguments.pictures, arguments.repeats, arguments.clock)
            if arguments.processes == 1:
                found = rate(*job)
            else:
                spawn = multiprocessing.get_context("spawn")
                with concurrent.futures.ProcessPoolExecutor(arguments.processes, spawn) as pool:
                    found = sum(pool.map(rate, *([part] * arguments.processes for part in job)))
            figures[f"{kind}_{side}_per_second"] = round(found, 1)
            print(f"{side:5d} px  {kind:10s} {found:8.1f} pictures/s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
