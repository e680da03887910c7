//! One shard, read once for all event sources of its table.
//!
//! The event source that comes first to the end of what has been read reads on; the others wait for that page. So a
//! page is asked for and converted once, and nobody reads ahead of everybody. An event source that is far behind the
//! others, because its function fails or an earlier life ended there, reads for itself until it has caught up.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::broadcast::{self, error::TryRecvError},
    time::sleep,
};

use super::{
    EventSourceError,
    stream::{Change, Page, Read, Start, Stream, number, warn_trimmed},
    wake::Wake,
};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pages that are kept for the slowest event source; one that is further behind reads for itself.
const PAGES_KEPT: usize = 8;

/// A page with fewer records than this was all there was, where the database says what is written.
const FULL_PAGE: usize = 1000;

/// What all readers of a shard share.
#[derive(Debug)]
pub(super) struct Feed {
    stream: Arc<Stream>,
    shard_id: Arc<str>,
    /// The reader that reads on, for all event sources.
    tip: tokio::sync::Mutex<Reader>,
    published: Mutex<Published>,
}

#[derive(Debug)]
struct Published {
    pages: broadcast::Sender<Arc<Page>>,
    /// How far the pages reach that were published.
    read_to: Start,
}

/// Where one event source is in a shard.
#[derive(Debug)]
pub(super) struct Cursor {
    feed: Arc<Feed>,
    /// The place up to which the event source has had everything.
    position: Start,
    pages: broadcast::Receiver<Arc<Page>>,
    behind: Option<Behind>,
}

/// An event source that reads for itself until it comes to where the pages begin that are kept for it.
#[derive(Debug)]
struct Behind {
    until: Start,
    reader: Reader,
}

/// Some records of a page.
#[derive(Debug)]
pub(super) struct Part {
    page: Arc<Page>,
    from: usize,
}

impl Part {
    /// The records, in order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.page.changes[self.from..]
    }

    /// Whether this part is the end of a closed shard.
    pub(super) fn is_last(&self) -> bool {
        self.page.next.is_none()
    }
}

impl Feed {
    /// Opens the shard now, so that `LATEST` means now.
    pub(super) async fn open(
        stream: Arc<Stream>,
        shard_id: &str,
        start: Start,
    ) -> Result<(Weak<Self>, Cursor), EventSourceError> {
        let shard_id: Arc<str> = shard_id.into();
        let reader = Reader::open(Arc::clone(&stream), Arc::clone(&shard_id), start.clone()).await?;
        let (sender, pages) = broadcast::channel(PAGES_KEPT);
        let published = Published { pages: sender, read_to: start.clone() };
        let feed = Arc::new(Self { stream, shard_id, tip: reader.into(), published: published.into() });
        Ok((Arc::downgrade(&feed), Cursor { feed, position: start, pages, behind: None }))
    }

    /// The cursor of one more event source.
    pub(super) async fn join(self: Arc<Self>, start: Start) -> Result<Cursor, EventSourceError> {
        let (pages, until) = self.subscribe();
        // Both begin now if nothing has been read since the feed was opened.
        let is_here = start.has_reached(&until) || (start == Start::Latest && until == Start::Latest);
        let behind = if is_here {
            None
        } else {
            let (stream, shard_id) = (Arc::clone(&self.stream), Arc::clone(&self.shard_id));
            Some(Behind { until, reader: Reader::open(stream, shard_id, start.clone()).await? })
        };
        Ok(Cursor { feed: self, position: start, pages, behind })
    }

    /// The pages that will be published, and the place they begin after.
    fn subscribe(&self) -> (broadcast::Receiver<Arc<Page>>, Start) {
        let published = self.published();
        (published.pages.subscribe(), published.read_to.clone())
    }

    fn publish(&self, page: Arc<Page>) {
        let mut published = self.published();
        if let Some(last) = page.changes.last() {
            published.read_to = Start::After(number(last).clone());
        }
        // It does not matter if nobody receives the page: whoever needs it has a receiver.
        let _ = published.pages.send(page);
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cursor {
    /// The next records, as soon as there are some, or the end of a closed shard.
    pub(super) async fn next(&mut self) -> Part {
        loop {
            let page = match &mut self.behind {
                Some(behind) if self.position.has_reached(&behind.until) => {
                    self.behind = None;
                    continue;
                }
                Some(behind) => {
                    let page = Arc::new(behind.reader.page().await);
                    if behind.until == Start::Latest {
                        // The place of `LATEST` is known as soon as the others have read something.
                        (self.pages, behind.until) = self.feed.subscribe();
                    }
                    page
                }
                None => match self.shared().await {
                    Some(page) => page,
                    None => {
                        self.fall_behind();
                        continue;
                    }
                },
            };
            let from = page.changes.partition_point(|change| self.has_had(change));
            if let Some(last) = page.changes[from..].last() {
                self.position = Start::After(number(last).clone());
            }
            let part = Part { page, from };
            if !part.changes().is_empty() || part.is_last() {
                return part;
            }
        }
    }

    /// The next page of the feed, read by whoever comes first; `None` if it is no longer there.
    async fn shared(&mut self) -> Option<Arc<Page>> {
        if let Some(kept) = kept(&mut self.pages) {
            return kept.ok();
        }
        let mut tip = self.feed.tip.lock().await;
        // Another event source may have read the page in the meantime.
        if let Some(kept) = kept(&mut self.pages) {
            return kept.ok();
        }
        let page = tip.page().await;
        self.feed.publish(Arc::new(page));
        kept(&mut self.pages)?.ok()
    }

    fn fall_behind(&mut self) {
        let (pages, until) = self.feed.subscribe();
        self.pages = pages;
        let (stream, shard_id) = (Arc::clone(&self.feed.stream), Arc::clone(&self.feed.shard_id));
        self.behind = Some(Behind { until, reader: Reader::new(stream, shard_id, self.position.clone()) });
    }

    fn has_had(&self, change: &Change) -> bool {
        match &self.position {
            Start::After(last) => number(change) <= last,
            Start::TrimHorizon | Start::Latest => false,
        }
    }
}

/// The next page is not kept any more, because too many were read since.
struct Gone;

/// The page that is kept next, if there is one; [`Gone`] if it is not kept any more.
fn kept(pages: &mut broadcast::Receiver<Arc<Page>>) -> Option<Result<Arc<Page>, Gone>> {
    match pages.try_recv() {
        Ok(page) => Some(Ok(page)),
        Err(TryRecvError::Lagged(_)) => Some(Err(Gone)),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// Reads page after page, and waits at the end of the shard.
#[derive(Debug)]
struct Reader {
    stream: Arc<Stream>,
    shard_id: Arc<str>,
    wake: Wake,
    /// Where reading goes on if the shard has to be opened again.
    start: Start,
    iterator: Option<String>,
    /// What was read when the shard was opened.
    first: Option<Page>,
    /// Whether there is nothing to read until something is written.
    is_at_end: bool,
}

impl Reader {
    fn new(stream: Arc<Stream>, shard_id: Arc<str>, start: Start) -> Self {
        let wake = stream.wake();
        Self { stream, shard_id, wake, start, iterator: None, first: None, is_at_end: false }
    }

    /// Opens the shard now; at `LATEST` by reading from it, because a database may take an iterator for a promise that it
    /// keeps when it is first used.
    async fn open(stream: Arc<Stream>, shard_id: Arc<str>, start: Start) -> Result<Self, EventSourceError> {
        let iterator = stream.open(&shard_id, &start).await?;
        let mut reader = Self::new(stream, shard_id, start);
        if reader.start == Start::Latest
            && let Read::Page(page) = reader.stream.read(&iterator).await?
        {
            reader.first = Some(page);
        } else {
            reader.iterator = Some(iterator);
        }
        Ok(reader)
    }

    /// The next page that has records, or the end of the shard. Trouble is logged, and the page asked for again.
    async fn page(&mut self) -> Page {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_at_end {
                self.wake.wait().await;
                self.is_at_end = false;
            }
            match self.read().await {
                Ok(Some(page)) => {
                    let is_told = matches!(self.wake, Wake::Written(_));
                    let is_all = page.changes.is_empty() || (is_told && page.changes.len() < FULL_PAGE);
                    // Of a closed shard there is nothing to wait for: who asks again is told again that it has ended.
                    self.is_at_end = is_all && page.next.is_some();
                    self.iterator.clone_from(&page.next);
                    if let Some(last) = page.changes.last() {
                        self.start = Start::After(number(last).clone());
                    }
                    if !page.changes.is_empty() || page.next.is_none() {
                        return page;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, shard = %self.shard_id, "reading the stream failed; trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One page; `None` if the shard has to be opened again.
    async fn read(&mut self) -> Result<Option<Page>, EventSourceError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        self.wake.is_about_to_read();
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => self.stream.open(&self.shard_id, &self.start).await?,
        };
        match self.stream.read(&iterator).await? {
            Read::Page(page) => return Ok(Some(page)),
            Read::Expired => {}
            Read::Trimmed => {
                warn_trimmed(&self.shard_id, &self.start);
                self.start = Start::TrimHorizon;
            }
        }
        self.iterator = None;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
