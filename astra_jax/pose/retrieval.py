"""From prompts to people on a canvas: the nearest actions in the bank among scenes with the right number of people."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from absl import logging
from jaxtyping import Float

from astra_jax.errors import UserError
from astra_jax.pose.caption_vectors import caption_vectors
from astra_jax.pose.clauses import Clause, clauses
from astra_jax.pose.composition import compose
from astra_jax.pose.database import Partition, PoseBank
from astra_jax.pose.drawing import fit
from astra_jax.pose.embedders import BUILT_IN
from astra_jax.pose.known_words import stems, unknown

# The paper gives no ranking; these weights are our decision. The aspect ratio matters because a scene that does not
# fit leaves its people small.
SIMILARITY_WEIGHT, QUALITY_WEIGHT, ASPECT_WEIGHT = 0.9, 0.1, 0.2
MEAN_SHARE = 0.7  # of the similarity: the mean over an entry's captions beside the best of them
CANDIDATES = 50  # nearest entries by cosine that are ranked
SAMPLED = 5  # with a seed, the first result is drawn from this many
TEMPERATURE = 0.05
# How much nearer the entries of a prompt's parts must be than the nearest whole scene before they are put together.
COMPOSE_MARGIN = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Retrieved:
    """One neighbour.

    Attributes:
      parts: ids of the entries it was composed of, from left to right; one where a scene of the bank fits.
      action: the entry's action name; several are joined by " + ", as captions are.
      caption: the one of its captions that is nearest to the prompt.
      score: what it is ranked by; the mean over the parts.
      cosine: similarity of the prompt and the caption (`caption_vectors`), at most 1; 0 where they share nothing;
        the least of the parts'.
      people: 17 joints or 133 points in pixels of the canvas, ordered from left to right by neck.
    """

    parts: tuple[str, ...]
    action: str
    caption: str
    score: float
    cosine: float
    people: Float[np.ndarray, "P J 3"]

    @property
    def entry(self) -> str:
        """The ids of `parts`, joined by " + "."""
        return " + ".join(self.parts)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An entry that was found: its place in the bank, its nearest caption, and how near it is.

    `similarity` weighs the nearest caption and the mean of all captions; `score` adds quality and aspect ratio.
    """

    entry: int
    caption: int
    cosine: float
    similarity: float
    score: float


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
        """Up to `k` neighbours for every prompt, best first, each with exactly the prompt's number of people.

        The 50 entries nearest by cosine are ranked by 0.9 similarity + 0.1 quality - 0.2 |ln(aspect ratio / canvas's
        aspect ratio)|; similarity is 0.3 of the best cosine of an entry's captions and 0.7 of their mean.

        A prompt whose people each do something of their own (`clauses`) is also looked up part by part. A whole scene
        fits if it is as near to the prompt as the best entries of the parts are to theirs on average, give or take
        `COMPOSE_MARGIN` of similarity. If none fits, or none has so many people, the parts' entries are put side by
        side (`compose`): the j-th best of every part makes the j-th result, and whole scenes come after them.

        A prompt in another language, without an action or with none the bank's captions know (`known_words.unknown`) is
        answered by quality and aspect ratio alone, with a warning; in a bank of a text encoder by the encoder, with a
        warning.

        Args:
          prompts: any English text; identity in it is ignored.
          people: number of people for each prompt; 0 gives an empty list.
          canvas: (height, width) in pixels.
          k: how many results at most.
          seed: None gives the best, always the same. With a seed the order of the best five is drawn by
            softmax(score / 0.05); it does not depend on the other prompts.
          threshold: entries whose cosine is below it are left out; None keeps all.

        Raises `UserError` for a number of people that the bank neither has nor can compose, a negative one, k below 1,
        a canvas without area and lists of unequal length.
        """
        if len(prompts) != len(people):
            raise UserError(f"{len(prompts)} prompts need as many numbers of people, not {len(people)}")
        if k < 1 or min(people, default=0) < 0 or min(canvas) < 1:
            raise UserError(f"k ({k}), the canvas ({canvas}) must be positive and no number of people negative")
        parts = [self._parts(prompt, count) for prompt, count in zip(prompts, people, strict=True)]
        # Whole prompts first, then all parts: every text is embedded once, every partition searched once.
        asked = [(prompt, count if self._has(count) or not split else 0)
                 for prompt, count, split in zip(prompts, people, parts, strict=True)]  # fmt: skip
        asked += [(part.text, part.people) for split in parts for part in split]
        found = iter(self._candidates(asked, canvas, k, seed, threshold))
        whole = [next(found) for _ in prompts]
        split_found = [[next(found) for _ in split] for split in parts]
        results = []
        for scenes, pieces in zip(whole, split_found, strict=True):
            composed = []
            if pieces and all(pieces) and _beats(pieces, scenes):
                composed = [self._composed(row, canvas) for row in zip(*(piece[:k] for piece in pieces), strict=False)]
            results.append([*composed, *(self._whole(scene, canvas) for scene in scenes[:k])][:k])
        return results

    def _parts(self, prompt: str, people: int) -> tuple[Clause, ...]:
        """The parts of a prompt that could be composed of entries of the bank."""
        split = clauses(prompt)
        fits = len(split) > 1 and sum(part.people for part in split) == people
        return split if fits and all(self._has(part.people) for part in split) else ()

    def _has(self, people: int) -> bool:
        return people in self.bank.partitions

    def _candidates(
        self,
        asked: Sequence[tuple[str, int]],
        canvas: tuple[int, int],
        k: int,
        seed: int | None,
        threshold: float | None,
    ) -> list[list[Candidate]]:
        """Ranked entries for each (text, number of people), at least `k` if there are so many; none for 0 people."""
        texts, people = [text for text, _ in asked], [count for _, count in asked]
        vectors = caption_vectors(self.bank.embedder, texts)
        results: list[list[Candidate]] = [[] for _ in asked]
        for count in sorted(set(people) - {0}):
            partition = self.bank.partition(count)
            chosen = [i for i, n in enumerate(people) if n == count]
            for i in chosen:
                why = unknown(texts[i], self._words)
                if not vectors[i].any() or why and self.bank.embedder.kind == BUILT_IN:
                    why = why or "tells the embedder nothing"
                    logging.warning("the prompt %r %s: any pose with %d people is taken", texts[i], why, count)
                    vectors[i] = 0
                elif why:  # a text encoder may know other words and languages than the captions'
                    logging.warning("the prompt %r %s: the text encoder alone chooses its pose", texts[i], why)
            for i, near in zip(chosen, partition.search(vectors[chosen], max(k, CANDIDATES)), strict=True):
                near = [row for row in near if threshold is None or row[0] >= threshold]
                results[i] = self._rank(partition, vectors[i], near, canvas, seed)
        return results

    def _rank(
        self,
        partition: Partition,
        query: Float[np.ndarray, "D"],
        near: list[tuple[float, int, int]],
        canvas: tuple[int, int],
        seed: int | None,
    ) -> list[Candidate]:
        if not near:
            return []
        entries = np.array([entry for _, entry, _ in near])
        similar = similarity(partition, query, near)
        aspect = np.abs(self._log_aspect[entries] - math.log(canvas[1] / canvas[0]))
        scores = SIMILARITY_WEIGHT * similar + QUALITY_WEIGHT * self._quality[entries] - ASPECT_WEIGHT * aspect
        # Equal scores go by place in the bank: the order must not hang on the index's last bits.
        order = np.lexsort((entries, -np.round(scores, 5)))
        if seed is not None:
            best = order[:SAMPLED]
            # Sorting by score / T + Gumbel noise draws without replacement from the softmax.
            noise = np.random.default_rng(seed).gumbel(size=len(best))
            order = np.concatenate([best[np.argsort(-(scores[best] / TEMPERATURE + noise))], order[SAMPLED:]])
        rows = zip(near, similar.tolist(), scores.tolist(), strict=True)
        ranked = [Candidate(entry, caption, cosine, alike, score) for (cosine, entry, caption), alike, score in rows]
        return [ranked[i] for i in order]

    def _whole(self, found: Candidate, canvas: tuple[int, int]) -> Retrieved:
        entry = self.bank.entries[found.entry]
        people = fit(entry.people, (entry.height, entry.width), canvas)
        caption = entry.captions[found.caption]
        return Retrieved((entry.id,), entry.action, caption, found.score, found.cosine, people)

    def _composed(self, row: Sequence[Candidate], canvas: tuple[int, int]) -> Retrieved:
        entries = [self.bank.entries[found.entry] for found in row]
        return Retrieved(
            parts=tuple(entry.id for entry in entries),
            action=" + ".join(entry.action for entry in entries if entry.action),
            caption=" + ".join(entry.captions[found.caption] for entry, found in zip(entries, row, strict=True)),
            score=sum(found.score for found in row) / len(row),
            cosine=min(found.cosine for found in row),
            people=compose([entry.people for entry in entries], canvas),
        )

    @functools.cached_property
    def _words(self) -> frozenset[str]:
        """Stems of the words of all captions."""
        return frozenset().union(*(stems(text) for entry in self.bank.entries for text in entry.captions))


def similarity(
    partition: Partition,
    query: Float[np.ndarray, "D"],
    near: Sequence[tuple[float, int, int]],
    held_out: int | None = None,
) -> Float[np.ndarray, "N"]:
    """How near each of the entries `near` (from `partition.search`) is: its best and its mean cosine, weighed.

    The mean tells what all captions of a scene agree on; for the best alone one odd caption is enough. `held_out` is a
    row that counts for nothing, as in `Partition.search`.
    """
    best = np.array([cosine for cosine, _, _ in near])
    mean = partition.mean_cosines(query, np.array([entry for _, entry, _ in near], np.int64), held_out)
    return (1 - MEAN_SHARE) * best + MEAN_SHARE * mean


def _beats(pieces: Sequence[Sequence[Candidate]], scenes: Sequence[Candidate]) -> bool:
    """Whether composing is nearer to the prompt than any whole scene."""
    parts = sum(max(found.similarity for found in piece) for piece in pieces) / len(pieces)
    return not scenes or parts > max(scene.similarity for scene in scenes) + COMPOSE_MARGIN
