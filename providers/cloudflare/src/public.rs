//! Tells public addresses from others. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The networks of IPv4 that are not public: IANA's registry of special-purpose addresses, multicast (RFC 5771), and
/// reserved addresses.
const NOT_PUBLIC_V4: [Network<Ipv4Addr>; 15] = [
    network(Ipv4Addr::UNSPECIFIED, 8),
    network(Ipv4Addr::new(10, 0, 0, 0), 8),
    network(Ipv4Addr::new(100, 64, 0, 0), 10),
    network(Ipv4Addr::new(127, 0, 0, 0), 8),
    network(Ipv4Addr::new(169, 254, 0, 0), 16),
    network(Ipv4Addr::new(172, 16, 0, 0), 12),
    network(Ipv4Addr::new(192, 0, 0, 0), 24),
    network(Ipv4Addr::new(192, 0, 2, 0), 24),
    network(Ipv4Addr::new(192, 88, 99, 0), 24),
    network(Ipv4Addr::new(192, 168, 0, 0), 16),
    network(Ipv4Addr::new(198, 18, 0, 0), 15),
    network(Ipv4Addr::new(198, 51, 100, 0), 24),
    network(Ipv4Addr::new(203, 0, 113, 0), 24),
    network(Ipv4Addr::new(224, 0, 0, 0), 4),
    network(Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// The part of IPv6 that IANA assigns for use on the Internet (RFC 4291, section 2.4).
const GLOBAL_UNICAST: Network<Ipv6Addr> = network(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// The parts of it that are for documentation (RFC 3849, RFC 9637).
const DOCUMENTATION: [Network<Ipv6Addr>; 2] = [
    network(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    network(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// A network of IPv4 or IPv6.
#[derive(Clone, Copy)]
struct Network<A> {
    first: A,
    prefix_length: u32,
}

const fn network<A: Copy>(first: A, prefix_length: u32) -> Network<A> {
    Network { first, prefix_length }
}

impl Network<Ipv4Addr> {
    fn contains(self, address: Ipv4Addr) -> bool {
        let Self { first, prefix_length } = self;
        (address.to_bits() ^ first.to_bits()) >> (32 - prefix_length) == 0
    }
}

impl Network<Ipv6Addr> {
    fn contains(self, address: Ipv6Addr) -> bool {
        let Self { first, prefix_length } = self;
        (address.to_bits() ^ first.to_bits()) >> (128 - prefix_length) == 0
    }
}

/// Returns true for an address that the whole Internet may route. Addresses for documentation are not public: Cloudflare
/// refuses them as it refuses private ones.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !NOT_PUBLIC_V4.into_iter().any(|network| network.contains(v4)),
        IpAddr::V6(v6) => GLOBAL_UNICAST.contains(v6) && !DOCUMENTATION.into_iter().any(|network| network.contains(v6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_public(addresses: &[&str]) -> Vec<bool> {
        addresses.iter().map(|address| is_public(address.parse().unwrap())).collect()
    }

    #[test]
    fn each_range_that_is_not_public_is_so_from_its_first_address_to_its_last_and_no_further() {
        for (before, first, last, after) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            (
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db9::",
            ),
        ] {
            assert_eq!(are_public(&[before, first, last, after]), [true, false, false, true], "{first} to {last}");
        }
    }

    #[test]
    fn the_ends_of_the_address_spaces_are_not_public() {
        assert_eq!(are_public(&["0.0.0.0", "0.255.255.255", "1.0.0.0"]), [false, false, true]);
        let multicast_and_reserved =
            ["223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"];
        assert_eq!(are_public(&multicast_and_reserved), [true, false, false, false, false]);
        let global_unicast =
            ["1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
        assert_eq!(are_public(&global_unicast), [false, true, true]);
        let past_documentation = ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", "4000::"];
        assert_eq!(are_public(&past_documentation), [false, false, true, false]);
    }

    #[test]
    fn what_of_ipv6_is_not_global_unicast_is_not_public() {
        for (first, last) in [
            ("::", "::1"),
            ("::ffff:0.0.0.0", "::ffff:8.8.8.8"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(are_public(&[first, last]), [false, false], "{first} to {last}");
        }
    }
}
