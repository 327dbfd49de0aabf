"""Runs what the chart renders: each configuration by `daymark check`, and whole pods by the command of their container."""

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

from fixture import CHART, HERE, config_of, host_spec, only, read, test, value_files, write
from test_manifests import fault

KEY = "8acZQhrJkAkPd4PgEoWnRv6Usrm8px1mM5sF0R9QVT4=\n"
SERVING = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
WAIT_TIMEOUT = 60  # Seconds, far more than anything here takes.


def make_certificates(fixture):
    """Makes a CA like that of the cluster, and a certificate of the name from it, once."""
    directory = os.path.join(fixture.directory, "pki")
    if os.path.isdir(directory):
        return directory
    os.makedirs(directory)

    def openssl(*arguments):
        result = fixture.run("openssl", *arguments, cwd=directory)
        if result.returncode:
            raise AssertionError(result.stderr)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kubernetes", "-days", "2")
    openssl("req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=kube-apiserver")
    write(os.path.join(directory, "san"), "subjectAltName=DNS:lb.kube-cp.com\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "tls.crt")
    return directory


def secret_text(fixture, objects, name, key):
    """Returns the text of a Secret: of one that the chart generates, or of one that the operator would make."""
    for one in objects:
        if one["kind"] == "Secret" and one["metadata"]["name"] == name:
            return base64.b64decode(one["data"][key]).decode()
    if key in ("tls.crt", "tls.key"):
        return read(os.path.join(make_certificates(fixture), key))
    return KEY if key in ("gossip.key", "gossip", "keys") else "a-token-of-no-one\n"


def lay_out(fixture, objects, root, spec=None):
    """Writes the files of the volume `config` of the hosts, or of another pod, below `root`, with the mode that the kubelet
    sets."""
    (volume,) = [volume for volume in (spec or host_spec(objects))["volumes"] if volume["name"] == "config"]
    mode = volume["projected"]["defaultMode"]
    directory = os.path.join(root, "etc/daymark")
    for source in volume["projected"]["sources"]:
        if "configMap" in source and source["configMap"]["name"] == "kube-root-ca.crt":
            write(os.path.join(directory, "cluster-ca.crt"), read(os.path.join(make_certificates(fixture), "ca.crt")), mode)
        elif "configMap" in source:
            for name, text in only(objects, "ConfigMap", source["configMap"]["name"])["data"].items():
                write(os.path.join(directory, name), text, mode)
        else:
            for item in source["secret"]["items"]:
                text = secret_text(fixture, objects, source["secret"]["name"], item["key"])
                write(os.path.join(directory, item["path"]), text, mode)
    return directory


def environment(objects, root, self_name):
    """Returns the variables of the container, with the paths of files below `root`."""
    variables = {"PATH": os.environ["PATH"]}
    for variable in host_spec(objects)["containers"][0].get("env", []):
        value = variable.get("value") or (self_name if variable["name"] == "DAYMARK_SELF" else "x")
        variables[variable["name"]] = value.replace("/etc/daymark", f"{root}/etc/daymark")
    return variables


@test
def every_rendered_configuration_is_accepted_by_the_binary(fixture):
    for name, path in value_files():
        objects = fixture.objects("--values", path)
        root = os.path.join(fixture.directory, name)
        directory = lay_out(fixture, objects, root)
        file = os.path.join(directory, "daymark.yaml")
        text = read(file)
        if "/var/run/secrets/kubernetes.io" in text:  # The token of the pod, which the kubelet provides.
            write(os.path.join(root, "token"), "x")
            text = text.replace("/var/run/secrets/kubernetes.io/serviceaccount/token", os.path.join(root, "token"))
            os.chmod(file, 0o640)
            write(file, text)
        members = [member["name"] for member in (yaml.safe_load(text).get("peers") or {}).get("members", [])]
        for member in members or [""]:
            result = fixture.run(fixture.binary, "check", "-c", file, env=environment(objects, root, member))
            fixture.check(result.returncode == 0, f"{name} {member}: {result.stdout}{result.stderr}")
            fixture.check(f"this is {member}" in result.stdout or not member, f"{name}: {result.stdout}")


@test
def kubernetes_accepts_the_static_pod(fixture):
    """The other way to run hosts on the nodes, with the same configuration and the same image as the chart's."""
    objects = fixture.objects("--values", SERVING)
    directory = lay_out(fixture, objects, os.path.join(fixture.directory, "static"))
    result = fixture.run(fixture.binary, "manifest", "static-pod", "--self", "kube-cp-1", "-c", f"{directory}/daymark.yaml")
    fixture.check(result.returncode == 0, result.stderr)
    pod = yaml.safe_load(result.stdout)
    fixture.check(fault(pod) is None, fault(pod))
    fixture.check(fault(pod | {"spec": pod["spec"] | {"nonsense": 1}}) is not None, "an unknown field is an error")
    fixture.check(pod["spec"]["containers"][0]["image"] == host_spec(objects)["containers"][0]["image"], "the image is the same")


@test
def the_binary_may_refuse_what_the_schema_accepts(fixture):
    """Two nodes with one address pass the schema and fail the check by the binary."""
    objects = fixture.objects("--values", SERVING, "--set-json", "config.pools[0].nodes="
                            '[{"name":"a","addresses":["192.0.2.1"]},{"name":"b","addresses":["192.0.2.1"]}]')
    directory = lay_out(fixture, objects, os.path.join(fixture.directory, "twice"))
    result = fixture.run(fixture.binary, "check", "--self", "kube-cp-1", "-c", os.path.join(directory, "daymark.yaml"))
    fixture.check(result.returncode == 2, f"{result.stdout}{result.stderr}")


@test
def the_hosts_of_a_statefulset_are_its_pods(fixture):
    objects = fixture.objects("--values", os.path.join(CHART, "ci", "cloudflare-records.yaml"))
    config = yaml.safe_load(config_of(objects))
    one = only(objects, "StatefulSet")
    pods = [f"{one['metadata']['name']}-{n}" for n in range(one["spec"]["replicas"])]
    fixture.check([member["name"] for member in config["peers"]["members"]] == pods, "they have the names of the pods")
    peers = only(objects, "Service", one["spec"]["serviceName"])
    fixture.check(peers["spec"]["clusterIP"] == "None" and peers["spec"]["publishNotReadyAddresses"] is True, "headless")
    for pod, member in zip(pods, config["peers"]["members"], strict=True):
        expected = f"{pod}.{peers['metadata']['name']}.infra.svc.cluster.local:{peers['spec']['ports'][0]['port']}"
        fixture.check(member["address"] == expected, member["address"])


def free_port(kind, address):
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(*commands):
    """Runs each command with its environment until the block ends. Their output is that of the tests."""
    with contextlib.ExitStack() as stack:
        for command, variables in commands:
            process = stack.enter_context(subprocess.Popen(command, env=variables))
            stack.callback(process.send_signal, signal.SIGTERM)
        yield process


def wait_for(condition, message):
    """Waits until the condition holds, and fails with the message after a time that no sound machine needs."""
    end = time.monotonic() + WAIT_TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{message} within {WAIT_TIMEOUT} s")
        time.sleep(0.05)


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


class Host:
    """One pod of a DaemonSet, on a loopback address instead of the address of its node."""

    def __init__(self, fixture, objects, number, gossip):
        self.fixture = fixture
        self.name = f"kube-cp-{number}"
        self.address = f"127.0.0.2{number}"
        self._gossip = gossip
        self._root = os.path.join(fixture.directory, "hosts", self.name)
        file = os.path.join(lay_out(fixture, objects, self._root), "daymark.yaml")
        os.chmod(file, 0o640)
        write(file, self._moved(read(file)))
        self.container = host_spec(objects)["containers"][0]
        fixture.check(self.container["command"] == ["/usr/bin/daymark"], "the command is the binary")
        self.command = [fixture.binary, *map(self._moved, self.container["args"])]
        variables = environment(objects, self._root, self.name)
        self.variables = {key: value if key == "PATH" else self._moved(value) for key, value in variables.items()}

    def _moved(self, text):
        """Returns a text of the pod with the addresses and paths of this machine, and otherwise unchanged."""
        text = re.sub(r"address: 192\.0\.2\.([1-3])\b", rf"address: 127.0.0.2\1:{self._gossip}", text)  # The members.
        text = re.sub(r"\b192\.0\.2\.([1-3])\b", r"127.0.0.2\1", text)
        text = text.replace("[::]:", f"{self.address}:").replace("127.0.0.1:", f"{self.address}:")
        return re.sub(r"(^|[ =])(/etc|/var/lib)/daymark", rf"\1{self._root}\2/daymark", text)

    def probe(self, kind):
        """Returns the HTTP status that the kubelet gets for `livenessProbe` or `readinessProbe`."""
        request = self.container[kind]["httpGet"]
        self.fixture.check(request["host"] == "127.0.0.1", "the probe uses loopback")
        return status_of(f"http://{self.address}:{self.port(request['port'])}{request['path']}")

    def metrics(self):
        """Returns the text of the metrics."""
        with urllib.request.urlopen(f"http://{self.address}:{self.port('admin')}/metrics", timeout=5) as response:
            return response.read().decode()

    def port(self, name):
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}[name]

    def ask(self):
        response = self.fixture.run("dig", "+short", f"@{self.address}", "-p", str(self.port("dns")), "lb.kube-cp.com")
        return sorted(response.stdout.split())

    def execute(self, *command):
        """Returns the output of `kubectl exec POD -- /usr/bin/daymark …`."""
        result = self.fixture.run(self.fixture.binary, *command, env=self.variables)
        self.fixture.check(result.returncode == 0, f"{self.name}: {command}: {result.stderr}")
        return result.stdout


def check_labels(fixture, metrics):
    """Checks that a host exports each label value that the alerts compare with."""
    rules = yaml.safe_load(read(os.path.join(CHART, "files/rules.yaml")))[0]["rules"]
    matchers = {found for rule in rules for found in re.findall(r'(daymark_\w+)\{(\w+)=~?"([^"]+)"\}', rule["expr"])}
    fixture.check(len(matchers) >= 4, f"the alerts compare labels: {sorted(matchers)}")
    for metric, label, values in matchers:
        for value in values.split("|"):
            exported = re.search(rf'^{metric}\{{.*\b{label}="{value}".*\}} ', metrics, re.M)
            fixture.check(exported, f'a host exports {metric} with {label}="{value}"')


def values_of_the_readme(apiserver, dns, gossip, admin):
    """Returns the first values of the README with ports that are free here, and otherwise unchanged."""
    values = yaml.safe_load(read(os.path.join(CHART, "README.md")).split("```yaml\n")[1].split("```")[0])
    config = values["config"]
    config["pools"][0]["port"] = apiserver
    config["providers"][0]["listen"] = [f"[::]:{dns}"]
    config["peers"]["listen"] = f"[::]:{gossip}"
    config["admin"] = {"listen": f"127.0.0.1:{admin}"}
    return values


@test
def the_hosts_of_the_readme_decide_together_and_answer_for_the_name(fixture):
    """Runs the three pods with their files, commands and variables, and then the next steps of the notes."""
    apiserver, admin = (free_port(socket.SOCK_STREAM, "0.0.0.0") for _ in range(2))
    dns, gossip = (free_port(socket.SOCK_DGRAM, "0.0.0.0") for _ in range(2))
    file = os.path.join(fixture.directory, "hosts", "values.yaml")
    write(file, yaml.safe_dump(values_of_the_readme(apiserver, dns, gossip, admin)))
    objects = fixture.objects("--values", file)
    hosts = [Host(fixture, objects, number, gossip) for number in (1, 2, 3)]
    fixture.check(hosts[0].port("dns") == hosts[0].port("dns-tcp") == dns, "the Service targets the port on which they listen")
    notes = fixture.helm("install", "dm", CHART, "--dry-run=client", "--values", file).stdout.split("\nNOTES:\n")[1]
    status, drain = [line.split() for line in re.findall(r"-- /usr/bin/daymark (.+)", notes)]

    # Two of the three apiservers run, at the addresses of the nodes.
    pki = make_certificates(fixture)
    readyz = os.path.join(fixture.directory, "hosts", "ready")
    write(readyz, "200\nok\n")
    fake = [sys.executable, os.path.join(HERE, "../e2e/apiserver.py")]
    apiservers = [([*fake, host.address, str(apiserver), f"{pki}/tls.crt", f"{pki}/tls.key", readyz], None) for host in hosts[:2]]
    ready = [host.address for host in hosts[:2]]
    with running(*apiservers, *((host.command, host.variables) for host in hosts)):
        for host in hosts:
            wait_for(lambda host=host: host.probe("readinessProbe") == 200, f"{host.name} is not ready")
            fixture.check(host.probe("livenessProbe") == 200, f"{host.name} is live")
            expected = f"host {host.name}: quorum (3 of 3 hosts reachable)\n"
            wait_for(lambda host=host, expected=expected: expected in host.execute(*status), f"the status lacks {expected!r}")
            wait_for(lambda host=host: host.ask() == ready, f"{host.name} does not answer {ready}")
            try_the_test_pod(fixture, objects, host.address, dns)
        check_labels(fixture, hosts[0].metrics())
        arguments = [hosts[0].name if argument == "NODE" else argument for argument in drain]
        hosts[2].execute(*arguments)
        for host in hosts:
            wait_for(lambda host=host: host.ask() == ready[1:], f"{host.name} still answers the drained node")


@test
def a_host_that_is_not_a_member_reports_it_and_does_not_start(fixture):
    objects = fixture.objects("--values", SERVING)
    directory = lay_out(fixture, objects, os.path.join(fixture.directory, "no-member"))
    result = fixture.run(fixture.binary, "run", "-c", os.path.join(directory, "daymark.yaml"), env={"DAYMARK_SELF": "kube-cp-9"})
    fixture.check(result.returncode == 2 and "kube-cp-9 is not a member" in result.stderr, f"{result.returncode}: {result.stderr}")


@test
def a_rendered_pass_does_its_part_without_cloudflare(fixture):
    """Runs the files and the command of the CronJob, with nodes and an API on loopback at which nothing listens."""
    root = os.path.join(fixture.directory, "pass")
    closed = free_port(socket.SOCK_STREAM, "127.0.0.1")
    values = yaml.safe_load(read(os.path.join(CHART, "ci", "cron.yaml")))
    config = values["config"]
    config["pools"][0] |= {"port": closed, "nodes": [{"name": "kube-cp-1", "addresses": ["127.0.0.21"]}]}
    config["providers"][0]["api"] = f"http://127.0.0.1:{closed}"
    config["stateDir"] = os.path.join(root, "state")
    values["cron"] = {"deadline": "1s"}
    file = os.path.join(root, "values.yaml")
    write(file, yaml.safe_dump(values))
    objects = fixture.objects("--values", file)
    lay_out(fixture, objects, root)
    container = host_spec(objects)["containers"][0]
    command = [argument.replace("/etc/daymark", f"{root}/etc/daymark") for argument in container["args"]]
    result = fixture.run(fixture.binary, *command, env=environment(objects, root, ""))
    fixture.check(result.returncode == 1 and "Cloudflare" in result.stderr, f"{result.returncode}: {result.stdout}{result.stderr}")
    fixture.check(os.listdir(config["stateDir"]), "its state stays for the next pass")


def try_the_test_pod(fixture, objects, address, port):
    """Runs the container of `helm test`, with this server instead of the name of the Service."""
    container = only(objects, "Pod")["spec"]["containers"][0]
    command, server, *names = container["args"]
    fixture.check(server == "--server=dm-daymark.infra.svc.cluster.local", "it queries the Service")
    command = [fixture.binary, command, f"--server={address}:{port}"]
    result = fixture.run(*command, *names)
    fixture.check(result.returncode == 0 and result.stdout.count("lb.kube-cp.com: ") == 2, f"{result.stdout}{result.stderr}")
    result = fixture.run(*command, "other.example.org")
    fixture.check(result.returncode == 1 and "other.example.org does not resolve" in result.stderr, "a name without an address fails")
