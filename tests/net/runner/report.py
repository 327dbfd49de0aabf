"""Writes the table of faults: what happened, what every host answered, and how long an answer was wrong or missing."""

import itertools
import re
import textwrap

HEAD = """\
| what happens | what the hosts answer | wrong for at most | no answer for at most |
| --- | --- | --- | --- |
"""


def markdown(outcomes):
    """Returns one table for each story that passed. Rows that differ only in the machines they name become one row."""
    parts = []
    passed = [outcome for outcome in outcomes if not outcome["failure"]]
    for (name, about), group in itertools.groupby(passed, lambda outcome: (outcome["story"], outcome["about"])):
        rows = {}
        for outcome in group:
            # Values that only name another machine make no other case.
            case = tuple(value for value in outcome["values"].values() if not re.fullmatch(r"[hn]\d", value))
            for number, row in enumerate(outcome["rows"]):
                rows.setdefault((case, number, row["template"], answers(row["answers"])), []).append(row)
        lines = [line(template, answered, cases) for (*_, template, answered), cases in rows.items()]
        parts.append(f"## Story {name.replace('-', ' ')}\n\n{wrapped(about)}\n\n{HEAD}{''.join(lines)}")
    return "\n".join(parts)


def wrapped(text):
    """Returns a paragraph in lines of the width of the documents."""
    return "\n".join(textwrap.wrap(text, 132, break_long_words=False, break_on_hyphens=False))


def answers(by_host):
    """Returns the answers of each host, or of all at once if they are the same."""
    sequences = {host: " → ".join(answered) for host, answered in by_host.items()}
    if len(set(sequences.values())) == 1:
        return "all: " + next(iter(sequences.values()))
    return "<br>".join(f"{host}: {sequence}" for host, sequence in sequences.items())


def line(template, answered, cases):
    happened = sorted({row["happens"] for row in cases})
    what = happened[0] if len(happened) == 1 else f"{template} ({len(cases)} cases)"
    return f"| {what} | {answered} | {longest(cases, 'wrong')} | {longest(cases, 'no_answer')} |\n"


def cell(actions):
    """Returns the actions of a step as one table cell."""
    return ", ".join(actions).replace("|", "\\|")


def longest(cases, kind):
    maximum = max(duration for row in cases for duration in row[kind].values())
    return f"{maximum:.2f} s" if maximum >= 0.005 else "–"
