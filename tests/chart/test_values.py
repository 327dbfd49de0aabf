"""What the chart takes and what it refuses: lint, package, golden files, and each refusal by its sentence."""

import json
import os
import re
import tarfile

import yaml

from stage import CHART, HERE, host_spec, read, test, value_files, write

GOOD = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
BEHIND_SERVICE = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")

# What is changed in a value file that is in order, and what is said of it: file, change, sentence.
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
    ("cron", {"state": {"kind": "hostPath"}}, "state.kind: hostPath is for a DaemonSet, and this is a CronJob"),
    ("cron", {"state": {"size": "64M"}}, "at '/state/size'"),
    ("cron", {"podMonitor": {"enabled": True}}, "podMonitor.enabled: a pass of cloudflareCron has no metrics"),
    ("cron", {"config": {"peers": {}}}, "config: a pass of cloudflareCron hears no peers and has no admin API"),
    ("cron", {"secrets": {"cloudflareToken": {"existingSecret": ""}}},
     "secrets.cloudflareToken.existingSecret: name the Secret that has the API token"),
    ("cron", {"secrets": {"cloudflareToken": {"value": "x"}}},
     "secrets.cloudflareToken: give existingSecret or value, not both"),
    ("cron", {"secrets": {"cloudflare": {}}}, "at '/secrets': additional properties 'cloudflare' not allowed"),
    ("cron", {"mode": "authoritative", "authoritative": {"workload": "StatefulSet"}},
     "config.providers: mode authoritative needs a provider with `type: authoritative`"),
    ("cron", {"files": {"daymark.yaml": "x"}}, "invalid propertyName 'daymark.yaml'"),
    ("cron", {"files": {"fake": "x"}}, "invalid propertyName 'fake'"),
    ("cron", {"files": {"a/b": "x"}}, "invalid propertyName 'a/b'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "../x", "keys": ["a"]}]}, "at '/secretFiles/0/path'"),
    ("cron", {"env": [{"name": "DAYMARK_SELF", "value": "x"}]}, "at '/env/0/name'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "x", "keys": ["a", "a"]}]}, "at '/secretFiles/0/keys'"),
    ("cron", {"secretFiles": [{"existingSecret": "x", "path": "x", "keys": ["a"]},
                              {"existingSecret": "other", "path": "x", "keys": ["b"]}]},
     "secretFiles: one path for each; `x` is there twice"),
    ("cron", {"cron": {"deadline": "10m", "activeDeadlineSeconds": 600}},
     "cron.deadline: a pass would be ended before, by cron.activeDeadlineSeconds"),
    ("cron", {"cron": {"deadline": "30000ms", "activeDeadlineSeconds": 30}}, "cron.deadline: a pass would be ended before"),
    ("cron", {"podLabels": {"app.kubernetes.io/component": "x"}}, "podLabels: app.kubernetes.io/component is set by the chart"),
    ("cron", {"dashboard": {"labels": {"helm.sh/chart": "x"}}}, "dashboard.labels: helm.sh/chart is set by the chart"),
    ("daemonset-with-peers", {"podAnnotations": {"daymark/restart-checksum": "x"}},
     "podAnnotations: daymark/restart-checksum is set by the chart"),
    ("every-switch", {"service": {"loadBalancerClass": "metallb.io/metallb"}},
     "service.loadBalancerClass: only for type LoadBalancer, and this is NodePort"),
    ("every-switch", {"state": {"kind": "emptyDir"}},
     "config.pools[1].nodes.seeds: a host that forgets (state.kind: emptyDir) needs two seeds or more"),
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
     "config.peers.self: each host of a DaemonSet is called as its node; leave it out"),
    ("daemonset-with-peers", {"config": {"peers": {"members": None}}},
     "config.peers.members: name every node of the DaemonSet and its address"),
    ("daemonset-with-peers", {"state": {"kind": "persistentVolumeClaim"}},
     "state.kind: a DaemonSet has no claims; take hostPath or emptyDir"),
    ("daemonset-with-peers", {"podMonitor": {"enabled": True}},
     "podMonitor.enabled: in the network of the nodes the metrics are on loopback alone"),
]


def merged(values, change):
    """As helm merges values: maps are merged, and null removes."""
    for key, value in change.items():
        if value is None:
            values.pop(key, None)
        elif isinstance(value, dict) and isinstance(values.get(key), dict):
            merged(values[key], value)
        else:
            values[key] = value
    return values


@test
def values_that_are_wrong_are_refused_with_their_sentence(stage):
    for name, change, sentence in REFUSED:
        values = merged(yaml.safe_load(read(os.path.join(CHART, "ci", f"{name}.yaml"))), change)
        said = stage.refusal(yaml.safe_dump(values))
        stage.check(sentence in said, f"{name} with {change} is refused with {sentence!r}, not: {said or 'taken'}")


@test
def everything_that_does_not_fit_is_said_at_once(stage):
    values = yaml.safe_load(read(GOOD))
    said = stage.refusal(yaml.safe_dump(merged(values, {
        "nodeSelector": None, "state": {"kind": "persistentVolumeClaim"}, "podMonitor": {"enabled": True}})))
    stage.check(said.count("\n  - ") == 3, said)


@test
def a_chart_without_values_says_what_is_missing(stage):
    stage.check("at '/config': missing properties 'pools', 'providers'" in stage.refusal("{}"), "it is refused")


@test
def every_value_file_passes_lint(stage):
    for name, path in value_files():
        done = stage.helm("lint", "--strict", CHART, "--values", path)
        stage.check(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")


@test
def every_value_file_renders_as_before(stage):
    stage.check(len(value_files()) >= 10, "there are ten value files")
    for name, path in value_files():
        golden = os.path.join(HERE, "golden", f"{name}.yaml")
        made = stage.text("--values", path)
        if stage.is_blessing:
            write(golden, made)
        stage.check(read(golden) == made, f"{name} renders otherwise; if it should, `tests/chart/run --bless`")
    known = {f"{name}.yaml" for name, _ in value_files()} | {f"{name}.notes.txt" for name, _ in value_files()}
    stage.check(set(os.listdir(os.path.join(HERE, "golden"))) <= known, "no golden file is left over")


@test
def the_notes_are_as_before_and_say_what_to_do_next(stage):
    for name, path in value_files():
        done = stage.helm("install", "dm", CHART, "--namespace", "infra", "--dry-run=client", "--values", path)
        stage.check(done.returncode == 0, f"{name}: {done.stderr}")
        made = done.stdout.split("\nNOTES:\n")[1]
        golden = os.path.join(HERE, "golden", f"{name}.notes.txt")
        if stage.is_blessing:
            write(golden, made)
        stage.check(read(golden) == made, f"the notes of {name} are others; if they should, `tests/chart/run --bless`")
        stage.check("helm -n infra test dm --logs" in made, f"{name}: the notes name the test")


@test
def the_notes_warn_of_hosts_that_forget_the_nodes_they_found(stage):
    seeds = [{"name": f"kube-cp-{n}", "addresses": [f"192.0.2.{n}"]} for n in (1, 2)]
    pools = [{"name": "lb.kube-cp.com", "probe": {"ca": "cluster-ca.crt"}, "nodes": {"seeds": seeds, "fromKubernetes": {}}}]
    for path, kind in ((GOOD, "hostPath"), (BEHIND_SERVICE, "persistentVolumeClaim")):
        install = ["install", "dm", CHART, "--dry-run=client", "--values", path, "--set-json", f"config.pools={json.dumps(pools)}"]
        said = stage.helm(*install).stdout
        stage.check(re.search(rf"knows the seeds alone.*\nstate.kind: {kind}\n", said), said)
        said = stage.helm(*install, "--set", f"state.kind={kind}").stdout
        stage.check("NOTES:" in said and "knows the seeds alone" not in said, said)


@test
def the_chart_can_be_packaged(stage):
    done = stage.helm("package", CHART, "--destination", stage.directory)
    stage.check(done.returncode == 0, done.stderr)
    package = os.path.join(stage.directory, "daymark-0.1.0.tgz")
    with tarfile.open(package) as tar:
        names = tar.getnames()
    for name in ("values.schema.json", "README.md", "files/rules.yaml", "templates/tests/answer.yaml"):
        stage.check(f"daymark/{name}" in names, f"{name} is in the package")
    stage.check(not [name for name in names if "/ci/" in name], "the value files of the tests are not")
    done = stage.helm("template", "dm", package, "--namespace", "infra", "--values", GOOD)
    stage.check(done.stdout == stage.text("--values", GOOD), "the package renders as the directory does")


@test
def the_readme_installs_what_a_release_has(stage):
    readme = read(os.path.join(CHART, "README.md"))
    chart = yaml.safe_load(read(os.path.join(CHART, "Chart.yaml")))
    version = chart["version"]
    stage.check(f"helm install daymark daymark-{version}.tgz " in readme, "the chart is the file of a release")
    (pushed,) = re.findall(r"skopeo copy (\S+) docker://(\S+)", readme)
    file = os.path.join(stage.directory, "readme.yaml")
    write(file, readme.split("```yaml\n")[1].split("```")[0])
    image = host_spec(stage.objects("--values", file))["containers"][0]["image"]
    stage.check(pushed == (f"oci-archive:daymark-{version}-image.tar", image), f"the image is where it was pushed to: {pushed}")
    default = host_spec(stage.objects("--values", GOOD))["containers"][0]["image"]
    stage.check(f"images tag daymark:{version} {default}\n" in readme, "or called as the chart calls it")
