//! Discovered nodes are added at once, leave slowly, and stay whatever the API answers.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use daymark_fake_apiserver::{Access, Behaviour, Cluster, ClusterNode};
use serde_json::Value;

use crate::support::nodes::{Nodes, Plan};
use crate::support::zone;
use crate::support::{Daymark, Finished, POOL, daymark, finish, output, until};

const SECRET: &str = "secret";
/// Short intervals and pauses, so that a node that must not leave would have time to leave.
pub(crate) const HASTY: &str = "interval: 1s, shrinkPause: 1s";

/// Fake apiservers of one cluster, which lists its nodes to clients with the token.
pub(crate) struct DiscoveryFixture {
    pub(crate) nodes: Nodes,
    cluster: Cluster,
}

impl DiscoveryFixture {
    pub(crate) fn start(count: u8) -> Self {
        Self::of_nodes(Nodes::start(count))
    }

    fn of_nodes(nodes: Nodes) -> Self {
        let count = nodes.apiservers.len();
        let cluster = Cluster::default();
        fs::write(nodes.path("token"), SECRET).unwrap();
        for apiserver in &nodes.apiservers {
            apiserver.require(Access::Token(SECRET.to_owned()));
            apiserver.set_cluster(&cluster);
        }
        let fixture = Self { nodes, cluster };
        fixture.list(&(0..count).collect::<Vec<_>>());
        fixture
    }

    /// Makes the API list these fakes as nodes of the control plane, and a worker.
    pub(crate) fn list(&self, indices: &[usize]) {
        let all = self.nodes.addresses();
        let mut nodes: Vec<ClusterNode> =
            indices.iter().map(|&index| ClusterNode::control_plane(&format!("cp-{}", index + 1), all[index])).collect();
        let worker = ClusterNode::control_plane("worker", [127, 0, 0, 99].into());
        nodes.push(ClusterNode { labels: [].into(), ..worker });
        self.cluster.set_nodes(nodes);
    }

    /// Writes a configuration with only the first fake as a seed.
    fn write(&self, from_kubernetes: &'static str) -> PathBuf {
        self.nodes.write(&Plan { from_kubernetes: Some(from_kubernetes), ..self.seed() })
    }

    fn seed(&self) -> Plan {
        let plan = self.nodes.plan();
        Plan { nodes: plan.nodes[..1].to_vec(), timeout: "1s", ..plan }
    }

    /// Starts a Daymark and waits until it has discovered every fake.
    fn run(&self) -> Daymark {
        let daymark = Daymark::run(&self.write(HASTY));
        daymark.answers(&self.nodes.addresses(), "ready");
        daymark
    }

    pub(crate) fn apart(self) -> (Nodes, Cluster) {
        (self.nodes, self.cluster)
    }

    /// Waits for several more list requests.
    fn lists(&self) {
        let since = self.cluster.lists();
        until("lists were asked for", || (self.cluster.lists() >= since + 4).then_some(()));
    }

    fn of(&self, indices: &[usize]) -> Vec<IpAddr> {
        let all = self.nodes.addresses();
        indices.iter().map(|&index| all[index]).collect()
    }
}

/// The addresses of the targets of the only pool.
fn targets(daymark: &Daymark) -> Vec<IpAddr> {
    let pool = daymark.pool();
    pool["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["address"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The events of discovery, each as its kind and its node.
fn discovery_events(daymark: &Daymark) -> Vec<String> {
    let events = daymark.json("/api/v1/events");
    let events = events.as_array().unwrap().iter();
    events
        .filter(|event| event["event"] == "discovery")
        .map(|event| format!("{} {}", event["change"].as_str().unwrap(), event["node"].as_str().unwrap_or_default()))
        .collect()
}

fn alarms(daymark: &Daymark) -> String {
    daymark.json("/api/v1/status")["alarms"].to_string()
}

#[test]
fn a_seed_finds_the_nodes_of_the_control_plane_and_the_status_has_their_origin() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    assert_eq!(discovery_events(&daymark), ["discovered cp-1", "discovered cp-2", "discovered cp-3"]);
    let api = ["--api", &daymark.api()];
    let status = output(&[&["status"][..], &api].concat());
    let line = "3 nodes known by the InternalIP of Nodes with the label node-role.kubernetes.io/control-plane; the last complete \
                list: 20";
    assert!(status.contains(line) && !status.contains("ALARM"), "{status}");
    assert!(output(&[&["explain", "cp-1"][..], &api].concat()).contains("origin       the configuration, as a seed"));
    assert!(output(&[&["explain", "cp-3"][..], &api].concat()).contains("origin       discovery, found 20"));
    let (_, metrics) = daymark.get("/metrics");
    for metric in ["daymark_discovery_nodes", "daymark_discovery_missing_addresses", "daymark_discovery_failing"] {
        let count = if metric.ends_with("nodes") { 3 } else { 0 };
        assert!(metrics.contains(&format!("{metric}{{pool=\"{POOL}\"}} {count}\n")), "{metric} in {metrics}");
    }
    assert!(metrics.contains("daymark_discovery_last_list_timestamp_seconds{"), "{metrics}");
}

#[test]
fn the_endpoints_of_the_service_have_the_same_addresses_without_names() {
    let fixture = DiscoveryFixture::start(2);
    let all = fixture.nodes.addresses();
    fixture.cluster.set_endpoints(fixture.nodes.port(), all.clone());
    let daymark = Daymark::run(&fixture.write("source: endpoints, interval: 1s"));
    daymark.answers(&all, "ready");
    assert_eq!(daymark.pool()["targets"][1]["node"], all[1].to_string());
    fixture.cluster.set_endpoints(443, all);
    until("it warns of the port", || {
        alarms(&daymark).contains("the endpoints have port 443, but the pool has port").then_some(())
    });
}

#[test]
fn only_seeds_are_answered_while_the_list_is_forbidden_and_the_remedy_is_logged_once() {
    let fixture = DiscoveryFixture::start(2);
    fixture.cluster.forbid(true);
    let daymark = Daymark::run(&fixture.write(HASTY));
    daymark.answers(&fixture.of(&[0]), "ready");
    daymark.logs("403: the list is forbidden; `daymark manifest rbac` prints what allows it");
    let asked = daymark.json("/api/v1/status")["pools"][0]["discovery"]["failure"].clone();
    assert!(asked.as_str().unwrap().starts_with(&fixture.of(&[0])[0].to_string()), "{asked}");
    assert!(alarms(&daymark).contains("manifest rbac"));
    // After the token has changed, another message is right; the first one must have been logged.
    fs::write(fixture.nodes.path("token"), "wrong").unwrap();
    until("the refused credentials are reported", || {
        alarms(&daymark).contains("401: the apiserver does not accept").then_some(())
    });
    fs::write(fixture.nodes.path("token"), SECRET).unwrap();
    fixture.cluster.forbid(false);
    daymark.answers(&fixture.nodes.addresses(), "ready");
    assert_eq!(discovery_events(&daymark), ["failing ", "discovered cp-1", "discovered cp-2", "recovered "]);
}

#[test]
fn a_silent_api_removes_no_node_after_any_time() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    (0..3).for_each(|index| fixture.nodes.set(index, Behaviour::Silent));
    until("the silence is reported", || alarms(&daymark).contains("discovery is failing").then_some(()));
    until("every node is down", || (daymark.pool()["basis"] == "lastKnownGood").then_some(()));
    assert_eq!(targets(&daymark).len(), 3);
    fixture.nodes.set(2, Behaviour::Ready);
    daymark.answers(&fixture.of(&[2]), "ready");
    until("a discovered node is asked for the list as well", || {
        discovery_events(&daymark).contains(&"recovered ".to_owned()).then_some(())
    });
    assert_eq!(targets(&daymark).len(), 3);
}

#[test]
fn a_truncated_or_empty_list_removes_no_node() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    fixture.cluster.set_max_page_items(Some(1));
    fixture.lists();
    assert!(alarms(&daymark).contains("the list is cut short, so no node leaves by it"));
    fixture.cluster.set_max_page_items(None);
    fixture.list(&[]);
    fixture.lists();
    assert!(alarms(&daymark).contains("the list is empty, so no node leaves by it"));
    assert_eq!(targets(&daymark), fixture.nodes.addresses());
    assert!(!discovery_events(&daymark).iter().any(|line| line.starts_with("missing")));
}

#[test]
fn a_moved_label_adds_nodes_at_once_and_removes_them_one_by_one_down_to_the_majority() {
    let fixture = DiscoveryFixture::start(4);
    fixture.list(&[0, 1, 2]);
    let daymark = Daymark::run(&fixture.write(HASTY));
    daymark.answers(&fixture.of(&[0, 1, 2]), "ready");
    fixture.list(&[0, 1, 3]);
    daymark.answers(&fixture.of(&[0, 1, 3]), "ready");
    let of_third: Vec<String> = discovery_events(&daymark).into_iter().filter(|line| line.ends_with("cp-3")).collect();
    assert_eq!(of_third, ["discovered cp-3", "missing cp-3", "gone cp-3"]);

    fixture.list(&[0]);
    daymark.answers(&fixture.of(&[0, 3]), "ready");
    fixture.lists();
    assert_eq!(targets(&daymark), fixture.of(&[0, 3]), "one of three would be no majority");
    let message = "and stays because only 1 of 3 known addresses would be left, which is not a majority";
    assert!(alarms(&daymark).contains(message), "{}", alarms(&daymark));
    assert!(output(&["explain", "cp-4", "--api", &daymark.api()]).contains(message));
}

#[test]
fn a_label_moved_to_entirely_other_nodes_removes_no_node_after_any_number_of_lists() {
    let fixture = DiscoveryFixture::start(6);
    fixture.list(&[0, 1, 2]);
    (3..6).for_each(|index| fixture.nodes.set(index, Behaviour::Dead));
    let daymark = Daymark::run(&fixture.write(HASTY));
    daymark.answers(&fixture.of(&[0, 1, 2]), "ready");
    fixture.list(&[3, 4, 5]);
    (0..3).for_each(|_| fixture.lists());
    daymark.answers(&fixture.of(&[0, 1, 2]), "ready");
    assert!(alarms(&daymark).contains("the list has none of the known nodes"), "{}", alarms(&daymark));
    assert!(
        !discovery_events(&daymark).iter().any(|line| line.starts_with("missing") || line.starts_with("gone")),
        "{:?}",
        discovery_events(&daymark)
    );
}

#[test]
fn a_renamed_node_keeps_its_name_and_its_drain_until_the_drain_is_cleared() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    let token = fixture.nodes.path("state/admin.token");
    let set_override = |command: &str| {
        output(&[command, "cp-3", "--api", &daymark.api(), "--token-file", token.to_str().unwrap()]);
    };
    set_override("drain");
    daymark.answers(&fixture.of(&[0, 1]), "ready");
    let all = fixture.nodes.addresses();
    let names = ["cp-1", "cp-2", "a-new-name"];
    fixture.cluster.set_nodes(names.iter().zip(&all).map(|(name, at)| ClusterNode::control_plane(name, *at)).collect());
    until("the conflict is reported", || {
        alarms(&daymark).contains("clear the override on this one first").then_some(())
    });
    fixture.lists();
    daymark.answers(&fixture.of(&[0, 1]), "ready");
    set_override("undrain");
    until("the address moves to the renamed node", || {
        discovery_events(&daymark).contains(&"renamed cp-3".to_owned()).then_some(())
    });
    until("it has its new name", || {
        let targets = daymark.pool()["targets"].clone();
        let new = targets.as_array().unwrap().iter().find(|target| target["node"] == "a-new-name")?.clone();
        assert_eq!(
            (&new["address"], &new["grade"]),
            (&all[2].to_string().into(), &"ready".into()),
            "it was probed before"
        );
        Some(())
    });
    daymark.answers(&all, "ready");
}

#[test]
fn a_drain_outlives_the_absence_of_its_node() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    let token = fixture.nodes.path("state/admin.token");
    output(&["drain", "cp-3", "--api", &daymark.api(), "--token-file", token.to_str().unwrap()]);
    fixture.list(&[0, 1]);
    until("it leaves", || (targets(&daymark).len() == 2).then_some(()));
    fixture.list(&[0, 1, 2]);
    until("it is there again", || (targets(&daymark).len() == 3).then_some(()));
    assert!(output(&["explain", "cp-3", "--api", &daymark.api()]).contains("override     drain"));
}

#[test]
fn a_restart_while_the_api_is_silent_starts_with_the_discovered_nodes() {
    let fixture = DiscoveryFixture::start(3);
    fixture.run().kill();
    fixture.cluster.forbid(true);
    fixture.nodes.set(0, Behaviour::Dead);
    let daymark = Daymark::run(&fixture.nodes.path("daymark.yaml"));
    assert_eq!(targets(&daymark), fixture.nodes.addresses());
    daymark.answers(&fixture.of(&[1, 2]), "ready");
    assert!(!discovery_events(&daymark).iter().any(|line| line.starts_with("discovered")), "they were known");
}

#[test]
fn a_host_that_has_lost_its_state_and_has_only_a_dead_seed_is_not_ready() {
    let fixture = DiscoveryFixture::start(3);
    fixture.run().kill();
    fs::remove_file(fixture.nodes.path("state/discovery.json")).unwrap();
    fixture.nodes.set(0, Behaviour::Dead);
    let daymark = Daymark::run(&fixture.nodes.path("daymark.yaml"));
    let message = format!("{POOL}: no seed is usable and no list of its nodes is known");
    until("it is not ready", || daymark.get("/readyz").1.contains(&format!("[-]{message}")).then_some(()));
    assert_eq!(daymark.get("/readyz").0, 503);
    assert!(alarms(&daymark).contains(&message));
    fixture.nodes.set(0, Behaviour::Ready);
    until("it is ready", || (daymark.get("/readyz").0 == 200).then_some(()));
    daymark.answers(&fixture.nodes.addresses(), "ready");
}

#[test]
fn unusable_entries_of_the_state_are_dropped_with_a_message() {
    let fixture = DiscoveryFixture::start(2);
    fixture.run().kill();
    fixture.cluster.forbid(true);
    let state = fixture.nodes.path("state/discovery.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace(&fixture.of(&[1])[0].to_string(), "224.0.0.1")).unwrap();
    let log = Daymark::run(&fixture.nodes.path("daymark.yaml")).kill();
    assert!(log.contains("224.0.0.1 from the state is dropped, because it is not an address of a node"), "{log}");
    fs::write(&state, text.replace(POOL, "other.example.org")).unwrap();
    let log = Daymark::run(&fixture.nodes.path("daymark.yaml")).kill();
    assert!(log.contains("other.example.org: the discovered nodes are dropped"), "{log}");
    fs::write(&state, &text[..text.len() / 2]).unwrap();
    let daymark = Daymark::run(&fixture.nodes.path("daymark.yaml"));
    daymark.logs("discovery.json is damaged");
    daymark.answers(&fixture.of(&[0]), "ready");
}

#[test]
fn discovered_nodes_leave_when_discovery_is_turned_off_and_return_with_it() {
    let fixture = DiscoveryFixture::start(3);
    let daymark = fixture.run();
    let file = fixture.nodes.path("daymark.yaml");
    let with_discovery = fs::read_to_string(&file).unwrap();
    let found = format!("      fromKubernetes: {{{HASTY}}}\n      seeds:\n");
    fs::write(&file, with_discovery.replace(&found, "")).unwrap();
    daymark.process.signal("HUP");
    daymark.answers(&fixture.of(&[0]), "ready");
    assert_eq!(targets(&daymark), fixture.of(&[0]));
    assert!(discovery_events(&daymark).ends_with(&[
        "turnedOff cp-1".to_owned(),
        "turnedOff cp-2".to_owned(),
        "turnedOff cp-3".to_owned()
    ]));
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(fixture.nodes.path("state/discovery.json")).unwrap()).unwrap();
    assert_eq!(kept["memory"], serde_json::json!({}));
    fs::write(&file, with_discovery).unwrap();
    daymark.process.signal("HUP");
    daymark.answers(&fixture.nodes.addresses(), "ready");
}

#[test]
fn a_pass_lists_the_nodes_once_and_the_next_one_remembers_them() {
    let zone::ZoneFixture { nodes, zone, plan } = zone::ZoneFixture::new(3);
    let fixture = DiscoveryFixture::of_nodes(nodes);
    let all = plan.nodes.len();
    let file = fixture.nodes.write(&Plan { nodes: plan.nodes[..1].to_vec(), from_kubernetes: Some(""), ..plan });
    let sync = || finish(&mut daymark(&["sync", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    let Finished { code, stdout, stderr } = sync();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains(&format!("{POOL}: cp-3 {} is new\n", fixture.nodes.addresses()[2])), "{stdout}");
    assert_eq!((zone.addresses().len(), fixture.cluster.lists()), (all, 1));

    fixture.cluster.forbid(true);
    let Finished { code, stdout, stderr } = sync();
    assert_eq!((code, stdout.as_str()), (Some(0), "cloudflare: nothing to change\n"), "{stderr}");
    assert!(stderr.contains("the known nodes stay") && stderr.contains("manifest rbac"), "{stderr}");
    assert_eq!(zone.addresses().len(), all);

    // It is reported once when it begins and once when it ends, and always by a dry run.
    assert_eq!(sync().stderr, "");
    let dry = finish(&mut daymark(&["sync", "--dry-run", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    assert!(dry.stderr.contains("the known nodes stay"), "{}", dry.stderr);
    fixture.cluster.forbid(false);
    let expected = format!("{POOL}: discovery works again\ncloudflare: nothing to change\n");
    assert_eq!(sync().stdout, expected);
    assert_eq!(sync().stdout, "cloudflare: nothing to change\n");
}

#[test]
fn probe_uses_the_discovered_nodes_and_says_which_pool_has_none() {
    let fixture = DiscoveryFixture::start(3);
    let file = fixture.write(HASTY);
    let probe = || finish(&mut daymark(&["probe", "-c", file.to_str().unwrap()]));
    let seeds = probe();
    assert_eq!((seeds.code, seeds.stdout.matches("127.").count()), (Some(0), 1), "{}", seeds.stdout);
    let said = format!("{POOL}: the state has no discovered nodes, so only the seeds are probed");
    assert!(seeds.stderr.contains(&said), "{}", seeds.stderr);
    assert!(!fixture.nodes.path("state").exists(), "who only looks writes nothing");

    let _daymark = fixture.run();
    let Finished { stdout, stderr, .. } = probe();
    assert_eq!(stderr, "");
    for (node, address) in ["cp-1", "cp-2", "cp-3"].into_iter().zip(fixture.nodes.addresses()) {
        let is_of = |line: &str| line.contains(node) && line.contains(&address.to_string()) && line.ends_with("ready");
        assert!(stdout.lines().any(is_of), "{node} in {stdout}");
    }
}

#[test]
fn a_pass_asks_another_apiserver_if_the_first_one_hangs() {
    let zone::ZoneFixture { nodes, zone, plan } = zone::ZoneFixture::new(3);
    let fixture = DiscoveryFixture::of_nodes(nodes);
    let all = plan.nodes.len();
    let seeds = plan.nodes[..2].to_vec();
    let file = fixture.nodes.write(&Plan { nodes: seeds, from_kubernetes: Some(""), timeout: "1s", ..plan });
    fixture.nodes.set(0, Behaviour::TlsStall);
    let Finished { code, stdout, stderr } =
        finish(&mut daymark(&["sync", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    assert!(stdout.contains(&format!("{POOL}: cp-3 {} is new\n", fixture.nodes.addresses()[2])), "{stdout}{stderr}");
    assert_eq!((code, zone.addresses().len()), (Some(0), all - 1), "{stderr}");
}

#[test]
fn a_command_prints_the_permissions_even_before_the_token_exists() {
    let fixture = DiscoveryFixture::start(1);
    let file = fixture.write("source: endpoints");
    fs::remove_file(fixture.nodes.path("token")).unwrap();
    let file = file.to_str().unwrap();
    let text = output(&["manifest", "rbac", "-c", file, "--namespace", "dns", "--token"]);
    let objects: Vec<Value> =
        text.split("---\n").skip(1).map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret"]);
    assert_eq!(objects[1]["rules"], serde_json::json!([{"nonResourceURLs": ["/readyz"], "verbs": ["get"]}]));
    assert_eq!(objects[2]["subjects"][0]["namespace"], "dns");
    let slices =
        serde_json::json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}]);
    assert_eq!((&objects[3]["metadata"]["namespace"], &objects[3]["rules"]), (&"default".into(), &slices));
    assert_eq!(objects[5]["metadata"]["annotations"]["kubernetes.io/service-account.name"], "daymark");

    fs::write(fixture.nodes.path("token"), SECRET).unwrap();
    fixture.write("");
    let text = output(&["manifest", "rbac", "-c", file]);
    let role: Value = serde_saphyr::from_str(text.split("---\n").nth(2).unwrap()).unwrap();
    assert_eq!(role["rules"][0], serde_json::json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}));
    assert!(!text.contains("Secret") && !text.contains("endpointslices"), "{text}");

    fixture.nodes.write(&fixture.seed());
    let refused = finish(&mut daymark(&["manifest", "rbac", "-c", file]));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("so there is nothing to allow"), "{}", refused.stderr);
}

#[test]
fn check_prints_the_discovery_settings_and_sends_no_request() {
    let fixture = DiscoveryFixture::start(1);
    let checked = output(&["check", "-c", fixture.write("").to_str().unwrap()]);
    let line = "discovery: the InternalIP of Nodes with the label node-role.kubernetes.io/control-plane, listed every \
                1m; a new node joins at once; a missing node leaves after 1h, one at a time";
    assert!(checked.contains(line), "{checked}");
    assert_eq!(fixture.cluster.lists(), 0);
}
