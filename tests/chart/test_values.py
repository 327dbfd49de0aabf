"""The values that the chart accepts and refuses: lint, package, golden files, and each refusal by its message."""

import json
import os
import re
import tarfile

import yaml

from fixture import CHART, HERE, host_spec, read, test, value_files, write

GOOD = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
BEHIND_SERVICE = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")

# Wrong changes of valid value files: file, change, and a part of the error message.
REFUSED = [
    ("cron", {"nodeselector": {}}, "additional properties 'nodeselector' not allowed"),
    ("cron", {"mode": "cloudflareCronJob"}, "value must be one of 'authoritative', 'cloudflare', 'cloudflareCron'"),
    ("cron", {"image": {"tagg": "1"}}, "at '/image': additional properties 'tagg' not allowed"),
    ("cron", {"image": {"pullPolicy": "Sometimes"}}, "at '/image/pullPolicy'"),
    ("cron", {"image": {"repository": "Example.org/Daymark"}}, "at '/image/repository'"),
    ("cron", {"cron": {"schedule": "hourly"}}, "at '/cron/schedule'"),
    ("cron", {"cron": {"deadline": "30"}}, "at '/cron/deadline'"),
    ("cron", {"config": {"pool": []}}, "at '/config': additional properties 'pool' not allowed"),
    ("cron", {"config": {"pools": []}}, "at '/config/pools': minItems"),
    ("cron", {"config": {"pools": [{"name": "lb.kube-cp.com"}]}}, "at '/config/pools/0': missing property 'nodes'"),
    ("cron", {"config": {"pools": [{"name": "lb_1", "nodes": []}]}}, "at '/config/pools/0/name'"),
    ("cron", {"state": {"kind": "hostPath"}}, "state.kind: hostPath needs a DaemonSet, and this is a CronJob"),
    ("cron", {"state": {"size": "64M"}}, "at '/state/size'"),
    ("cron", {"podMonitor": {"enabled": True}}, "podMonitor.enabled: a pass of cloudflareCron has no metrics"),
    ("cron", {"config": {"peers": {}}}, "config: a pass of cloudflareCron has no peers and no admin API"),
    ("cron", {"secrets": {"cloudflareToken": {"existingSecret": ""}}},
     "secrets.cloudflareToken.existingSecret: name the Secret with the API token"),
    ("cron", {"secrets": {"cloudflareToken": {"value": "x"}}},
     "secrets.cloudflareToken: set existingSecret or value, not both"),
    ("cron", {"secrets": {"cloudflare": {}}}, "at '/secrets': additional properties 'cloudflare' not allowed"),
    ("cron", {"mode": "authoritative", "authoritative": {"workload": "StatefulSet"}},
     "config.providers: mode authoritative needs a provider with `type: authoritative`"),
    ("cron", {"files": {"daymark.yaml": "x"}}, "invalid propertyName 'daymark.yaml'"),
    ("cron", {"files": {"placeholder": "x"}}, "invalid propertyName 'placeholder'"),
    ("cron", {"files": {"a/b": "x"}}, "invalid propertyName 'a/b'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "../x", "keys": ["a"]}]}, "at '/secretFiles/0/path'"),
    ("cron", {"env": [{"name": "DAYMARK_SELF", "value": "x"}]}, "at '/env/0/name'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "x", "keys": ["a", "a"]}]}, "at '/secretFiles/0/keys'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "x", "keys": ["a"]},
                              {"existingSecret": "other", "path": "x", "keys": ["b"]}]},
     "secretFiles: each path must be unique; `x` occurs twice"),
    ("cron", {"cron": {"deadline": "10m", "activeDeadlineSeconds": 600}},
     "cron.deadline: must be less than cron.activeDeadlineSeconds, which ends the pass"),
    ("cron", {"cron": {"deadline": "30000ms", "activeDeadlineSeconds": 30}}, "cron.deadline: must be less than cron.activeDeadlineSeconds"),
    ("cron", {"podLabels": {"app.kubernetes.io/component": "x"}}, "podLabels: the chart sets app.kubernetes.io/component; leave it out"),
    ("cron", {"dashboard": {"labels": {"helm.sh/chart": "x"}}}, "dashboard.labels: the chart sets helm.sh/chart; leave it out"),
    ("daemonset-with-peers", {"podAnnotations": {"daymark/restart-checksum": "x"}},
     "podAnnotations: the chart sets daymark/restart-checksum; leave it out"),
    ("every-switch", {"service": {"loadBalancerClass": "metallb.io/metallb"}},
     "service.loadBalancerClass: only for type LoadBalancer, and this is NodePort"),
    ("every-switch", {"state": {"kind": "emptyDir"}},
     "config.pools[1].nodes.seeds: with state.kind emptyDir a host needs at least two seeds"),
    ("cloudflare-records", {"replicas": 1}, "at '/replicas': minimum: got 1, want 2"),
    ("cloudflare-records", {"replicas": 16}, "at '/replicas': maximum: got 16, want 15"),
    ("cloudflare-records", {"replicas": "3"}, "at '/replicas': got string, want integer"),
    ("cloudflare-records", {"config": {"peers": {"self": "dm-daymark-0"}}},
     "config.peers: the chart makes `members` and `self` of a StatefulSet; leave them out"),
    ("cloudflare-records", {"config": {"admin": {"listen": "127.0.0.1:9353"}}},
     "config.admin.listen: on loopback the kubelet cannot probe the pod; leave it out"),
    ("daemonset-with-peers", {"mode": "cloudflare"},
     "config.providers: mode cloudflare needs a provider with `type: cloudflare`"),
    ("serve-and-cloudflare", {"mode": "cloudflare", "config": {"peers": None}},
     "config.providers: mode cloudflare serves no DNS; use mode authoritative, which may write to Cloudflare as well"),
    ("serve-and-cloudflare", {"config": {"peers": None}},
     "config.peers: without it every host of the DaemonSet writes to Cloudflare"),
    ("daemonset-with-peers", {"authoritative": {"workload": "Deployment"}},
     "at '/authoritative/workload': value must be one of 'DaemonSet', 'StatefulSet'"),
    ("daemonset-with-peers", {"nodeSelector": None}, "nodeSelector: choose the nodes of the DaemonSet"),
    ("daemonset-with-peers", {"config": {"peers": {"self": "kube-cp-1"}}},
     "config.peers.self: each host of a DaemonSet has the name of its node; leave it out"),
    ("daemonset-with-peers", {"config": {"peers": {"members": None}}},
     "config.peers.members: name every node of the DaemonSet and its address"),
    ("daemonset-with-peers", {"state": {"kind": "persistentVolumeClaim"}},
     "state.kind: a DaemonSet has no claims; use hostPath or emptyDir"),
    ("daemonset-with-peers", {"podMonitor": {"enabled": True}},
     "podMonitor.enabled: in the network of the nodes the metrics are on loopback only"),
]


def merged(values, change):
    """Merges values as helm does: maps are merged, and null removes a key."""
    for key, value in change.items():
        if value is None:
            values.pop(key, None)
        elif isinstance(value, dict) and isinstance(values.get(key), dict):
            merged(values[key], value)
        else:
            values[key] = value
    return values


@test
def wrong_values_are_refused_with_their_message(fixture):
    for name, change, message in REFUSED:
        values = merged(yaml.safe_load(read(os.path.join(CHART, "ci", f"{name}.yaml"))), change)
        error = fixture.refusal(yaml.safe_dump(values))
        fixture.check(message in error, f"{name} with {change} is refused with {message!r}, not: {error or 'accepted'}")


@test
def all_contradictions_are_reported_at_once(fixture):
    values = yaml.safe_load(read(GOOD))
    error = fixture.refusal(yaml.safe_dump(merged(values, {
        "nodeSelector": None, "state": {"kind": "persistentVolumeClaim"}, "podMonitor": {"enabled": True}})))
    fixture.check(error.count("\n  - ") == 3, error)


@test
def a_chart_without_values_names_the_missing_keys(fixture):
    fixture.check("at '/config': missing properties 'pools', 'providers'" in fixture.refusal("{}"), "the message names both")


@test
def every_value_file_passes_lint(fixture):
    for name, path in value_files():
        result = fixture.helm("lint", "--strict", CHART, "--values", path)
        fixture.check(result.returncode == 0, f"{name}: {result.stdout}{result.stderr}")


@test
def every_value_file_renders_as_before(fixture):
    fixture.check(len(value_files()) >= 10, "there are ten value files")
    for name, path in value_files():
        golden = os.path.join(HERE, "golden", f"{name}.yaml")
        rendered = fixture.text("--values", path)
        if fixture.updates_golden:
            write(golden, rendered)
        fixture.check(read(golden) == rendered, f"{name} renders differently; if that is right, run `tests/chart/run --bless`")
    known = {f"{name}.yaml" for name, _ in value_files()} | {f"{name}.notes.txt" for name, _ in value_files()}
    fixture.check(set(os.listdir(os.path.join(HERE, "golden"))) <= known, "no golden file is left over")


@test
def the_notes_are_as_before_and_name_the_next_steps(fixture):
    for name, path in value_files():
        result = fixture.helm("install", "dm", CHART, "--namespace", "infra", "--dry-run=client", "--values", path)
        fixture.check(result.returncode == 0, f"{name}: {result.stderr}")
        notes = result.stdout.split("\nNOTES:\n")[1]
        golden = os.path.join(HERE, "golden", f"{name}.notes.txt")
        if fixture.updates_golden:
            write(golden, notes)
        fixture.check(read(golden) == notes, f"the notes of {name} differ; if that is right, run `tests/chart/run --bless`")
        fixture.check("helm -n infra test dm --logs" in notes, f"{name}: the notes name the test")


@test
def the_notes_warn_of_hosts_that_lose_the_discovered_nodes(fixture):
    seeds = [{"name": f"kube-cp-{n}", "addresses": [f"192.0.2.{n}"]} for n in (1, 2)]
    pools = [{"name": "lb.kube-cp.com", "probe": {"ca": "cluster-ca.crt"}, "nodes": {"seeds": seeds, "fromKubernetes": {}}}]
    for path, kind in ((GOOD, "hostPath"), (BEHIND_SERVICE, "persistentVolumeClaim")):
        install = ["install", "dm", CHART, "--dry-run=client", "--values", path, "--set-json", f"config.pools={json.dumps(pools)}"]
        output = fixture.helm(*install).stdout
        fixture.check(re.search(rf"knows only the seeds.*\nstate.kind: {kind}\n", output), output)
        output = fixture.helm(*install, "--set", f"state.kind={kind}").stdout
        fixture.check("NOTES:" in output and "knows only the seeds" not in output, output)


@test
def the_chart_can_be_packaged(fixture):
    result = fixture.helm("package", CHART, "--destination", fixture.directory)
    fixture.check(result.returncode == 0, result.stderr)
    package = os.path.join(fixture.directory, "daymark-0.1.0.tgz")
    with tarfile.open(package) as tar:
        names = tar.getnames()
    for name in ("values.schema.json", "README.md", "files/rules.yaml", "templates/tests/answer.yaml"):
        fixture.check(f"daymark/{name}" in names, f"{name} is in the package")
    fixture.check(not [name for name in names if "/ci/" in name], "the value files of the tests are not")
    result = fixture.helm("template", "dm", package, "--namespace", "infra", "--values", GOOD)
    fixture.check(result.stdout == fixture.text("--values", GOOD), "the package renders as the directory does")


@test
def the_readme_installs_the_files_of_a_release(fixture):
    readme = read(os.path.join(CHART, "README.md"))
    chart = yaml.safe_load(read(os.path.join(CHART, "Chart.yaml")))
    version = chart["version"]
    fixture.check(f"helm install daymark daymark-{version}.tgz " in readme, "the chart is a file of a release")
    (pushed,) = re.findall(r"skopeo copy (\S+) docker://(\S+)", readme)
    file = os.path.join(fixture.directory, "readme.yaml")
    write(file, readme.split("```yaml\n")[1].split("```")[0])
    image = host_spec(fixture.objects("--values", file))["containers"][0]["image"]
    fixture.check(pushed == (f"oci-archive:daymark-{version}-image.tar", image), f"the image is where it was pushed to: {pushed}")
    default = host_spec(fixture.objects("--values", GOOD))["containers"][0]["image"]
    fixture.check(f"images tag daymark:{version} {default}\n" in readme, "an imported image has the chart's default name")
