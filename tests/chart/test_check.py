"""The Job that looks at the configuration before anything is changed is run with the files that it has: what it refuses, and that
it refuses nothing for want of a Secret."""

import os

import yaml

from stage import CHART, config_of, only, test, value_files
from test_config import SERVING, lay_out

# Two nodes with one address: the schema takes it, the binary does not.
BAD = 'config.pools[0].nodes=[{"name":"a","addresses":["192.0.2.1"]},{"name":"b","addresses":["192.0.2.1"]}]'


def checked(stage, objects, name):
    """Runs the command of the Job with its files."""
    spec = only(objects, "Job")["spec"]["template"]["spec"]
    root = os.path.join(stage.directory, "check", name)
    lay_out(stage, objects, root, spec)
    (container,) = spec["containers"]
    stage.check(container["command"] == ["/usr/bin/daymark"], "the command is the binary")
    arguments = [argument.replace("/etc/daymark", f"{root}/etc/daymark") for argument in container["args"]]
    return stage.run(stage.binary, *arguments, env={"PATH": os.environ["PATH"]})


@test
def a_configuration_that_the_binary_refuses_ends_an_upgrade_before_anything_is_changed(stage):
    objects = stage.objects("--values", SERVING, "--set-json", BAD)
    done = checked(stage, objects, "bad")
    stage.check(done.returncode == 2 and "192.0.2.1" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")
    job = only(objects, "Job")
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    wanted = {"containerName": job["spec"]["template"]["spec"]["containers"][0]["name"], "operator": "In", "values": [2]}
    stage.check(rule == {"action": "FailJob", "onExitCodes": wanted}, "this exit code ends the Job, others are tried again")
    stage.check(job["spec"]["activeDeadlineSeconds"] < 300, "it ends before helm's patience of five minutes does")


@test
def the_check_comes_first_and_leaves_nothing_behind(stage):
    for name, path in value_files():
        hooks = {}
        for one in stage.objects("--values", path):
            notes = one["metadata"].get("annotations", {})
            if "pre-upgrade" in notes.get("helm.sh/hook", ""):
                stage.check(notes["helm.sh/hook"] == "pre-install,pre-upgrade", f"{name}: both")
                stage.check(notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded", f"{name}: deleted")
                hooks[one["kind"]] = int(notes["helm.sh/hook-weight"])
        stage.check(list(hooks) == ["ConfigMap", "Job"] and hooks["ConfigMap"] < hooks["Job"], f"{name}: {hooks}")
    objects = stage.objects("--values", SERVING, "--set", "check.enabled=false")
    stage.check(not [one for one in objects if one["metadata"]["name"].endswith("-check")], "it can be switched off")


@test
def the_check_takes_every_good_configuration_without_a_secret_or_a_token(stage):
    for name, path in value_files():
        objects = stage.objects("--values", path)
        done = checked(stage, objects, name)
        stage.check(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")
        spec = only(objects, "Job")["spec"]["template"]["spec"]
        sources = [kind for volume in spec["volumes"] for source in volume["projected"]["sources"] for kind in source]
        stage.check(set(sources) == {"configMap"}, f"{name}: a Secret may come with the release itself: {sources}")
        stage.check(spec["automountServiceAccountToken"] is False, f"{name}: no token")
        stage.check("serviceAccountName" not in spec, f"{name}: the ServiceAccount is made after the check")


def without_credentials(config):
    """A configuration without what leads to Secrets."""
    for pool in config["pools"]:
        pool.get("probe", {}).pop("auth", None)
    for provider in config["providers"]:
        provider.pop("tokenFile", None)
    config.get("peers", {}).pop("keyFile", None)
    config.get("admin", {}).pop("tokenFile", None)
    return config


@test
def what_is_checked_is_what_the_hosts_get_but_for_credentials(stage):
    for name, path in value_files():
        objects = stage.objects("--values", path)
        looked_at = yaml.safe_load(only(objects, "ConfigMap", only(objects, "Job")["metadata"]["name"])["data"]["daymark.yaml"])
        theirs = yaml.safe_load(config_of(objects))
        stage.check(without_credentials(looked_at) == without_credentials(theirs), name)


@test
def where_a_ca_is_in_a_secret_nothing_is_refused_for_it(stage):
    objects = stage.objects("--values", os.path.join(CHART, "ci", "other-names.yaml"),
                            "--set-json", 'config.pools[0].probe={"ca":"secrets/probe/tls.crt"}')
    stage.check(not [one for one in objects if one["kind"] == "Job"], "the check cannot have it, and is left out")
