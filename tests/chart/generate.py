"""What of the chart is made: values.schema.json, from values.base.json and `daymark schema`; and the table of the README,
from the comments of values.yaml that begin with `# --`."""

import json
import os
import re

import yaml

from stage import CHART, HERE, read, test, write

BEGIN, END = "<!-- made from values.yaml -->\n", "<!-- end -->\n"


def schema(stage):
    base = json.loads(read(os.path.join(HERE, "values.base.json")))
    config = json.loads(stage.run(stage.binary, "schema").stdout)
    definitions = config.pop("$defs")
    del config["$schema"]
    # The chart fills these in.
    del definitions["Peers"]["required"]
    base["$defs"] |= {"Config": config, **definitions}
    return json.dumps(base, indent=1) + "\n"


def documented(text):
    """Path, comment and indentation of each key of values.yaml in order."""
    path, comment = [], None
    for line in text.splitlines():
        if found := re.match(r" *# -- (.*)", line):
            comment = found[1]
        elif comment is not None and (found := re.match(r" *# (.*)", line)):
            comment += " " + found[1]
        elif found := re.match(r"( *)([A-Za-z]\w*):", line):
            path = [*path[: len(found[1]) // 2], found[2]]
            yield tuple(path), comment
            comment = None
        else:
            comment = None


def table(text):
    values = yaml.safe_load(text)
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for path, comment in documented(text):
        if comment is None:
            continue
        value = values
        for key in path:
            value = value[key]
        cell = comment.replace("|", "\\|")
        rows.append(f"| `{'.'.join(path)}` | `{json.dumps(value)}` | {cell} |")
    return "\n".join(rows) + "\n"


def readme(text, values):
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n" + table(values) + "\n" + END + rest.split(END)[1]


def same_or_blessed(stage, name, made):
    path = os.path.join(CHART, name)
    if stage.is_blessing:
        write(path, made)
    stage.check(read(path) == made, f"{name} is not what is made today; `tests/chart/run --bless` makes it anew")


@test
def the_schema_of_the_values_has_the_schema_of_the_binary_in_it(stage):
    same_or_blessed(stage, "values.schema.json", schema(stage))


@test
def the_readme_has_every_value(stage):
    values = read(os.path.join(CHART, "values.yaml"))
    same_or_blessed(stage, "README.md", readme(read(os.path.join(CHART, "README.md")), values))
    told = {path for path, comment in documented(values) if comment}

    def go(value, path):
        if path in told:
            return
        stage.check(isinstance(value, dict) and value, f"{'.'.join(path)} has no comment in values.yaml")
        for key, inner in value.items():
            go(inner, (*path, key))

    go(yaml.safe_load(values), ())


@test
def the_schema_and_the_values_have_the_same_keys(stage):
    schema = json.loads(read(os.path.join(CHART, "values.schema.json")))
    told = {path for path, comment in documented(read(os.path.join(CHART, "values.yaml"))) if comment}

    def leaves(part, path):
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
        if path in told or "properties" not in part:
            return {path}
        return set().union(*(leaves(inner, (*path, key)) for key, inner in part["properties"].items()))

    found = leaves(schema, ()) - {("global",)}  # That of helm, which a chart above this one may set.
    stage.check(found == told, f"in one of the two alone: {sorted(found ^ told)}")
