"""What the chart makes is what Kubernetes takes, and is as safe as it says."""

import base64
import json
import os
import re

import jsonschema
import kubernetes_validate
import promql_parser
import yaml
from cloudcoil.models.prometheus_operator import v1 as prometheus

from cluster import cluster_with
from stage import CHART, HERE, config_of, host_spec, only, pod_specs, read, test, value_files, write

# The first version that the chart allows, and the newest whose schema the library has.
VERSIONS = ("1.30", "1.37")
EVERY = os.path.join(CHART, "ci", "every-switch.yaml")
RECORDS = os.path.join(CHART, "ci", "cloudflare-records.yaml")


def operator_schema(model):
    """The JSON Schema of a type of the operator, with unknown fields denied, which the type itself takes."""
    schema = model.model_json_schema(by_alias=True)
    for part in [schema, *schema["$defs"].values()]:
        if "properties" in part:
            part["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


OPERATOR = {model.__name__: operator_schema(model) for model in (prometheus.PodMonitor, prometheus.PrometheusRule)}


def fault(manifest):
    """Why Kubernetes or the operator would not take a manifest; none where they would. Unknown fields are faults."""
    try:
        if manifest["kind"] in OPERATOR:
            OPERATOR[manifest["kind"]].validate(manifest)
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as error:
        return str(error)
    return None


@test
def every_manifest_is_valid_by_the_schemas_of_kubernetes_and_of_the_operator(stage):
    kinds = set()
    for name, path in value_files():
        for manifest in stage.objects("--values", path):
            kinds.add(manifest["kind"])
            wrong = fault(manifest)
            stage.check(wrong is None, f"{name}: {manifest['kind']} {manifest['metadata']['name']}: {wrong}")
    stage.check(len(kinds) == 18, f"every kind of the chart is among them: {sorted(kinds)}")


@test
def an_unknown_field_is_found_in_every_kind(stage):
    for manifest in stage.objects("--values", EVERY):
        wrong = fault(manifest | {"spek": {}})
        stage.check(wrong is not None, f"{manifest['kind']} takes an unknown field")
        if "spec" in manifest:
            wrong = fault(manifest | {"spec": manifest["spec"] | {"nonsense": 1}})
            stage.check(wrong is not None, f"the spec of {manifest['kind']} takes an unknown field")


@test
def every_object_has_the_labels_and_its_own_name(stage):
    for name, path in value_files():
        seen = set()
        for manifest in stage.objects("--values", path):
            metadata = manifest["metadata"]
            labels = metadata["labels"]
            stage.check(labels["app.kubernetes.io/instance"] == "dm", f"{name}: {metadata['name']}")
            key = (manifest["kind"], metadata.get("namespace"), metadata["name"])
            stage.check(key not in seen, f"{name}: {key} is there twice")
            seen.add(key)


def against_restricted(spec):
    """What of a pod the Pod Security Standard `restricted` does not allow."""
    found = []
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        found.append("a namespace of the host")
    for volume in spec.get("volumes", []):
        (kind,) = set(volume) - {"name"}
        if kind not in ("configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"):
            found.append(f"a volume of kind {kind}")
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or pod.get("runAsUser") == 0:
        found.append("root")
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("no seccomp profile")
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        capabilities = own.get("capabilities", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append("escalation")
        if capabilities.get("drop") != ["ALL"] or not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
            found.append("capabilities")
        if not own.get("readOnlyRootFilesystem"):
            found.append("a root file system that can be written")
    return found


@test
def pods_are_restricted_where_the_mode_allows(stage):
    for name, path in value_files():
        for kind, spec in pod_specs(stage.objects("--values", path)):
            allowed = set()
            if kind == "DaemonSet":
                allowed = {"a namespace of the host", "a volume of kind hostPath"}
            found = set(against_restricted(spec))
            stage.check(found <= allowed, f"{name}: the pods of a {kind} have {found}")


@test
def a_token_is_mounted_only_for_discovery(stage):
    for name, path in value_files():
        objects = stage.objects("--values", path)
        is_on = name == "every-switch"
        stage.check(host_spec(objects)["automountServiceAccountToken"] is is_on, name)
        stage.check(only(objects, "ServiceAccount")["automountServiceAccountToken"] is False, name)
        stage.check(any("Role" in one["kind"] for one in objects) is is_on, f"{name}: roles")


@test
def roles_allow_what_discovery_needs_and_no_more(stage):
    def rules(**pool):
        pools = [{"name": "lb.kube-cp.com", "nodes": seeds, "probe": {"ca": "cluster-ca.crt"}} | pool]
        objects = stage.objects("--values", RECORDS, "--set-json", f"config.pools={json.dumps(pools)}")
        return [(one["kind"], one["metadata"].get("namespace"), one["rules"]) for one in objects if "rules" in one]

    seeds = [{"name": f"kube-cp-{n}", "addresses": [f"192.0.2.{n}"]} for n in (1, 2)]
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}
    readyz = {"nonResourceURLs": ["/readyz"], "verbs": ["get"]}
    auth = {"auth": {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}}
    elsewhere = {"auth": {"tokenFile": "secrets/other/token"}}
    stage.check(rules() == [], "none without a need")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {}})
    stage.check(found == [("ClusterRole", None, [nodes, readyz])], f"nodes: {found}")
    stage.check(rules(probe=auth) == [("ClusterRole", None, [readyz])], "readiness alone")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {"source": "endpoints"}})
    stage.check(found == [("ClusterRole", None, [readyz]), ("Role", "default", [slices])], f"one namespace: {found}")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {}}, probe=elsewhere)
    stage.check(found == [], f"a cluster with a token of its own is another: {found}")


def granted(objects):
    """Whom a list of objects allows what, without names of objects and labels."""
    found = {}
    for one in objects:
        if one["kind"] in ("Role", "ClusterRole"):
            name = one["metadata"]["name"]
            binding = only(objects, f"{one['kind']}Binding", name)
            assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": one["kind"], "name": name}
            found[one["kind"]] = (one["rules"], binding["subjects"], one["metadata"].get("namespace"))
    return found


@test
def the_roles_are_those_that_the_binary_prints_for_the_same_configuration(stage):
    objects = stage.objects("--values", EVERY)
    file = os.path.join(stage.directory, "rbac", "daymark.yaml")
    write(file, config_of(objects))
    account = only(objects, "ServiceAccount")["metadata"]
    done = stage.run(stage.binary, "manifest", "rbac", "-c", file, "--self", "dm-daymark-0", "--name", account["name"],
                     "--namespace", "infra", "--token")
    stage.check(done.returncode == 0, done.stderr)
    printed = [one for one in yaml.safe_load_all(done.stdout) if one]
    for one in printed:
        stage.check(fault(one) is None, f"{one['kind']}: {fault(one)}")
    stage.check(len(printed) == 6 and granted(printed) == granted(objects), f"{granted(printed)} {granted(objects)}")


@test
def the_kubelet_asks_where_the_host_listens(stage):
    serving = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
    for listen, asked in (("127.0.0.1:9353", "127.0.0.1"), ("127.0.0.2:9400", "127.0.0.2"), ("[::1]:9353", "::1"),
                          ("[::]:9353", None), ("0.0.0.0:9353", None)):
        given = ["--set-json", f"config.admin.listen={json.dumps(listen)}"]
        container = host_spec(stage.objects("--values", serving, *given))["containers"][0]
        (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == "admin"]
        stage.check(port == int(listen.rsplit(":", 1)[1]), listen)
        for probe in ("livenessProbe", "readinessProbe"):
            stage.check(container[probe]["httpGet"].get("host") == asked, f"{probe} of {listen}: {container[probe]}")


@test
def selectors_find_the_hosts_and_nothing_else(stage):
    for name, path in value_files():
        objects = stage.objects("--values", path)
        others = [only(objects, "Pod")["metadata"]["labels"], only(objects, "Job")["spec"]["template"]["metadata"]["labels"]]
        for one in objects:
            spec = one.get("spec", {})
            selector = spec.get("podSelector") or spec.get("selector")
            if not selector:
                continue
            wanted = selector.get("matchLabels", selector) or {}
            stage.check(wanted.items() > {"app.kubernetes.io/component": "host"}.items(), f"{name}: {one['kind']}")
            for labels in others:
                stage.check(not wanted.items() <= labels.items(), f"{name}: {one['kind']} finds a pod that is no host")


@test
def only_what_needs_a_restart_restarts_the_hosts(stage):
    def checksum(path, *given):
        for one in stage.objects("--values", path, *given):
            if one["kind"] in ("DaemonSet", "StatefulSet"):
                return one["spec"]["template"]["metadata"]["annotations"]["daymark/restart-checksum"]

    serving = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
    for path, change, restarts in (
        (serving, "config.pools[0].nodes[0].addresses[0]=192.0.2.9", False),
        (serving, "config.pools[0].ttl.max=9s", False),
        (serving, "config.pools[0].name=lb.example.org", False),
        (serving, "config.providers[0].nameservers[0].name=ns9.example.org", False),
        (serving, "config.providers[0].maxTcpConnections=9", True),
        (serving, "config.providers[0].listen[0]=192.0.2.1:53", True),
        (serving, "config.peers.members[0].address=192.0.2.9", True),
        (serving, "config.admin.listen=127.0.0.1:9999", True),
        (RECORDS, "config.pools[0].nodes[0].addresses[0]=192.0.2.9", False),
        (RECORDS, "config.pools[0].name=lb.example.org", True),
        (RECORDS, "config.providers[0].driftInterval=1m", True),
        (RECORDS, "replicas=5", True),
    ):
        pool = ["--set", "config.pools[0].name=lb.kube-cp.com"]  # A list is replaced whole where one of it is set.
        changed = checksum(path, *pool, "--set", change) != checksum(path, *pool)
        stage.check(changed is restarts, f"{change}: {'a' if restarts else 'no'} restart")


@test
def secrets_are_made_once_and_only_where_none_is_named(stage):
    made = only(stage.objects("--values", RECORDS, "--set", "secrets.gossipKey.existingSecret=",
                              "--set", "secrets.adminToken.existingSecret="), "Secret")["data"]
    stage.check(set(made) == {"gossipKey", "adminToken"}, f"{set(made)}")
    key = base64.b64decode(made["gossipKey"]).decode()
    stage.check(len(base64.b64decode(key)) == 32, "a key has 32 bytes")
    stage.check(len(base64.b64decode(made["adminToken"])) == 48, "a token is long")
    stage.check(not [one for one in stage.objects("--values", RECORDS) if one["kind"] == "Secret"], "none is made")
    given = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")
    data = only(stage.objects("--values", given), "Secret")["data"]
    stage.check(base64.b64decode(data["adminToken"]) == b"an-admin-token-of-no-one", "the given one is taken")


@test
def an_upgrade_keeps_the_secrets_that_were_made(stage):
    config = os.path.join(stage.directory, "kubeconfig")
    before = {"gossipKey": "the key before", "adminToken": "the token before"}
    with cluster_with("infra", "dm-daymark", before) as kubeconfig:
        write(config, kubeconfig)
        made = only(stage.objects("--values", RECORDS, "--set", "secrets.gossipKey.existingSecret=",
                                  "--set", "secrets.adminToken.existingSecret=",
                                  "--dry-run=server", "--disable-openapi-validation", "--kubeconfig", config), "Secret")["data"]
    stage.check({key: base64.b64decode(text).decode() for key, text in made.items()} == before, f"{made}")


@test
def keys_and_tokens_are_closed_to_other_users(stage):
    for name, path in value_files():
        spec = host_spec(stage.objects("--values", path))
        (config,) = [volume["projected"] for volume in spec["volumes"] if volume["name"] == "config"]
        stage.check(config["defaultMode"] == 0o440, name)
        stage.check(spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"] == 65532, name)


def metrics():
    """Every metric that Daymark has, as its sources name them."""
    names = set()
    for source in ("metrics.rs", "metrics/discovery.rs", "metrics/hosts.rs"):
        text = read(os.path.join(HERE, "../../src", source))
        names |= {f"daymark_{name}" for name in re.findall(r"\.register\(\s*\"([a-z_]+)\"", text)}
    return names


def unknown(expression):
    """The metrics of an expression that Daymark has not. It is parsed first, so that it is one."""
    promql_parser.parse(expression)
    known = metrics()
    named = set(re.findall(r"\bdaymark_[a-z_]+", expression))
    return [name for name in named if re.sub(r"_(total|info|bucket)$", "", name) not in known]


@test
def alerts_and_dashboard_ask_for_metrics_that_there_are(stage):
    stage.check(len(metrics()) > 30, "the metrics are found")
    stage.check(unknown("rate(daymark_nonsense_total[5m])"), "and others are not")
    objects = stage.objects("--values", EVERY)
    rules = only(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    board = json.loads(only(objects, "ConfigMap", "dm-daymark-dashboard")["data"]["daymark.json"])
    asked = [target["expr"].replace("$namespace", "infra") for panel in board["panels"] for target in panel["targets"]]
    stage.check(len(rules) >= 10 and len(asked) >= 10, "both are there")
    for expression in [rule["expr"] for rule in rules] + asked:
        stage.check(not unknown(expression), f"{expression}: {unknown(expression)}")
    cron = stage.objects("--values", os.path.join(CHART, "ci", "cron-without-claim.yaml"))
    for rule in only(cron, "PrometheusRule")["spec"]["groups"][0]["rules"]:
        promql_parser.parse(rule["expr"])
        stage.check('cronjob="dm-daymark"' in rule["expr"], rule["expr"])


@test
def the_policy_lets_in_metrics_only_where_they_are_read(stage):
    path = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")

    def admin(*given):
        ingress = only(stage.objects("--values", path, *given), "NetworkPolicy")["spec"]["ingress"]
        return [rule["from"] for rule in ingress if rule["ports"][0]["port"] == "admin"]

    stage.check(admin() == [], "nobody")
    stage.check(admin("--set", "podMonitor.enabled=true") == [[{"namespaceSelector": {}}]], "every pod")
    chosen = yaml.safe_load(read(EVERY))["networkPolicy"]["adminFrom"]
    stage.check(admin("--set-json", f"networkPolicy.adminFrom={json.dumps(chosen)}") == [chosen], "the chosen")


@test
def the_policy_lets_out_to_the_ports_of_the_cluster_and_of_cloudflare(stage):
    load_balancing = os.path.join(CHART, "ci", "cloudflare-load-balancing.yaml")

    def ports(*given):
        egress = only(stage.objects("--values", load_balancing, *given), "NetworkPolicy")["spec"]["egress"]
        return [[(port["port"], port["protocol"]) for port in rule["ports"]] for rule in egress if "to" not in rule]

    dns = [(53, "UDP"), (53, "TCP")]
    stage.check(ports() == [dns, [(443, "TCP")]], f"{ports()}")
    for api, port in (("https://api.example.org:8443/client/v4", 8443), ("https://api.example.org/v4:1", 443),
                      ("https://[2001:db8::1]", 443), ("https://[2001:db8::1]:444", 444)):
        found = ports("--set-json", f"config.providers[0].api={json.dumps(api)}", "--set", "config.providers[0].type=cloudflare",
                      "--set", "config.providers[0].mode=records", "--set", "config.providers[0].zone=kube-cp.com")
        stage.check(found == [dns, [(port, "TCP")]], f"{api}: {found}")
    found = ports("--set-json", "networkPolicy.dnsPorts=[53,5353]")
    stage.check(found[0] == [*dns, (5353, "UDP"), (5353, "TCP")], f"{found}")
