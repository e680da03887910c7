//! One shard: read page by page, dealt out to its lanes, checkpointed behind them.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    EventSourceError, Signals,
    checkpoint::{Checkpoint, Checkpoints},
    feed::Cursor,
    filter::Filters,
    lane::{Delivery, Lane},
    progress::{MAXIMUM_OPEN, Progress},
    record::Record,
    stopped,
    stream::{Change, Start, Stream, number},
};

/// What all shards of one mapping share.
pub(super) struct Plan {
    pub(super) stream: Arc<Stream>,
    pub(super) filters: Filters,
    pub(super) delivery: Arc<Delivery>,
    pub(super) checkpoints: Checkpoints,
    pub(super) lanes: usize,
}

/// A shard that is about to be read.
pub(super) struct Shard {
    plan: Arc<Plan>,
    id: Arc<str>,
    cursor: Cursor,
    /// Whether delivery waits for the release.
    is_held: bool,
    signals: Signals,
    progress: Arc<Progress>,
}

impl Shard {
    /// Opens the shard now, so that `LATEST` means now.
    pub(super) async fn open(
        plan: &Arc<Plan>,
        id: &str,
        start: Start,
        is_held: bool,
        signals: &Signals,
    ) -> Result<Self, EventSourceError> {
        let cursor = plan.stream.cursor(id, start).await?;
        let (plan, signals) = (Arc::clone(plan), signals.clone());
        Ok(Self { plan, id: id.into(), cursor, is_held, signals, progress: Arc::new(Progress::new()) })
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
        // Saving runs in a set like that of the lanes, so that it ends with them if this is dropped.
        let (checkpoints, id, safe) = (self.plan.checkpoints.clone(), Arc::clone(&self.id), self.progress.safe());
        let mut saving = JoinSet::new();
        saving.spawn(async move { checkpoints.keep_saving(&id, safe).await });

        let is_closed = self.read_on(&senders).await;
        drop(senders);
        while lanes.join_next().await.is_some() {}
        let Self { plan, id, progress, .. } = self;
        // The last holder of the sender is dropped, and so saving ends with the final position.
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

    /// Reads and deals out: `true` once everything of a closed shard is delivered, `false` when stopped before.
    async fn read_on(&mut self, lanes: &[mpsc::UnboundedSender<Vec<Arc<Record>>>]) -> bool {
        let mut stop = self.signals.stop.clone();
        let progress = Arc::clone(&self.progress);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return false,
                () = progress.at_most(MAXIMUM_OPEN) => {}
            }
            let part = tokio::select! {
                biased;
                () = stopped(&mut stop) => return false,
                part = self.cursor.next() => part,
            };
            self.deal_out(part.changes(), lanes);
            if part.is_last() {
                tokio::select! {
                    () = stopped(&mut stop) => return false,
                    () = progress.at_most(0) => return true,
                }
            }
        }
    }

    /// Hands what was read to the lanes in one go, so that a lane sees all its records of a page as one batch.
    fn deal_out(&self, changes: &[Change], lanes: &[mpsc::UnboundedSender<Vec<Arc<Record>>>]) {
        let mut dealt: Vec<Vec<Arc<Record>>> = vec![Vec::new(); lanes.len()];
        for change in changes {
            match change {
                Ok(record) if self.plan.filters.matches(&record.json) => {
                    self.progress.opened(&record.sequence_number);
                    let lane = usize::try_from(record.key_hash % lanes.len() as u64).unwrap_or_default();
                    dealt[lane].push(Arc::clone(record));
                }
                skipped => self.progress.skipped(number(skipped).clone()),
            }
        }
        for (lane, records) in lanes.iter().zip(dealt) {
            if !records.is_empty() {
                // A lane only ends before its queue when everything stops; its records stay open then.
                let _ = lane.send(records);
            }
        }
    }

    /// Waits until delivery may begin; `false` if everything stops first.
    async fn wait_for_release(&mut self) -> bool {
        tokio::select! {
            () = stopped(&mut self.signals.stop) => false,
            () = released(&mut self.signals.release) => true,
        }
    }
}

/// Waits until delivery may begin, which it also may when the sender is gone.
async fn released(release: &mut watch::Receiver<bool>) {
    let _ = release.wait_for(|is_released| *is_released).await;
}
