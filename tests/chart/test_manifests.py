"""Kubernetes accepts the manifests of the chart, and they are as secure as the README promises."""

import base64
import glob
import json
import os
import re

import jsonschema
import kubernetes_validate
import promql_parser
import yaml
from cloudcoil.models.prometheus_operator import v1 as prometheus

from cluster import cluster_with
from fixture import CHART, HERE, config_of, host_spec, only, pod_specs, read, test, value_files, write

# The oldest version that the chart supports, and the newest whose schema the library has.
VERSIONS = ("1.30", "1.37")
SOURCES = os.path.join(HERE, "../../src")
EVERY = os.path.join(CHART, "ci", "every-switch.yaml")
RECORDS = os.path.join(CHART, "ci", "cloudflare-records.yaml")
WITHOUT_SECRETS = ("--set", "secrets.gossipKey.existingSecret=", "--set", "secrets.adminToken.existingSecret=")


def operator_schema(model):
    """Returns the JSON Schema of a type of the operator, with unknown fields denied, which the type itself allows."""
    schema = model.model_json_schema(by_alias=True)
    for part in [schema, *schema["$defs"].values()]:
        if "properties" in part:
            part["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


OPERATOR = {model.__name__: operator_schema(model) for model in (prometheus.PodMonitor, prometheus.PrometheusRule)}


def fault(manifest):
    """Returns why Kubernetes or the operator would refuse a manifest, or `None`. An unknown field is a fault."""
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
def every_manifest_is_valid_by_the_schemas_of_kubernetes_and_of_the_operator(fixture):
    kinds = set()
    for name, path in value_files():
        for manifest in fixture.objects("--values", path):
            kinds.add(manifest["kind"])
            error = fault(manifest)
            fixture.check(error is None, f"{name}: {manifest['kind']} {manifest['metadata']['name']}: {error}")
    fixture.check(len(kinds) == 18, f"all kinds of the chart are among them: {sorted(kinds)}")


@test
def an_unknown_field_is_an_error_in_every_kind(fixture):
    for manifest in fixture.objects("--values", EVERY):
        error = fault(manifest | {"spek": {}})
        fixture.check(error is not None, f"{manifest['kind']} accepts an unknown field")
        if "spec" in manifest:
            error = fault(manifest | {"spec": manifest["spec"] | {"nonsense": 1}})
            fixture.check(error is not None, f"the spec of {manifest['kind']} accepts an unknown field")


@test
def every_object_has_the_labels_and_its_own_name(fixture):
    for name, path in value_files():
        seen = set()
        for manifest in fixture.objects("--values", path):
            metadata = manifest["metadata"]
            labels = metadata["labels"]
            fixture.check(labels["app.kubernetes.io/instance"] == "dm", f"{name}: {metadata['name']}")
            key = (manifest["kind"], metadata.get("namespace"), metadata["name"])
            fixture.check(key not in seen, f"{name}: {key} occurs twice")
            seen.add(key)


def against_restricted(spec):
    """Returns the properties of a pod that the Pod Security Standard `restricted` forbids."""
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
            found.append("a writable root file system")
    return found


@test
def pods_are_restricted_if_the_mode_allows_it(fixture):
    for name, path in value_files():
        for kind, spec in pod_specs(fixture.objects("--values", path)):
            allowed = set()
            if kind == "DaemonSet":
                allowed = {"a namespace of the host", "a volume of kind hostPath"}
            found = set(against_restricted(spec))
            fixture.check(found <= allowed, f"{name}: the pods of a {kind} have {found}")


@test
def a_token_is_mounted_only_for_discovery(fixture):
    for name, path in value_files():
        objects = fixture.objects("--values", path)
        is_on = name == "every-switch"
        fixture.check(host_spec(objects)["automountServiceAccountToken"] is is_on, name)
        fixture.check(only(objects, "ServiceAccount")["automountServiceAccountToken"] is False, name)
        fixture.check(any("Role" in one["kind"] for one in objects) is is_on, f"{name}: roles")


@test
def roles_allow_only_the_requests_of_discovery(fixture):
    def rules(**pool):
        pools = [{"name": "lb.kube-cp.com", "nodes": seeds, "probe": {"ca": "cluster-ca.crt"}} | pool]
        objects = fixture.objects("--values", RECORDS, "--set-json", f"config.pools={json.dumps(pools)}")
        return [(one["kind"], one["metadata"].get("namespace"), one["rules"]) for one in objects if "rules" in one]

    seeds = [{"name": f"kube-cp-{n}", "addresses": [f"192.0.2.{n}"]} for n in (1, 2)]
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}
    readyz = {"nonResourceURLs": ["/readyz"], "verbs": ["get"]}
    auth = {"auth": {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}}
    elsewhere = {"auth": {"tokenFile": "secrets/other/token"}}
    fixture.check(rules() == [], "no roles without discovery")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {}})
    fixture.check(found == [("ClusterRole", None, [nodes, readyz])], f"nodes: {found}")
    fixture.check(rules(probe=auth) == [("ClusterRole", None, [readyz])], "readiness only")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {"source": "endpoints"}})
    fixture.check(found == [("ClusterRole", None, [readyz]), ("Role", "default", [slices])], f"one namespace: {found}")
    found = rules(nodes={"seeds": seeds, "fromKubernetes": {}}, probe=elsewhere)
    fixture.check(found == [], f"another token belongs to another cluster: {found}")


def granted(objects):
    """Returns the rules, subjects and namespace of each kind of role, without names and labels."""
    found = {}
    for one in objects:
        if one["kind"] in ("Role", "ClusterRole"):
            name = one["metadata"]["name"]
            binding = only(objects, f"{one['kind']}Binding", name)
            assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": one["kind"], "name": name}
            found[one["kind"]] = (one["rules"], binding["subjects"], one["metadata"].get("namespace"))
    return found


@test
def the_binary_prints_the_same_roles_for_the_same_configuration(fixture):
    objects = fixture.objects("--values", EVERY)
    file = os.path.join(fixture.directory, "rbac", "daymark.yaml")
    write(file, config_of(objects))
    account = only(objects, "ServiceAccount")["metadata"]
    result = fixture.run(fixture.binary, "manifest", "rbac", "-c", file, "--self", "dm-daymark-0", "--name", account["name"],
                     "--namespace", "infra", "--token")
    fixture.check(result.returncode == 0, result.stderr)
    printed = [one for one in yaml.safe_load_all(result.stdout) if one]
    for one in printed:
        fixture.check(fault(one) is None, f"{one['kind']}: {fault(one)}")
    fixture.check(len(printed) == 6 and granted(printed) == granted(objects), f"{granted(printed)} {granted(objects)}")


@test
def the_kubelet_probes_the_address_on_which_the_host_listens(fixture):
    serving = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
    for listen, probed in (("127.0.0.1:9353", "127.0.0.1"), ("127.0.0.2:9400", "127.0.0.2"), ("[::1]:9353", "::1"),
                          ("[::]:9353", None), ("0.0.0.0:9353", None)):
        arguments = ["--set-json", f"config.admin.listen={json.dumps(listen)}"]
        container = host_spec(fixture.objects("--values", serving, *arguments))["containers"][0]
        (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == "admin"]
        fixture.check(port == int(listen.rsplit(":", 1)[1]), listen)
        for probe in ("livenessProbe", "readinessProbe"):
            fixture.check(container[probe]["httpGet"].get("host") == probed, f"{probe} of {listen}: {container[probe]}")


@test
def a_stuck_host_is_stopped_within_20_seconds_and_killed_soon_after(fixture):
    stuck = 10  # The seconds after which /livez fails for a stuck task.
    shutdown = 8  # The longest orderly shutdown: the last attempt of a provider, open connections, the log.
    for name, path in value_files():
        hosts = [one for one in fixture.objects("--values", path) if one["kind"] in ("DaemonSet", "StatefulSet")]
        for host in hosts:
            spec = host["spec"]["template"]["spec"]
            (container,) = spec["containers"]
            probe = container["livenessProbe"]
            noticed = stuck + probe["periodSeconds"] * probe["failureThreshold"]
            unanswered = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
            fixture.check(noticed <= 20 and unanswered <= 20, f"{name}: stopped after {noticed} s and {unanswered} s")
            pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            grace = spec["terminationGracePeriodSeconds"]
            fixture.check(pause + shutdown < grace <= pause + shutdown + 5, f"{name}: killed after {grace} s")
            stuck_grace = probe["terminationGracePeriodSeconds"]
            fixture.check(stuck_grace <= min(grace, 15), f"{name}: killed after {stuck_grace} s if it is stuck")


@test
def selectors_match_the_hosts_and_nothing_else(fixture):
    for name, path in value_files():
        objects = fixture.objects("--values", path)
        others = [only(objects, "Pod")["metadata"]["labels"], only(objects, "Job")["spec"]["template"]["metadata"]["labels"]]
        for one in objects:
            spec = one.get("spec", {})
            selector = spec.get("podSelector") or spec.get("selector")
            if not selector:
                continue
            selected = selector.get("matchLabels", selector) or {}
            fixture.check(selected.items() > {"app.kubernetes.io/component": "host"}.items(), f"{name}: {one['kind']}")
            for labels in others:
                fixture.check(not selected.items() <= labels.items(), f"{name}: {one['kind']} matches a pod of another kind")


@test
def only_settings_without_reload_restart_the_hosts(fixture):
    def checksum(path, *arguments):
        for one in fixture.objects("--values", path, *arguments):
            if one["kind"] in ("DaemonSet", "StatefulSet"):
                return one["spec"]["template"]["metadata"]["annotations"]["daymark/restart-checksum"]

    serving = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
    for path, change, restarts in (
        (serving, "config.pools[0].nodes[0].addresses[0]=192.0.2.9", False),
        (serving, "config.pools[0].ttl.max=9s", False),
        (serving, "config.pools[0].name=lb.example.org", False),
        (serving, "config.providers[0].nameservers[0].name=ns9.example.org", False),
        (serving, "config.providers[0].maxTcpConnections=9", True),
        (serving, "config.providers[0].maxTcpConnectionsPerClient=9", True),
        (serving, "config.providers[0].freebind=true", True),
        (serving, "config.providers[0].listen[0]=192.0.2.1:53", True),
        (serving, "config.peers.members[0].address=192.0.2.9", True),
        (serving, "config.admin.listen=127.0.0.1:9999", True),
        (RECORDS, "config.pools[0].nodes[0].addresses[0]=192.0.2.9", False),
        (RECORDS, "config.pools[0].name=lb.example.org", True),
        (RECORDS, "config.providers[0].driftInterval=1m", True),
        (RECORDS, "replicas=5", True),
    ):
        pool = ["--set", "config.pools[0].name=lb.kube-cp.com"]  # Setting one element replaces the whole list.
        changed = checksum(path, *pool, "--set", change) != checksum(path, *pool)
        fixture.check(changed is restarts, f"{change}: {'a' if restarts else 'no'} restart")


@test
def secrets_are_generated_only_if_none_is_named(fixture):
    generated = only(fixture.objects("--values", RECORDS, *WITHOUT_SECRETS), "Secret")["data"]
    fixture.check(set(generated) == {"gossipKey", "adminToken"}, f"{set(generated)}")
    key = base64.b64decode(generated["gossipKey"]).decode()
    fixture.check(len(base64.b64decode(key)) == 32, "a key has 32 bytes")
    fixture.check(len(base64.b64decode(generated["adminToken"])) == 48, "a token is long")
    fixture.check(not [one for one in fixture.objects("--values", RECORDS) if one["kind"] == "Secret"], "none is generated")
    with_values = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")
    data = only(fixture.objects("--values", with_values), "Secret")["data"]
    fixture.check(base64.b64decode(data["adminToken"]) == b"an-admin-token-of-no-one", "the value is used")


@test
def an_upgrade_keeps_the_generated_secrets(fixture):
    config = os.path.join(fixture.directory, "kubeconfig")
    before = {"gossipKey": "the key before", "adminToken": "the token before"}
    with cluster_with("infra", "dm-daymark", before) as kubeconfig:
        write(config, kubeconfig)
        objects = fixture.objects("--values", RECORDS, *WITHOUT_SECRETS, "--dry-run=server", "--disable-openapi-validation",
                                  "--kubeconfig", config)
    after = only(objects, "Secret")["data"]
    fixture.check({key: base64.b64decode(text).decode() for key, text in after.items()} == before, f"{after}")


@test
def other_users_cannot_read_keys_and_tokens(fixture):
    for name, path in value_files():
        spec = host_spec(fixture.objects("--values", path))
        (config,) = [volume["projected"] for volume in spec["volumes"] if volume["name"] == "config"]
        fixture.check(config["defaultMode"] == 0o440, name)
        fixture.check(spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"] == 65532, name)


def metrics():
    """Returns the names of all metrics, from the sources."""
    names = set()
    sources = glob.glob("metrics/**/*.rs", root_dir=SOURCES, recursive=True) + glob.glob("metrics.rs", root_dir=SOURCES)
    for source in sources:
        names |= {f"daymark_{name}" for name in re.findall(r"\.register\(\s*\"([a-z_]+)\"", read(os.path.join(SOURCES, source)))}
    return names


def unknown(expression):
    """Returns the metrics of an expression that Daymark does not have. Fails if the expression is invalid."""
    promql_parser.parse(expression)
    known = metrics()
    used = set(re.findall(r"\bdaymark_[a-z_]+", expression))
    return [name for name in used if re.sub(r"_(total|info|bucket)$", "", name) not in known]


@test
def alerts_and_dashboard_use_existing_metrics(fixture):
    fixture.check(len(metrics()) > 30, "the metrics are read")
    fixture.check(unknown("rate(daymark_nonsense_total[5m])"), "an unknown metric is an error")
    objects = fixture.objects("--values", EVERY)
    rules = only(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    dashboard = json.loads(only(objects, "ConfigMap", "dm-daymark-dashboard")["data"]["daymark.json"])
    queries = [target["expr"].replace("$namespace", "infra") for panel in dashboard["panels"] for target in panel["targets"]]
    fixture.check(len(rules) >= 10 and len(queries) >= 10, "both exist")
    for expression in [rule["expr"] for rule in rules] + queries:
        fixture.check(not unknown(expression), f"{expression}: {unknown(expression)}")
    cron = fixture.objects("--values", os.path.join(CHART, "ci", "cron-without-claim.yaml"))
    for rule in only(cron, "PrometheusRule")["spec"]["groups"][0]["rules"]:
        promql_parser.parse(rule["expr"])
        fixture.check('cronjob="dm-daymark"' in rule["expr"], rule["expr"])


@test
def the_policy_admits_readers_of_metrics_only_if_they_are_enabled(fixture):
    path = os.path.join(CHART, "ci", "statefulset-behind-service.yaml")

    def admin(*arguments):
        ingress = only(fixture.objects("--values", path, *arguments), "NetworkPolicy")["spec"]["ingress"]
        return [rule["from"] for rule in ingress if rule["ports"][0]["port"] == "admin"]

    fixture.check(admin() == [], "nobody")
    fixture.check(admin("--set", "podMonitor.enabled=true") == [[{"namespaceSelector": {}}]], "every pod")
    peers = yaml.safe_load(read(EVERY))["networkPolicy"]["adminFrom"]
    fixture.check(admin("--set-json", f"networkPolicy.adminFrom={json.dumps(peers)}") == [peers], "the configured peers")
    apart = ("--set", "podMonitor.enabled=true", "--set-json", 'config.admin.metricsListen="[::]:9354"')
    fixture.check(admin(*apart) == [], "the metrics have a port of their own")


@test
def metrics_apart_have_a_port_that_prometheus_scrapes(fixture):
    for name in ("statefulset-behind-service", "daemonset-with-peers"):
        path = os.path.join(CHART, "ci", f"{name}.yaml")
        apart = ("--set", "podMonitor.enabled=true", "--set-json", 'config.admin.metricsListen="[::]:9400"')
        objects = fixture.objects("--values", path, *apart)
        ports = {port["name"]: port["containerPort"] for port in host_spec(objects)["containers"][0]["ports"]}
        fixture.check(ports["metrics"] == 9400, f"{ports}")
        (scraped,) = only(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
        fixture.check(scraped["port"] == "metrics", f"{scraped}")


@test
def the_policy_allows_egress_to_the_ports_of_the_cluster_and_of_cloudflare(fixture):
    load_balancing = os.path.join(CHART, "ci", "cloudflare-load-balancing.yaml")

    def ports(*arguments):
        egress = only(fixture.objects("--values", load_balancing, *arguments), "NetworkPolicy")["spec"]["egress"]
        return [[(port["port"], port["protocol"]) for port in rule["ports"]] for rule in egress if "to" not in rule]

    dns = [(53, "UDP"), (53, "TCP")]
    fixture.check(ports() == [dns, [(443, "TCP")]], f"{ports()}")
    for api, port in (("https://api.example.org:8443/client/v4", 8443), ("https://api.example.org/v4:1", 443),
                      ("https://[2001:db8::1]", 443), ("https://[2001:db8::1]:444", 444)):
        found = ports("--set-json", f"config.providers[0].api={json.dumps(api)}", "--set", "config.providers[0].type=cloudflare",
                      "--set", "config.providers[0].mode=records", "--set", "config.providers[0].zone=kube-cp.com")
        fixture.check(found == [dns, [(port, "TCP")]], f"{api}: {found}")
    found = ports("--set-json", "networkPolicy.dnsPorts=[53,5353]")
    fixture.check(found[0] == [*dns, (5353, "UDP"), (5353, "TCP")], f"{found}")
