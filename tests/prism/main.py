"""Replays the calls of the provider's tests against Prism, which checks them against Cloudflare's OpenAPI document.

The fake of Cloudflare writes the calls (providers/cloudflare/fake/src/journal.rs). A call is checked if the provider sent it, or
if the fake accepted it: what a test sends on purpose wrong and by itself is neither. The document is from 2024 and wrong in places;
document.patch.json mends it with reasons. No path is excepted: one that is not even in the mended document fails.
"""

import argparse
import collections
import copy
import http.client
import json
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
START_SECONDS = 60
ID = "0" * 32

Call = collections.namedtuple("Call", "method path query content_type body")

# Prism must refuse each of these, with this in its answer. Otherwise it would refuse nothing at all.
WRONG = {
    "a TTL out of range": (
        Call("POST", f"/zones/{ID}/dns_records", (), "application/json",
             '{"type": "A", "name": "lb.kube-cp.com", "content": "192.0.2.1", "ttl": 5}'),
        "ttl",
    ),
    "a weight above 1": (
        Call("PATCH", f"/accounts/{ID}/load_balancers/pools/{ID}", (), "application/json",
             '{"origins": [{"name": "a", "address": "192.0.2.1", "weight": 2}]}'),
        "weight",
    ),
    "a balancer without a fallback pool": (
        Call("POST", f"/zones/{ID}/load_balancers", (), "application/json",
             f'{{"name": "lb.kube-cp.com", "default_pools": ["{ID}"]}}'),
        "fallback_pool",
    ),
    "a batch that deletes by name": (
        Call("POST", f"/zones/{ID}/dns_records/batch", (), "application/json", '{"deletes": [{"name": "lb.kube-cp.com"}]}'),
        "deletes",
    ),
    "page 0": (Call("GET", f"/zones/{ID}/dns_records", (("page", "0"),), None, ""), "page"),
    "an ID that is too long": (Call("GET", f"/zones/{ID}0/dns_records", (), None, ""), "maxLength"),
    "a status that zones do not have": (Call("GET", "/zones", (("status", "gone"),), None, ""), "status"),
    "an unknown path": (Call("GET", f"/accounts/{ID}/load_balancers/pool", (), None, ""), "NO_PATH_MATCHED_ERROR"),
    "an unknown method": (Call("PUT", f"/zones/{ID}/dns_records", (), "application/json", "{}"), "NO_METHOD_MATCHED_ERROR"),
    "an unknown parameter": (Call("GET", f"/zones/{ID}/dns_records", (("nmae", "x"),), None, ""), "UNKNOWN_PARAMETER"),
}


def mended(document: dict, patch: list[dict]) -> dict:
    """Applies the operations of RFC 6902 that the patch uses. Each needs its reason, and must fit."""
    document = copy.deepcopy(document)
    for step in patch:
        assert step.get("reason") and step.get("source"), f"a step without reason or source: {step}"
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        place = document
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        if isinstance(place, list):
            last = len(place) if last == "-" else int(last)
        is_there = last < len(place) if isinstance(place, list) else last in place
        match step["op"]:
            case "add" if isinstance(place, list):
                place.insert(last, step["value"])
            case "add" if not is_there:
                place[last] = step["value"]
            case "replace" if is_there and place[last] != step["value"]:
                place[last] = step["value"]
            case "remove" if is_there:
                del place[last]
            case _:
                sys.exit(f"the patch does not fit the document: {step['op']} {step['path']}")
    return document


def recorded(directory: pathlib.Path) -> dict[Call, dict]:
    """The distinct calls to check, each with one record of it."""
    calls = {}
    for file in sorted(directory.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            is_provider = record["headers"].get("user-agent", "").startswith("daymark/")
            if is_provider or 200 <= (record["status"] or 0) < 300:
                query = tuple(tuple(pair) for pair in record["query"])
                call = Call(record["method"], record["path"], query, record["headers"].get("content-type"), record["body"])
                calls.setdefault(call, record)
    return calls


class Prism:
    """A mock server of the document."""

    def __init__(self, program: str, document: pathlib.Path):
        self.paths = {
            re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + "$"): operations
            for path, operations in sorted(json.loads(document.read_text())["paths"].items(), key=lambda item: item[0].count("{"))
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [program, "mock", "--errors", "--host", "127.0.0.1", "--port", str(self.port), "--verboseLevel", "silent"]
        self.process = subprocess.Popen([*command, str(document)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("Prism does not start")
                time.sleep(0.1)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def refusal(self, call: Call) -> str | None:
        """The reason why Prism refuses the call, or none."""
        query = urllib.parse.urlencode(call.query)
        headers = {"authorization": "Bearer x"} | ({"content-type": call.content_type} if call.content_type else {})
        self.connection.request(call.method, call.path + (f"?{query}" if query else ""), call.body.encode() or None, headers)
        response = self.connection.getresponse()
        answer = response.read().decode()
        violations = json.loads(response.headers.get("sl-violations", "[]"))
        if response.status != 200 or violations:
            error = json.loads(answer) if "stoplight.io/prism/errors#" in answer else {}
            name = error.get("type", f"#status {response.status}").split("#")[1]
            return f"{name}: {json.dumps(violations or error.get('validation') or error.get('detail'))}"
        return self.unknown_parameter(call)

    def unknown_parameter(self, call: Call) -> str | None:
        """Prism ignores query parameters that the document does not have."""
        operations = next(operations for path, operations in self.paths.items() if path.match(call.path))
        known = {parameter["name"] for parameter in operations[call.method.lower()].get("parameters", [])}
        unknown = [name for name, _ in call.query if name not in known]
        return f"UNKNOWN_PARAMETER: {unknown}" if unknown else None

    def stop(self):
        self.process.terminate()
        self.process.wait()


def check(prism: Prism, calls: dict[Call, dict]) -> list[str]:
    """A line for each thing that is wrong."""
    wrong = []
    for name, (call, reason) in WRONG.items():
        if reason not in (refusal := prism.refusal(call) or "accepted"):
            wrong.append(f"the check itself: {name} must be refused with {reason}, but: {refusal}")
    for call in calls:
        if refusal := prism.refusal(call):
            query = f"?{urllib.parse.urlencode(call.query)}" if call.query else ""
            wrong.append(f"{call.method} {call.path}{query} {call.body}\n    {refusal}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prism", required=True)
    parser.add_argument("--document", required=True, type=pathlib.Path)
    parser.add_argument("--calls", required=True, type=pathlib.Path)
    parser.add_argument("--mended", required=True, type=pathlib.Path, help="where to write the mended document")
    arguments = parser.parse_args()

    patch = json.loads((HERE / "document.patch.json").read_text())
    arguments.mended.write_text(json.dumps(mended(json.loads(arguments.document.read_text()), patch)))
    calls = recorded(arguments.calls)
    operations = collections.Counter(f"{call.method} {re.sub('[0-9a-f]{32}', 'ID', call.path)}" for call in calls)
    for expected in ["PATCH /accounts/ID/load_balancers/pools/ID", "POST /zones/ID/dns_records", "GET /zones"]:
        if not operations[expected]:
            sys.exit(f"the tests made no call {expected}: is the journal of the fake on?")
    prism = Prism(arguments.prism, arguments.mended)
    try:
        wrong = check(prism, calls)
    finally:
        prism.stop()
    for operation, count in sorted(operations.items()):
        print(f"{count:5} {operation}")
    for line in wrong:
        print(f"WRONG {line}")
    print(f"prism: {len(calls)} distinct calls of {len(operations)} operations, {len(WRONG)} wrong calls, {len(patch)} mends, {len(wrong)} failures")
    sys.exit(bool(wrong))


main()
