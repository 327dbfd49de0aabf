"""Parses stories, in the language that `stories/README.md` describes. Running them is the business of `execution.py`."""

import dataclasses
import itertools
import re

from . import network

HOSTS = r"(?P<hosts>all|h\d(?: h\d)*)"
NODES = r"(?P<nodes>nothing|(?:all but )?n\d(?: n\d)*)"
HOST = r"(?P<host>h\d)"
NODE = r"(?P<node>n\d)"
MACHINE = r"(?P<machine>[hn]\d)"
ONE = r"(?P<one>h\d)"
OTHER = r"(?P<other>[hn]\d|peers|nodes)"
PATH = r"(?: (?P<one>h\d) (?P<way>-> )?(?P<other>h\d|peers))?"
ACTIONS = {
    "end": rf"(?P<how>kill|pause|terminate) {MACHINE}",
    "start": rf"start {MACHINE}",
    "restart": rf"restart {HOSTS}",
    "lose_state": rf"{HOST} loses its state",
    "report": rf"{NODE} reports (?P<what>ok|shutdown|no-etcd)",
    "isolate_node": rf"(?P<how>blackhole|reject) {NODE}",
    "cut": rf"cut {ONE} (?P<way>-> )?{OTHER}",
    "partition": r"partition (?P<groups>h\d[h\d |]*)",
    "loss": rf"gossip loss (?P<percent>\d+)%{PATH}",
    "delay": rf"gossip delay (?P<time>\d\S*){PATH}",
    "disturb": rf"gossip (?P<kind>reorder|duplicate){PATH}",
    "heal": rf"heal(?: {ONE} {OTHER})?",
    "move": rf"{HOST} gets a new address",
    "update_addresses": rf"update the address of {HOSTS}",
    "stall": r"Cloudflare stalls the (?P<which>next|second) (?P<method>[A-Z]+)(?P<after> after applying it)?",
    "resume": r"Cloudflare resumes",
    "set_clock": rf"clock {HOST} (?P<sign>[+-])(?P<time>\d\S*)",
    "override": rf"(?P<command>drain|undrain|force) {NODE}(?: for (?P<time>\d\S*))? on {HOST}(?P<refused> is refused)?",
    "set_keys": rf"set keys (?P<keys>(?:old|new)(?: (?:old|new))?) on {HOSTS}",
    "inject": rf"(?P<how>forge|replay) (?P<count>\d+) datagrams to {HOST}(?P<unknown> from an unknown address)?",
}
EXPECTATIONS = {
    "answer": rf"{HOSTS} answers? {NODES}",
    "include": rf"{HOSTS} includes? {NODES}",
    "no_answer": rf"{HOSTS} (?:does|do) not answer",
    "finds_ready": rf"{HOSTS} finds? {NODES} ready",
    "quorum": rf"{HOSTS} (?:has|have) (?P<quorum>quorum|no quorum)",
    "ready": rf"{HOSTS} (?:is|are) (?P<ready>ready|not ready)",
    "writer": rf"{HOSTS} names? (?:(?P<writer>h\d) as|no) writer",
    "reaches": rf"{HOSTS} reach(?:es)? (?P<others>h\d(?: h\d)*) directly",
    "clock": rf"the clock of {HOSTS} is at (?P<sign>[+-])(?P<time>\d\S*)",
    "reverted": rf"{HOSTS} reports? that the drain of {NODE} was reverted because of (?P<other>n\d)",
    "serves": rf"Cloudflare serves {NODES}",
    "pending": r"a call to Cloudflare is pending",
    "writes": r"Cloudflare receives (?P<count>\d+) writes?",
    "no_stray": r"no gossip goes to an unknown address",
}
# The ways in which an expectation can be checked in time; all others only by `within`.
WHENS = {
    "answer": ("within", "for", "throughout"),
    "no_answer": ("within", "for", "throughout"),
    "serves": ("within", "for"),
    "include": ("throughout",),
    "writes": ("throughout",),
    "no_stray": ("throughout",),
}
WHEN = re.compile(r"(?:(?P<how>within|for) (?P<time>\d\S*)|throughout): (?P<what>.+)")
EACH = re.compile(r"each (?P<variable>[A-Z]+) of (?P<values>.+)")


class StoryError(Exception):
    """A line that cannot be parsed."""


@dataclasses.dataclass
class Line:
    """An action or an expectation: its kind, and the words of its pattern in `args`."""

    number: int
    text: str
    template: str
    kind: str
    args: dict
    when: str = ""  # within, for or throughout
    seconds: float = 0.0

    def hosts(self):
        named = self.args["hosts"]
        return list(network.HOSTS) if named == "all" else named.split()

    def nodes(self):
        named = frozenset(self.args["nodes"].split()) & frozenset(network.NODES)
        return frozenset(network.NODES) - named if self.args["nodes"].startswith("all but") else named


@dataclasses.dataclass
class Step:
    """One action or several, and what is expected of them."""

    actions: list
    expectations: list


@dataclasses.dataclass
class Story:
    """A story with one value for each of its variables."""

    name: str
    about: str
    values: dict
    steps: list

    def title(self):
        return self.name + "".join(f" {name}={value}" for name, value in self.values.items())

    def has(self, kind):
        return any(line.kind == kind for step in self.steps for line in step.actions + step.expectations)


def read(path, name):
    """Returns all stories of a file: one, or one for each combination of its variables."""
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
    for combination in itertools.product(*variables.values()):
        values = dict(zip(variables, combination))
        try:
            stories.append(Story(name, about, values, _steps(numbered, values)))
        except StoryError as error:
            raise StoryError(f"{path}:{error}") from None
    return stories


def seconds(text):
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
    if not matched:
        raise StoryError(f"{text} is not a duration, such as 200ms, 5s or 10m")
    return float(matched[1]) * {"ms": 0.001, "s": 1, "m": 60}[matched[2]]


def _steps(numbered, values):
    steps = []
    for number, template in numbered:
        text = re.sub(r"\b[A-Z]+\b", lambda word: values.get(word[0], word[0]), template)
        try:
            if text.startswith(" "):
                if not steps:
                    raise StoryError("an expectation without an action before it")
                steps[-1].expectations.append(_expectation(number, text.strip(), template.strip()))
            elif not steps or steps[-1].expectations:
                steps.append(Step([_line(ACTIONS, number, text, template)], []))
            else:
                steps[-1].actions.append(_line(ACTIONS, number, text, template))
        except StoryError as error:
            raise StoryError(f"{number}: {error}") from None
    for step in steps:
        _check(step)
    return steps


def _expectation(number, text, template):
    when = WHEN.fullmatch(text)
    if not when:
        raise StoryError(f"{text} begins with none of `within T:`, `for T:` and `throughout:`")
    line = _line(EXPECTATIONS, number, when["what"], template)
    line.text = text
    line.when = when["how"] or "throughout"
    line.seconds = seconds(when["time"]) if when["time"] else 0.0
    allowed = WHENS.get(line.kind, ("within",))
    if line.when not in allowed:
        raise StoryError(f"{text}: this is checked by {' or '.join(allowed)}, not by {line.when}")
    return line


def _line(kinds, number, text, template):
    for kind, pattern in kinds.items():
        if matched := re.fullmatch(pattern, text):
            return Line(number, text, template, kind, matched.groupdict())
    raise StoryError(f"{text} matches no line that stories/README.md describes")


def _check(step):
    """Checks that a step says for each host what it answers in the end."""
    mentioned = {host for line in step.expectations if line.kind in ("answer", "no_answer") for host in line.hosts()}
    if missing := set(network.HOSTS) - mentioned:
        raise StoryError(f"{step.actions[0].number}: the step does not say what {' '.join(sorted(missing))} answers")
