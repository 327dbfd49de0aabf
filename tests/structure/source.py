"""Reads the repository's source files as comments, strings and code, each with its line."""

import re
from dataclasses import dataclass
from pathlib import Path
import subprocess

RUST = re.compile(
    r"""
      (?P<comment>//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    | (?P<raw>\bb?r(?P<hashes>\#*)"(?:.|\n)*?"(?P=hashes))
    | (?P<string>\b[bc]?"(?:\\.|\\\n|[^"\\])*"|"(?:\\.|\\\n|[^"\\])*")
    | (?P<char>\bb?'(?:\\[^\n]+?|[^'\\\n])'|'(?:\\[^\n]+?|[^'\\\n])')
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*|'[a-z_][A-Za-z_0-9]*)
    """,
    re.VERBOSE,
)
PYTHON = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<raw>[rbf]{0,2}(?P<quotes>\"{3}|'{3})(?:\\.|[^\\])*?(?P=quotes))
    | (?P<string>[rbf]{0,2}(?:"(?:\\.|\\\n|[^"\\\n])*"|'(?:\\.|\\\n|[^'\\\n])*'))
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a file: a comment, a string or a name of code."""

    kind: str  # "comment", "string" or "name"
    text: str
    line: int
    start: int


def tokens(text, language):
    """Yields the comments, strings and names of a file of Rust or Python."""
    pattern = RUST if language == "rust" else PYTHON
    line, last = 1, 0
    for match in pattern.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        kind = match.lastgroup
        kind = {"hashes": "string", "quotes": "string", "raw": "string", "char": "char"}.get(kind, kind)
        yield Token(kind, match.group(), line, match.start())


def tracked_files(root):
    """The files that git knows in `root`, or all files where `root` is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=False
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()]
    return sorted(name for name in names if (Path(root) / name).is_file())
