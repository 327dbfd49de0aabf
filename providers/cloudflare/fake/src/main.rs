//! Runs the fake by itself, to try things by hand or for tests of whole processes. Commands on standard input hold calls
//! back and print what the fake has recorded.

use std::io::stdin;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use daymark_fake_cloudflare::{FakeCloudflare, FakeZonePlan, Fault, RequestMatcher};
use serde_json::{Value, json};

/// A fake of Cloudflare's API with example data.
///
/// Commands on standard input: `hold METHOD NTH [after]` withholds the response to the nth call of this method from now
/// on. The call is handled once it is released; with `after`, it is handled at once. `release` lets held calls continue.
/// `calls` prints every call so far, `records` every DNS record.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Start with a zone that has no pool, balancer or record
    #[arg(long)]
    bare: bool,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints how to reach it")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let cloudflare = Arc::new(FakeCloudflare::listen(arguments.listen).await?);
    println!("api      {}", cloudflare.api());
    println!("token    {}", cloudflare.token());
    if arguments.bare {
        let mut store = cloudflare.store();
        let account = store.add_account();
        println!("zone     {} kube-cp.com", store.add_zone(&account, "kube-cp.com", FakeZonePlan::Free));
    } else {
        let example = cloudflare.store().example();
        println!("account  {}", example.account);
        println!("zone     {} kube-cp.com", example.zone);
        println!("pool     {} kube-cp", example.pool);
        println!("balancer {} lb.kube-cp.com", example.balancer);
    }
    // Reads lines until the process ends.
    std::thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            println!("{}", execute(&cloudflare, &line));
        }
        std::thread::park();
    });
    tokio::signal::ctrl_c().await
}

fn execute(cloudflare: &FakeCloudflare, line: &str) -> Value {
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
            let store = cloudflare.store();
            store.zones.values().flat_map(|zone| zone.records.values()).cloned().collect()
        }
        _ => json!({"error": "unknown command; known are hold, release, calls, records"}),
    }
}

fn hold(cloudflare: &FakeCloudflare, fault: Fault, method: &str, nth: &str) -> Value {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let (Some(method), Ok(nth)) = (methods.into_iter().find(|known| *known == method), nth.parse()) else {
        return json!({"error": "hold METHOD NTH [after]"});
    };
    cloudflare.inject(fault, RequestMatcher::method(method).nth(nth));
    Value::Null
}
