"""Computes the largest number of hosts that Kubernetes takes down at once, from the fields that it uses."""

import itertools
import json
import os

from fixture import CHART, host_spec, only, test


def counts_only_ready_hosts(workload):
    """Returns whether a host counts as available only after it has been ready for a while, in rollouts and budgets."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return workload["spec"]["minReadySeconds"] > 0 and container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def down_by_rollout(workload):
    """Returns the largest number of hosts that a rollout takes down at once, including those that are not ready yet."""
    spec = workload["spec"]
    if workload["kind"] == "StatefulSet":
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}, "one after the other, whatever podManagementPolicy is"
        return 1
    update = spec["updateStrategy"]["rollingUpdate"]
    # A second host on a node cannot bind the port of the first.
    assert update["maxSurge"] == 0 and isinstance(update["maxUnavailable"], int), update
    return update["maxUnavailable"]


def down_by_evictions(objects, workload, hosts):
    """Returns the largest number of hosts that may be evicted at once without a rollout. A host that a rollout has taken down
    counts here too."""
    budget = only(objects, "PodDisruptionBudget")["spec"]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items(), "the budget selects other pods"
    return budget["maxUnavailable"] if "maxUnavailable" in budget else max(0, hosts - budget["minAvailable"])


@test
def a_rollout_and_evictions_together_leave_a_majority(fixture):
    def members(hosts):
        peers = [{"name": f"n{n}", "address": f"192.0.2.{n + 1}"} for n in range(hosts)]
        return "--set-json", f"config.peers.members={json.dumps(peers)}"

    def replicas(hosts):
        return "--set", f"replicas={hosts}"

    ways = [("daemonset-with-peers", members), ("serve-and-cloudflare", members), ("statefulset-behind-service", replicas),
            ("cloudflare-records", replicas)]
    for (name, sized), hosts in itertools.product(ways, range(2, 10)):
        objects = fixture.objects("--values", os.path.join(CHART, "ci", f"{name}.yaml"), *sized(hosts))
        (workload,) = [one for one in objects if one["kind"] in ("DaemonSet", "StatefulSet")]
        fixture.check(workload["spec"].get("replicas", hosts) == hosts, f"{name}: {hosts} hosts")
        fixture.check(counts_only_ready_hosts(workload), name)
        left = hosts - max(down_by_rollout(workload), down_by_evictions(objects, workload, hosts))
        # The majority of two is both, so one must suffice.
        fixture.check(left >= (hosts // 2 + 1 if hosts > 2 else 1), f"{name}: {left} of {hosts} hosts are left")


@test
def hosts_without_peers_are_not_all_down_at_once(fixture):
    objects = fixture.objects("--values", os.path.join(CHART, "ci", "daemonset-parent-zone.yaml"))
    workload = only(objects, "DaemonSet")
    fixture.check(counts_only_ready_hosts(workload), "only ready hosts count")
    for hosts in range(2, 10):  # The number of chosen nodes, which the chart does not know.
        left = hosts - max(down_by_rollout(workload), down_by_evictions(objects, workload, hosts))
        fixture.check(left >= 1, f"{left} of {hosts} hosts are left")


@test
def a_host_that_is_to_stop_answers_as_long_as_queries_arrive(fixture):
    removed = 5  # The seconds after which every node has removed a stopping host from the Service.
    noticed = 30  # The same for a load balancer that finds it by its health checks.
    shutdown = 8  # The longest orderly shutdown.
    ways = [("ClusterIP", "Local", removed), ("LoadBalancer", "Local", noticed), ("NodePort", "Local", noticed),
            ("LoadBalancer", "Cluster", removed), ("NodePort", "Cluster", removed)]
    for name, (kind, policy, pause) in itertools.product(("daemonset-with-peers", "statefulset-behind-service"), ways):
        objects = fixture.objects("--values", os.path.join(CHART, "ci", f"{name}.yaml"), "--set", f"service.type={kind}",
                                  "--set", f"service.externalTrafficPolicy={policy}")
        spec = host_spec(objects)
        (container,) = spec["containers"]
        given = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        fixture.check(given == pause, f"{name}, {kind}, {policy}: {given} s")
        fixture.check(spec["terminationGracePeriodSeconds"] > pause + shutdown, f"{name}, {kind}, {policy}: it is not killed before")


@test
def passes_never_run_side_by_side(fixture):
    for name in ("cron", "cron-without-claim"):
        spec = only(fixture.objects("--values", os.path.join(CHART, "ci", f"{name}.yaml")), "CronJob")["spec"]
        fixture.check(spec["concurrencyPolicy"] == "Forbid", name)
        job = spec["jobTemplate"]["spec"]
        fixture.check((job["backoffLimit"], job.get("parallelism", 1), job.get("completions", 1)) == (0, 1, 1), name)
        fixture.check(job["activeDeadlineSeconds"] >= 30, f"{name}: a pass that hangs is ended")
