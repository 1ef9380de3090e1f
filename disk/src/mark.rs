//! How far the changelog is on disk.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use state::base::Size;

/// The layout of what is on disk. Another one is thrown away.
const LAYOUT: u8 = 1;

/// How far the changelog of a partition is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the last record of the partition's progress that is here.
    pub position: i64,
    /// The value of that record.
    pub progress: Vec<u8>,
    /// When it was put here, by this machine's clock.
    pub put_at: SystemTime,
}

impl Mark {
    /// How long ago that was; none if it is yet to come.
    pub fn age(&self) -> Option<Duration> {
        self.put_at.elapsed().ok()
    }

    pub(crate) fn write(position: i64, progress: &[u8]) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(&position.to_be_bytes());
        bytes.extend_from_slice(&now.to_be_bytes());
        bytes.extend_from_slice(progress);
        bytes
    }

    /// None of what is of another layout.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (layout, rest) = bytes.split_first()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (put_at, progress) = rest.split_first_chunk()?;
        let put_at = Duration::from_millis(u64::from_be_bytes(*put_at));
        (*layout == LAYOUT).then_some(Self {
            position: i64::from_be_bytes(*position),
            progress: progress.to_vec(),
            put_at: UNIX_EPOCH.checked_add(put_at)?,
        })
    }
}

pub(crate) fn write_size(size: Size) -> [u8; 16] {
    let (customers, bytes) = (size.customers as u64, size.bytes as u64);
    (u128::from(customers) << 64 | u128::from(bytes)).to_be_bytes()
}

pub(crate) fn read_size(bytes: &[u8]) -> Option<Size> {
    let both = u128::from_be_bytes(bytes.try_into().ok()?);
    let low = both & u128::from(u64::MAX);
    Some(Size {
        customers: usize::try_from(both >> 64).ok()?,
        bytes: usize::try_from(low).ok()?,
    })
}
