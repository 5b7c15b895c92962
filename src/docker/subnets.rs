//! Choosing a /24 that neither the host nor another network of Docker uses. Pure.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    base: u32,
    length: u8,
}

impl Subnet {
    fn new(base: u32, length: u8) -> Self {
        Self { base: base & mask(length), length }
    }

    pub fn overlaps(self, other: Self) -> bool {
        let shared = mask(self.length.min(other.length));
        self.base & shared == other.base & shared
    }

    /// The bridge's address: the first of the subnet.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    /// The half from which Docker gives addresses by itself. Fixed addresses come from the
    /// other half, so that none is taken while its pod is away.
    pub fn dynamic(self) -> String {
        let half = Self::new(self.base + (1 << (31 - self.length)), self.length + 1);
        half.to_string()
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.length)
    }
}

impl FromStr for Subnet {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (base, length) = text.split_once('/').ok_or(())?;
        let base: Ipv4Addr = base.parse().map_err(|_| ())?;
        let length = length.parse().ok().filter(|length| *length <= 32).ok_or(())?;
        Ok(Self::new(base.into(), length))
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

/// The free /24s of 10.201.0.0–10.210.255.255, beginning somewhere that `seed` decides.
pub(super) fn free(seed: u32, taken: Vec<Subnet>) -> impl Iterator<Item = Subnet> {
    const COUNT: u32 = 10 * 256;
    let first = u32::from(Ipv4Addr::new(10, 201, 0, 0));
    (0..COUNT)
        .map(move |step| Subnet::new(first + ((seed % COUNT + step) % COUNT) * 256, 24))
        .filter(move |subnet| !taken.iter().any(|other| subnet.overlaps(*other)))
}

/// The networks of `/proc/net/route`, without the default route.
pub(super) fn of_route_table(text: &str) -> Vec<Subnet> {
    let route = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let number = |field: Option<&str>| u32::from_str_radix(field?, 16).ok().map(u32::swap_bytes);
        let base = number(fields.next())?;
        let length = number(fields.nth(5))?.leading_ones();
        (length > 0).then(|| Subnet::new(base, u8::try_from(length).unwrap_or(32)))
    };
    text.lines().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
        eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n\
        docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n\
        vpn0 0000C90A 00000000 0001 0 0 0 0000FFFF 0 0 0\n";

    #[test]
    fn host_routes_are_avoided() {
        let taken = of_route_table(ROUTES);
        assert_eq!(taken.iter().map(ToString::to_string).collect::<Vec<_>>(), ["172.17.0.0/16", "10.201.0.0/16"]);
        assert_eq!(free(0, taken).next().unwrap().to_string(), "10.202.0.0/24");
    }

    #[test]
    fn every_free_subnet_is_offered_once() {
        let taken = vec!["10.201.7.0/24".parse().unwrap(), "10.205.1.128/25".parse().unwrap()];
        let all: std::collections::HashSet<_> = free(2559, taken).map(|subnet| subnet.to_string()).collect();
        assert_eq!(all.len(), 2558);
    }

    #[test]
    fn docker_assigns_only_from_the_upper_half() {
        let subnet: Subnet = "10.201.7.0/24".parse().unwrap();
        assert_eq!(subnet.gateway().to_string(), "10.201.7.1");
        assert_eq!(subnet.dynamic(), "10.201.7.128/25");
    }
}
