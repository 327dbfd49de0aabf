//! The commands of the command line, as a person or a script uses them.

use std::fs;
use std::process::{Command, Stdio};

use daymark_fake_apiserver::Behaviour;
use serde_json::Value;

use crate::support::dns::short;
use crate::support::nodes::{Nodes, Plan};
use crate::support::{BINARY, Daymark, Finished, POOL, Process, daymark, finish, output, until};

fn running(count: u8) -> (Nodes, Daymark) {
    let nodes = Nodes::start(count);
    let daymark = Daymark::run(&nodes.write(&nodes.plan()));
    daymark.answers(&nodes.addresses(), "ready");
    (nodes, daymark)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&output(arguments)).unwrap()
}

#[test]
fn run_needs_only_flags() {
    let nodes = Nodes::start(2);
    let pool = format!("{POOL}:{}", nodes.port());
    let named: Vec<String> = (1..).zip(nodes.addresses()).map(|(n, address)| format!("cp-{n}={address}")).collect();
    let ca = nodes.path("ca.crt");
    let state = nodes.path("state");
    let mut command = daymark(&["run", "--pool", &pool, "--node", &named[0], "--node", &named[1]]);
    command.args(["--listen", "127.0.0.1:0", "--nameserver", "ns1.example.net", "--admin", "127.0.0.1:0"]);
    command.arg("--ca").arg(ca).arg("--state-dir").arg(&state);
    let daymark = Daymark::start(&mut command);
    daymark.answers(&nodes.addresses(), "ready");
    assert_eq!(short("dig", daymark.dns, &[POOL, "NS"]), ["ns1.example.net."]);
    assert!(state.join("state.json").exists());
}

#[test]
fn check_prints_every_sum_and_warns_of_one_longer_than_clients_wait() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&Plan { interval: "1s", ..nodes.plan() });
    let text = output(&["check", "-c", config.to_str().unwrap()]);
    assert!(text.contains("silent node found in 6.06s = interval 1s + fall 3 × confirmInterval 0.02s + "), "{text}");
    assert!(text.contains("hung node found in 3s = "), "{text}");
    assert!(text.contains("stuck node found in 6.06s = "), "{text}");
    assert!(text.contains("right in every cache in 11.06s = 6.06s + ttl.max 5s"), "{text}");
    assert!(!text.contains("45s") && text.ends_with(": configuration OK\n"), "{text}");

    let config = nodes.write(&Plan { interval: "1m", ..nodes.plan() });
    let text = output(&["check", "-c", config.to_str().unwrap()]);
    assert!(text.contains("clients notice by themselves after about 45s"), "{text}");
    let warnings = text.matches("with a silent node the answer is right").count();
    assert_eq!(warnings, 1, "each warning is said once: {text}");
}

#[test]
fn check_refuses_a_state_directory_that_is_a_file_or_inside_one() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let check = || finish(&mut daymark(&["check", "-c", config.to_str().unwrap()]));
    assert_eq!(check().code, Some(0), "the directory need not exist");
    let state = nodes.path("state");
    fs::write(&state, "").unwrap();
    let Finished { code, stderr, .. } = check();
    let expected = format!("stateDir: {} is not a directory; a directory is needed\n", state.display());
    assert!(code == Some(2) && stderr.ends_with(&expected), "{stderr}");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("stateDir: state", "stateDir: state/below")).unwrap();
    let Finished { code, stderr, .. } = check();
    assert!(code == Some(2) && stderr.ends_with(&expected), "{stderr}");
    fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink("nowhere", &state).unwrap();
    let Finished { code, stderr, .. } = check();
    assert!(code == Some(2) && stderr.ends_with(&expected), "a broken link: {stderr}");
}

#[test]
fn one_file_serves_all_hosts_if_each_gets_its_name_by_a_flag() {
    const PEERS: &str = "peers: {keyFile: gossip.key, members: [{name: dns-1, address: 192.0.2.11}, \
                         {name: dns-2, address: 192.0.2.12}, {name: dns-3, address: 192.0.2.13}]}";
    let nodes = Nodes::start(1);
    output(&["keygen", "--out", nodes.path("gossip.key").to_str().unwrap()]);
    let config = nodes.path("daymark.yaml");
    fs::write(&config, format!("{}\n{PEERS}\n", nodes.plan())).unwrap();
    let check = ["check", "-c", config.to_str().unwrap()];
    let text = output(&[&check[..], &["--self", "dns-2"]].concat());
    assert!(text.contains("dns-1, dns-2, dns-3 (this is dns-2); "), "{text}");
    assert!(
        text.contains("ns1.example.net is the only name server, and no host of `peers.members` has that address"),
        "{text}"
    );
    let with_servers = |servers: &str| {
        let plan = nodes.plan().to_string().replace("{name: ns1.example.net}", servers);
        fs::write(&config, format!("{plan}\n{PEERS}\n")).unwrap();
        output(&[&check[..], &["--self", "dns-2"]].concat())
    };
    let text = with_servers("{name: ns1.example.net, addresses: [192.0.2.11]}");
    assert!(
        text.contains(
            "\n  without dns-1: no name server is left\n  without dns-2: 1 of 1 address of name servers left\n"
        ),
        "{text}"
    );
    let warning = "providers[0].nameservers: losing dns-1 leaves no name server: every client gets SERVFAIL; ";
    assert!(text.contains(warning), "{text}");
    let text = with_servers(&format!(
        "{{name: ns1.{POOL}, addresses: [192.0.2.11]}}, {{name: ns2.{POOL}, addresses: [192.0.2.12, 192.0.2.13]}}"
    ));
    assert!(text.contains("  without dns-2: 2 of 3 addresses of name servers left\n"), "{text}");
    assert!(!text.contains("no name server"), "{text}");
    let by_variable = finish(daymark(&check).env("DAYMARK_SELF", "dns-3"));
    assert!(by_variable.stdout.contains(" (this is dns-3); "), "{}", by_variable.stderr);
    let for_all = output(&check);
    assert!(for_all.contains("dns-1, dns-2, dns-3 (checked for each); "), "{for_all}");
    let nameless = finish(&mut daymark(&["run", check[1], check[2]]));
    assert!(nameless.code == Some(2) && nameless.stderr.contains("by --self or DAYMARK_SELF"), "{}", nameless.stderr);
    output(&["probe", check[1], check[2]]);
    for command in ["run", "sync", "check", "probe"] {
        let Finished { code, stderr, .. } = finish(&mut daymark(&[command, check[1], check[2], "--self", "dns-9"]));
        assert!(code == Some(2) && stderr.contains("--self: dns-9 is not a member"), "{command}: {stderr}");
    }
}

#[test]
fn probe_prints_the_observation_of_each_target() {
    let nodes = Nodes::start(3);
    nodes.set(1, Behaviour::Dead);
    nodes.set(2, Behaviour::WrongNames);
    let config = nodes.write(&nodes.plan());
    let text = output(&["probe", "-c", config.to_str().unwrap()]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("POOL") && lines[0].ends_with("OUTCOME"), "{text}");
    assert!(lines[1].contains("cp-1") && lines[1].contains("2120-01-01") && lines[1].ends_with("ready"), "{text}");
    assert!(lines[2].contains("cp-2") && lines[2].contains("connection refused"), "{text}");
    assert!(lines[3].contains(&format!("the certificate lacks {POOL}; it has ")), "{text}");
    assert!(text.contains(&format!("certificate of cp-1: {POOL}\n")), "{text}");

    let found = json(&["probe", "-c", config.to_str().unwrap(), "-o", "json"]);
    let kinds: Vec<&Value> = found.as_array().unwrap().iter().map(|probe| &probe["kind"]).collect();
    assert_eq!(kinds, ["ready", "refused", "wrongName"]);
    assert_eq!(found[0]["certificate"]["names"], serde_json::json!([POOL]));
}

#[test]
fn status_explain_and_events_print_the_same_reason() {
    let (nodes, daymark) = running(2);
    nodes.set(1, Behaviour::Dead);
    daymark.answers(&nodes.addresses()[..1], "ready");
    let api = daymark.api();
    let message = daymark.pool()["targets"][1]["message"].as_str().unwrap().to_owned();
    let reason = "connection refused: nothing listens on the port";
    assert!(message.contains(reason), "{message}");

    let text = output(&["status", "--api", &api]);
    assert!(text.starts_with(&format!("{POOL} -> {} (ready)\n", nodes.addresses()[0])), "{text}");
    let line = text.lines().find(|line| line.starts_with("cp-2")).unwrap();
    assert!(line.contains("down") && line.contains(" out ") && line.ends_with(reason), "{text}");
    assert!(
        text.contains("provider authoritative: generation ")
            && text.contains(" s, last success ")
            && text.contains(", TTL "),
        "{text}"
    );
    assert!(!text.contains("ALARM"), "{text}");
    assert_eq!(json(&["status", "--api", &api, "-o", "json"])["pools"][0]["targets"][1]["message"], *message);

    let text = output(&["explain", "cp-2", "--api", &api]);
    assert!(text.contains(&message), "{text}");
    assert_eq!(json(&["explain", "cp-2", "--api", &api, "-o", "json"])[0]["message"], *message);

    let text = output(&["events", "--api", &api]);
    let line = text.lines().rfind(|line| line.contains("->") && line.contains(" out: ")).unwrap();
    assert!(line.contains(&message), "{text}");
    let events = json(&["events", "--api", &api, "-o", "json"]);
    assert!(
        events
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["message"].as_str().is_some_and(|text| text.contains(&message)))
    );

    let Finished { code, stderr, .. } = finish(&mut daymark_at(&["explain", "cp-9"], &api));
    let expected = format!("pool {POOL} has no node cp-9; its nodes are cp-1, cp-2\n");
    assert_eq!((code, stderr), (Some(1), expected));
}

fn daymark_at(arguments: &[&str], api: &str) -> Command {
    let mut command = daymark(arguments);
    command.env("DAYMARK_API", api);
    command
}

#[test]
fn a_node_is_drained_forced_and_cleared() {
    let (nodes, daymark) = running(2);
    let api = daymark.api();
    let all = nodes.addresses();
    let token = nodes.path("state/admin.token");
    let say = |arguments: &[&str]| finish(daymark_at(arguments, &api).env("DAYMARK_TOKEN_FILE", &token));
    let done = say(&["drain", "cp-1", "--for", "10m", "--reason", "disk change", "--author", "ada"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(
        done.stdout.contains("out: drained by ada since ") && done.stdout.contains(": disk change"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.ends_with(&format!("{POOL} -> {}\n", all[1])), "{}", done.stdout);
    daymark.answers(&all[1..], "ready");

    let done = say(&["drain", "cp-2"]);
    let refusal = format!("cp-2 is the last undrained node of pool {POOL}; drain it with --insist if you must\n");
    assert_eq!((done.code, done.stdout, done.stderr), (Some(1), String::new(), refusal));
    let done = say(&["drain", "cp-2", "--for", "10 parsecs"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.starts_with("--for: ") && done.stderr.contains("10 parsecs"), "{}", done.stderr);
    let done = finish(&mut daymark_at(&["drain", "cp-2", "--for", "10"], "127.0.0.1:1"));
    let expected = "--for: \"10\" has no unit, such as 10s or 10m; a duration with its unit (ms, s, m or h) from 1s to 8760h is \
                    allowed\n";
    assert_eq!((done.code, done.stderr.as_str()), (Some(2), expected), "before any host is asked");

    assert_eq!(say(&["undrain", "cp-1"]).code, Some(0));
    daymark.answers(&all, "ready");
    assert_eq!(say(&["undrain", "cp-1"]).code, Some(1));
    nodes.set(0, Behaviour::Dead);
    daymark.answers(&all[1..], "ready");
    let done = say(&["force", "cp-1"]);
    assert!(done.stdout.contains("in: forced "), "{}", done.stdout);
    daymark.answers(&all, "ready");

    let done = finish(&mut daymark_at(&["drain", "cp-1", "--token-file", "/nonexistent"], &api));
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("/nonexistent does not exist") && done.stderr.contains("--token-file"));
}

#[test]
fn a_host_that_does_not_run_is_reported_with_the_remedy() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = finish(&mut daymark_at(&["status"], &port.to_string()));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.starts_with(&format!("no Daymark answers at {port}: ")), "{}", done.stderr);
    assert!(done.stderr.contains("Connection refused") && done.stderr.ends_with("name its address with --api\n"));
}

#[test]
fn an_unresolvable_name_of_the_api_is_reported() {
    let done = finish(&mut daymark_at(&["status"], "dns-1.invalid:9353"));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    let expected = "no Daymark answers at dns-1.invalid:9353: the name dns-1.invalid does not resolve; name its address with --api\n";
    assert_eq!(done.stderr, expected);
}

#[test]
fn the_api_is_reached_by_a_name() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let done = finish(&mut daymark_at(&["status"], &format!("localhost:{port}")));
    assert!(done.stderr.contains("Connection refused"), "{}", done.stderr);
}

#[test]
fn the_schema_is_json_and_has_the_keys_of_the_examples() {
    let schema = json(&["schema"]);
    assert_eq!(schema["additionalProperties"], false);
    for key in ["pools", "providers", "admin", "stateDir"] {
        assert!(schema["properties"][key].is_object(), "{key} is in {schema}");
    }
}

#[test]
fn the_shell_can_read_the_completions() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("completions");
    fs::write(&script, output(&["completions", "bash"])).unwrap();
    assert_eq!(finish(Command::new("bash").arg("-n").arg(&script)).code, Some(0));
    for shell in ["zsh", "fish"] {
        assert!(output(&["completions", shell]).contains("undrain"), "{shell}");
    }
}

#[test]
fn a_closed_output_is_no_failure() {
    let (_nodes, daymark) = running(1);
    for arguments in [&["status", "--api", &daymark.api()][..], &["schema"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = crate::support::daymark(arguments);
        let mut process = Process::spawn(command.stdout(writer).stderr(log.reopen().unwrap()));
        assert_eq!(process.wait().code(), Some(0), "{arguments:?}");
        assert_eq!(fs::read_to_string(log.path()).unwrap(), "", "{arguments:?}");
    }
    let script = format!("set -o pipefail; '{BINARY}' status --api {} | head -1", daymark.api());
    let done = finish(Command::new("bash").args(["-c", &script]).stdin(Stdio::null()));
    assert_eq!((done.code, done.stderr.as_str(), done.stdout.lines().count()), (Some(0), "", 1));
}

#[test]
fn help_and_version_end_with_exit_code_0() {
    assert_eq!(output(&["--version"]), format!("daymark {}\n", env!("CARGO_PKG_VERSION")));
    let help = output(&["--help"]);
    let commands =
        ["run", "sync", "demo", "check", "probe", "status", "events", "explain", "drain", "force", "undrain", "keygen"];
    for command in commands {
        let is_reported =
            until("help is whole", || Some(help.lines().any(|line| line.trim_start().starts_with(command))));
        assert!(is_reported, "{command} is in {help}");
    }
}

#[test]
fn ask_prints_the_answer_of_a_server_for_each_transport() {
    let (nodes, host) = running(2);
    host.answers(&nodes.addresses(), "ready");
    let server = host.dns.to_string();
    let text = output(&["ask", POOL, "--server", &server]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, transport) in lines.iter().zip(["UDP", "TCP"]) {
        assert!(line.ends_with(&format!(" at {server} by {transport}")), "{text}");
        assert!(nodes.addresses().iter().all(|address| line.contains(&address.to_string())), "{text}");
    }

    let nobody = finish(&mut daymark(&["ask", POOL, "other.example.org", "--server", &server]));
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""));
    let said = format!("other.example.org does not resolve (the nameserver refuses the query) at {server} by UDP\n");
    assert_eq!(nobody.stderr, said);
    let nowhere = finish(&mut daymark(&["ask", POOL, "--server", "dns-1.invalid"]));
    assert!(nowhere.stderr.starts_with("--server: dns-1.invalid does not resolve ("), "{}", nowhere.stderr);
    let wrong = finish(&mut daymark(&["ask", POOL, "--server", "dns-1:dns"]));
    assert_eq!(
        (wrong.code, wrong.stderr.as_str()),
        (Some(2), "dns-1:dns: HOST or HOST:PORT is expected, such as 192.0.2.1:53\n")
    );
    let hosts = finish(&mut daymark(&["ask", "localhost"]));
    assert_eq!(hosts.code, Some(0), "{}", hosts.stderr);
}
