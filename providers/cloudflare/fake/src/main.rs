//! The fake on its own, until it is ended: to try things by hand, or for tests of whole processes. Lines on its input
//! hold calls back and tell what it has seen.

use std::io::stdin;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use daymark_fake_cloudflare::{FakeCloudflare, Fault, Matching, Plan};
use serde_json::{Value, json};

/// A fake of Cloudflare's API with an example world.
///
/// Lines on the input: `hold METHOD NTH [after]` gives no answer to the nth call of this method from now on, which is done
/// after that or before; `release` gives them; `calls` tells every call so far, and `records` what the names lead to.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Has a zone without a pool, a balancer and records.
    #[arg(long)]
    bare: bool,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it tells the hand how to reach it")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let cloudflare = Arc::new(FakeCloudflare::listen(arguments.listen).await?);
    println!("api      {}", cloudflare.api());
    println!("token    {}", cloudflare.token());
    if arguments.bare {
        let mut world = cloudflare.world();
        let account = world.add_account();
        println!("zone     {} kube-cp.com", world.add_zone(&account, "kube-cp.com", Plan::Free));
    } else {
        let example = cloudflare.world().example();
        println!("account  {}", example.account);
        println!("zone     {} kube-cp.com", example.zone);
        println!("pool     {} kube-cp", example.pool);
        println!("balancer {} lb.kube-cp.com", example.balancer);
    }
    // It waits for lines until the process ends.
    std::thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            println!("{}", obey(&cloudflare, &line));
        }
        std::thread::park();
    });
    tokio::signal::ctrl_c().await
}

fn obey(cloudflare: &FakeCloudflare, line: &str) -> Value {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["hold", method, nth] => hold(cloudflare, Fault::StallBefore, method, nth),
        ["hold", method, nth, "after"] => hold(cloudflare, Fault::StallAfter, method, nth),
        ["release"] => {
            cloudflare.release();
            Value::Null
        }
        ["calls"] => cloudflare
            .calls()
            .iter()
            .map(|call| json!({"method": call.method, "path": call.path, "body": call.body, "status": call.status}))
            .collect(),
        ["records"] => {
            let world = cloudflare.world();
            world.zones.values().flat_map(|zone| zone.records.values()).cloned().collect()
        }
        _ => json!({"error": "no such line; there are hold, release, calls, records"}),
    }
}

fn hold(cloudflare: &FakeCloudflare, fault: Fault, method: &str, nth: &str) -> Value {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let (Some(method), Ok(nth)) = (methods.into_iter().find(|it| *it == method), nth.parse()) else {
        return json!({"error": "hold METHOD NTH [after]"});
    };
    cloudflare.play(fault, Matching::method(method).nth(nth));
    Value::Null
}
