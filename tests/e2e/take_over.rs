//! Upgrades: a new process takes the place of the one that runs, and no query is lost.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::dns::{A, Reply, ask};
use crate::support::nodes::{self, Nodes};
use crate::support::{Daymark, POOL, daymark, finish, until};

/// The number of upgrades, one after the other.
const UPGRADES: usize = 10;

#[test]
fn no_query_is_lost_while_one_process_after_the_other_takes_over() {
    let nodes = Nodes::start(2);
    let all = nodes.addresses();
    let mut plan = nodes.plan();
    plan.provider = "    udpWorkers: 2".to_owned();
    let mut running = Daymark::run(&nodes.write(&plan));
    running.answers(&all, "ready");
    let dns = running.dns;
    plan.listen = dns.to_string();
    let newer = nodes::write(&nodes.path("newer.yaml"), &plan);
    let is_over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let Reply { code, addresses } = ask(dns, POOL, A).expect("every query is answered");
                    assert_eq!((code, addresses.len()), (0, 2));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..UPGRADES {
            let arguments = ["run", "--take-over", "-c", newer.to_str().unwrap()];
            let next = Daymark::start(&mut daymark(&arguments));
            assert!(running.process.wait().success(), "the former one ends in order");
            let before = answered.load(Ordering::Relaxed);
            until("queries are answered", || (answered.load(Ordering::Relaxed) > before + 100).then_some(()));
            running = next;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(running.dns, dns);
    running.answers(&all, "ready");
}

#[test]
fn without_one_to_take_over_from_daymark_starts_as_always() {
    let nodes = Nodes::start(1);
    let config = nodes.write(&nodes.plan());
    let running = Daymark::start(&mut daymark(&["run", "--take-over", "-c", config.to_str().unwrap()]));
    running.answers(&nodes.addresses(), "ready");
    running.kill();
    // The socket of the killed process is there still.
    let running = Daymark::start(&mut daymark(&["run", "--take-over", "-c", config.to_str().unwrap()]));
    running.answers(&nodes.addresses(), "ready");
}

#[test]
fn a_process_with_a_wrong_configuration_leaves_the_running_one_alone() {
    let nodes = Nodes::start(1);
    let mut plan = nodes.plan();
    let running = Daymark::run(&nodes.write(&plan));
    running.answers(&nodes.addresses(), "ready");
    plan.interval = "nonsense";
    let wrong = nodes::write(&nodes.path("wrong.yaml"), &plan);
    let refused = finish(&mut daymark(&["run", "--take-over", "-c", wrong.to_str().unwrap()]));
    assert_eq!(refused.code, Some(2));
    // A process that breaks off after it got the sockets is forgotten.
    let socket = nodes.path("state").join("take-over.sock");
    drop(std::os::unix::net::UnixStream::connect(&socket).unwrap());
    running.logs("does not take its place");
    running.answers(&nodes.addresses(), "ready");
    assert_eq!(fs::metadata(&socket).map(|_| ()).ok(), Some(()));
}
