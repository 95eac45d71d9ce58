//! How many connections there may be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ServeSettings;

/// Bits of an IPv6 address that one customer of a provider commonly has to himself.
const IPV6_HOST_BITS: u32 = 64;

/// Counts the connections of a server.
#[derive(Debug)]
pub(super) struct Admission {
    counts: Mutex<Counts>,
    connections_max: usize,
    per_address_max: usize,
    counts_loopback: bool,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The server has as many as it takes.
    Full,
    /// The address has as many as one may have.
    Address,
}

/// Keeps a connection counted; goes with the request that upgrades it, so that a WebSocket stays counted.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionGuard(Arc<Permit>);

#[derive(Debug)]
struct Permit {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(settings: &ServeSettings) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            connections_max: settings.connections_max,
            per_address_max: settings.connections_per_address_max,
            counts_loopback: settings.counts_loopback,
        })
    }

    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<ConnectionGuard, Refused> {
        let address =
            (self.counts_loopback || !peer.to_canonical().is_loopback()).then(|| customer(peer));
        let mut counts = self.lock();
        if counts.total >= self.connections_max {
            return Err(Refused::Full);
        }
        if let Some(address) = address {
            let connections = counts.by_address.entry(address).or_default();
            if *connections >= self.per_address_max {
                return Err(Refused::Address);
            }
            *connections += 1;
        }
        counts.total += 1;
        drop(counts);
        Ok(ConnectionGuard(Arc::new(Permit {
            admission: Arc::clone(self),
            address,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing panics between two changes that belong together.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionGuard {
    /// What the connection counts as coming from.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.total -= 1;
        let Some(address) = self.address else { return };
        if let Some(connections) = counts.by_address.get_mut(&address) {
            *connections -= 1;
            if *connections == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// What is counted as one address.
fn customer(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_and_the_server_have_their_caps_and_loopback_only_the_latter() {
        let settings = ServeSettings {
            connections_max: 6,
            connections_per_address_max: 2,
            ..ServeSettings::default()
        };
        let admission = Admission::new(&settings);
        let one = admission.admit(address("192.0.2.1")).expect("the first");
        let _mapped = admission
            .admit(address("::ffff:192.0.2.1"))
            .expect("the second, written otherwise");
        assert_eq!(
            admission.admit(address("192.0.2.1")).err(),
            Some(Refused::Address)
        );
        let other = one.clone();
        drop(one);
        assert_eq!(
            admission.admit(address("192.0.2.1")).err(),
            Some(Refused::Address),
            "a clone still holds it"
        );
        drop(other);
        let _again = admission.admit(address("192.0.2.1")).expect("one has gone");
        let _v6: Vec<_> = ["2001:db8::1", "2001:db8::2"]
            .map(|peer| admission.admit(address(peer)).expect("room"))
            .into();
        assert_eq!(
            admission.admit(address("2001:db8:0:0:ffff::3")).err(),
            Some(Refused::Address),
            "same customer"
        );
        let _loopback: Vec<_> = ["127.0.0.1", "::1"]
            .map(|peer| admission.admit(address(peer)).expect("room"))
            .into();
        assert_eq!(
            admission.admit(address("127.0.0.1")).err(),
            Some(Refused::Full)
        );
    }

    #[test]
    fn nothing_is_kept_of_an_address_that_left() {
        let admission = Admission::new(&ServeSettings::default());
        drop(admission.admit(address("192.0.2.1")));
        let counts = admission.lock();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }
}
