"""Nearest neighbours by ScaNN, tuned by the number of points, grown without training from nothing.

Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector Quantization", arXiv 1908.10396.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float, Int

from astra_jax.errors import UserError
from astra_jax.pose.exact_index import fill_up

BRUTE_FORCE_BELOW = 20_000  # points; there scoring every point is fast, exact and deterministic
MAX_GROWTH = 2  # an index that has grown beyond this multiple of the points it was trained on is trained again
_TRAINING = 250_000  # points that the tree and the hashing are learnt from; more place them no better
_UPSERT_BATCH = 256


@dataclasses.dataclass(frozen=True)
class ScannParameters:
    """How a bank of a given size is searched. `leaves` 0: every point is scored exactly."""

    leaves: int = 0
    leaves_to_search: int = 0
    reorder: int = 0

    @classmethod
    def for_size(cls, points: int) -> ScannParameters:
        """Our rule: brute force for small banks, else sqrt(points) leaves, a tenth but at least 100 of them searched.

        `benchmarks/pose_index.py` measures what it finds: at least 0.99 of the true 10 nearest, 0.98 of the true 250.
        """
        if points < BRUTE_FORCE_BELOW:
            return cls()
        leaves = math.isqrt(points)
        return cls(leaves, min(max(leaves // 10, 100), leaves), 200)


class ScannIndex:
    """ScaNN by dot product: brute force, or tree + asymmetric hashing + exact rescoring. A `NeighbourIndex`.

    Attributes:
      parameters: how it is searched.
      trained: how many points tree and hashing were made for; points that came later are sorted into them.
    """

    def __init__(self, searcher, parameters: ScannParameters, trained: int):
        self._searcher, self.parameters, self.trained = searcher, parameters, trained

    @classmethod
    def build(cls, vectors: Float[np.ndarray, "R D"], parameters: ScannParameters | None = None) -> ScannIndex:
        """Trains the index on `vectors`; `parameters` None takes the rule for their number."""
        from scann.scann_ops.py import scann_ops_pybind

        parameters = parameters or ScannParameters.for_size(len(vectors))
        builder: Any = scann_ops_pybind.builder(np.ascontiguousarray(vectors, np.float32), 10, "dot_product")
        if parameters.leaves:
            sample = min(len(vectors), _TRAINING)
            builder = builder.tree(parameters.leaves, parameters.leaves_to_search, training_sample_size=sample)
            builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2, training_sample_size=sample)
            builder = builder.reorder(parameters.reorder)
        else:
            builder = builder.score_brute_force()
        return cls(builder.build(), parameters, len(vectors))

    def extended(self, vectors: Float[np.ndarray, "N D"]) -> ScannIndex:
        """See `NeighbourIndex.extended`.

        New points are sorted into tree and hashing as they are (ScaNN's upsert). An index that would grow beyond
        `MAX_GROWTH` times the points it was trained on is trained again, if the rule for its size has changed; the log
        tells so.
        """
        from scann.scann_ops.py import scann_ops_pybind

        if len(vectors) > MAX_GROWTH * self.trained and ScannParameters.for_size(len(vectors)) != self.parameters:
            logging.warning("the index has grown from %d to %d points: it is trained again", self.trained, len(vectors))
            return ScannIndex.build(vectors)
        # ScaNN adds in place and cannot copy an index but by way of a folder.
        with tempfile.TemporaryDirectory() as folder:
            self._searcher.serialize(folder, relative_path=True)
            searcher = scann_ops_pybind.load_searcher(folder)
        new = np.ascontiguousarray(vectors[searcher.size() :], np.float32)
        if len(new):
            # The searcher below ScaNN's wrapper numbers new points itself; the wrapper wants names, and pickles them.
            searcher.searcher.upsert([None] * len(new), new, _UPSERT_BATCH)
        return ScannIndex(searcher, self.parameters, self.trained)

    def search(
        self, queries: Float[np.ndarray, "B D"], k: int
    ) -> tuple[Float[np.ndarray, "B k"], Int[np.ndarray, "B k"]]:
        """See `NeighbourIndex.search`."""
        if len(queries) == 0:
            return np.zeros((0, k), np.float32), np.zeros((0, k), np.int64)
        wanted = min(k, self._searcher.size())
        options = {}
        if self.parameters.leaves:
            # Rescoring must see more candidates than are asked for, or the hashing's errors decide the order.
            options["pre_reorder_num_neighbors"] = max(self.parameters.reorder, 4 * wanted)
        queries = np.ascontiguousarray(queries, np.float32)
        rows, scores = self._searcher.search_batched(queries, final_num_neighbors=wanted, **options)
        # ScaNN pads with NaN where the searched leaves hold fewer points.
        missing = np.isnan(scores)
        rows = np.where(missing, -1, rows.astype(np.int64))
        return fill_up(np.where(missing, -np.inf, scores).astype(np.float32), rows, k)

    def save(self, folder: Path) -> None:
        """Writes ScaNN's own files and parameters.json; raises `OSError` where they cannot be written."""
        try:
            self._searcher.serialize(str(folder), relative_path=True)  # or a bank that was moved would not load
        except RuntimeError as error:  # what ScaNN makes of a full disk
            raise OSError(f"ScaNN cannot write its index ({error})") from error
        # Its small files ScaNN leaves empty on a full disk, and says nothing.
        if not all((folder / name).stat().st_size for name in ("scann_config.pb", "scann_assets.pbtxt")):
            raise OSError("ScaNN cannot write its index (a file of it is empty: is the disk full?)")
        text = json.dumps({**dataclasses.asdict(self.parameters), "trained": self.trained})
        (folder / "parameters.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, vectors: Float[np.ndarray, "R D"]) -> ScannIndex:
        """Reads what `save` wrote for `vectors`.

        Raises `UserError` for a folder that is no such index, for one of another size, and for one that would have
        ScaNN read files elsewhere or unpickle something.
        """
        from scann.scann_ops.py import scann_ops_pybind

        try:
            numbers = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
            if not all(isinstance(number, int) and number >= 0 for number in numbers.values()):
                raise ValueError("its parameters are no whole numbers")
            trained = numbers.pop("trained")
            parameters = ScannParameters(**numbers)
            assets = (folder / "scann_assets.pbtxt").read_text(encoding="utf-8")
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(f"{folder} holds no ScaNN index ({error}): build the bank again") from error
        paths = re.findall(r'asset_path:\s*"([^"]*)"', assets)
        # ScaNN unpickles scann_docids.pkl where it finds one; ours has none.
        if any(Path(path).name != path for path in paths) or any(folder.glob("*.pkl")):
            raise UserError(f"{folder} names files that are no part of a ScaNN index of ours: build the bank again")
        try:
            index = cls(scann_ops_pybind.load_searcher(str(folder)), parameters, trained)
        except (ValueError, RuntimeError, OSError) as error:
            raise UserError(f"ScaNN cannot read {folder} ({error}): build the bank again") from error
        if index._searcher.size() != len(vectors):
            raise UserError(f"{folder} is the index of another bank: build the bank again")
        return index
