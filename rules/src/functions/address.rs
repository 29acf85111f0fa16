//! Functions about IP addresses. Text that isn't an address or network gives NULL.

use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, StringBuilder};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::Result;
use ipnet::IpNet;

/// `cidr_contains(cidr VARCHAR, ip VARCHAR) -> BOOLEAN`: whether the address lies in the network.
pub(super) fn cidr_contains(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let networks = arguments[0].as_string::<i32>();
    let addresses = arguments[1].as_string::<i32>();
    let mut contained = BooleanBuilder::with_capacity(addresses.len());
    // A network is nearly always the same for a whole batch.
    let mut last: Option<(&str, Option<IpNet>)> = None;
    for row in 0..addresses.len() {
        if networks.is_null(row) || addresses.is_null(row) {
            contained.append_null();
            continue;
        }
        let text = networks.value(row);
        let network = match last {
            Some((known, network)) if known == text => network,
            _ => network_of(text),
        };
        last = Some((text, network));
        let address = addresses.value(row).trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        contained.append_option(network.zip(address).map(|(network, address)| network.contains(&address)));
    }
    Ok(Arc::new(contained.finish()))
}

/// `ip_prefix(ip VARCHAR, bits BIGINT) -> VARCHAR`: the network of that many bits that the address lies in, such as
/// `192.0.2.0/24`.
pub(super) fn ip_prefix(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let addresses = arguments[0].as_string::<i32>();
    let bits = arguments[1].as_primitive::<Int64Type>();
    let mut prefixes = StringBuilder::new();
    for row in 0..addresses.len() {
        if addresses.is_null(row) || bits.is_null(row) {
            prefixes.append_null();
        } else {
            prefixes.append_option(prefix(addresses.value(row), bits.value(row)));
        }
    }
    Ok(Arc::new(prefixes.finish()))
}

fn network_of(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn prefix(address: &str, bits: i64) -> Option<String> {
    let address = address.trim().parse::<IpAddr>().ok()?.to_canonical();
    let network = IpNet::new(address, u8::try_from(bits).ok()?).ok()?;
    Some(network.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{BooleanArray, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_network_contains_its_addresses_of_either_family() {
        for (cidr, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", Some(true)),
            ("10.0.0.0/8", "11.0.0.1", Some(false)),
            ("10.0.0.0/8", "::ffff:10.1.2.3", Some(true)),
            ("2001:db8::/32", "2001:db8:1::1", Some(true)),
            ("10.0.0.0/8", "2001:db8::1", Some(false)),
            ("192.0.2.7", "192.0.2.7", Some(true)),
            ("10.0.0.0/40", "10.0.0.1", None),
            ("10.0.0.0/8", "unknown", None),
        ] {
            let arguments: [ArrayRef; 2] =
                [Arc::new(StringArray::from(vec![cidr])), Arc::new(StringArray::from(vec![ip]))];
            let result = cidr_contains(&arguments).expect("never fails");
            assert_eq!(result.as_boolean(), &BooleanArray::from(vec![expected]), "{cidr} {ip}");
        }
    }

    #[test]
    fn a_prefix_is_cut_to_its_bits() {
        for (ip, bits, expected) in [
            ("192.0.2.77", 24, Some("192.0.2.0/24")),
            ("2001:db8:1:2::9", 48, Some("2001:db8:1::/48")),
            ("192.0.2.77", 33, None),
            ("192.0.2.77", -1, None),
            ("nowhere", 24, None),
        ] {
            let arguments: [ArrayRef; 2] =
                [Arc::new(StringArray::from(vec![ip])), Arc::new(Int64Array::from(vec![bits]))];
            let result = ip_prefix(&arguments).expect("never fails");
            assert_eq!(result.as_string::<i32>(), &StringArray::from(vec![expected]), "{ip}/{bits}");
        }
    }
}
