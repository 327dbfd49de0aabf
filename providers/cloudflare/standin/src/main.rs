//! The stand-in on its own, to try things by hand: an example world, until it is ended.

use std::net::SocketAddr;

use clap::Parser;
use daymark_cloudflare_standin::Standin;

/// A stand-in of Cloudflare's API with an example world.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it tells the hand how to reach it")]
async fn main() -> std::io::Result<()> {
    let cloudflare = Standin::listen(Arguments::parse().listen).await?;
    let example = cloudflare.world().example();
    println!("api      {}", cloudflare.api());
    println!("token    {}", cloudflare.token());
    println!("account  {}", example.account);
    println!("zone     {} kube-cp.com", example.zone);
    println!("pool     {} kube-cp", example.pool);
    println!("balancer {} lb.kube-cp.com", example.balancer);
    tokio::signal::ctrl_c().await
}
