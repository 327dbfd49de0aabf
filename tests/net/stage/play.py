"""Plays one story on its network, and tells what every host answered, and for how long that was wrong."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import time

from . import machines, network, table
from .stage import ASK, LOOK, Failed, Stage
from .story import seconds

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "terminate": signal.SIGTERM}


class Play:
    def __init__(self, story, stage):
        self.story, self.stage, self.rows = story, stage, []
        self.expected = dict.fromkeys(network.HOSTS, frozenset(network.NODES))

    def run(self):
        self.stage.begin()
        for step in self.story.steps:
            self._play(step)

    def _play(self, step):
        self.restarted, self.astray, began = set(), self.stage.gossip.astray, time.monotonic()
        self.written = self.stage.cloudflare.writes() if self.stage.cloudflare else 0
        for line in step.actions:
            self._do(line, lambda line: getattr(self, f"_{line.kind}")(line))
        acted = time.monotonic()
        for line in step.expectations:
            if line.kind == "answer":
                self.expected |= dict.fromkeys(line.hosts(), line.nodes())
            elif line.kind == "silent":
                self.expected |= dict.fromkeys(line.hosts())
        for line in step.expectations:
            if line.when != "throughout":
                self._do(line, lambda line: self._expect(line, acted))
        ended = time.monotonic()
        try:
            for line in step.expectations:
                if line.when == "throughout":
                    self._do(line, lambda line: self._never_otherwise(line, began, ended))
            for host, nodes in self.expected.items():
                if nodes is not None:
                    self._dig(step, host, nodes)
        finally:
            self.rows.append(self._row(step, began, ended))

    def _do(self, line, what):
        try:
            what(line)
        except Failed as error:
            raise Failed(f"line {line.number}: {line.text}: {error}") from None

    # What is expected.

    def _expect(self, line, acted):
        if line.when == "for":
            began = time.monotonic()
            end = began + line.seconds
            while time.monotonic() < end:
                time.sleep(ASK)
                self._never_otherwise(line, began, time.monotonic())
        elif line.kind in ("answer", "silent"):
            nodes = None if line.kind == "silent" else line.nodes()
            self._until(line, LOOK, lambda host: self.stage.answers(host, nodes, acted))
        elif line.kind == "shown":
            self.stage.until(line.seconds, lambda: self.stage.cloudflare.nodes() == line.nodes(), ASK)
        elif line.kind == "hanging":
            self.stage.until(line.seconds, self.stage.cloudflare.hangs, ASK)
        else:
            self._until(line, ASK, lambda host: getattr(self, f"_is_{line.kind}")(self.stage.hosts[host], line))

    def _until(self, line, pause, condition):
        self.stage.until(line.seconds, lambda: all(condition(host) for host in line.hosts()), pause)

    def _never_otherwise(self, line, began, ended):
        if line.kind == "astray":
            if astray := self.stage.gossip.astray - self.astray:
                raise Failed(f"{astray} datagrams did")
            return
        if line.kind == "written":
            if (count := self.stage.cloudflare.writes() - self.written) != int(line.of["count"]):
                raise Failed(f"it was {count} times")
            return
        if line.kind == "shown":
            if (nodes := self.stage.cloudflare.nodes()) != line.nodes():
                raise Failed(f"it shows {' '.join(sorted(nodes))} {ended - began:+.2f} s after")
            return
        for host in line.hosts():
            for run, _ in self.stage.watch.between(host, began, ended):
                if line.kind == "silent":
                    is_well = run.answer is None
                elif run.answer is None:
                    is_well = host in self.restarted
                else:
                    is_well = run.answer >= line.nodes() if line.kind == "keep" else run.answer == line.nodes()
                if not is_well:
                    raise Failed(f"{host} answered {run} {run.first - began:+.2f} s after")

    def _is_standing(self, host, line):
        return self.stage.standing(host.status()) == line.of["standing"]

    def _is_seen(self, host, line):
        status = host.status()
        return bool(status) and self.stage.sees(status, host.name) == line.nodes()

    def _is_ready(self, host, line):
        got = host.get("/readyz")
        return got is not None and (got[0] == 200) == (line.of["ready"] == "ready")

    def _is_writer(self, host, line):
        writer = host.status().get("hosts", {}).get("writer")
        return (writer or "nobody") == line.of["writer"]

    def _is_heard(self, host, line):
        peers = host.status().get("hosts", {}).get("peers", [])
        directly = {peer["host"] for peer in peers if peer["directAge"] is not None and peer["directAge"] < 2}
        return directly >= set(line.of["others"].split())

    def _is_clock(self, host, line):
        return abs(host.clock() - time.time() - apart(line)) < 10

    def _is_undone(self, host, line):
        [pool] = host.status().get("pools") or [{"targets": []}]
        reasons = [target.get("undone") or "" for target in pool["targets"] if target["node"] == line.of["node"]]
        return any(f"undone: {line.of['other']} was drained on" in reason for reason in reasons)

    def _dig(self, step, host, nodes):
        command = ["dig", f"@{network.HOSTS[host]}", machines.NAME, "A", "+short", "+tries=5"]
        environment = os.environ | {"HOME": "/nonexistent"}  # No file of the user may add options.
        lines = subprocess.run(command, text=True, stdout=subprocess.PIPE, env=environment).stdout.split()
        if set(lines) != {network.NODES[node] for node in nodes}:
            raise Failed(f"line {step.actions[0].number}: at the end of the step dig gets {lines} from {host}")

    # What happens.

    def _end(self, line):
        machine, number = self.stage.machines[line.of["machine"]], SIGNALS[line.of["how"]]
        self.restarted.add(machine.name)
        machine.signal(number) if number == signal.SIGSTOP else machine.end(number)

    def _start(self, line):
        self.restarted.add(line.of["machine"])
        self.stage.machines[line.of["machine"]].start()

    def _restart(self, line):
        hosts = [self.stage.hosts[host] for host in line.hosts()]
        self.restarted.update(line.hosts())
        for host in hosts:
            host.signal(signal.SIGTERM)
        for host in hosts:
            host.process.wait(30)
            host.start()

    def _forget(self, line):
        host = self.stage.hosts[line.of["host"]]
        self.restarted.add(host.name)
        host.end(signal.SIGKILL)
        shutil.rmtree(host.path("state"))
        host.start()

    def _say(self, line):
        self.stage.nodes[line.of["node"]].say(line.of["what"])

    def _silence(self, line):
        pairs = [(host, line.of["node"]) for host in network.HOSTS]
        if line.of["how"] == "reject":
            network.reject(pairs)
        else:
            network.cut(both_ways(pairs))

    def _cut(self, line):
        network.cut(pairs_of(line))

    def _split(self, line):
        parts = [part.split() for part in line.of["parts"].split("|")]
        apart = itertools.combinations(parts, 2)
        network.cut(both_ways(pair for one, other in apart for pair in itertools.product(one, other)))

    def _lose(self, line):
        self.stage.gossip.fault(pairs_of(line), "loss", int(line.of["percent"]) / 100)

    def _delay(self, line):
        self.stage.gossip.fault(pairs_of(line), "delay", seconds(line.of["time"]))

    def _disturb(self, line):
        self.stage.gossip.fault(pairs_of(line), line.of["kind"], True)

    def _heal(self, line):
        if line.of["one"]:
            network.mend(pairs_of(line))
            return
        network.heal()
        self.stage.gossip.heal()

    def _set_clock(self, line):
        self.stage.hosts[line.of["host"]].set_clock(apart(line))

    def _move(self, line):
        host = line.of["host"]
        self.restarted.add(host)
        network.move(host)
        self.stage.gossip.follow(host)
        self.stage.watch.follow(host)

    def _follow(self, line):
        self.stage.names.follow(line.hosts())

    def _hold(self, line):
        nth, after = 1 if line.of["which"] == "next" else 2, "after" if line.of["after"] else ""
        self.stage.cloudflare.ask(f"hold {line.of['method']} {nth} {after}")

    def _release(self, _):
        self.stage.cloudflare.ask("release")

    def _word(self, line):
        arguments = [line.of["word"], line.of["node"]]
        if line.of["time"]:
            arguments += ["--for", line.of["time"]]
        code, said = self.stage.hosts[line.of["host"]].command_line(*arguments)
        if (code != 0) != bool(line.of["refused"]):
            raise Failed(f"ended with {code}: {said.strip()}")

    def _rotate(self, line):
        self.stage.rotate(int(line.of["step"]), line.hosts())

    def _forge(self, line):
        gossip, to, count = self.stage.gossip, line.of["host"], int(line.of["count"])
        is_forged = line.of["how"] == "forge"
        payloads = (forged if is_forged else replayed)(self.stage.random, list(gossip.carried), to)
        senders = ["elsewhere"] if line.of["elsewhere"] else [host for host in network.HOSTS if host != to]
        counted, host = "gossip_refused" if is_forged else "gossip_datagrams", self.stage.hosts[to]
        before = host.counted(counted)
        for number, payload in zip(range(count), payloads):
            gossip.bring(self.stage.random.choice(senders), to, payload)
            if number % 10 == 0:
                time.sleep(0.002)  # So that no buffer on the way is too small.
        # A busy machine may lose some nevertheless.
        self.stage.until(10, lambda: host.counted(counted) - before >= 0.9 * count, ASK)

    # What is told.

    def _row(self, step, began, ended):
        answers, wrong, silent = {}, {}, {}
        for host, nodes in self.expected.items():
            runs = self.stage.watch.between(host, began, ended)
            told = [str(run) for run, _ in runs if run.answer is not None or nodes is None]
            answers[host] = [answer for answer, _ in itertools.groupby(told)]
            wrong[host] = sum(time for run, time in runs if run.answer is not None and run.answer != nodes)
            silent[host] = sum(time for run, time in runs if run.answer is None and nodes is not None)
        happens = table.cell(line.text for line in step.actions)
        template = table.cell(line.template for line in step.actions)
        return {"happens": happens, "template": template, "answers": answers, "wrong": wrong, "silent": silent}


def apart(line):
    """How far ahead a clock is, in whole seconds."""
    return int(float(line.of["sign"] + "1") * seconds(line.of["time"]))


def both_ways(pairs):
    return [way for one, other in pairs for way in ((one, other), (other, one))]


def pairs_of(line):
    """The paths of a line that names one and another machine; without any, all between hosts."""
    one, other = line.of["one"], line.of["other"]
    if one is None:
        return list(itertools.permutations(network.HOSTS, 2))
    others = {"peers": network.HOSTS, "nodes": network.NODES}.get(other, [other])
    pairs = [(one, other) for other in others if other != one]
    return pairs if line.of.get("way") else both_ways(pairs)


def replayed(_, carried, to):
    """What has come to this host before, over and over."""
    address = network.HOSTS[to]
    return itertools.cycle([payload for _, to, payload in carried if to == as_bytes(address)])


def forged(draw, carried, to):
    """What no host has ever sent to this one, from noise to what another host would take."""
    own = as_bytes(network.HOSTS[to])
    here = [payload for _, to, payload in carried if to == own]
    elsewhere = [payload for _, to, payload in carried if to != own]
    while True:
        real = draw.choice(here)
        at = draw.randrange(len(real))
        yield draw.randbytes(draw.randrange(1400))
        yield real[:at]
        yield real + b"\0"
        yield real[:at] + bytes([real[at] ^ 1 << draw.randrange(8)]) + real[at + 1:]
        yield real[:5] + draw.randbytes(len(real) - 5)
        yield draw.choice(elsewhere)


def as_bytes(address):
    return bytes(map(int, address.split(".")))


def perform(story, directory, certificates, binary):
    """Plays a story, and writes what came of it to a file in its directory."""
    outcome = {"story": story.name, "about": story.about, "chosen": story.chosen, "failure": None}
    began = time.monotonic()
    needs = {"has_clock": ["set_clock"], "by_name": ["follow"], "has_cloudflare": ["hold", "shown", "written", "writer"]}
    needs = {need: any(map(story.has, kinds)) for need, kinds in needs.items()}
    stage = Stage(directory, certificates, binary, story.title(), **needs)
    play = Play(story, stage)
    try:
        play.run()
    except Failed as error:
        outcome["failure"] = str(error)
        outcome["answers"] = {host: [f"{run.first - began:8.2f} s  {run}" for run in runs]
                              for host, runs in stage.watch.runs.items()}
        for host in stage.hosts.values():
            machines.write(host.path("status.json"), json.dumps(host.status(), indent=1))
    outcome |= {"rows": play.rows, "seconds": time.monotonic() - began}
    machines.write(os.path.join(directory, "outcome.json"), json.dumps(outcome, indent=1))
