"""The fixture of the chart's tests: helm, the binary, the value files, and the count of checks."""

import glob
import os
import subprocess

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.normpath(os.path.join(HERE, "../../charts/daymark"))


def test(function):
    """Marks a function as a test."""
    function.is_test = True
    return function


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


class Fixture:
    def __init__(self, helm, binary, directory, updates_golden):
        self.helm_binary = helm
        self.binary = binary
        self.directory = directory
        self.updates_golden = updates_golden
        self.checks = 0
        self._rendered = {}

    def check(self, condition, message):
        """Counts a check, and fails with the message unless the condition holds."""
        self.checks += 1
        if not condition:
            raise AssertionError(message)

    def run(self, *command, stdin=None, **kwargs):
        return subprocess.run(command, text=True, capture_output=True, input=stdin, timeout=120, **kwargs)

    def helm(self, *arguments, **kwargs):
        """Runs helm without the repositories and clusters of this machine."""
        home = os.path.join(self.directory, "home")
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": os.path.join(home, "none")}
        return self.run(self.helm_binary, *arguments, env=environment, **kwargs)

    def template(self, *arguments, stdin=None):
        return self.helm("template", "dm", CHART, "--namespace", "infra", *arguments, stdin=stdin)

    def text(self, *arguments):
        """Renders the chart with these arguments, which it must accept."""
        if arguments not in self._rendered:
            result = self.template(*arguments)
            if result.returncode:
                raise AssertionError(f"{arguments}: {result.stderr}")
            self._rendered[arguments] = result.stdout
        return self._rendered[arguments]

    def objects(self, *arguments):
        return [one for one in yaml.safe_load_all(self.text(*arguments)) if one]

    def refusal(self, values):
        """Returns the error for these values, as YAML; empty if the chart accepts them."""
        result = self.template("--values", "-", stdin=values)
        return result.stderr if result.returncode else ""


def value_files():
    """Returns name and path of each value file."""
    paths = sorted(glob.glob(os.path.join(CHART, "ci", "*.yaml")))
    return [(os.path.basename(path).removesuffix(".yaml"), path) for path in paths]


def only(objects, kind, name=None):
    """Returns the one object of a kind."""
    (matching,) = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return matching


def pod_specs(objects):
    """Yields each pod of a release: the kind of its owner, and its spec."""
    for one in objects:
        if one["kind"] == "Pod":
            yield one["kind"], one["spec"]
        elif one["kind"] == "CronJob":
            yield one["kind"], one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif one["kind"] in ("DaemonSet", "StatefulSet", "Job"):
            yield one["kind"], one["spec"]["template"]["spec"]


def host_spec(objects):
    """Returns the spec of the pods that run Daymark."""
    (host,) = [spec for kind, spec in pod_specs(objects) if kind not in ("Pod", "Job")]
    return host


def config_of(objects):
    """Returns the text of the configuration of the hosts."""
    (volume,) = [volume for volume in host_spec(objects)["volumes"] if volume["name"] == "config"]
    return only(objects, "ConfigMap", volume["projected"]["sources"][0]["configMap"]["name"])["data"]["daymark.yaml"]
