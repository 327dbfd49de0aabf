"""How many hosts may be down at once: computed of what Kubernetes goes by."""

import itertools
import json
import os

from stage import CHART, only, test


def counts_only_who_answers(workload):
    """Whether Kubernetes takes a host for available only when it has answered for a while, which rollouts and budgets go by."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return workload["spec"]["minReadySeconds"] > 0 and container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def down_by_rollout(workload):
    """How many hosts the controller takes down at once at the most, those included that are not ready yet."""
    spec = workload["spec"]
    if workload["kind"] == "StatefulSet":
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}, "one after the other, whatever podManagementPolicy is"
        return 1
    update = spec["updateStrategy"]["rollingUpdate"]
    # A second host on a node could not bind the port of the first.
    assert update["maxSurge"] == 0 and isinstance(update["maxUnavailable"], int), update
    return update["maxUnavailable"]


def down_by_evictions(objects, workload, hosts):
    """How many hosts may be evicted at once of so many, if none is down by a rollout: what that has taken counts as down here."""
    budget = only(objects, "PodDisruptionBudget")["spec"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items(), "a budget of other pods"
    return budget["maxUnavailable"] if "maxUnavailable" in budget else max(0, hosts - budget["minAvailable"])


@test
def a_rollout_and_evictions_together_leave_a_majority(stage):
    def members(hosts):
        made = [{"name": f"n{n}", "address": f"192.0.2.{n + 1}"} for n in range(hosts)]
        return "--set-json", f"config.peers.members={json.dumps(made)}"

    def replicas(hosts):
        return "--set", f"replicas={hosts}"

    ways = [("daemonset-with-peers", members), ("serve-and-cloudflare", members), ("statefulset-behind-service", replicas),
            ("cloudflare-records", replicas)]
    for (name, sized), hosts in itertools.product(ways, range(2, 10)):
        objects = stage.objects("--values", os.path.join(CHART, "ci", f"{name}.yaml"), *sized(hosts))
        (workload,) = [one for one in objects if one["kind"] in ("DaemonSet", "StatefulSet")]
        stage.check(workload["spec"].get("replicas", hosts) == hosts, f"{name}: {hosts} hosts")
        stage.check(counts_only_who_answers(workload), name)
        left = hosts - max(down_by_rollout(workload), down_by_evictions(objects, workload, hosts))
        # Of two a majority is both, so one must do.
        stage.check(left >= (hosts // 2 + 1 if hosts > 2 else 1), f"{name}: of {hosts} hosts {left} are left")


@test
def hosts_that_each_decide_alone_are_not_all_down_at_once(stage):
    objects = stage.objects("--values", os.path.join(CHART, "ci", "daemonset-parent-zone.yaml"))
    workload = only(objects, "DaemonSet")
    stage.check(counts_only_who_answers(workload), "which of them answer is known")
    for hosts in range(2, 10):  # As many as nodes are chosen, which the chart does not know.
        left = hosts - max(down_by_rollout(workload), down_by_evictions(objects, workload, hosts))
        stage.check(left >= 1, f"of {hosts} hosts {left} are left")


@test
def passes_never_run_side_by_side(stage):
    for name in ("cron", "cron-without-claim"):
        spec = only(stage.objects("--values", os.path.join(CHART, "ci", f"{name}.yaml")), "CronJob")["spec"]
        stage.check(spec["concurrencyPolicy"] == "Forbid", name)
        job = spec["jobTemplate"]["spec"]
        stage.check((job["backoffLimit"], job.get("parallelism", 1), job.get("completions", 1)) == (0, 1, 1), name)
        stage.check(job["activeDeadlineSeconds"] >= 30, f"{name}: one that hangs is ended")
