"""What the chart renders is run: each configuration by `daymark check`, and a whole pod by the container's own command."""

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

from stage import CHART, HERE, config_of, host_spec, only, read, test, value_files, write
from test_manifests import fault

KEY = "8acZQhrJkAkPd4PgEoWnRv6Usrm8px1mM5sF0R9QVT4=\n"
SERVING = os.path.join(CHART, "ci", "daemonset-with-peers.yaml")
PATIENCE = 60  # In seconds, and far more than anything here takes.


def make_certificates(stage):
    """A CA as that of the cluster, and a certificate of the name by it; made once."""
    directory = os.path.join(stage.directory, "pki")
    if os.path.isdir(directory):
        return directory
    os.makedirs(directory)

    def openssl(*arguments):
        done = stage.run("openssl", *arguments, cwd=directory)
        if done.returncode:
            raise AssertionError(done.stderr)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kubernetes", "-days", "2")
    openssl("req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=kube-apiserver")
    write(os.path.join(directory, "san"), "subjectAltName=DNS:lb.kube-cp.com\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "tls.crt")
    return directory


def secret_text(stage, objects, name, key):
    """What a Secret has: the one that the chart makes, or one that the operator would have made."""
    for one in objects:
        if one["kind"] == "Secret" and one["metadata"]["name"] == name:
            return base64.b64decode(one["data"][key]).decode()
    if key in ("tls.crt", "tls.key"):
        return read(os.path.join(make_certificates(stage), key))
    return KEY if key in ("gossip.key", "gossip", "keys") else "a-token-of-no-one\n"


def lay_out(stage, objects, root, spec=None):
    """Lays out the files of the volume `config` of the hosts, or of another pod, below `root`, with the rights that the kubelet
    gives them."""
    (volume,) = [volume for volume in (spec or host_spec(objects))["volumes"] if volume["name"] == "config"]
    mode = volume["projected"]["defaultMode"]
    directory = os.path.join(root, "etc/daymark")
    for source in volume["projected"]["sources"]:
        if "configMap" in source and source["configMap"]["name"] == "kube-root-ca.crt":
            write(os.path.join(directory, "cluster-ca.crt"), read(os.path.join(make_certificates(stage), "ca.crt")), mode)
        elif "configMap" in source:
            for name, text in only(objects, "ConfigMap", source["configMap"]["name"])["data"].items():
                write(os.path.join(directory, name), text, mode)
        else:
            for item in source["secret"]["items"]:
                text = secret_text(stage, objects, source["secret"]["name"], item["key"])
                write(os.path.join(directory, item["path"]), text, mode)
    return directory


def environment(objects, root, self_name):
    """The variables of the container, with the paths of files below `root`."""
    found = {"PATH": os.environ["PATH"]}
    for variable in host_spec(objects)["containers"][0].get("env", []):
        value = variable.get("value") or (self_name if variable["name"] == "DAYMARK_SELF" else "x")
        found[variable["name"]] = value.replace("/etc/daymark", f"{root}/etc/daymark")
    return found


@test
def every_rendered_configuration_is_accepted_by_the_binary(stage):
    for name, path in value_files():
        objects = stage.objects("--values", path)
        root = os.path.join(stage.directory, name)
        directory = lay_out(stage, objects, root)
        file = os.path.join(directory, "daymark.yaml")
        text = read(file)
        if "/var/run/secrets/kubernetes.io" in text:  # The token of the pod, which the kubelet makes.
            write(os.path.join(root, "token"), "x")
            text = text.replace("/var/run/secrets/kubernetes.io/serviceaccount/token", os.path.join(root, "token"))
            os.chmod(file, 0o640)
            write(file, text)
        members = [member["name"] for member in (yaml.safe_load(text).get("peers") or {}).get("members", [])]
        for member in members or [""]:
            done = stage.run(stage.binary, "check", "-c", file, env=environment(objects, root, member))
            stage.check(done.returncode == 0, f"{name} {member}: {done.stdout}{done.stderr}")
            stage.check(f"this is {member}" in done.stdout or not member, f"{name}: {done.stdout}")


@test
def a_static_pod_is_what_kubernetes_takes(stage):
    """The other way to run hosts on the nodes: of the same configuration, and of the same image as the chart's."""
    objects = stage.objects("--values", SERVING)
    directory = lay_out(stage, objects, os.path.join(stage.directory, "static"))
    done = stage.run(stage.binary, "manifest", "static-pod", "--self", "kube-cp-1", "-c", f"{directory}/daymark.yaml")
    stage.check(done.returncode == 0, done.stderr)
    pod = yaml.safe_load(done.stdout)
    stage.check(fault(pod) is None, fault(pod))
    stage.check(fault(pod | {"spec": pod["spec"] | {"nonsense": 1}}) is not None, "nothing unknown is in it")
    stage.check(pod["spec"]["containers"][0]["image"] == host_spec(objects)["containers"][0]["image"], "the image is the same")


@test
def what_the_schema_takes_the_binary_need_not(stage):
    """The check by the binary can fail: two nodes with one address pass the schema."""
    objects = stage.objects("--values", SERVING, "--set-json", "config.pools[0].nodes="
                            '[{"name":"a","addresses":["192.0.2.1"]},{"name":"b","addresses":["192.0.2.1"]}]')
    directory = lay_out(stage, objects, os.path.join(stage.directory, "twice"))
    done = stage.run(stage.binary, "check", "--self", "kube-cp-1", "-c", os.path.join(directory, "daymark.yaml"))
    stage.check(done.returncode == 2, f"{done.stdout}{done.stderr}")


@test
def the_hosts_of_a_statefulset_are_its_pods(stage):
    objects = stage.objects("--values", os.path.join(CHART, "ci", "cloudflare-records.yaml"))
    config = yaml.safe_load(config_of(objects))
    one = only(objects, "StatefulSet")
    pods = [f"{one['metadata']['name']}-{n}" for n in range(one["spec"]["replicas"])]
    stage.check([member["name"] for member in config["peers"]["members"]] == pods, "they are called as the pods")
    peers = only(objects, "Service", one["spec"]["serviceName"])
    stage.check(peers["spec"]["clusterIP"] == "None" and peers["spec"]["publishNotReadyAddresses"] is True, "headless")
    for pod, member in zip(pods, config["peers"]["members"], strict=True):
        wanted = f"{pod}.{peers['metadata']['name']}.infra.svc.cluster.local:{peers['spec']['ports'][0]['port']}"
        stage.check(member["address"] == wanted, member["address"])


def free_port(kind, address):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(*commands):
    """Each command with its environment, until this ends. What they say goes to the output of the tests."""
    with contextlib.ExitStack() as stack:
        for command, variables in commands:
            process = stack.enter_context(subprocess.Popen(command, env=variables))
            stack.callback(process.send_signal, signal.SIGTERM)
        yield process


def wait_for(what, sentence):
    """Until it is so: a condition, with a bound that no sound machine needs."""
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"{sentence}, in {PATIENCE} s")
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
    """One pod of a DaemonSet, on a loopback address in the place of its node's."""

    def __init__(self, stage, objects, number, gossip):
        self.stage, self.name, self.address = stage, f"kube-cp-{number}", f"127.0.0.2{number}"
        self._gossip = gossip
        self._root = os.path.join(stage.directory, "hosts", self.name)
        file = os.path.join(lay_out(stage, objects, self._root), "daymark.yaml")
        os.chmod(file, 0o640)
        write(file, self._moved(read(file)))
        self.container = host_spec(objects)["containers"][0]
        stage.check(self.container["command"] == ["/usr/bin/daymark"], "the command is the binary")
        self.command = [stage.binary, *map(self._moved, self.container["args"])]
        variables = environment(objects, self._root, self.name)
        self.variables = {key: value if key == "PATH" else self._moved(value) for key, value in variables.items()}

    def _moved(self, text):
        """A text of the pod where it runs here: nothing is taken out of it, addresses and paths are others."""
        text = re.sub(r"address: 192\.0\.2\.([1-3])\b", rf"address: 127.0.0.2\1:{self._gossip}", text)  # The members.
        text = re.sub(r"\b192\.0\.2\.([1-3])\b", r"127.0.0.2\1", text)
        text = text.replace("[::]:", f"{self.address}:").replace("127.0.0.1:", f"{self.address}:")
        return re.sub(r"(^|[ =])(/etc|/var/lib)/daymark", rf"\1{self._root}\2/daymark", text)

    def probe(self, kind):
        """What the kubelet is answered: the status of `livenessProbe` or `readinessProbe`."""
        asked = self.container[kind]["httpGet"]
        self.stage.check(asked["host"] == "127.0.0.1", "it is asked on loopback")
        return status_of(f"http://{self.address}:{self.port(asked['port'])}{asked['path']}")

    def port(self, name):
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}[name]

    def ask(self):
        asked = self.stage.run("dig", "+short", f"@{self.address}", "-p", str(self.port("dns")), "lb.kube-cp.com")
        return sorted(asked.stdout.split())

    def execute(self, *command):
        """What `kubectl exec POD -- /usr/bin/daymark …` prints."""
        done = self.stage.run(self.stage.binary, *command, env=self.variables)
        self.stage.check(done.returncode == 0, f"{self.name}: {command}: {done.stderr}")
        return done.stdout


def values_of_the_readme(apiserver, dns, gossip, admin):
    """The first values of the README, with ports that are free here; all else is as it stands there."""
    values = yaml.safe_load(read(os.path.join(CHART, "README.md")).split("```yaml\n")[1].split("```")[0])
    config = values["config"]
    config["pools"][0]["port"] = apiserver
    config["providers"][0]["listen"] = [f"[::]:{dns}"]
    config["peers"]["listen"] = f"[::]:{gossip}"
    config["admin"] = {"listen": f"127.0.0.1:{admin}"}
    return values


@test
def the_hosts_of_the_readme_decide_together_and_answer_for_the_name(stage):
    """From nothing to a right answer: the files, command and variables of the three pods, and what the notes say to do next."""
    apiserver, admin = (free_port(socket.SOCK_STREAM, "0.0.0.0") for _ in range(2))
    dns, gossip = (free_port(socket.SOCK_DGRAM, "0.0.0.0") for _ in range(2))
    file = os.path.join(stage.directory, "hosts", "values.yaml")
    write(file, yaml.safe_dump(values_of_the_readme(apiserver, dns, gossip, admin)))
    objects = stage.objects("--values", file)
    hosts = [Host(stage, objects, number, gossip) for number in (1, 2, 3)]
    stage.check(hosts[0].port("dns") == hosts[0].port("dns-tcp") == dns, "the Service leads to where they listen")
    notes = stage.helm("install", "dm", CHART, "--dry-run=client", "--values", file).stdout.split("\nNOTES:\n")[1]
    status, drain = [line.split() for line in re.findall(r"-- /usr/bin/daymark (.+)", notes)]

    # Two of the three apiservers are there, at the addresses of the nodes.
    pki, answer = make_certificates(stage), os.path.join(stage.directory, "hosts", "ready")
    write(answer, "200\nok\n")
    play = [sys.executable, os.path.join(HERE, "../e2e/apiserver.py")]
    apiservers = [([*play, host.address, str(apiserver), f"{pki}/tls.crt", f"{pki}/tls.key", answer], None) for host in hosts[:2]]
    there = [host.address for host in hosts[:2]]
    with running(*apiservers, *((host.command, host.variables) for host in hosts)):
        for host in hosts:
            wait_for(lambda host=host: host.probe("readinessProbe") == 200, f"{host.name} is not ready")
            stage.check(host.probe("livenessProbe") == 200, f"{host.name} is live")
            wanted = f"host {host.name}: quorum, hears 3 of 3\n"
            wait_for(lambda host=host, wanted=wanted: wanted in host.execute(*status), f"no {wanted}")
            wait_for(lambda host=host: host.ask() == there, f"{host.name} answers otherwise than {there}")
            try_the_test_pod(stage, objects, host.address, dns)
        told = [hosts[0].name if word == "NODE" else word for word in drain]
        hosts[2].execute(*told)
        for host in hosts:
            wait_for(lambda host=host: host.ask() == there[1:], f"a node that is drained is still in the answer of {host.name}")


@test
def a_node_that_is_no_member_says_so_and_does_not_start(stage):
    objects = stage.objects("--values", SERVING)
    directory = lay_out(stage, objects, os.path.join(stage.directory, "stranger"))
    done = stage.run(stage.binary, "run", "-c", os.path.join(directory, "daymark.yaml"), env={"DAYMARK_SELF": "kube-cp-9"})
    stage.check(done.returncode == 2 and "kube-cp-9 is no member" in done.stderr, f"{done.returncode}: {done.stderr}")


@test
def a_rendered_pass_does_all_it_can_without_cloudflare(stage):
    """The CronJob's files and command, with nodes and an API on loopback at which nothing listens."""
    root = os.path.join(stage.directory, "pass")
    closed = free_port(socket.SOCK_STREAM, "127.0.0.1")
    values = yaml.safe_load(read(os.path.join(CHART, "ci", "cron.yaml")))
    config = values["config"]
    config["pools"][0] |= {"port": closed, "nodes": [{"name": "kube-cp-1", "addresses": ["127.0.0.21"]}]}
    config["providers"][0]["api"] = f"http://127.0.0.1:{closed}"
    config["stateDir"] = os.path.join(root, "state")
    values["cron"] = {"deadline": "1s"}
    file = os.path.join(root, "values.yaml")
    write(file, yaml.safe_dump(values))
    objects = stage.objects("--values", file)
    lay_out(stage, objects, root)
    container = host_spec(objects)["containers"][0]
    command = [argument.replace("/etc/daymark", f"{root}/etc/daymark") for argument in container["args"]]
    done = stage.run(stage.binary, *command, env=environment(objects, root, ""))
    stage.check(done.returncode == 1 and "Cloudflare" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")
    stage.check(os.listdir(config["stateDir"]), "what it found is remembered for the next pass")


def try_the_test_pod(stage, objects, address, port):
    """The container of `helm test`, asking there instead of by the name of the Service."""
    container = only(objects, "Pod")["spec"]["containers"][0]
    command, server, *names = container["args"]
    stage.check(server == "--server=dm-daymark.infra.svc.cluster.local", "it asks the Service")
    asked = [stage.binary, command, f"--server={address}:{port}"]
    done = stage.run(*asked, *names)
    stage.check(done.returncode == 0 and done.stdout.count("lb.kube-cp.com: ") == 2, f"{done.stdout}{done.stderr}")
    done = stage.run(*asked, "other.example.org")
    stage.check(done.returncode == 1 and "no address" in done.stderr, "a name without an address fails")
