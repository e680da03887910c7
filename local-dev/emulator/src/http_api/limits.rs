//! How much an HTTP API takes, and how it says that it was too much, or for nobody: so that whoever sends it reads the
//! answer.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderMap, header::EXPECT, request::Parts},
};
use futures::StreamExt as _;
use tokio::time::timeout;

/// Largest request line and headers together.
const MAX_HEAD: usize = 10_240;

/// Largest request body.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// How much of what is too large is read all the same, and for how long: a connection that is closed with something
/// unread is reset, and the answer may be lost.
const READ_ON: usize = 64 * 1024 * 1024;
const READ_ON_FOR: Duration = Duration::from_secs(10);

/// Whether the request line and the headers are over the limit, with one space and one line end each.
pub(super) fn head_is_too_large(parts: &Parts) -> bool {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>() > MAX_HEAD
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// The body ended early, or its chunks are none.
    Broken,
}

/// The body, unless it is too large.
pub(super) async fn body(body: Body) -> Result<Bytes, Unread> {
    let mut body = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| Unread::Broken)?;
        if whole.len() + part.len() > MAX_BODY {
            read_on(body).await;
            return Err(Unread::TooLarge);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
}

/// Reads what comes with a request that is refused whatever it is. A client that asked with `Expect` whether to send it
/// has sent nothing yet, and does not after the answer.
pub(crate) async fn discard(headers: &HeaderMap, body: Body) {
    let asks = headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !asks {
        read_on(body.into_data_stream()).await;
    }
}

/// Reads the rest of a body. That it takes too long, or never ends, makes no difference to the answer.
async fn read_on(mut body: BodyDataStream) {
    let mut read = 0;
    let reading = async {
        while let Some(Ok(part)) = body.next().await {
            read += part.len();
            if read > READ_ON {
                return;
            }
        }
    };
    let _ = timeout(READ_ON_FOR, reading).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn what_is_too_large_is_read_to_its_end_and_what_is_not_is_kept() {
        let part = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 20]));
        let parts = |count: usize| stream::repeat_with(part).take(count);
        assert_eq!(body(Body::from_stream(parts(10))).await.map(|body| body.len()), Ok(10 << 20));
        let read = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&read);
        let counted = parts(40).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(body(Body::from_stream(counted)).await, Err(Unread::TooLarge));
        assert_eq!(read.load(Ordering::Relaxed), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_not_read_for_ever() {
        let part = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 20]));
        assert_eq!(body(Body::from_stream(stream::repeat_with(part))).await, Err(Unread::TooLarge), "much of it");
        let slow = stream::iter((0..11).map(move |_| part())).chain(stream::pending());
        assert_eq!(body(Body::from_stream(slow)).await, Err(Unread::TooLarge), "slowly");
    }
}
