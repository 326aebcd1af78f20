"""Just enough of XLA's optimised HLO text: computations, their instructions, and how often each of them runs."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"(?:^| )([a-z][a-z0-9\-]*)\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+[0-9]+[a-z0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(
    r"(body|condition|calls|to_apply|called_computations|branch_computations)=(?:\{([^}]*)\}|(%?[\w.\-]+))"
)
_BITS = {"pred": 8, "bf16": 16, "token": 0}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: `shape` and `rest` are the text before and from the opcode on."""

    name: str
    opcode: str
    shape: str
    rest: str

    def called(self, attribute: str) -> list[str]:
        """Names of the computations that an attribute ("body", "calls" ...) names."""
        for key, several, one in _CALLED.findall(self.rest):
            if key == attribute:
                return [name.strip().lstrip("%") for name in (several or one).split(",")]
        return []


@dataclasses.dataclass(frozen=True)
class Module:
    """Computations by name."""

    computations: dict[str, list[Instruction]]
    entry: str

    def runs(self) -> Iterator[tuple[str, Instruction, int]]:
        """(computation, instruction, times it runs in one call of the program).

        The body of a loop runs as often as its condition says; both branches of a conditional count.
        """
        yield from self._runs(self.entry, 1)

    def _runs(self, name: str, times: int) -> Iterator[tuple[str, Instruction, int]]:
        for instruction in self.computations.get(name, ()):
            yield name, instruction, times
            if instruction.opcode == "while":
                trips = self.trip_count(instruction)
                for body in instruction.called("body"):
                    yield from self._runs(body, times * trips)
            elif instruction.opcode in _CALLERS:
                for attribute in ("calls", "to_apply", "called_computations", "branch_computations"):
                    for callee in instruction.called(attribute):
                        yield from self._runs(callee, times)

    def trip_count(self, loop: Instruction) -> int:
        """How often a `while` runs: what the compiler noted, else the constant that its condition compares with.

        1 where neither is there.
        """
        if noted := re.search(r'known_trip_count"?\s*[:=]\s*\{"?n"?[:=]"?(\d+)', loop.rest):
            return int(noted.group(1))
        constants = [
            int(found.group(1))
            for condition in loop.called("condition")
            for instruction in self.computations.get(condition, ())
            if instruction.opcode == "constant" and (found := re.match(r"constant\((\d+)\)", instruction.rest))
        ]
        return max(constants, default=1)


_CALLERS = {"fusion", "call", "conditional", "async-start", "custom-call"}


def parse(text: str) -> Module:
    """The module of `compiled.as_text()`; raises ValueError for a text without an entry computation."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if header := _HEADER.match(line):
            current = computations.setdefault(header.group(2), [])
            entry = header.group(2) if header.group(1) else entry
        elif current is not None and (match := _INSTRUCTION.match(line)):
            name, right = match.group(2), match.group(3)
            if opcode := _OPCODE.search(right):
                start = opcode.start(1)
                current.append(Instruction(name, opcode.group(1), right[:start].strip(), right[start:]))
    if not entry:
        raise ValueError("this is no HLO module: it has no ENTRY computation")
    return Module(computations, entry)


def shape_bytes(shape: str) -> int:
    """Bytes of all arrays of a shape, "(bf16[2,3]{1,0}, f32[])" has 16; without padding by layouts."""
    total = 0
    for dtype, dimensions in _ARRAY.findall(shape):
        bits = _BITS.get(dtype) if dtype in _BITS else int(re.sub(r"^[a-z]+(\d+).*", r"\1", dtype))
        total += (bits or 0) * math.prod(int(size) for size in dimensions.split(",") if size) // 8
    return total


def elements(shape: str) -> list[str]:
    """The outermost elements of a tuple shape; the shape itself where it is no tuple."""
    if not shape.startswith("("):
        return [shape]
    parts, depth, start = [], 0, 1
    for index, character in enumerate(shape):
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(character, 0)
        if (character == "," and depth == 1) or (character == ")" and depth == 0):
            parts.append(shape[start:index].strip())
            start = index + 1
    return parts
