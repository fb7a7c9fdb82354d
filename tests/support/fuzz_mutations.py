"""Files changed at random, so that a reader meets what no writer writes."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

MAX_BYTES = 1 << 20
_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, -(2**70), 10**400, 0.5, -1e308, 1e308, float("nan"),
    float("inf"), "", "a", "..", "../../etc/passwd", "/dev/zero", "\x00", "\ud800", "a\nb",
    "\x1b[2J", "x" * 5000, [], {}, [[]], [None], [1, 2, 3, 4], [1e9] * 8,
    {"size": [8, 8], "counts": "04"}, [0] * 3000,
)  # fmt: skip


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Change a few places: bits, bytes, numbers, pieces cut, doubled, moved or put in."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 8, 16))):
        place = random.randrange(len(changed) + 1)
        length = random.choice((1, 1, 2, 4, 8, 16, 64, 512))
        match random.randrange(7):
            case 0 if place < len(changed):
                changed[place] ^= 1 << random.randrange(8)
            case 1 if place < len(changed):
                changed[place] = random.randrange(256)
            case 2:
                form = random.choice((">H", "<H", ">I", "<I", ">Q", "<Q"))
                bits = 8 * struct.calcsize(form)
                number = random.choice(_NUMBERS) % (1 << bits)
                changed[place : place + bits // 8] = struct.pack(form, number)
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[place : place + length] * random.choice((1, 2, 100))
            case 5:
                start = random.randrange(len(changed) + 1)
                changed[place:place] = changed[start : start + length]
            case _:
                changed[place:place] = random.randbytes(length)
    if random.random() < 0.1:
        del changed[random.randrange(len(changed) + 1) :]
    return bytes(changed[:MAX_BYTES])


def mutate_tree(tree: Any, random: Random, odd: Sequence[Any] = _ODD) -> Any:
    """Change a few nodes of lists and dictionaries: others in their place, gone, or doubled."""
    for _ in range(random.choice((1, 1, 2, 4))):
        nodes: list[Any] = [tree]
        for node in nodes:
            children = node.values() if isinstance(node, dict) else node
            nodes.extend(child for child in children if isinstance(child, dict | list) and child)
        node = random.choice([node for node in nodes if node] or [[0]])
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        match random.randrange(6):
            case 0:
                del node[key]
            case 1 if isinstance(node, list):
                node.extend([node[key]] * random.choice((1, 2, 100)))
            case 2 if isinstance(node, dict):
                node[random.choice(list(node))] = node[key]
            case 3 if type(node[key]) in (int, float):
                node[key] *= random.choice((-1, 2, 100, 10**6))
            case 4:
                node[key] = [node[key]]
            case _:
                value = random.choice(odd)
                node[key] = deepcopy(value) if isinstance(value, dict | list) else value
        if not tree:
            break
    return tree


def mutate_json(content: bytes, random: Random) -> bytes:
    """Change the nodes of a JSON document, or its text."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.2:
        return mutate_bytes(content, random)
    text = json.dumps(mutate_tree(tree, random))
    if random.random() < 0.05:
        depth = random.choice((50, 200, 900, 5000))
        text = text.replace("1", "[" * depth + "1" + "]" * depth, 1)
    return text.encode()[: 4 * MAX_BYTES]


def mutate_checkpoint(content: bytes, random: Random) -> bytes:
    """Change a file of `torch.save`: what it holds, its pickle, or the file itself."""
    import torch

    choice = random.random()
    try:
        if choice < 0.4:
            tree = torch.load(io.BytesIO(content), weights_only=True)
            changed = io.BytesIO()
            odd = (*_ODD, torch.zeros(3), torch.zeros(1).expand(10**9), {"a": torch.ones(1)})
            torch.save(mutate_tree(tree, random, odd), changed)
            return changed.getvalue()
        if choice < 0.8:
            return _with_pickle(content, random)
    except Exception:  # of an entry that is damaged already
        return mutate_bytes(content, random)
    return mutate_bytes(content, random)


def _with_pickle(content: bytes, random: Random) -> bytes:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename.endswith("data.pkl"):
                data = mutate_bytes(data, random)
            new.writestr(part.filename, data)
    return changed.getvalue()
