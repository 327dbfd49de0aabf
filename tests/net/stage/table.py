"""The table of faults: what happened, what every host answered, and for how long any of it was wrong."""

import itertools
import re

HEAD = """\
| what happens | what the hosts answer | wrong for, at the most | silent for, at the most |
| --- | --- | --- | --- |
"""


def of(outcomes):
    """Markdown, of the stories that went well: a table each. Rows that tell the same of other machines are one."""
    parts = []
    well = [outcome for outcome in outcomes if not outcome["failure"]]
    for (name, about), group in itertools.groupby(well, lambda outcome: (outcome["story"], outcome["about"])):
        rows = {}
        for outcome in group:
            # Which machines it is makes no other case.
            case = tuple(value for value in outcome["chosen"].values() if not re.fullmatch(r"[hn]\d", value))
            for number, row in enumerate(outcome["rows"]):
                rows.setdefault((case, number, row["template"], answers(row["answers"])), []).append(row)
        lines = [line(template, said, cases) for (*_, template, said), cases in rows.items()]
        parts.append(f"## Story {name.replace('-', ' ')}\n\n{about}\n\n{HEAD}{''.join(lines)}")
    return "\n".join(parts)


def answers(by_host):
    """All hosts in one where they say the same."""
    ways = {host: " → ".join(said) for host, said in by_host.items()}
    if len(set(ways.values())) == 1:
        return "all: " + next(iter(ways.values()))
    return "<br>".join(f"{host}: {way}" for host, way in ways.items())


def line(template, said, cases):
    happens = sorted({row["happens"] for row in cases})
    what = happens[0] if len(happens) == 1 else f"{template} ({len(cases)} cases)"
    return f"| {what} | {said} | {longest(cases, 'wrong')} | {longest(cases, 'silent')} |\n"


def cell(actions):
    """What happens in a step, as a cell."""
    return ", ".join(actions).replace("|", "\\|")


def longest(cases, kind):
    most = max(time for row in cases for time in row[kind].values())
    return f"{most:.2f} s" if most >= 0.005 else "–"
