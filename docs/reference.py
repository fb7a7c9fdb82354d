"""MkDocs hook that writes the Python reference: a page for each public face, from its imports."""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
FACES = ("runtime", "runtime.report", "train", "export", "bench.measure")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `reference/FACE.md` for each face."""
    for face in FACES:
        files.append(File.generated(config, f"reference/{face}.md", content=reference(face)))
    return files


def reference(face: str) -> str:
    """Return a face's page: its public names, each documented where it is defined."""
    source = (ROOT / face.replace(".", "/") / "__init__.py").read_text()
    parts = [f"# {face}", ast.get_docstring(ast.parse(source)) or ""]
    for module, names in public_names(source, face.split(".")[0]):
        parts.append(f"## `{module}`")
        parts += [f"::: {module}.{name}" for name in names]
    return "\n\n".join(parts) + "\n"


def public_names(source: str, package: str) -> list[tuple[str, list[str]]]:
    """Return which names a face imports from the modules of its package, for type checkers."""
    blocks = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [
        node
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
    ]
    return [(node.module or "", [alias.name for alias in node.names]) for node in imports]
