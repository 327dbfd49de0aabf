"""Runs one story with its fixture, checks its expectations, and records every answer and how long it was wrong."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import time

from . import machines, network, report
from .fixture import POLL_INTERVAL, START_TIMEOUT, STATUS_INTERVAL, Failed, Fixture
from .story import seconds

SIGNALS = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "terminate": signal.SIGTERM}
# What a fixture has only if a story has one of these lines.
OPTIONS = {
    "has_clock": ["set_clock"],
    "by_name": ["update_addresses"],
    "has_cloudflare": ["stall", "serves", "writes", "writer"],
}


class Execution:
    def __init__(self, story, fixture):
        self.story = story
        self.fixture = fixture
        self.rows = []
        self.expected = dict.fromkeys(network.HOSTS, frozenset(network.NODES))

    def run(self):
        self.fixture.start()
        for step in self.story.steps:
            self._run_step(step)

    def _run_step(self, step):
        began = time.monotonic()
        self.restarted = set()
        self.stray_before = self.fixture.gossip.stray
        self.writes_before = self.fixture.cloudflare.writes() if self.fixture.cloudflare else 0
        for line in step.actions:
            self._with_place(line, lambda line: getattr(self, f"_do_{line.kind}")(line))
        acted = time.monotonic()
        for line in step.expectations:
            if line.kind == "answer":
                self.expected |= dict.fromkeys(line.hosts(), line.nodes())
            elif line.kind == "no_answer":
                self.expected |= dict.fromkeys(line.hosts())
        for line in step.expectations:
            if line.when != "throughout":
                self._with_place(line, lambda line: self._expect(line, acted))
        ended = time.monotonic()
        try:
            for line in step.expectations:
                if line.when == "throughout":
                    self._with_place(line, lambda line: self._check_period(line, began, ended))
            for host, nodes in self.expected.items():
                if nodes is not None:
                    self._dig(step, host, nodes)
        finally:
            self.rows.append(self._row(step, began, ended))

    def _with_place(self, line, function):
        try:
            function(line)
        except Failed as error:
            raise Failed(f"line {line.number}: {line.text}: {error}") from None

    # Expectations.

    def _expect(self, line, acted):
        if line.when == "for":
            began = time.monotonic()
            end = began + line.seconds
            while time.monotonic() < end:
                time.sleep(STATUS_INTERVAL)
                self._check_period(line, began, time.monotonic())
        elif line.kind in ("answer", "no_answer"):
            nodes = None if line.kind == "no_answer" else line.nodes()
            self._until(line, POLL_INTERVAL, lambda host: self.fixture.answers(host, nodes, acted))
        elif line.kind == "serves":
            cloudflare = self.fixture.cloudflare
            self.fixture.until(line.seconds, lambda: cloudflare.nodes() == line.nodes(), STATUS_INTERVAL)
        elif line.kind == "pending":
            self.fixture.until(line.seconds, self.fixture.cloudflare.has_pending_call, STATUS_INTERVAL)
        else:
            check = getattr(self, f"_check_{line.kind}")
            self._until(line, STATUS_INTERVAL, lambda host: check(self.fixture.hosts[host], line))

    def _until(self, line, pause, condition):
        self.fixture.until(line.seconds, lambda: all(condition(host) for host in line.hosts()), pause)

    def _check_period(self, line, began, ended):
        if line.kind == "no_stray":
            if stray := self.fixture.gossip.stray - self.stray_before:
                raise Failed(f"{stray} datagrams did")
            return
        if line.kind == "writes":
            if (count := self.fixture.cloudflare.writes() - self.writes_before) != int(line.args["count"]):
                raise Failed(f"it received {count}")
            return
        if line.kind == "serves":
            if (nodes := self.fixture.cloudflare.nodes()) != line.nodes():
                raise Failed(f"it serves {' '.join(sorted(nodes))} {ended - began:+.2f} s after")
            return
        for host in line.hosts():
            for streak, _ in self.fixture.poller.between(host, began, ended):
                if not self._is_expected(line, host, streak.answer):
                    raise Failed(f"{host} answered {streak} {streak.first - began:+.2f} s after")

    def _is_expected(self, line, host, answer):
        if line.kind == "no_answer":
            return answer is None
        if answer is None:
            return host in self.restarted
        return answer >= line.nodes() if line.kind == "include" else answer == line.nodes()

    def _check_quorum(self, host, line):
        expected = {"quorum": "quorum", "no quorum": "noQuorum"}[line.args["quorum"]]
        return self.fixture.quorum_state(host.status()) == expected

    def _check_finds_ready(self, host, line):
        status = host.status()
        return bool(status) and self.fixture.finds_ready(status, host.name) == line.nodes()

    def _check_ready(self, host, line):
        response = host.get("/readyz")
        return response is not None and (response[0] == 200) == (line.args["ready"] == "ready")

    def _check_writer(self, host, line):
        hosts = host.status().get("hosts")
        return hosts is not None and hosts.get("writer") == line.args["writer"]

    def _check_reaches(self, host, line):
        peers = host.status().get("hosts", {}).get("peers", [])
        contacts = {peer["host"]: peer["lastDirectContactMs"] for peer in peers}
        return all(contacts.get(other) is not None and contacts[other] < 2000 for other in line.args["others"].split())

    def _check_clock(self, host, line):
        return abs(host.clock() - time.time() - clock_offset(line)) < 10

    def _check_reverted(self, host, line):
        [pool] = host.status().get("pools") or [{"targets": []}]
        messages = [target.get("reverted") or "" for target in pool["targets"] if target["node"] == line.args["node"]]
        return any(f"reverted, because {line.args['other']} was drained" in message for message in messages)

    def _dig(self, step, host, nodes):
        command = ["dig", f"@{network.HOSTS[host]}", machines.NAME, "A", "+short", "+tries=5"]
        environment = os.environ | {"HOME": "/nonexistent"}  # No file of the user may add options.
        lines = subprocess.run(command, text=True, stdout=subprocess.PIPE, env=environment).stdout.split()
        if set(lines) != {network.NODES[node] for node in nodes}:
            raise Failed(f"line {step.actions[0].number}: at the end of the step dig gets {lines} from {host}")

    # Actions.

    def _do_end(self, line):
        machine = self.fixture.machines[line.args["machine"]]
        number = SIGNALS[line.args["how"]]
        self.restarted.add(machine.name)
        machine.signal(number) if number == signal.SIGSTOP else machine.end(number)

    def _do_start(self, line):
        self.restarted.add(line.args["machine"])
        self.fixture.machines[line.args["machine"]].start()

    def _do_restart(self, line):
        hosts = [self.fixture.hosts[host] for host in line.hosts()]
        self.restarted.update(line.hosts())
        for host in hosts:
            host.signal(signal.SIGTERM)
        for host in hosts:
            host.process.wait(30)
            host.start()

    def _do_lose_state(self, line):
        host = self.fixture.hosts[line.args["host"]]
        self.restarted.add(host.name)
        host.end(signal.SIGKILL)
        shutil.rmtree(host.path("state"))
        host.start()

    def _do_report(self, line):
        self.fixture.nodes[line.args["node"]].report(line.args["what"])

    def _do_isolate_node(self, line):
        pairs = [(host, line.args["node"]) for host in network.HOSTS]
        if line.args["how"] == "reject":
            network.reject(pairs)
        else:
            network.cut(both_ways(pairs))

    def _do_cut(self, line):
        network.cut(pairs_of(line))

    def _do_partition(self, line):
        groups = [group.split() for group in line.args["groups"].split("|")]
        pairs_of_groups = itertools.combinations(groups, 2)
        network.cut(both_ways(pair for one, other in pairs_of_groups for pair in itertools.product(one, other)))

    def _do_loss(self, line):
        self.fixture.gossip.fault(pairs_of(line), "loss", int(line.args["percent"]) / 100)

    def _do_delay(self, line):
        self.fixture.gossip.fault(pairs_of(line), "delay", seconds(line.args["time"]))

    def _do_disturb(self, line):
        self.fixture.gossip.fault(pairs_of(line), line.args["kind"], True)

    def _do_heal(self, line):
        if line.args["one"]:
            network.restore(pairs_of(line))
            return
        network.heal()
        self.fixture.gossip.heal()

    def _do_set_clock(self, line):
        self.fixture.hosts[line.args["host"]].set_clock(clock_offset(line))

    def _do_move(self, line):
        host = line.args["host"]
        self.restarted.add(host)
        network.move(host)
        self.fixture.gossip.update_address(host)
        self.fixture.poller.update_address(host)

    def _do_update_addresses(self, line):
        self.fixture.host_names.update(line.hosts())

    def _do_stall(self, line):
        nth = 1 if line.args["which"] == "next" else 2
        after = "after" if line.args["after"] else ""
        self.fixture.cloudflare.ask(f"hold {line.args['method']} {nth} {after}")

    def _do_resume(self, _):
        self.fixture.cloudflare.ask("release")

    def _do_override(self, line):
        arguments = [line.args["command"], line.args["node"]]
        if line.args["time"]:
            arguments += ["--for", line.args["time"]]
        code, output = self.fixture.hosts[line.args["host"]].command_line(*arguments)
        if (code != 0) != bool(line.args["refused"]):
            raise Failed(f"ended with {code}: {output.strip()}")

    def _do_set_keys(self, line):
        self.fixture.set_keys(line.args["keys"].split(), line.hosts())

    def _do_inject(self, line):
        gossip = self.fixture.gossip
        target = self.fixture.hosts[line.args["host"]]
        count = int(line.args["count"])
        is_forged = line.args["how"] == "forge"
        payloads = (forged if is_forged else replayed)(self.fixture.random, list(gossip.carried), target.name)
        senders = ["unknown"] if line.args["unknown"] else [host for host in network.HOSTS if host != target.name]
        metric = "gossip_rejected" if is_forged else "gossip_datagrams"
        # A host that restarts loses the datagrams that come too early.
        self.fixture.until(START_TIMEOUT, target.status, STATUS_INTERVAL)
        before = target.counter(metric)
        for number, payload in zip(range(count), payloads):
            gossip.inject(self.fixture.random.choice(senders), target.name, payload)
            if number % 10 == 0:
                time.sleep(0.002)  # The buffers on the path are small.
        # A busy machine may still lose some.
        self.fixture.until(10, lambda: target.counter(metric) - before >= 0.9 * count, STATUS_INTERVAL)

    # The report.

    def _row(self, step, began, ended):
        answers = {}
        wrong = {}
        no_answer = {}
        for host, nodes in self.expected.items():
            streaks = self.fixture.poller.between(host, began, ended)
            texts = [str(streak) for streak, _ in streaks if streak.answer is not None or nodes is None]
            answers[host] = [text for text, _ in itertools.groupby(texts)]
            wrong[host] = sum(length for streak, length in streaks if streak.answer is not None and streak.answer != nodes)
            no_answer[host] = sum(length for streak, length in streaks if streak.answer is None and nodes is not None)
        happens = report.cell(line.text for line in step.actions)
        template = report.cell(line.template for line in step.actions)
        return {"happens": happens, "template": template, "answers": answers, "wrong": wrong, "no_answer": no_answer}


def clock_offset(line):
    """Returns how far a line sets a clock ahead, in whole seconds."""
    return int(float(line.args["sign"] + "1") * seconds(line.args["time"]))


def both_ways(pairs):
    return [way for one, other in pairs for way in ((one, other), (other, one))]


def pairs_of(line):
    """Returns the paths that a line names, as pairs of machines; all paths between hosts if it names none."""
    one = line.args["one"]
    other = line.args["other"]
    if one is None:
        return list(itertools.permutations(network.HOSTS, 2))
    others = {"peers": network.HOSTS, "nodes": network.NODES}.get(other, [other])
    pairs = [(one, other) for other in others if other != one]
    return pairs if line.args.get("way") else both_ways(pairs)


def replayed(_, carried, to):
    """Yields the payloads that this host has received before, over and over."""
    address = as_bytes(network.HOSTS[to])
    return itertools.cycle([payload for _, to, payload in carried if to == address])


def forged(draw, carried, to):
    """Yields payloads that no host has sent to this one, from noise to a message for another host."""
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


def run(story, directory, certificates, binary):
    """Runs a story, and writes its outcome to a file in its directory."""
    outcome = {"story": story.name, "about": story.about, "values": story.values, "failure": None}
    began = time.monotonic()
    options = {option: any(map(story.has, kinds)) for option, kinds in OPTIONS.items()}
    fixture = Fixture(directory, certificates, binary, story.title(), **options)
    execution = Execution(story, fixture)
    try:
        execution.run()
    except Failed as error:
        outcome["failure"] = str(error)
        outcome["answers"] = {host: [f"{streak.first - began:8.2f} s  {streak}" for streak in streaks]
                              for host, streaks in fixture.poller.streaks.items()}
        for host in fixture.hosts.values():
            machines.write(host.path("status.json"), json.dumps(host.status(), indent=1))
    outcome |= {"rows": execution.rows, "seconds": time.monotonic() - began}
    machines.write(os.path.join(directory, "outcome.json"), json.dumps(outcome, indent=1))
