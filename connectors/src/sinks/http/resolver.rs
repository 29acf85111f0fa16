//! Names to addresses, at the moment of connecting.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::NetworkSettings;

/// The system's resolver, with the addresses left out that the receiver may not have.
pub(super) struct GuardedResolver {
    pub(super) network: NetworkSettings,
}

/// Every address of a name was refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{name}` resolves only to addresses that are not allowed: set `network.allow_private` or list them in `network.allow_addresses` if they are meant"
)]
pub(super) struct AddressesRefused {
    name: String,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.network.clone();
        Box::pin(async move {
            // Port 0 is replaced by the port of the URL.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(permitted(name.as_str(), found, &network)?.into_iter()) as Addrs)
        })
    }
}

fn permitted(
    name: &str,
    found: Vec<SocketAddr>,
    network: &NetworkSettings,
) -> Result<Vec<SocketAddr>, AddressesRefused> {
    let permitted: Vec<SocketAddr> = found.into_iter().filter(|address| network.allows(address.ip())).collect();
    if permitted.is_empty() { Err(AddressesRefused { name: name.to_owned() }) } else { Ok(permitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn a_name_with_a_public_and_a_private_address_keeps_only_the_public_one() {
        let found = addresses(&["127.0.0.1:0", "1.1.1.1:0", "[::ffff:10.0.0.1]:0"]);
        let kept = permitted("rebind.example", found, &NetworkSettings::default()).expect("one is public");
        assert_eq!(kept, addresses(&["1.1.1.1:0"]));
    }

    #[test]
    fn a_name_with_private_addresses_alone_is_refused_with_the_way_out() {
        let refused = permitted("rebind.example", addresses(&["169.254.169.254:0"]), &NetworkSettings::default());
        let message = refused.expect_err("metadata is never public").to_string();
        assert!(message.contains("rebind.example") && message.contains("allow_private"), "{message}");
    }
}
