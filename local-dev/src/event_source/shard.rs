//! One shard: read page by page, dealt out to its lanes, checkpointed behind them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};

use super::{
    EventSourceError, Signals,
    checkpoint::{Checkpoint, Checkpoints},
    lane::{Delivery, Lane},
    progress::{MAXIMUM_OPEN, Progress},
    record::Record,
    stopped,
    stream::{self, Page, Read, Start, Stream},
};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What all shards of one mapping share.
pub(super) struct Plan {
    pub(super) stream: Stream,
    pub(super) delivery: Arc<Delivery>,
    pub(super) checkpoints: Checkpoints,
    pub(super) lanes: usize,
    pub(super) poll_every: Duration,
}

/// A shard that is about to be read.
pub(super) struct Shard {
    plan: Arc<Plan>,
    id: Arc<str>,
    /// Where reading goes on if it has to open the shard again.
    start: Start,
    iterator: Option<String>,
    /// What was read when the shard was opened.
    first: Option<Page>,
    /// Whether delivery waits for the release.
    is_held: bool,
    signals: Signals,
    progress: Arc<Progress>,
}

impl Shard {
    /// Opens the shard now, so that `LATEST` means now: by reading from it, because a database may take an iterator for
    /// a promise that it keeps when it is first used.
    pub(super) async fn open(
        plan: &Arc<Plan>,
        id: &str,
        start: Start,
        is_held: bool,
        signals: &Signals,
    ) -> Result<Self, EventSourceError> {
        let iterator = plan.stream.open(id, &start).await?;
        let first = match start {
            Start::Latest => match plan.stream.read(&iterator).await? {
                Read::Page(page) => Some(page),
                Read::Expired | Read::Trimmed => None,
            },
            _ => None,
        };
        Ok(Self {
            plan: Arc::clone(plan),
            id: id.into(),
            start,
            iterator: Some(iterator),
            first,
            is_held,
            signals: signals.clone(),
            progress: Arc::new(Progress::new()),
        })
    }

    /// Reads and delivers until the shard or everything ends. Gives the shard's id if all of a closed shard is delivered.
    pub(super) async fn run(mut self) -> Option<String> {
        if self.is_held && !self.wait_for_release().await {
            return None;
        }
        let mut lanes = JoinSet::new();
        let senders: Vec<_> = (0..self.plan.lanes)
            .map(|_| {
                let (sender, queue) = mpsc::unbounded_channel();
                let delivery = Arc::clone(&self.plan.delivery);
                let progress = Arc::clone(&self.progress);
                let lane = Lane::new(delivery, Arc::clone(&self.id), progress, queue, self.signals.stop.clone());
                lanes.spawn(lane.run());
                sender
            })
            .collect();
        // In the same set, so that it ends with the lanes if this is dropped.
        let (checkpoints, id, safe) = (self.plan.checkpoints.clone(), Arc::clone(&self.id), self.progress.safe());
        let mut saving = JoinSet::new();
        saving.spawn(async move { checkpoints.keep_saving(&id, safe).await });

        let is_closed = self.read_on(&senders).await;
        drop(senders);
        while lanes.join_next().await.is_some() {}
        let Self { plan, id, progress, .. } = self;
        // The last holder of the sender: saving ends with the final position.
        drop(progress);
        while saving.join_next().await.is_some() {}
        if !is_closed {
            return None;
        }
        if let Err(error) = plan.checkpoints.save(&id, &Checkpoint::ShardEnd).await {
            tracing::warn!(%error, shard = %id, "the end of a shard was not saved");
        }
        Some(id.to_string())
    }

    /// `true` once everything of a closed shard is delivered, `false` when stopped before.
    async fn read_on(&mut self, lanes: &[mpsc::UnboundedSender<Vec<Record>>]) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut stop = self.signals.stop.clone();
        let progress = Arc::clone(&self.progress);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return false,
                () = progress.at_most(MAXIMUM_OPEN) => {}
            }
            match self.page().await {
                Ok(Some(page)) => {
                    pause = FIRST_PAUSE;
                    let is_empty = page.records.is_empty();
                    self.deal_out(page.records, lanes);
                    if page.next.is_none() {
                        tokio::select! {
                            () = stopped(&mut stop) => return false,
                            () = progress.at_most(0) => return true,
                        }
                    }
                    self.iterator = page.next;
                    if is_empty {
                        self.idle().await;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, shard = %self.id, "reading the stream failed; trying again");
                    tokio::select! {
                        () = stopped(&mut stop) => return false,
                        () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    }
                }
            }
        }
    }

    /// The next page; `None` if the shard has to be opened again.
    async fn page(&mut self) -> Result<Option<Page>, EventSourceError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let stream = &self.plan.stream;
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => stream.open(&self.id, &self.start).await?,
        };
        match stream.read(&iterator).await? {
            Read::Page(page) => Ok(Some(page)),
            Read::Expired => {
                self.iterator = None;
                Ok(None)
            }
            Read::Trimmed => {
                stream::warn_trimmed(&self.id, &self.start);
                self.start = Start::TrimHorizon;
                self.iterator = None;
                Ok(None)
            }
        }
    }

    /// Hands a page to the lanes in one go, so that a lane sees all its records of the page as one batch.
    fn deal_out(
        &mut self,
        records: Vec<Result<Record, super::SequenceNumber>>,
        lanes: &[mpsc::UnboundedSender<Vec<Record>>],
    ) {
        let mut dealt: Vec<Vec<Record>> = vec![Vec::new(); lanes.len()];
        for record in records {
            let number = match &record {
                Ok(record) => record.sequence_number.clone(),
                Err(number) => number.clone(),
            };
            match record {
                Ok(record) => {
                    self.progress.opened(&number);
                    let lane = usize::try_from(record.key_hash % lanes.len() as u64).unwrap_or_default();
                    dealt[lane].push(record);
                }
                Err(skipped) => self.progress.skipped(skipped),
            }
            self.start = Start::After(number);
        }
        for (lane, records) in lanes.iter().zip(dealt) {
            if !records.is_empty() {
                // A lane only ends before its queue when everything stops; its records stay open then.
                let _ = lane.send(records);
            }
        }
    }

    /// Waits for a poke, or for the time of the next poll. A poke that came while a page was being read counts.
    async fn idle(&mut self) {
        tokio::select! {
            () = stopped(&mut self.signals.stop) => {}
            Ok(()) = self.signals.poke.changed() => {}
            () = sleep(self.plan.poll_every) => {}
        }
    }

    /// `false` if everything stops first.
    async fn wait_for_release(&mut self) -> bool {
        tokio::select! {
            () = stopped(&mut self.signals.stop) => false,
            () = released(&mut self.signals.release) => true,
        }
    }
}

/// A sender that is gone holds nobody back.
async fn released(release: &mut watch::Receiver<bool>) {
    let _ = release.wait_for(|is_released| *is_released).await;
}
