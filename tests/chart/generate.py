"""The generated files of the chart: values.schema.json, from values.base.json and `daymark schema`; and the table of the
README, from the comments of values.yaml that begin with `# --`."""

import json
import os
import re

import yaml

from fixture import CHART, HERE, read, test, write

BEGIN = "<!-- generated from values.yaml -->\n"
END = "<!-- end -->\n"


def schema(fixture):
    base = json.loads(read(os.path.join(HERE, "values.base.json")))
    config = json.loads(fixture.run(fixture.binary, "schema").stdout)
    definitions = config.pop("$defs")
    del config["$schema"]
    # The chart adds these.
    del definitions["Peers"]["required"]
    base["$defs"] |= {"Config": config, **definitions}
    return json.dumps(base, indent=1) + "\n"


def documented(text):
    """Yields path and comment of each key of values.yaml, in order."""
    path = []
    comment = None
    for line in text.splitlines():
        if matched := re.match(r" *# -- (.*)", line):
            comment = matched[1]
        elif comment is not None and (matched := re.match(r" *# (.*)", line)):
            comment += " " + matched[1]
        elif matched := re.match(r"( *)([A-Za-z]\w*):", line):
            path = [*path[: len(matched[1]) // 2], matched[2]]
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


def check_generated(fixture, name, generated):
    """Checks that a file of the chart is up to date; with `--bless` it is updated first."""
    path = os.path.join(CHART, name)
    if fixture.updates_golden:
        write(path, generated)
    fixture.check(read(path) == generated, f"{name} is outdated; `tests/chart/run --bless` updates it")


@test
def the_schema_of_the_values_contains_the_schema_of_the_binary(fixture):
    check_generated(fixture, "values.schema.json", schema(fixture))


@test
def the_readme_has_every_value(fixture):
    values = read(os.path.join(CHART, "values.yaml"))
    check_generated(fixture, "README.md", readme(read(os.path.join(CHART, "README.md")), values))
    documented_paths = {path for path, comment in documented(values) if comment}

    def visit(value, path):
        if path in documented_paths:
            return
        fixture.check(isinstance(value, dict) and value, f"{'.'.join(path)} has no comment in values.yaml")
        for key, inner in value.items():
            visit(inner, (*path, key))

    visit(yaml.safe_load(values), ())


@test
def the_schema_and_the_values_have_the_same_keys(fixture):
    schema = json.loads(read(os.path.join(CHART, "values.schema.json")))
    documented_paths = {path for path, comment in documented(read(os.path.join(CHART, "values.yaml"))) if comment}

    def leaves(part, path):
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
        if path in documented_paths or "properties" not in part:
            return {path}
        return set().union(*(leaves(inner, (*path, key)) for key, inner in part["properties"].items()))

    paths = leaves(schema, ()) - {("global",)}  # Helm's own, which a parent chart may set.
    fixture.check(paths == documented_paths, f"only in one of the two: {sorted(paths ^ documented_paths)}")
