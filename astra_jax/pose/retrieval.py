"""From prompts to people on a canvas: the nearest actions in the bank among scenes with the right number of people."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from absl import logging
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.database import PoseBank
from astra_jax.pose.drawing import fit
from astra_jax.pose.people_words import action_text

# The paper gives no ranking; these weights are our decision. The aspect ratio matters because a scene that does not
# fit leaves its people small.
COSINE_WEIGHT, QUALITY_WEIGHT, ASPECT_WEIGHT = 0.9, 0.1, 0.2
CANDIDATES = 50  # nearest entries by cosine that are ranked
SAMPLED = 5  # with a seed, the first result is drawn from this many
TEMPERATURE = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Retrieved:
    """One neighbour.

    Attributes:
      entry, action: id and action name of the bank's entry.
      caption: the one of its captions that is nearest to the prompt.
      score: what it is ranked by.
      cosine: similarity of the prompt's action text and the caption's, at most 1; 0 where they share nothing.
      people: joints in pixels of the canvas, ordered from left to right by neck.
    """

    entry: str
    action: str
    caption: str
    score: float
    cosine: float
    people: Float[np.ndarray, "P 17 3"]


class Retriever:
    """Searches one bank; `retrieve` serves many prompts in one batched call."""

    def __init__(self, bank: PoseBank):
        self.bank = bank
        self._quality = np.array([entry.quality for entry in bank.entries])
        self._log_aspect = np.log([entry.width / entry.height for entry in bank.entries])

    def retrieve(
        self,
        prompts: Sequence[str],
        people: Sequence[int],
        canvas: tuple[int, int],
        k: int = 1,
        seed: int | None = None,
        threshold: float | None = None,
    ) -> list[list[Retrieved]]:
        """Up to `k` entries for every prompt, best first.

        Only entries with exactly the prompt's number of people count. Of those the 50 nearest by cosine are ranked by
        0.9 cosine + 0.1 quality - 0.2 |ln(aspect ratio / canvas's aspect ratio)| (our decision).

        Args:
          prompts: any English text; identity in it is ignored.
          people: number of people for each prompt; 0 gives an empty list.
          canvas: (height, width) in pixels.
          k: how many entries at most.
          seed: None gives the best, always the same. With a seed the order of the best five is drawn by
            softmax(score / 0.05); it does not depend on the other prompts.
          threshold: entries whose cosine is below it are left out; None keeps all.

        Raises `UserError` for a number of people the bank does not have, a negative one, k below 1, a canvas without
        area and lists of unequal length.
        """
        if len(prompts) != len(people):
            raise UserError(f"{len(prompts)} prompts need as many numbers of people, not {len(people)}")
        if k < 1 or min(people, default=0) < 0 or min(canvas) < 1:
            raise UserError(f"k ({k}), the canvas ({canvas}) must be positive and no number of people negative")
        vectors = self.bank.embedder([action_text(prompt) for prompt in prompts])
        results: list[list[Retrieved]] = [[] for _ in prompts]
        for count in sorted(set(people) - {0}):
            partition = self.bank.partition(count)
            chosen = [i for i, n in enumerate(people) if n == count]
            for i, found in zip(chosen, partition.search(vectors[chosen], max(k, CANDIDATES)), strict=True):
                if not vectors[i].any():
                    logging.warning("no caption of the pose bank shares a word with %r: any pose may come", prompts[i])
                found = [row for row in found if threshold is None or row[0] >= threshold]
                results[i] = self._rank(found, canvas, k, seed)
        return results

    def _rank(
        self, found: list[tuple[float, int, int]], canvas: tuple[int, int], k: int, seed: int | None
    ) -> list[Retrieved]:
        if not found:
            return []
        entries = np.array([entry for _, entry, _ in found])
        aspect = np.abs(self._log_aspect[entries] - math.log(canvas[1] / canvas[0]))
        cosines = np.array([cosine for cosine, _, _ in found])
        scores = COSINE_WEIGHT * cosines + QUALITY_WEIGHT * self._quality[entries] - ASPECT_WEIGHT * aspect
        # Equal scores go by place in the bank: the order must not hang on the index's last bits.
        order = np.lexsort((entries, -np.round(scores, 6)))
        if seed is not None:
            best = order[:SAMPLED]
            # Sorting by score / T + Gumbel noise draws without replacement from the softmax.
            noise = np.random.default_rng(seed).gumbel(size=len(best))
            order = np.concatenate([best[np.argsort(-(scores[best] / TEMPERATURE + noise))], order[SAMPLED:]])
        return [self._retrieved(found[i], float(scores[i]), canvas) for i in order[:k]]

    def _retrieved(self, row: tuple[float, int, int], score: float, canvas: tuple[int, int]) -> Retrieved:
        cosine, position, caption = row
        entry = self.bank.entries[position]
        people = fit(entry.people, (entry.height, entry.width), canvas)
        return Retrieved(entry.id, entry.action, entry.captions[caption], score, cosine, people)
