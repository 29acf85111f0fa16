//! Which addresses a receiver may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::Deserialize;

/// What only a receiver that says so may reach: the operator's own networks.
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "100.64.0.0/10", // carrier-grade NAT
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",  // unique local
    "fec0::/10", // site local, deprecated but still routed by some
];

/// What no receiver has unless its settings list it: the special-purpose registries of IANA, and the metadata
/// services of clouds, which hand credentials to whoever asks.
const SPECIAL: [&str; 25] = [
    "0.0.0.0/8",
    "100.100.100.200/32", // a metadata service inside the carrier-grade NAT range
    "169.254.0.0/16",     // link local; 169.254.169.254 is the metadata service
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4", // multicast
    "240.0.0.0/4", // reserved and broadcast
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32", // Teredo: the embedded address is obfuscated
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fd00:ec2::254/128", // a metadata service inside the unique local range
    "fd20:ce::254/128",  // another one
    "fe80::/10",         // link local
    "ff00::/8",          // multicast
];

static PRIVATE_NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| parse_all(&PRIVATE));
static SPECIAL_NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| parse_all(&SPECIAL));

fn parse_all(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// A network in CIDR notation, such as `10.20.0.0/16`; a single address stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(Network)
            .map_err(|_| format!("`{text}` is not a network: write it like `10.20.0.0/16` or `10.20.0.5`"))
    }
}

/// Where a receiver may be. By default only at public addresses: a message can be steered by hostile text no further
/// than the operator's settings, but a receiver's name is resolved by a server that may lie.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// Whether loopback, private, carrier-grade NAT and unique local addresses are allowed. Link-local addresses,
    /// among them the metadata services of clouds, stay refused.
    pub allow_private: bool,
    /// Networks that are allowed whatever they are, such as `["10.20.0.0/16"]`.
    pub allow_addresses: Vec<Network>,
    /// Whether plain `http` is allowed elsewhere than on loopback.
    pub allow_http: bool,
}

impl NetworkSettings {
    /// Whether a connection to this address may be made.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = effective(address);
        if self.allow_addresses.iter().any(|network| network.0.contains(&address)) {
            return true;
        }
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !within(&SPECIAL_NETWORKS) && (self.allow_private || !within(&PRIVATE_NETWORKS))
    }
}

/// The address that packets really go to: several IPv6 forms carry an IPv4 address inside.
fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if v6 == Ipv6Addr::LOCALHOST || v6 == Ipv6Addr::UNSPECIFIED {
        return address;
    }
    let segments = v6.segments();
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped, IPv4-compatible, and the well-known prefix of NAT64.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        // 6to4.
        [0x2002, high, low, ..] => inner(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(settings: &NetworkSettings, address: &str, allowed: bool) {
        assert_eq!(settings.allows(address.parse().expect("a literal address")), allowed, "{address}");
    }

    #[test]
    fn every_network_of_the_tables_parses() {
        assert_eq!(PRIVATE_NETWORKS.len(), PRIVATE.len());
        assert_eq!(SPECIAL_NETWORKS.len(), SPECIAL.len());
    }

    #[test]
    fn only_public_addresses_unless_told_otherwise() {
        let settings = NetworkSettings::default();
        for refused in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            check(&settings, refused, false);
        }
        for allowed in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"]
        {
            check(&settings, allowed, true);
        }
    }

    #[test]
    fn private_does_not_mean_metadata() {
        let settings = NetworkSettings { allow_private: true, ..NetworkSettings::default() };
        for allowed in ["127.0.0.1", "::1", "10.1.2.3", "fd12::1", "100.64.0.1", "::ffff:192.168.0.1"] {
            check(&settings, allowed, true);
        }
        for refused in ["169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254", "100.100.100.200", "fe80::1", "0.0.0.0"]
        {
            check(&settings, refused, false);
        }
    }

    #[test]
    fn a_listed_network_is_allowed_and_its_neighbour_is_not() {
        let network = |text: &str| Network::try_from(text.to_owned()).expect("a network");
        let settings = NetworkSettings {
            allow_addresses: vec![network("10.20.0.0/16"), network("169.254.7.7")],
            ..NetworkSettings::default()
        };
        check(&settings, "10.20.255.1", true);
        check(&settings, "::ffff:10.20.0.9", true);
        check(&settings, "169.254.7.7", true);
        check(&settings, "10.21.0.1", false);
        check(&settings, "169.254.7.8", false);
        assert!(Network::try_from("10.20.0.0/33".to_owned()).is_err());
    }

    proptest! {
        #[test]
        fn hiding_an_ipv4_address_in_ipv6_gains_nothing(bits in any::<u32>()) {
            let settings = NetworkSettings::default();
            let v4 = Ipv4Addr::from(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let expected = settings.allows(IpAddr::V4(v4));
            for v6 in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(settings.allows(IpAddr::V6(v6)), expected, "{}", v6);
            }
        }
    }
}
