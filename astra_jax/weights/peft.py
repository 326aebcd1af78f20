"""LoRA files of diffusers and PEFT as they come, brought to the one form that `lora_naming.peft_naming` reads.

A file may adapt the separate queries, keys and values of what is one map here, each with factors of its own and of any
rank, or only some of them. Side by side they are one LoRA of the map: their A stacked, their B in a block diagonal, the
rank the sum of theirs. Where all have the same A, as in files that come from a fused map, the rank stays. What is left
up to the model's rank is zero. All of this is exact.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from jaxtyping import Float

from astra_jax.config import ModelConfig
from astra_jax.errors import UserError
from astra_jax.weights.lora_naming import PREFIX, peft_naming
from astra_jax.weights.tensors import READABLE, Entry, Tensors, some

_FACTOR = re.compile(
    r"(?:base_model\.model\.)?(?:transformer\.)?(?P<module>.+?)\.(?:"
    r"(?P<a>lora_A(\.default)?\.weight|lora\.down\.weight)|(?P<b>lora_B(\.default)?\.weight|lora\.up\.weight)|alpha)"
)
_METADATA = "lora_adapter_metadata"


def is_peft(names: list[str]) -> bool:
    """Whether tensors of these names are factors in diffusers' or PEFT's naming."""
    return any(_FACTOR.fullmatch(name) and "transformer_blocks." in name for name in names)


class PeftTensors(Tensors):
    """The tensors of a diffusers or PEFT file under the names and in the shapes of `peft_naming(config)`.

    Opening checks names and shapes. Raises `UserError` for a factor without its other half, for shapes that are no
    low-rank product of the model, for alphas that are no positive numbers and for kinds of LoRA other than the plain
    one; reading raises it where the rank is greater than `config.lora.rank`.
    """

    def __init__(self, published: Tensors, config: ModelConfig):
        # Closing this closes the files of `published`, which it takes over.
        self.name, self._files, self._stack = published.name, published._files, published._stack
        self.entries: dict[str, Entry] = {}
        self._published = published
        self._rank = config.lora.rank
        self._scale = self._metadata_scale()
        self._found: dict[str, dict[str, str]] = {}  # module -> "a", "b", "alpha" -> the file's name
        for name in published.entries:
            if match := _FACTOR.fullmatch(name):
                kind = "a" if match["a"] else "b" if match["b"] else "alpha"
                factors = self._found.setdefault(match["module"], {})
                if kind in factors:
                    raise UserError(f"{self.name}: {factors[kind]} and {name} are the same: remove one of them")
                factors[kind] = name
        self._groups: dict[str, list[tuple[str, int]]] = {}  # module -> the modules of its map, with their outputs
        self._last: tuple[str, dict[str, Float[np.ndarray, "R I"]]] = ("", {})
        self._present(config)

    def _present(self, config: ModelConfig) -> None:
        naming = peft_naming(config)
        known: set[str] = set()
        for path in naming:
            if not path.endswith("/b"):
                continue
            leaf = naming[path]
            for names in leaf.layers:
                modules = [name.removeprefix(PREFIX).removesuffix(".lora_B.weight") for name in names]
                there = [module for module in modules if module in self._found]
                known |= set(there)
                if there:
                    rows = leaf.rows or self._equal_rows(there, len(modules))
                    self._add_group(list(zip(modules, rows, strict=True)), there)
        used = {name for module in known for name in self._found[module].values()}
        # What no place of the model takes stays as it is, for the check to name.
        self.entries |= {name: entry for name, entry in self._published.entries.items() if name not in used}

    def _equal_rows(self, there: list[str], count: int) -> list[int]:
        return [self._shape(there[0], "b")[0]] * count

    def _add_group(self, modules: list[tuple[str, int]], there: list[str]) -> None:
        rows = dict(modules)
        width = self._shape(there[0], "a")[1]
        for module in there:
            (rank, width_in), (width_out, other) = self._shape(module, "a"), self._shape(module, "b")
            if rank != other or width_in != width or width_out != rows[module]:
                raise UserError(
                    f"{self.name}: the factors of {module}, {[rank, width_in]} and {[width_out, other]}, are no LoRA "
                    f"of a map from {width} to {rows[module]}: give one of this model"
                )
        entry = self._published.entries[self._found[there[0]]["b"]]
        for module, width_out in modules:
            self._groups[module] = modules
            for side, shape in (("lora_A", (self._rank, width)), ("lora_B", (width_out, self._rank))):
                self.entries[f"{PREFIX}{module}.{side}.weight"] = Entry(entry.file, shape, entry.dtype)

    def _shape(self, module: str, factor: str) -> tuple[int, int]:
        name = self._found[module].get(factor, "")
        entry = self._published.entries.get(name)
        if entry is None or len(entry.shape) != 2 or entry.dtype not in READABLE:
            raise UserError(
                f"{self.name}: {module} has no matrix {factor.upper()} of a LoRA in {', '.join(READABLE)}: get it again"
            )
        rows, columns = entry.shape
        return rows, columns

    def read(self, name: str) -> Float[np.ndarray, "R C"]:
        """One factor: A of a whole map, or B's rows of one module in it; float32."""
        module, _, side = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")
        group = self._groups[module]
        there = [other for other, _ in group if other in self._found]
        factors = self._read_all_a(there)
        first = factors[there[0]]
        shared = len(there) == len(group) and all(np.array_equal(first, a) for a in factors.values())
        ranks = {other: 0 if shared else len(a) for other, a in factors.items()}
        needed = len(first) if shared else sum(ranks.values())
        if needed > self._rank:
            raise UserError(
                f"{self.name}: the LoRA of {module} and what is fused with it has rank {needed}: set model.lora.rank "
                f"to {needed} or more, not {self._rank}"
            )
        if side == "lora_A":
            stacked = first if shared else np.concatenate([factors[other] for other in there])
            return np.pad(stacked, ((0, self._rank - needed), (0, 0)))
        if module not in factors:
            return np.zeros((dict(group)[module], self._rank), np.float32)
        b = self._published.read(self._found[module]["b"]).astype(np.float32)
        b = b * self._strength(module, b.shape[1])
        start = sum(ranks[other] for other in there[: there.index(module)])
        return np.pad(b, ((0, 0), (start, self._rank - start - b.shape[1])))

    def _read_all_a(self, modules: list[str]) -> dict[str, Float[np.ndarray, "R I"]]:
        if self._last[0] != modules[0]:  # every tensor of a map asks for them, one after the other
            read = self._published.read
            self._last = modules[0], {m: read(self._found[m]["a"]).astype(np.float32) for m in modules}
        return self._last[1]

    def _strength(self, module: str, rank: int) -> np.float32:
        name = self._found[module].get("alpha")
        if name is None:
            return np.float32(self._scale)
        alpha = float(self._published.read(name).astype(np.float32).reshape(-1)[0])
        return np.float32(self._positive(alpha, name) / rank)

    def _positive(self, value: Any, name: str) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise UserError(f"{self.name}: {name} is {str(value)[:40]}, not a positive number: get the file again")
        return float(value)

    def _metadata_scale(self) -> float:
        """alpha / rank where the header's metadata has them, 1 otherwise."""
        texts = [(file.metadata() or {}).get(_METADATA) for file in self._files.values()]
        text = next((text for text in texts if text), None)
        if text is None:
            return 1.0
        try:
            settings = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{self.name}: its {_METADATA} is damaged: {error}") from error
        if not isinstance(settings, dict):
            raise UserError(f"{self.name}: its {_METADATA} is no JSON object")
        ours = {key.removeprefix(PREFIX): value for key, value in settings.items() if key.startswith(PREFIX)}
        special = [key for key in ("alpha_pattern", "use_rslora", "use_dora", "lora_bias") if ours.get(key)]
        if special:
            raise UserError(
                f"{self.name} is no plain LoRA, it has {some(special)}: merge it there and import the model"
            )
        if "lora_alpha" not in ours or "r" not in ours:
            return 1.0
        return self._positive(ours["lora_alpha"], "lora_alpha") / self._positive(ours["r"], "r")
