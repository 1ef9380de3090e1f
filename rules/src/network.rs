//! Ranges of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::problem::{Problem, clip};

/// A range of addresses in CIDR notation (RFC 4632, and RFC 4291 section 2.3 for IPv6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4 { address: u32, mask: u32 },
    V6 { address: u128, mask: u128 },
}

impl Network {
    /// Reads `10.0.0.0/8` or `2001:db8::/32`. Bits of the address beyond the prefix do not count.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |reason| Problem::Network {
            found: clip(text),
            reason,
        };
        let (address, bits) = text.split_once('/').ok_or_else(|| {
            refused(
                "there is no '/' with the length of the prefix; for one address write /32 or /128",
            )
        })?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| refused("what stands before the '/' is no IP address"))?;
        // Digits only: `parse` alone would take a sign.
        let bits = Some(bits)
            .filter(|bits| bits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|bits| bits.parse::<u32>().ok())
            .ok_or_else(|| refused("what follows the '/' is no length of a prefix"))?;
        if address != address.to_canonical() {
            return Err(refused(
                "an IPv4 address in an IPv6 one; write the IPv4 network instead",
            ));
        }
        match address {
            IpAddr::V4(_) if bits > 32 => {
                Err(refused("the prefix of an IPv4 network has 0 to 32 bits"))
            }
            IpAddr::V6(_) if bits > 128 => {
                Err(refused("the prefix of an IPv6 network has 0 to 128 bits"))
            }
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                Ok(Self::V4 {
                    address: address.to_bits() & mask,
                    mask,
                })
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                Ok(Self::V6 {
                    address: address.to_bits() & mask,
                    mask,
                })
            }
        }
    }

    /// The bits that an address of the network begins with, as [`address_bits`] writes them.
    pub(crate) fn prefix_bits(&self) -> Vec<u8> {
        let (address, length) = match *self {
            Self::V4 { address, mask } => (Ipv4Addr::from(address).into(), mask.count_ones()),
            Self::V6 { address, mask } => (Ipv6Addr::from(address).into(), mask.count_ones()),
        };
        let mut bits = Vec::with_capacity(129);
        write_bits(address, &mut bits);
        bits.truncate(1 + length as usize);
        bits
    }

    /// Whether the text is an address of the network. An IPv4 address written as an IPv6 one
    /// (`::ffff:10.0.0.1`, RFC 4291 section 2.5.5.2) counts as IPv4.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let Ok(candidate) = text.parse::<IpAddr>() else {
            return false;
        };
        match (self, candidate.to_canonical()) {
            (Self::V4 { address, mask }, IpAddr::V4(candidate)) => {
                candidate.to_bits() & mask == *address
            }
            (Self::V6 { address, mask }, IpAddr::V6(candidate)) => {
                candidate.to_bits() & mask == *address
            }
            _ => false,
        }
    }
}

/// Writes the bits of an address in place of what was there: its version and then a byte for each bit.
/// Whether the text is an address.
pub(crate) fn address_bits(text: &str, bits: &mut Vec<u8>) -> bool {
    bits.clear();
    let Ok(address) = text.parse::<IpAddr>() else {
        return false;
    };
    write_bits(address.to_canonical(), bits);
    true
}

fn write_bits(address: IpAddr, bits: &mut Vec<u8>) {
    let mut write = |version: u8, octets: &[u8]| {
        bits.push(version);
        for octet in octets {
            bits.extend((0..8).rev().map(|bit| octet >> bit & 1));
        }
    };
    match address {
        IpAddr::V4(address) => write(4, &address.octets()),
        IpAddr::V6(address) => write(6, &address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_first_and_its_last_address() {
        let cases = [
            (
                "10.0.0.0/24",
                ["10.0.0.0", "10.0.0.255"],
                ["9.255.255.255", "10.0.1.0"],
            ),
            (
                "10.0.0.77/24",
                ["10.0.0.0", "10.0.0.255"],
                ["10.0.1.0", "010.0.0.1"],
            ),
            (
                "0.0.0.0/0",
                ["0.0.0.0", "255.255.255.255"],
                ["::1", "10.0.0"],
            ),
            (
                "10.1.2.3/32",
                ["10.1.2.3", "::ffff:10.1.2.3"],
                ["10.1.2.2", "10.1.2.4"],
            ),
            (
                "2001:db8::/32",
                ["2001:db8::", "2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff"],
                ["2001:db9::", "10.0.0.1"],
            ),
            (
                "::/0",
                ["::", "2001:db8::1"],
                ["10.0.0.1", "::ffff:10.0.0.1"],
            ),
            ("::1/128", ["::1", "0:0:0:0:0:0:0:1"], ["::2", ""]),
        ];
        for (network, inside, outside) in cases {
            let parsed = Network::parse(network).unwrap();
            for address in inside {
                assert!(parsed.contains(address), "{network} {address}");
            }
            for address in outside {
                assert!(!parsed.contains(address), "{network} {address}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "foo",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/",
            "10.0.0/8",
            "::/129",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(
                matches!(Network::parse(text), Err(Problem::Network { .. })),
                "{text}"
            );
        }
    }
}
