//! The subnets of the pods and of the services.

use std::net::IpAddr;

use ipnet::IpNet;

use super::cluster::Networking;
use super::position::{FilePosition, WithPosition};
use super::slip::{Slip, SlipKind};

/// The slips of both subnets.
pub(crate) fn check(networking: &Networking) -> Vec<Slip> {
    let mut slips = Vec::new();
    let pods = subnets("networking.podSubnet", networking.pod_subnet.as_ref(), "10.244.0.0/16", &mut slips);
    let services = subnets("networking.serviceSubnet", networking.service_subnet.as_ref(), "10.96.0.0/12", &mut slips);
    for service in &services {
        let shares = |pod: &&Subnet| pod.net.contains(&service.net) || service.net.contains(&pod.net);
        if let Some(pod) = pods.iter().find(shares) {
            let kind = SlipKind::SubnetsOverlap { pod: pod.net, service: service.net };
            slips.push(Slip::new(pod.position.max(service.position), kind));
        }
    }
    slips
}

struct Subnet {
    net: IpNet,
    position: FilePosition,
}

/// The subnets of a key: one, or one of each family with a comma between them.
fn subnets(path: &str, texts: Option<&WithPosition<String>>, example: &str, slips: &mut Vec<Slip>) -> Vec<Subnet> {
    let mut subnets = Vec::new();
    let Some(WithPosition { value, position }) = texts else { return subnets };
    for text in value.split(',') {
        match text.parse::<IpNet>() {
            Ok(net) => subnets.push(Subnet { net, position: *position }),
            Err(_) => slips.push(Slip::new(*position, bad_subnet(path, text, example))),
        }
    }
    subnets
}

fn bad_subnet(path: &str, text: &str, example: &str) -> SlipKind {
    let kind = |fault: String, example: String| SlipKind::BadSubnet {
        path: path.to_owned(),
        text: text.to_owned(),
        fault,
        example,
    };
    let Some((address, prefix)) = text.split_once('/') else {
        let example = if text.parse::<IpAddr>().is_ok() { format!("{text}/16") } else { example.to_owned() };
        return kind("has no prefix".to_owned(), example);
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return kind("does not begin with an IP address".to_owned(), example.to_owned());
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    // One digit too many is the slip of /162.
    let shorter = prefix.get(..prefix.len().saturating_sub(1)).unwrap_or_default();
    let meant =
        format!("{address}/{shorter}").parse::<IpNet>().map_or_else(|_| example.to_owned(), |net| net.to_string());
    kind(format!("has no prefix from /0 to /{most}"), meant)
}
