//! Nodes that are found by Kubernetes: they come at once, go slowly, and stay through whatever the API does.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use daymark_fake_apiserver::{Access, Behaviour, Cluster, Node};
use serde_json::Value;

use crate::support::nodes::{Nodes, Plan};
use crate::support::zone;
use crate::support::{Daymark, Finished, POOL, daymark, finish, output, until};

const SECRET: &str = "secret";
/// Often, and with no more patience than needed, so that what must not leave has every chance to.
pub(crate) const HASTY: &str = "interval: 1s, shrinkPause: 1s";

/// Stand-ins that are one cluster, which lists its nodes to those with the token.
pub(crate) struct Scene {
    pub(crate) nodes: Nodes,
    cluster: Cluster,
}

impl Scene {
    pub(crate) fn start(count: u8) -> Self {
        Self::of_nodes(Nodes::start(count))
    }

    fn of_nodes(nodes: Nodes) -> Self {
        let (count, cluster) = (nodes.apiservers.len(), Cluster::default());
        fs::write(nodes.path("token"), SECRET).unwrap();
        for apiserver in &nodes.apiservers {
            apiserver.require(Access::Token(SECRET.to_owned()));
            apiserver.join(&cluster);
        }
        let scene = Self { nodes, cluster };
        scene.list(&(0..count).collect::<Vec<_>>());
        scene
    }

    /// The API tells of these fakes as nodes of the control plane, and of a worker.
    pub(crate) fn list(&self, indices: &[usize]) {
        let all = self.nodes.addresses();
        let mut nodes: Vec<Node> =
            indices.iter().map(|&index| Node::of_control_plane(&format!("cp-{}", index + 1), all[index])).collect();
        let worker = Node::of_control_plane("worker", [127, 0, 0, 99].into());
        nodes.push(Node { labels: [].into(), ..worker });
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

    /// A running Daymark that has found every fake.
    fn run(&self) -> Daymark {
        let daymark = Daymark::run(&self.write(HASTY));
        daymark.answers(&self.nodes.addresses(), "ready");
        daymark
    }

    pub(crate) fn apart(self) -> (Nodes, Cluster) {
        (self.nodes, self.cluster)
    }

    /// Waits until several lists more were given.
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
    pool["targets"].as_array().unwrap().iter().map(|it| it["address"].as_str().unwrap().parse().unwrap()).collect()
}

/// What discovery has told, each as its kind and its node.
fn news(daymark: &Daymark) -> Vec<String> {
    let events = daymark.json("/api/v1/events");
    let whats = events.as_array().unwrap().iter().map(|it| &it["what"]).filter(|it| it["event"] == "discovery");
    whats.map(|it| format!("{} {}", it["news"].as_str().unwrap(), it["node"].as_str().unwrap_or_default())).collect()
}

fn alarms(daymark: &Daymark) -> String {
    daymark.json("/api/v1/status")["alarms"].to_string()
}

#[test]
fn the_nodes_of_the_control_plane_are_found_by_a_seed_and_shown_with_where_they_come_from() {
    let scene = Scene::start(3);
    let daymark = scene.run();
    assert_eq!(news(&daymark), ["found cp-1", "found cp-2", "found cp-3"]);
    let api = ["--api", &daymark.api()];
    let status = output(&[&["status"][..], &api].concat());
    let line = "3 nodes known by the InternalIP of Nodes with the label node-role.kubernetes.io/control-plane; the last complete \
                list: 20";
    assert!(status.contains(line) && !status.contains("ALARM"), "{status}");
    assert!(output(&[&["explain", "cp-1"][..], &api].concat()).contains("from         the configuration, as a seed"));
    assert!(output(&[&["explain", "cp-3"][..], &api].concat()).contains("from         discovery, found 20"));
    let (_, metrics) = daymark.get("/metrics");
    for metric in ["daymark_discovery_nodes", "daymark_discovery_missing_addresses", "daymark_discovery_trouble"] {
        let count = if metric.ends_with("nodes") { 3 } else { 0 };
        assert!(metrics.contains(&format!("{metric}{{pool=\"{POOL}\"}} {count}\n")), "{metric} in {metrics}");
    }
    assert!(metrics.contains("daymark_discovery_last_list_timestamp_seconds{"), "{metrics}");
}

#[test]
fn the_endpoints_of_the_service_tell_the_same_without_names() {
    let scene = Scene::start(2);
    let all = scene.nodes.addresses();
    scene.cluster.set_endpoints(scene.nodes.port(), all.clone());
    let daymark = Daymark::run(&scene.write("source: endpoints, interval: 1s"));
    daymark.answers(&all, "ready");
    assert_eq!(daymark.pool()["targets"][1]["node"], all[1].to_string());
    scene.cluster.set_endpoints(443, all);
    until("it warns of the port", || {
        alarms(&daymark).contains("the endpoints are at port 443, and the pool's is").then_some(())
    });
}

#[test]
fn seeds_alone_are_answered_while_the_list_is_forbidden_and_it_is_said_once_how_to_allow_it() {
    let scene = Scene::start(2);
    scene.cluster.forbid(true);
    let daymark = Daymark::run(&scene.write(HASTY));
    daymark.answers(&scene.of(&[0]), "ready");
    daymark.logs("403: the list is forbidden; `daymark manifest rbac` prints what allows it");
    let asked = daymark.json("/api/v1/status")["pools"][0]["discovery"]["trouble"].clone();
    assert!(asked.as_str().unwrap().starts_with(&scene.of(&[0])[0].to_string()), "{asked}");
    assert!(alarms(&daymark).contains("manifest rbac"));
    // Other tokens are taken in, and then another sentence is right; but what is wrong was said.
    fs::write(scene.nodes.path("token"), "wrong").unwrap();
    until("it tells of the credentials", || {
        alarms(&daymark).contains("401: the apiserver does not take").then_some(())
    });
    fs::write(scene.nodes.path("token"), SECRET).unwrap();
    scene.cluster.forbid(false);
    daymark.answers(&scene.nodes.addresses(), "ready");
    assert_eq!(news(&daymark), ["trouble ", "found cp-1", "found cp-2", "troubleOver "]);
}

#[test]
fn an_api_that_is_silent_for_however_long_takes_no_node_away() {
    let scene = Scene::start(3);
    let daymark = scene.run();
    (0..3).for_each(|index| scene.nodes.set(index, Behaviour::Silent));
    until("the silence is told", || alarms(&daymark).contains("the nodes cannot be told for sure").then_some(()));
    until("every node is down", || (daymark.pool()["basis"] == "held").then_some(()));
    assert_eq!(targets(&daymark).len(), 3);
    scene.nodes.set(2, Behaviour::Ready);
    daymark.answers(&scene.of(&[2]), "ready");
    until("one that was found is asked as well", || news(&daymark).contains(&"troubleOver ".to_owned()).then_some(()));
    assert_eq!(targets(&daymark).len(), 3);
}

#[test]
fn a_list_that_is_cut_short_or_empty_takes_no_node_away() {
    let scene = Scene::start(3);
    let daymark = scene.run();
    scene.cluster.set_page(Some(1));
    scene.lists();
    assert!(alarms(&daymark).contains("the list is cut short, so no node leaves by it"));
    scene.cluster.set_page(None);
    scene.list(&[]);
    scene.lists();
    assert!(alarms(&daymark).contains("the list is empty, so it is not believed"));
    assert_eq!(targets(&daymark), scene.nodes.addresses());
    assert!(!news(&daymark).iter().any(|it| it.starts_with("missing")));
}

#[test]
fn a_label_that_moves_adds_at_once_and_takes_away_one_by_one_and_never_below_the_majority() {
    let scene = Scene::start(4);
    scene.list(&[0, 1, 2]);
    let daymark = Daymark::run(&scene.write(HASTY));
    daymark.answers(&scene.of(&[0, 1, 2]), "ready");
    scene.list(&[0, 1, 3]);
    daymark.answers(&scene.of(&[0, 1, 3]), "ready");
    let of_third: Vec<String> = news(&daymark).into_iter().filter(|it| it.ends_with("cp-3")).collect();
    assert_eq!(of_third, ["found cp-3", "missing cp-3", "gone cp-3"]);

    scene.list(&[0]);
    daymark.answers(&scene.of(&[0, 3]), "ready");
    scene.lists();
    assert_eq!(targets(&daymark), scene.of(&[0, 3]), "one of three would be no majority");
    let why = "and stays for 1 of 3 known addresses would be left, which is no majority";
    assert!(alarms(&daymark).contains(why), "{}", alarms(&daymark));
    assert!(output(&["explain", "cp-4", "--api", &daymark.api()]).contains(why));
}

#[test]
fn a_label_that_moves_to_wholly_other_nodes_takes_no_node_away_however_often_it_is_told() {
    let scene = Scene::start(6);
    scene.list(&[0, 1, 2]);
    (3..6).for_each(|index| scene.nodes.set(index, Behaviour::Dead));
    let daymark = Daymark::run(&scene.write(HASTY));
    daymark.answers(&scene.of(&[0, 1, 2]), "ready");
    scene.list(&[3, 4, 5]);
    (0..3).for_each(|_| scene.lists());
    daymark.answers(&scene.of(&[0, 1, 2]), "ready");
    assert!(alarms(&daymark).contains("the list has none of the nodes that are known"), "{}", alarms(&daymark));
    assert!(
        !news(&daymark).iter().any(|it| it.starts_with("missing") || it.starts_with("gone")),
        "{:?}",
        news(&daymark)
    );
}

#[test]
fn a_node_with_another_name_keeps_its_drain_and_its_place_until_the_drain_is_lifted() {
    let scene = Scene::start(3);
    let daymark = scene.run();
    let token = scene.nodes.path("state/admin.token");
    let word = |word: &str| {
        output(&[word, "cp-3", "--api", &daymark.api(), "--token-file", token.to_str().unwrap()]);
    };
    word("drain");
    daymark.answers(&scene.of(&[0, 1]), "ready");
    let all = scene.nodes.addresses();
    let names = ["cp-1", "cp-2", "a-new-name"];
    scene.cluster.set_nodes(names.iter().zip(&all).map(|(name, at)| Node::of_control_plane(name, *at)).collect());
    until("it is told", || alarms(&daymark).contains("the override on this one has to be lifted").then_some(()));
    scene.lists();
    daymark.answers(&scene.of(&[0, 1]), "ready");
    word("undrain");
    until("it changes hands", || news(&daymark).contains(&"renamed cp-3".to_owned()).then_some(()));
    until("it has its new name", || {
        let targets = daymark.pool()["targets"].clone();
        let new = targets.as_array().unwrap().iter().find(|it| it["node"] == "a-new-name")?.clone();
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
    let scene = Scene::start(3);
    let daymark = scene.run();
    let token = scene.nodes.path("state/admin.token");
    output(&["drain", "cp-3", "--api", &daymark.api(), "--token-file", token.to_str().unwrap()]);
    scene.list(&[0, 1]);
    until("it leaves", || (targets(&daymark).len() == 2).then_some(()));
    scene.list(&[0, 1, 2]);
    until("it is there again", || (targets(&daymark).len() == 3).then_some(()));
    assert!(output(&["explain", "cp-3", "--api", &daymark.api()]).contains("override     drain"));
}

#[test]
fn a_restart_while_the_api_is_silent_begins_with_what_was_found() {
    let scene = Scene::start(3);
    scene.run().kill();
    scene.cluster.forbid(true);
    scene.nodes.set(0, Behaviour::Dead);
    let daymark = Daymark::run(&scene.nodes.path("daymark.yaml"));
    assert_eq!(targets(&daymark), scene.nodes.addresses());
    daymark.answers(&scene.of(&[1, 2]), "ready");
    assert!(!news(&daymark).iter().any(|it| it.starts_with("found")), "they were known");
}

#[test]
fn a_host_that_has_lost_its_state_and_has_only_a_dead_seed_is_not_ready() {
    let scene = Scene::start(3);
    scene.run().kill();
    fs::remove_file(scene.nodes.path("state/discovery.json")).unwrap();
    scene.nodes.set(0, Behaviour::Dead);
    let daymark = Daymark::run(&scene.nodes.path("daymark.yaml"));
    let why = format!("{POOL}: no seed can be used, and no list of its nodes is known");
    until("it is not ready", || daymark.get("/readyz").1.contains(&format!("[-]{why}")).then_some(()));
    assert_eq!(daymark.get("/readyz").0, 503);
    assert!(alarms(&daymark).contains(&why));
    scene.nodes.set(0, Behaviour::Ready);
    until("it is ready", || (daymark.get("/readyz").0 == 200).then_some(()));
    daymark.answers(&scene.nodes.addresses(), "ready");
}

#[test]
fn what_is_in_the_state_and_cannot_be_used_is_dropped_with_a_sentence() {
    let scene = Scene::start(2);
    scene.run().kill();
    scene.cluster.forbid(true);
    let state = scene.nodes.path("state/discovery.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace(&scene.of(&[1])[0].to_string(), "224.0.0.1")).unwrap();
    let log = Daymark::run(&scene.nodes.path("daymark.yaml")).kill();
    assert!(log.contains("224.0.0.1 from the state is dropped, for it is no address of a node"), "{log}");
    fs::write(&state, text.replace(POOL, "other.example.org")).unwrap();
    let log = Daymark::run(&scene.nodes.path("daymark.yaml")).kill();
    assert!(log.contains("other.example.org: what was found is forgotten"), "{log}");
    fs::write(&state, &text[..text.len() / 2]).unwrap();
    let daymark = Daymark::run(&scene.nodes.path("daymark.yaml"));
    daymark.logs("discovery.json is torn");
    daymark.answers(&scene.of(&[0]), "ready");
}

#[test]
fn nodes_that_were_found_leave_when_discovery_is_turned_off_and_come_back_with_it() {
    let scene = Scene::start(3);
    let daymark = scene.run();
    let file = scene.nodes.path("daymark.yaml");
    let with_discovery = fs::read_to_string(&file).unwrap();
    let found = format!("      fromKubernetes: {{{HASTY}}}\n      seeds:\n");
    fs::write(&file, with_discovery.replace(&found, "")).unwrap();
    daymark.process.signal("HUP");
    daymark.answers(&scene.of(&[0]), "ready");
    assert_eq!(targets(&daymark), scene.of(&[0]));
    assert!(news(&daymark).ends_with(&[
        "turnedOff cp-1".to_owned(),
        "turnedOff cp-2".to_owned(),
        "turnedOff cp-3".to_owned()
    ]));
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(scene.nodes.path("state/discovery.json")).unwrap()).unwrap();
    assert_eq!(kept["memory"], serde_json::json!({}));
    fs::write(&file, with_discovery).unwrap();
    daymark.process.signal("HUP");
    daymark.answers(&scene.nodes.addresses(), "ready");
}

#[test]
fn one_pass_asks_once_and_the_next_one_knows_what_was_found() {
    let zone::Scene { nodes, zone, plan } = zone::Scene::new(3);
    let (scene, all) = (Scene::of_nodes(nodes), plan.nodes.len());
    let file = scene.nodes.write(&Plan { nodes: plan.nodes[..1].to_vec(), from_kubernetes: Some(""), ..plan });
    let sync = || finish(&mut daymark(&["sync", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    let Finished { code, stdout, stderr } = sync();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains(&format!("{POOL}: cp-3 {} is found\n", scene.nodes.addresses()[2])), "{stdout}");
    assert_eq!((zone.addresses().len(), scene.cluster.lists()), (all, 1));

    scene.cluster.forbid(true);
    let Finished { code, stdout, stderr } = sync();
    assert_eq!((code, stdout.as_str()), (Some(0), "cloudflare: nothing to change\n"), "{stderr}");
    assert!(stderr.contains("those that are known stay") && stderr.contains("manifest rbac"), "{stderr}");
    assert_eq!(zone.addresses().len(), all);

    // It is told once when it begins and once when it is over, and always to those who only look.
    assert_eq!(sync().stderr, "");
    let dry = finish(&mut daymark(&["sync", "--dry-run", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    assert!(dry.stderr.contains("those that are known stay"), "{}", dry.stderr);
    scene.cluster.forbid(false);
    let told = format!("{POOL}: the nodes can be told again\ncloudflare: nothing to change\n");
    assert_eq!(sync().stdout, told);
    assert_eq!(sync().stdout, "cloudflare: nothing to change\n");
}

#[test]
fn a_probe_takes_the_nodes_that_a_run_has_found_and_says_where_it_knows_none() {
    let scene = Scene::start(3);
    let file = scene.write(HASTY);
    let probe = || finish(&mut daymark(&["probe", "-c", file.to_str().unwrap()]));
    let seeds = probe();
    assert_eq!((seeds.code, seeds.stdout.matches("127.").count()), (Some(0), 1), "{}", seeds.stdout);
    let said = format!("{POOL}: the state knows no node that was found, so the seeds alone are probed");
    assert!(seeds.stderr.contains(&said), "{}", seeds.stderr);
    assert!(!scene.nodes.path("state").exists(), "who only looks writes nothing");

    let _daymark = scene.run();
    let Finished { stdout, stderr, .. } = probe();
    assert_eq!(stderr, "");
    for (node, address) in ["cp-1", "cp-2", "cp-3"].into_iter().zip(scene.nodes.addresses()) {
        let is_of = |line: &str| line.contains(node) && line.contains(&address.to_string()) && line.ends_with("ready");
        assert!(stdout.lines().any(is_of), "{node} in {stdout}");
    }
}

#[test]
fn one_pass_asks_another_apiserver_where_the_first_one_hangs() {
    let zone::Scene { nodes, zone, plan } = zone::Scene::new(3);
    let (scene, all) = (Scene::of_nodes(nodes), plan.nodes.len());
    let seeds = plan.nodes[..2].to_vec();
    let file = scene.nodes.write(&Plan { nodes: seeds, from_kubernetes: Some(""), timeout: "1s", ..plan });
    scene.nodes.set(0, Behaviour::TlsStall);
    let Finished { code, stdout, stderr } =
        finish(&mut daymark(&["sync", "--deadline", "2m", "-c", file.to_str().unwrap()]));
    assert!(stdout.contains(&format!("{POOL}: cp-3 {} is found\n", scene.nodes.addresses()[2])), "{stdout}{stderr}");
    assert_eq!((code, zone.addresses().len()), (Some(0), all - 1), "{stderr}");
}

#[test]
fn one_command_prints_what_has_to_be_allowed_also_before_the_token_is_there() {
    let scene = Scene::start(1);
    let file = scene.write("source: endpoints");
    fs::remove_file(scene.nodes.path("token")).unwrap();
    let file = file.to_str().unwrap();
    let text = output(&["manifest", "rbac", "-c", file, "--namespace", "dns", "--token"]);
    let objects: Vec<Value> = text.split("---\n").skip(1).map(|it| serde_saphyr::from_str(it).unwrap()).collect();
    let kinds: Vec<&str> = objects.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret"]);
    assert_eq!(objects[1]["rules"], serde_json::json!([{"nonResourceURLs": ["/readyz"], "verbs": ["get"]}]));
    assert_eq!(objects[2]["subjects"][0]["namespace"], "dns");
    let slices =
        serde_json::json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}]);
    assert_eq!((&objects[3]["metadata"]["namespace"], &objects[3]["rules"]), (&"default".into(), &slices));
    assert_eq!(objects[5]["metadata"]["annotations"]["kubernetes.io/service-account.name"], "daymark");

    fs::write(scene.nodes.path("token"), SECRET).unwrap();
    scene.write("");
    let text = output(&["manifest", "rbac", "-c", file]);
    let role: Value = serde_saphyr::from_str(text.split("---\n").nth(2).unwrap()).unwrap();
    assert_eq!(role["rules"][0], serde_json::json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}));
    assert!(!text.contains("Secret") && !text.contains("endpointslices"), "{text}");

    scene.nodes.write(&scene.seed());
    let refused = finish(&mut daymark(&["manifest", "rbac", "-c", file]));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("so there is nothing to allow"), "{}", refused.stderr);
}

#[test]
fn a_check_says_what_will_be_looked_for_and_asks_no_one() {
    let scene = Scene::start(1);
    let checked = output(&["check", "-c", scene.write("").to_str().unwrap()]);
    let line = "more nodes: the InternalIP of Nodes with the label node-role.kubernetes.io/control-plane, asked of the nodes \
                that are known every 1m; what is new comes at once, and one at a time leaves, missing for 1h";
    assert!(checked.contains(line), "{checked}");
    assert_eq!(scene.cluster.lists(), 0);
}
