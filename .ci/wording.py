"""Rejects words that a technical reader would have to translate, in prose and in names.

    python .ci/wording.py                     # the paths that are clean already
    python .ci/wording.py lab/driver docs     # these files and folders
    python .ci/wording.py --count lab         # how many there are in each room

Prints `path:line: word: suggestion` and exits with 1 if there is any, with 2 on wrong usage. The
words are listed in `wording.toml`. In Python, prose is docstrings, comments and string literals;
other files are prose throughout.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".toml")
WORDS = tomllib.loads(LIST.read_text(encoding="utf-8"))
SUFFIXES = {".py", ".md", ".j2", ".toml", ".yml", ".yaml", ".sh"}
SKIPPED = {"vendor", "__pycache__", LIST.name, "test_wording.py"}  # the last two quote the words
ALLOWED = "wording: allow"
# Python 3.12 splits f-strings into these; before, an f-string is one string.
FSTRINGS = {"FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"}
CODE = "\0"  # is no word and no space, so no phrase crosses it


class Rule(NamedTuple):
    """A rejected pattern, and what to write instead."""

    pattern: re.Pattern[str]
    suggestion: str


class Hit(NamedTuple):
    """A rejected word in a file."""

    path: Path
    line: int
    word: str
    suggestion: str


def rules(words: Mapping[str, str]) -> list[Rule]:
    """Compile the patterns of one section of the word list."""
    spaced = {text.replace(" ", r"\s+"): suggestion for text, suggestion in words.items()}
    return [
        Rule(re.compile(rf"\b(?:{text})(?!\w)", re.IGNORECASE), suggestion)
        for text, suggestion in spaced.items()
    ]


PROSE, OPENINGS, NAMES = (rules(WORDS[section]) for section in ("prose", "openings", "names"))


def hits_in(path: Path, text: str) -> list[Hit]:
    """Return every rejected word of a file, in the order of lines."""
    lines = text.splitlines()
    if path.suffix == ".py":
        tree = ast.parse(text)
        hits = [*_prose(path, python_prose(text)), *_openings(path, tree), *_names(path, tree)]
    else:
        hits = [*_prose(path, text)]
    return sorted((hit for hit in hits if ALLOWED not in lines[hit.line - 1]), key=lambda h: h.line)


def python_prose(source: str) -> str:
    """Blank all of a Python source but comments and the text of strings; positions stay.

    Quotes, prefixes, escapes and the signs of comments become spaces, so that a phrase is matched
    across lines of a comment and across adjacent strings; other code becomes `CODE`.
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    prose = [char if char.isspace() else CODE for char in source]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in {"COMMENT", "STRING"} | FSTRINGS:
            begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            prose[begin:end] = _text_of(kind, source[begin:end])
    return "".join(prose)


def _text_of(kind: str, text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        return re.sub(r"\S", " ", match[0])

    if kind == "COMMENT":
        return text.replace("#", " ")
    if kind in {"FSTRING_START", "FSTRING_END"}:
        return " " * len(text)
    if kind == "STRING":
        prefix = re.match(r"\w*", text)
        if prefix and "f" in prefix[0].lower():
            text = re.sub(r"\{[^{}]*\}", lambda m: re.sub(r"\S", CODE, m[0]), text)
        text = re.sub(r"""^\w*(?:\"{3}|'{3}|["'])|(?:\"{3}|'{3}|["'])$""", blank, text)
    return re.sub(r"\\[a-z]", blank, text)


def _prose(path: Path, prose: str) -> Iterator[Hit]:
    for pattern, suggestion in PROSE:
        for match in pattern.finditer(prose):
            word = " ".join(match[0].split())
            yield Hit(path, prose.count("\n", 0, match.start()) + 1, word, suggestion)


def _openings(path: Path, tree: ast.Module) -> Iterator[Hit]:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        if text and isinstance(node, documented):
            yield from _matches(path, node.body[0].lineno, text, OPENINGS)


def _names(path: Path, tree: ast.Module) -> Iterator[Hit]:
    for node in ast.walk(tree):
        for name in _defined(node):
            line = getattr(node, "lineno", 1)
            yield from _matches(path, line, name.strip("_"), NAMES, whole=True)


def _defined(node: ast.AST) -> Iterable[str]:
    """Return the names that a node of the syntax tree gives to something."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.arg(arg=name) | ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
    return []


def _matches(
    path: Path, line: int, text: str, patterns: list[Rule], *, whole: bool = False
) -> Iterator[Hit]:
    for pattern, suggestion in patterns:
        match = pattern.fullmatch(text) if whole else pattern.match(text)
        if match:
            yield Hit(path, line, match[0], suggestion)


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Return the files to check: those that are named, and those of a known kind in folders."""
    files: set[Path] = set()
    for path in paths:
        if path.is_dir():
            below = (f for f in path.rglob("*") if f.suffix in SUFFIXES and f.is_file())
            files.update(f for f in below if not SKIPPED & set(f.parts))
        else:
            files.add(path)
    return sorted(files)


def _shown(path: Path) -> Path:
    absolute = path.resolve()
    return absolute.relative_to(ROOT) if absolute.is_relative_to(ROOT) else path


def room(path: Path) -> str:
    """Return the folder by which `--count` groups: two levels deep, such as `lab/driver`."""
    return "/".join(_shown(path).parts[:-1][:2]) or "."


def main(arguments: list[str] | None = None) -> int:
    """Check the paths of the command line, or those of the word list's `clean`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    parser.add_argument("--count", action="store_true", help="print only a count for each room")
    options = parser.parse_args(arguments)
    paths = options.paths or [ROOT / name for name in WORDS["clean"]]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        parser.error(f"no such file or folder: {', '.join(missing)}")
    files = files_below(paths)
    hits = [hit for file in files for hit in hits_in(file, file.read_text(encoding="utf-8"))]
    if options.count:
        for name, count in sorted(Counter(room(hit.path) for hit in hits).items()):
            print(f"{count:6} {name}")
        print(f"{len(hits):6} in {len(files)} files")
    else:
        for hit in hits:
            print(f"{_shown(hit.path)}:{hit.line}: {hit.word}: {hit.suggestion}")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
