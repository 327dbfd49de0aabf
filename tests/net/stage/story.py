"""The language of the stories, as `stories/README.md` has it: from text to steps. How they are played
is not its business.
"""

import dataclasses
import itertools
import re

from . import network

WHO = r"(?P<who>all|h\d(?: h\d)*)"
NODES = r"(?P<nodes>nothing|(?:all but )?n\d(?: n\d)*)"
HOST, NODE, MACHINE = r"(?P<host>h\d)", r"(?P<node>n\d)", r"(?P<machine>[hn]\d)"
ONE, OTHER = r"(?P<one>h\d)", r"(?P<other>[hn]\d|peers|nodes)"
PATH = r"(?: (?P<one>h\d) (?P<way>-> )?(?P<other>h\d|peers))?"
ACTIONS = {
    "end": rf"(?P<how>kill|stop|terminate) {MACHINE}",
    "start": rf"start {MACHINE}",
    "restart": rf"restart {WHO}",
    "forget": rf"{HOST} loses its state",
    "say": rf"{NODE} says (?P<what>ok|shutdown|no-etcd)",
    "silence": rf"(?P<how>silence|reject) {NODE}",
    "cut": rf"cut {ONE} (?P<way>-> )?{OTHER}",
    "split": r"split (?P<parts>h\d[h\d |]*)",
    "lose": rf"gossip loss (?P<percent>\d+)%{PATH}",
    "delay": rf"gossip delay (?P<time>\d\S*){PATH}",
    "disturb": rf"gossip (?P<kind>reorder|duplicate){PATH}",
    "heal": rf"heal(?: {ONE} {OTHER})?",
    "move": rf"{HOST} moves",
    "follow": rf"the names? of {WHO} follows?",
    "hold": r"Cloudflare holds the (?P<which>next|second) (?P<method>[A-Z]+)(?P<after> after doing it)?",
    "release": r"Cloudflare goes on",
    "set_clock": rf"clock {HOST} (?P<sign>[+-])(?P<time>\d\S*)",
    "word": rf"(?P<word>drain|undrain|force) {NODE}(?: for (?P<time>\d\S*))? on {HOST}(?P<refused> is refused)?",
    "rotate": rf"rotate key (?P<step>[0123]) on {WHO}",
    "forge": rf"(?P<how>forge|replay) (?P<count>\d+) datagrams to {HOST}(?P<elsewhere> from elsewhere)?",
}
EXPECTATIONS = {
    "answer": rf"{WHO} answers? {NODES}",
    "keep": rf"{WHO} keeps? {NODES}",
    "seen": rf"{WHO} sees? {NODES}",
    "silent": rf"{WHO} (?:is|are) silent",
    "standing": rf"{WHO} stands? (?P<standing>quorum|alone)",
    "ready": rf"{WHO} (?:is|are) (?P<ready>ready|unready)",
    "writer": rf"the writer of {WHO} is (?P<writer>h\d|nobody)",
    "heard": rf"{WHO} hears? (?P<others>h\d(?: h\d)*) directly",
    "clock": rf"{WHO} (?:is|are) at (?P<sign>[+-])(?P<time>\d\S*)",
    "undone": rf"{WHO} says? that the drain of {NODE} is undone for (?P<other>n\d)",
    "shown": rf"Cloudflare shows {NODES}",
    "hanging": r"a call to Cloudflare hangs",
    "written": r"Cloudflare is written (?P<count>\d+) times?",
    "astray": r"no gossip goes elsewhere",
}
WHEN = re.compile(r"(?:(?P<how>within|for) (?P<time>\d\S*)|throughout): (?P<what>.+)")
EACH = re.compile(r"each (?P<variable>[A-Z]+) of (?P<values>.+)")


class Wrong(Exception):
    """A line that makes no sense."""


@dataclasses.dataclass
class Line:
    """An action or an expectation: the name of its kind, and what its line says of it."""

    number: int
    text: str
    template: str
    kind: str
    of: dict
    when: str = ""  # within, for or throughout
    seconds: float = 0.0

    def hosts(self):
        who = self.of["who"]
        return list(network.HOSTS) if who == "all" else who.split()

    def nodes(self):
        named = frozenset(self.of["nodes"].split()) & frozenset(network.NODES)
        return frozenset(network.NODES) - named if self.of["nodes"].startswith("all but") else named


@dataclasses.dataclass
class Step:
    actions: list
    expectations: list


@dataclasses.dataclass
class Story:
    """A story with one value for each of its variables."""

    name: str
    about: str
    chosen: dict
    steps: list

    def title(self):
        return self.name + "".join(f" {name}={value}" for name, value in self.chosen.items())

    def has(self, kind):
        return any(line.kind == kind for step in self.steps for line in step.actions + step.expectations)


def read(path, name):
    """All stories of a file: one, or one for each combination of its variables."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    about = " ".join(line[1:].strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines))
    variables = {}
    numbered = []
    for number, line in enumerate(lines, 1):
        if each := EACH.fullmatch(line):
            variables[each["variable"]] = [value.strip() for value in each["values"].split(",")]
        elif line.strip() and not line.startswith("#"):
            numbered.append((number, line))
    stories = []
    for values in itertools.product(*variables.values()):
        chosen = dict(zip(variables, values))
        try:
            stories.append(Story(name, about, chosen, _steps(numbered, chosen)))
        except Wrong as error:
            raise Wrong(f"{path}:{error}") from None
    return stories


def seconds(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
    if not found:
        raise Wrong(f"{text} is no time")
    return float(found[1]) * {"ms": 0.001, "s": 1, "m": 60}[found[2]]


def _steps(numbered, chosen):
    steps = []
    for number, template in numbered:
        text = re.sub(r"\b[A-Z]+\b", lambda it: chosen.get(it[0], it[0]), template)
        try:
            if text.startswith(" "):
                if not steps:
                    raise Wrong("an expectation without an action before it")
                steps[-1].expectations.append(_expectation(number, text.strip(), template.strip()))
            elif not steps or steps[-1].expectations:
                steps.append(Step([_line(ACTIONS, number, text, template)], []))
            else:
                steps[-1].actions.append(_line(ACTIONS, number, text, template))
        except Wrong as error:
            raise Wrong(f"{number}: {error}") from None
    for step in steps:
        _check(step)
    return steps


def _expectation(number, text, template):
    when = WHEN.fullmatch(text)
    if not when:
        raise Wrong(f"{text} begins with no `within T:`, `for T:` or `throughout:`")
    line = _line(EXPECTATIONS, number, when["what"], template)
    line.text, line.when = text, when["how"] or "throughout"
    line.seconds = seconds(when["time"]) if when["time"] else 0.0
    fits = {"answer": ("within", "for", "throughout"), "silent": ("within", "for", "throughout"),
            "shown": ("within", "for"), "keep": ("throughout",), "written": ("throughout",), "astray": ("throughout",)}
    if line.when not in fits.get(line.kind, ("within",)):
        raise Wrong(f"{text}: this is not looked at {line.when}")
    return line


def _line(kinds, number, text, template):
    for kind, pattern in kinds.items():
        if found := re.fullmatch(pattern, text):
            return Line(number, text, template, kind, found.groupdict())
    raise Wrong(f"{text} makes no sense")


def _check(step):
    """Every step says what each host answers in the end."""
    said = {host for line in step.expectations if line.kind in ("answer", "silent") for host in line.hosts()}
    if missing := set(network.HOSTS) - said:
        raise Wrong(f"{step.actions[0].number}: the step does not say what {' '.join(sorted(missing))} answers")
