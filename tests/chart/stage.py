"""What the tests of the chart share: helm, the binary, the value files, and the count of checks."""

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


class Stage:
    def __init__(self, helm, binary, directory, is_blessing):
        self.helm_binary = helm
        self.binary = binary
        self.directory = directory
        self.is_blessing = is_blessing
        self.checks = 0
        self._rendered = {}

    def check(self, is_so, sentence):
        self.checks += 1
        if not is_so:
            raise AssertionError(sentence)

    def run(self, *command, stdin=None, **kwargs):
        return subprocess.run(command, text=True, capture_output=True, input=stdin, timeout=120, **kwargs)

    def helm(self, *arguments, **kwargs):
        """Runs helm with nothing of this machine's own: no repositories, no cluster."""
        home = os.path.join(self.directory, "home")
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": os.path.join(home, "none")}
        return self.run(self.helm_binary, *arguments, env=environment, **kwargs)

    def template(self, *arguments, stdin=None):
        return self.helm("template", "dm", CHART, "--namespace", "infra", *arguments, stdin=stdin)

    def text(self, *arguments):
        """What the chart renders with these arguments, which must be in order."""
        if arguments not in self._rendered:
            done = self.template(*arguments)
            if done.returncode:
                raise AssertionError(f"{arguments}: {done.stderr}")
            self._rendered[arguments] = done.stdout
        return self._rendered[arguments]

    def objects(self, *arguments):
        return [one for one in yaml.safe_load_all(self.text(*arguments)) if one]

    def refusal(self, values):
        """Why these values, as YAML, are refused; empty where they are taken."""
        done = self.template("--values", "-", stdin=values)
        return done.stderr if done.returncode else ""


def value_files():
    """Name and path of each value file."""
    paths = sorted(glob.glob(os.path.join(CHART, "ci", "*.yaml")))
    return [(os.path.basename(path).removesuffix(".yaml"), path) for path in paths]


def only(objects, kind, name=None):
    """The one object of a kind."""
    (found,) = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def pod_specs(objects):
    """Every pod of a release: its kind and its spec."""
    for one in objects:
        if one["kind"] == "Pod":
            yield one["kind"], one["spec"]
        elif one["kind"] == "CronJob":
            yield one["kind"], one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif one["kind"] in ("DaemonSet", "StatefulSet", "Job"):
            yield one["kind"], one["spec"]["template"]["spec"]


def host_spec(objects):
    """The spec of the pods that run Daymark."""
    (found,) = [spec for kind, spec in pod_specs(objects) if kind not in ("Pod", "Job")]
    return found


def config_of(objects):
    """The text of the configuration of the hosts."""
    (volume,) = [volume for volume in host_spec(objects)["volumes"] if volume["name"] == "config"]
    return only(objects, "ConfigMap", volume["projected"]["sources"][0]["configMap"]["name"])["data"]["daymark.yaml"]
