//! Reads bodies within bounds: of one body, and of all together.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use service::http::Problem;
use service::http::problem::{BAD_REQUEST, REQUEST_TIMEOUT, TOO_LARGE, UNAVAILABLE};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::form::Compression;

/// Memory is counted in steps of so many bytes, so that the count fits a semaphore's.
const STEP: usize = 1024;

/// Decompression asks for memory in steps of so many bytes.
const CHUNK: usize = 64 * 1024;

/// Largest window of zstd, as its logarithm: 8 MiB, which RFC 8878 recommends decoders to take.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Memory that requests share for their bodies and answers.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A part of the budget, given back when dropped.
pub(crate) struct Hold {
    budget: Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
}

impl Budget {
    pub(crate) fn new(bytes: u32) -> Self {
        let steps = usize::try_from(bytes).unwrap_or(usize::MAX) / STEP;
        Self(Arc::new(Semaphore::new(steps.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes memory for so many bytes, if there is so much left. Never waits: a queue of requests that
    /// wait for memory would itself need some.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Hold, Problem> {
        let permit = take(&self.0, bytes)?;
        Ok(Hold {
            budget: Arc::clone(&self.0),
            permit,
        })
    }
}

impl Hold {
    /// Bytes that it stands for.
    fn bytes(&self) -> usize {
        self.permit.num_permits() * STEP
    }

    /// Gives back what is above so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self
            .permit
            .num_permits()
            .saturating_sub(bytes.div_ceil(STEP));
        drop(self.permit.split(surplus));
    }

    /// Takes more until it stands for so many bytes.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        if let Some(more) = bytes.checked_sub(self.bytes()).filter(|more| *more > 0) {
            self.permit.merge(take(&self.budget, more)?);
        }
        Ok(())
    }
}

fn take(budget: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let steps = u32::try_from(bytes.div_ceil(STEP)).unwrap_or(u32::MAX);
    let permit = Arc::clone(budget).try_acquire_many_owned(steps);
    permit.map_err(|_| {
        Problem::new(
            &UNAVAILABLE,
            "other requests take all the memory there is for bodies",
        )
        .retry_after(Duration::from_secs(1))
    })
}

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Most bytes, before and after decompression.
    pub(crate) max_bytes: usize,
    /// Longest time for it to arrive.
    pub(crate) timeout: Duration,
}

/// A body, decompressed, and the memory that it takes.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Held as long as the bytes.
    pub(crate) hold: Hold,
}

/// Reads a body to its end.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    limits: BodyLimits,
    budget: &Budget,
) -> Result<Content, Problem> {
    let compression = Compression::of(headers)?;
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > limits.max_bytes) {
        return Err(too_large(limits.max_bytes));
    }
    let content = Content {
        bytes: Vec::new(),
        hold: budget.hold(declared.unwrap_or(CHUNK))?,
    };
    let arrival = collect(body, declared.unwrap_or(0), limits.max_bytes, content);
    let content = tokio::time::timeout(limits.timeout, arrival)
        .await
        .map_err(|_| Problem::new(&REQUEST_TIMEOUT, "the body did not arrive in time"))??;
    let bytes = &*content.bytes;
    match compression {
        Compression::None => Ok(content),
        Compression::Gzip => {
            let decoder = flate2::bufread::MultiGzDecoder::new(bytes);
            decompress(decoder, limits.max_bytes, budget)
        }
        Compression::Zstd => {
            let decoder =
                zstd::stream::read::Decoder::with_buffer(bytes).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                    Ok(decoder)
                });
            decompress(
                decoder.map_err(|error| corrupt(&error))?,
                limits.max_bytes,
                budget,
            )
        }
    }
}

/// Reads what comes further of a body that is refused, within its bounds, and forgets it: a client that
/// still writes when the connection ends may never see the answer. One that asked whether to write
/// (`Expect: 100-continue`) has not begun, and is not made to.
pub(crate) async fn discard(headers: &HeaderMap, body: &mut Body, limits: BodyLimits) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut left = limits.max_bytes;
    let arrival = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    // Whether it came in time or not, the answer is the refusal.
    let _ = tokio::time::timeout(limits.timeout, arrival).await;
}

async fn collect(
    body: &mut Body,
    declared: usize,
    max_bytes: usize,
    mut content: Content,
) -> Result<Content, Problem> {
    content.bytes.reserve_exact(declared);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Problem::new(&BAD_REQUEST, format!("the body broke off: {error}")))?;
        let Ok(part) = frame.into_data() else {
            continue; // trailers
        };
        let total = content.bytes.len() + part.len();
        if total > max_bytes {
            return Err(too_large(max_bytes));
        }
        content.hold.grow_to(total)?;
        content.bytes.extend_from_slice(&part);
    }
    Ok(content)
}

/// Decompresses, but never more than is allowed: a few bytes can stand for gigabytes.
fn decompress(
    mut decoder: impl Read,
    max_bytes: usize,
    budget: &Budget,
) -> Result<Content, Problem> {
    let mut content = Content {
        bytes: Vec::new(),
        hold: budget.hold(CHUNK)?,
    };
    loop {
        let filled = content.bytes.len();
        let end = (filled + CHUNK).min(max_bytes + 1);
        content.hold.grow_to(end)?;
        content.bytes.resize(end, 0);
        let read = fill(&mut decoder, &mut content.bytes[filled..]);
        let read = read.map_err(|error| corrupt(&error))?;
        content.bytes.truncate(filled + read);
        if content.bytes.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        if filled + read < end {
            return Ok(content);
        }
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut impl Read, mut buffer: &mut [u8]) -> io::Result<usize> {
    let size = buffer.len();
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(read) => buffer = &mut buffer[read..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size - buffer.len())
}

fn too_large(max_bytes: usize) -> Problem {
    let detail = format!("the body has more than {max_bytes} bytes; send fewer events at once");
    Problem::new(&TOO_LARGE, detail)
}

fn corrupt(error: &io::Error) -> Problem {
    Problem::new(
        &BAD_REQUEST,
        format!("the body cannot be decompressed: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        max_bytes: 200_000,
        timeout: Duration::from_millis(20),
    };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_as(encoding: &str, bytes: Vec<u8>) -> Result<Vec<u8>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", encoding.parse().unwrap());
        headers.insert("content-length", bytes.len().into());
        let budget = Budget::new(1 << 20);
        let content = read(&headers, &mut bytes.into(), LIMITS, &budget).await;
        let content = content.map_err(|problem| problem.kind().status.as_u16())?;
        assert!(content.hold.bytes() >= content.bytes.len());
        Ok(content.bytes)
    }

    #[tokio::test]
    async fn bodies_are_decompressed() {
        let text: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let (half, rest) = text.split_at(100_000);
        let two_members = [gzip(half), gzip(rest)].concat();
        let zstd = zstd::encode_all(&*text, 1).unwrap();
        for (encoding, bytes) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("gzip", two_members),
            ("zstd", zstd),
        ] {
            assert_eq!(
                read_as(encoding, bytes).await.as_ref(),
                Ok(&text),
                "{encoding}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_is_refused() {
        let long = vec![0; 200_001];
        let bomb = vec![0; 100 << 20];
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.len() / 2);
            bytes
        };
        let text: Vec<u8> = (0..1000_u32).map(|at| (at * at % 251) as u8).collect();
        for (encoding, bytes, status) in [
            ("identity", long.clone(), 413),
            ("gzip", gzip(&long), 413),
            ("gzip", gzip(&bomb), 413),
            ("zstd", zstd::encode_all(&*bomb, 1).unwrap(), 413),
            ("gzip", cut(gzip(&text)), 400),
            ("zstd", cut(zstd::encode_all(&*text, 1).unwrap()), 400),
            ("gzip", text.clone(), 400),
            ("zstd", text.clone(), 400),
            ("br", text.clone(), 415),
        ] {
            assert_eq!(read_as(encoding, bytes).await, Err(status), "{encoding}");
        }
        let mut chunked = HeaderMap::new();
        chunked.insert("transfer-encoding", "chunked".parse().unwrap());
        let budget = Budget::new(1 << 20);
        let problem = read(&chunked, &mut long.into(), LIMITS, &budget)
            .await
            .err()
            .unwrap();
        assert_eq!(problem.kind(), &TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let mut never = Body::from_stream(Never);
        let budget = Budget::new(1 << 20);
        let problem = read(&HeaderMap::new(), &mut never, LIMITS, &budget).await;
        assert_eq!(problem.err().unwrap().kind(), &REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn the_memory_of_all_bodies_is_bounded_and_comes_back() {
        let budget = Budget::new(150 * 1024);
        let body = || Body::from(vec![b' '; 100_000]);
        let first = read(&HeaderMap::new(), &mut body(), LIMITS, &budget)
            .await
            .unwrap();
        let second = read(&HeaderMap::new(), &mut body(), LIMITS, &budget).await;
        assert_eq!(second.err().unwrap().kind(), &UNAVAILABLE);
        drop(first);
        assert!(
            read(&HeaderMap::new(), &mut body(), LIMITS, &budget)
                .await
                .is_ok()
        );
        assert_eq!(budget.0.available_permits(), 150);
    }

    struct Never;

    impl futures::Stream for Never {
        type Item = Result<bytes::Bytes, io::Error>;

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Pending
        }
    }
}
