"""Reads the shape of Rust code without a compiler: what is test code, functions, tuples, modules and their imports."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import source

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = set(OPENING.values())


def code_of(text):
    """The file with its comments and strings blanked, so that each remaining bracket is code. The lines stay."""
    pieces, last = [], 0
    for token in source.tokens(text, "rust"):
        if token.kind != "name":
            pieces += [text[last : token.start], re.sub(r"[^\n]", " ", token.text)]
            last = token.start + len(token.text)
    return "".join(pieces) + text[last:]


def closing(code, start):
    """The index of the bracket that closes the one at `start`; the end of the code if none does."""
    depth = 0
    for index in range(start, len(code)):
        if code[index] in OPENING:
            depth += 1
        elif code[index] in CLOSING:
            depth -= 1
            if not depth:
                return index
    return len(code) - 1


def without_tests(code):
    """The code with its items under `#[cfg(test)]` blanked."""
    while match := re.search(r"#\[cfg\((?:test|all\(test[^\]]*)\)\]", code):
        stop = re.compile(r"[{;]").search(code, match.end())
        end = len(code) - 1
        if stop:
            end = closing(code, stop.start()) if stop.group() == "{" else stop.start()
        code = code[: match.start()] + re.sub(r"[^\n]", " ", code[match.start() : end + 1]) + code[end + 1 :]
    return code


def is_test_file(path):
    """True for a file of tests, by its name or its folder."""
    parts = PurePosixPath(path).parts
    return "tests" in parts[:-1] or parts[-1] in ("tests.rs", "test.rs", "testing.rs") or "benches" in parts


def statement_end(code, start):
    """The index of the semicolon that ends the statement in which `start` is."""
    index = start
    while index < len(code) and code[index] != ";":
        index = closing(code, index) + 1 if code[index] in OPENING else index + 1
    return index


@dataclass(frozen=True)
class Function:
    """A function: its name, its line, its signature, and how many lines of code its body has."""

    name: str
    line: int
    signature: str
    start: int
    length: int


def functions(code):
    """Yields the functions of a file, also those in others."""
    for match in re.finditer(r"\bfn\s+(\w+)", code):
        end = match.end()
        while end < len(code) and code[end] not in "{;":
            end = closing(code, end) + 1 if code[end] in "([" else end + 1
        body = code[end : closing(code, end) + 1] if end < len(code) and code[end] == "{" else ""
        inner = body[1:-1].splitlines()
        length = sum(1 for line in inner if line.strip())
        yield Function(match.group(1), code.count("\n", 0, match.start()) + 1, code[match.start() : end], match.start(), length)


def fields(group):
    """The number of entries that a bracketed group has at its own level."""
    depth = angle = count = 0
    filled = False
    for index, char in enumerate(group):
        if char in OPENING:
            depth += 1
        elif char in CLOSING:
            depth -= 1
        elif char == "<":
            angle += 1
        elif char == ">" and group[index - 1] not in "-=":
            angle -= 1
        elif char == "," and not depth and not angle:
            count += filled
            filled = False
            continue
        filled = filled or not char.isspace()
    return count + filled


def tuples_in(text):
    """Yields the tuple types of two or more fields in a text of types, each with its offset."""
    for match in re.finditer(r"\(", text):
        before = text[: match.start()].rstrip()
        if before and (before[-1].isalnum() or before[-1] in "_!"):
            if not re.search(r"\b(?:mut|dyn|impl|in|as)$", before):
                continue
        end = closing(text, match.start())
        if text[end + 1 :].lstrip().startswith(":") and not text[end + 1 :].lstrip().startswith("::"):
            continue
        group = text[match.start() + 1 : end]
        # `(&Key, &Value)` is the item of an iterator over a map.
        if re.search(r"\bItem\s*=$", before) and re.fullmatch(r"\s*&[^&]+,\s*&[^&]+", group):
            continue
        if fields(group) >= 2:
            yield match.start(), re.sub(r"\s+", " ", text[match.start() : end + 1])


def tuples(code):
    """Yields the tuples of two or more unnamed fields in signatures, fields, variants and aliases as (line, text)."""
    spans = []
    for function in functions(code):
        opening = parameters(function.signature)
        if opening is not None:
            spans.append((function.start + opening + 1, function.signature[opening + 1 :]))
    for match in re.finditer(r"\b(?:struct|enum)\s+\w+", code):
        stop = re.compile(r"[{;(]").search(code, match.end())
        if stop and stop.group() != ";":
            end = closing(code, stop.start())
            group = code[stop.start() + 1 : end]
            if stop.group() == "(" and fields(group) >= 2:
                yield code.count("\n", 0, match.start()) + 1, code[match.start() : end + 1]
            spans.append((stop.start() + 1, group))
            if match.group().startswith("enum"):
                yield from variants(code, stop.start() + 1, group)
    for match in re.finditer(r"\btype\s+\w+[^=;{]*=", code):
        spans.append((match.end(), code[match.end() : statement_end(code, match.end())]))
    for start, text in spans:
        for offset, found in tuples_in(text):
            yield code.count("\n", 0, start + offset) + 1, found


def variants(code, start, group):
    """Yields the variants of an enum that have two or more unnamed fields as (line, text)."""
    depth = 0
    for match in re.finditer(r"[\[\](){}]|\b[A-Z]\w*(?=\()", group):
        char = match.group()
        if char in OPENING:
            depth += 1
        elif char in CLOSING:
            depth -= 1
        elif not depth:
            end = closing(group, match.end())
            if fields(group[match.end() + 1 : end]) >= 2:
                yield code.count("\n", 0, start + match.start()) + 1, group[match.start() : end + 1]


@dataclass(frozen=True)
class Type:
    """A struct, an enum or a trait: its name, its line, and whether every crate can see it."""

    name: str
    line: int
    is_public: bool


def types(code):
    """Yields the structs, enums and traits of a file."""
    for match in re.finditer(r"\b(pub(?:\([^)]*\))?\s+)?(?:unsafe\s+)?(?:struct|enum|trait)\s+([A-Z]\w*)", code):
        line = code.count("\n", 0, match.start()) + 1
        yield Type(match.group(2), line, (match.group(1) or "").strip() == "pub")


def parameters(signature):
    """The index of the bracket that opens the parameters of a signature."""
    angle = 0
    for index, char in enumerate(signature):
        if char == "<":
            angle += 1
        elif char == ">" and signature[index - 1] not in "-=":
            angle -= 1
        elif char == "(" and not angle:
            return index
    return None


@dataclass
class Module:
    """A module in a file of its own: its path in the crate, the names that it brings in, and the paths that it uses."""

    file: str
    path: tuple
    names: dict = field(default_factory=dict)
    uses: list = field(default_factory=list)


def module_path(relative):
    """The path of the module of a file, given relative to the crate's `src`; `None` for another program of the crate."""
    parts = list(PurePosixPath(relative).with_suffix("").parts)
    if parts[-1] in ("lib", "mod"):
        parts.pop()
    if parts == ["main"]:
        return ()
    return None if parts[:1] == ["bin"] else tuple(parts)


def expand(tree):
    """The paths of a `use` tree, each as (parts, name): `a::{b, c as d}` is `a::b` as `b` and `a::c` as `d`."""
    tree = tree.strip()
    opening = tree.find("{")
    if opening >= 0:
        prefix = [part for part in tree[:opening].split("::") if part.strip()]
        inner = tree[opening + 1 : closing(tree, opening)]
        for piece in split(inner):
            for parts, name in expand(piece):
                yield [part.strip() for part in prefix] + parts, name
        return
    path, _, alias = tree.partition(" as ")
    parts = [part.strip() for part in path.split("::") if part.strip()]
    if parts:
        if parts[-1] == "self":
            parts.pop()
        yield parts, alias.strip() or (parts[-1] if parts else "")


def split(text):
    """Splits at the commas of the text's own level."""
    depth, piece = 0, ""
    for char in text:
        depth += (char in OPENING) - (char in CLOSING)
        if char == "," and not depth:
            yield piece
            piece = ""
        else:
            piece += char
    if piece.strip():
        yield piece


def read_modules(files):
    """Reads the modules of a crate, from the code of each as {(file, path of the module): code}."""
    known = {path for _, path in files}
    return [read_module(file, path, code, known) for (file, path), code in files.items()]


def read_module(file, path, code, known):
    """Reads what a module brings in and uses, as paths from the root of its crate, whose modules are `known`."""
    module = Module(file, path)
    for match in re.finditer(r"\buse\s+((?:[^;{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*);", code):
        for parts, name in expand(match.group(1)):
            absolute = from_root(parts, path)
            if absolute is None and path + tuple(parts[:1]) in known:
                absolute = path + tuple(parts)
            if absolute is not None:
                module.uses.append(absolute)
                module.names[name] = absolute
    for match in re.finditer(r"\b(?:crate|super)(?:::\w+)+", code):
        absolute = from_root(match.group().split("::"), path)
        if absolute is not None:
            module.uses.append(absolute)
    return module


def from_root(parts, path):
    """A path that begins with `crate`, `self` or `super`, from the root of the crate; `None` for another one."""
    if parts[:1] == ["crate"]:
        return tuple(parts[1:])
    if parts[:1] == ["self"]:
        return path + tuple(parts[1:])
    if parts[:1] != ["super"]:
        return None
    count = 0
    while parts[count : count + 1] == ["super"]:
        count += 1
    return path[: max(0, len(path) - count)] + tuple(parts[count:])


def arrows(modules):
    """The arrows between the modules of a crate, without those between a module and one that contains it."""
    by_path = {module.path: module for module in modules}
    found = set()
    for module in modules:
        for use in module.uses:
            target = resolve(use, by_path)
            if target is None or target == module.path:
                continue
            inner, outer = sorted((target, module.path), key=len, reverse=True)
            if inner[: len(outer)] != outer:
                found.add((module.path, target))
    return found


def resolve(use, by_path, steps=8):
    """The module that a path leads to, past what modules hand on from others."""
    at = max((path for path in by_path if use[: len(path)] == path), key=len, default=None)
    if at is None or not steps or len(use) == len(at):
        return at
    handed_on = by_path[at].names.get(use[len(at)])
    if handed_on is None:
        # In a module without a name of that kind, the item is its own.
        return at
    return resolve(handed_on + use[len(at) + 1 :], by_path, steps - 1)


def circles(found):
    """The groups of nodes that reach each other, each sorted, the largest first."""
    nodes = sorted({node for arrow in found for node in arrow})
    after = {node: [end for begin, end in found if begin == node] for node in nodes}
    reach = {}
    for node in nodes:
        seen, waiting = set(), list(after[node])
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += after[at]
        reach[node] = seen
    groups = {tuple(sorted(other for other in reach[node] if node in reach[other])) for node in nodes if node in reach[node]}
    return sorted(groups, key=lambda group: (-len(group), group))
