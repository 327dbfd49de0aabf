"""Runs the Job that checks the configuration before an upgrade, with the files of its pod: it refuses a wrong configuration,
and a missing Secret is no reason to refuse."""

import os

import yaml

from fixture import CHART, config_of, only, test, value_files
from test_config import SERVING, lay_out

# Two nodes with one address: the schema accepts this, and the binary does not.
BAD = 'config.pools[0].nodes=[{"name":"a","addresses":["192.0.2.1"]},{"name":"b","addresses":["192.0.2.1"]}]'


def checked(fixture, objects, name):
    """Runs the command of the Job with the files of its pod."""
    spec = only(objects, "Job")["spec"]["template"]["spec"]
    root = os.path.join(fixture.directory, "check", name)
    lay_out(fixture, objects, root, spec)
    (container,) = spec["containers"]
    fixture.check(container["command"] == ["/usr/bin/daymark"], "the command is the binary")
    arguments = [argument.replace("/etc/daymark", f"{root}/etc/daymark") for argument in container["args"]]
    return fixture.run(fixture.binary, *arguments, env={"PATH": os.environ["PATH"]})


@test
def a_configuration_that_the_binary_refuses_ends_an_upgrade_before_it_changes_anything(fixture):
    objects = fixture.objects("--values", SERVING, "--set-json", BAD)
    result = checked(fixture, objects, "bad")
    fixture.check(result.returncode == 2 and "192.0.2.1" in result.stderr, f"{result.returncode}: {result.stdout}{result.stderr}")
    job = only(objects, "Job")
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    expected = {"containerName": job["spec"]["template"]["spec"]["containers"][0]["name"], "operator": "In", "values": [2]}
    fixture.check(rule == {"action": "FailJob", "onExitCodes": expected}, "this exit code ends the Job, others are retried")
    fixture.check(job["spec"]["activeDeadlineSeconds"] < 300, "it ends before helm's time limit of five minutes")


@test
def the_check_comes_first_and_leaves_nothing_behind(fixture):
    for name, path in value_files():
        hooks = {}
        for one in fixture.objects("--values", path):
            annotations = one["metadata"].get("annotations", {})
            if "pre-upgrade" in annotations.get("helm.sh/hook", ""):
                fixture.check(annotations["helm.sh/hook"] == "pre-install,pre-upgrade", f"{name}: both")
                policy = annotations["helm.sh/hook-delete-policy"]
                fixture.check(policy == "before-hook-creation,hook-succeeded", f"{name}: deleted")
                hooks[one["kind"]] = int(annotations["helm.sh/hook-weight"])
        fixture.check(list(hooks) == ["ConfigMap", "Job"] and hooks["ConfigMap"] < hooks["Job"], f"{name}: {hooks}")
    objects = fixture.objects("--values", SERVING, "--set", "check.enabled=false")
    fixture.check(not [one for one in objects if one["metadata"]["name"].endswith("-check")], "it can be disabled")


@test
def the_check_accepts_every_good_configuration_without_a_secret_or_a_token(fixture):
    for name, path in value_files():
        objects = fixture.objects("--values", path)
        result = checked(fixture, objects, name)
        fixture.check(result.returncode == 0, f"{name}: {result.stdout}{result.stderr}")
        spec = only(objects, "Job")["spec"]["template"]["spec"]
        sources = [kind for volume in spec["volumes"] for source in volume["projected"]["sources"] for kind in source]
        fixture.check(set(sources) == {"configMap"}, f"{name}: a Secret may be part of the release itself: {sources}")
        fixture.check(spec["automountServiceAccountToken"] is False, f"{name}: no token")
        fixture.check("serviceAccountName" not in spec, f"{name}: the ServiceAccount does not exist before the check")


def without_credentials(config):
    """Returns a configuration without its references to Secrets."""
    for pool in config["pools"]:
        pool.get("probe", {}).pop("auth", None)
    for provider in config["providers"]:
        provider.pop("tokenFile", None)
    config.get("peers", {}).pop("keyFile", None)
    config.get("admin", {}).pop("tokenFile", None)
    return config


@test
def the_checked_configuration_is_that_of_the_hosts_except_for_credentials(fixture):
    for name, path in value_files():
        objects = fixture.objects("--values", path)
        checked_config = yaml.safe_load(only(objects, "ConfigMap", only(objects, "Job")["metadata"]["name"])["data"]["daymark.yaml"])
        host_config = yaml.safe_load(config_of(objects))
        fixture.check(without_credentials(checked_config) == without_credentials(host_config), name)


@test
def a_ca_in_a_secret_is_not_checked(fixture):
    objects = fixture.objects("--values", os.path.join(CHART, "ci", "other-names.yaml"),
                            "--set-json", 'config.pools[0].probe={"ca":"secrets/probe/tls.crt"}')
    fixture.check(not [one for one in objects if one["kind"] == "Job"], "the check cannot read it, so there is no Job")
