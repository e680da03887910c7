//! One event source mapping: finds the shards of its stream, parents before children, and runs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodbstreams::types::Shard as Description;
use tokio::{task::JoinSet, time::sleep};

use super::{
    EventSourceError, Signals,
    checkpoint::Checkpoint,
    shard::{Plan, Shard},
    stopped,
    stream::Start,
};
use crate::template::StartingPosition;

/// Shards are replaced every few hours; their children are looked for when they end, and now and then.
const DISCOVER_EVERY: Duration = Duration::from_secs(60);
const DISCOVER_AGAIN: Duration = Duration::from_secs(1);

/// A mapping and what it knows about its shards.
pub(super) struct Mapping {
    plan: Arc<Plan>,
    signals: Signals,
    known: BTreeMap<String, Checkpoint>,
    started: BTreeSet<String>,
    finished: BTreeSet<String>,
    running: JoinSet<Option<String>>,
}

impl Mapping {
    /// Opens the shards there are. Also says how many records wait there from an earlier life.
    pub(super) async fn open(
        plan: Plan,
        position: StartingPosition,
        signals: Signals,
    ) -> Result<(Self, usize), EventSourceError> {
        let known = plan.checkpoints.load().await?;
        let ended =
            |(shard, checkpoint): (&String, &Checkpoint)| (*checkpoint == Checkpoint::ShardEnd).then(|| shard.clone());
        let finished = known.iter().filter_map(ended).collect();
        let is_new = known.is_empty();
        let mut mapping =
            Self { plan: Arc::new(plan), signals, known, started: BTreeSet::new(), finished, running: JoinSet::new() };
        let shards = mapping.plan.stream.shards().await?;
        let mut backlog = 0;
        let start = match position {
            StartingPosition::TrimHorizon => Start::TrimHorizon,
            StartingPosition::Latest if is_new => {
                // Nothing of a shard that already has children is new.
                mapping.finished.extend(shards.iter().filter_map(|shard| shard.parent_shard_id.clone()));
                Start::Latest
            }
            StartingPosition::Latest => Start::TrimHorizon,
        };
        for id in startable(&shards, &mapping.started, &mapping.finished) {
            // A shard that an earlier life never came to is all backlog.
            let waiting = match mapping.start_of(&id).or((!is_new).then_some(Start::TrimHorizon)) {
                Some(start) => mapping.plan.stream.count(&id, &start, &mapping.plan.filters).await?,
                None => 0,
            };
            backlog += waiting;
            mapping.start(&id, &start, waiting > 0).await?;
        }
        Ok((mapping, backlog))
    }

    /// Runs the shards, and those that replace them, until everything stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.signals.stop.clone();
        let is_polled = self.plan.stream.is_polled();
        let mut pause = DISCOVER_EVERY;
        loop {
            let is_running = !self.running.is_empty();
            tokio::select! {
                biased;
                Some(ended) = self.running.join_next(), if is_running => match ended {
                    Ok(Some(id)) => {
                        self.finished.insert(id);
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a shard's reader broke; restart to read on"),
                },
                () = stopped(&mut stop), if !is_running => return,
                () = sleep(pause), if is_polled => {}
            }
            if *stop.borrow() {
                continue;
            }
            if let Err(error) = self.discover().await {
                tracing::warn!(%error, "looking for new shards failed; trying again");
            }
            // A shard that has just ended may get its children a moment later.
            pause = if self.running.is_empty() { DISCOVER_AGAIN } else { DISCOVER_EVERY };
        }
    }

    async fn discover(&mut self) -> Result<(), EventSourceError> {
        let shards = self.plan.stream.shards().await?;
        for id in startable(&shards, &self.started, &self.finished) {
            // A shard that an earlier life has begun had to wait for its parent; what is in it may be backlog.
            let is_held = self.start_of(&id).is_some();
            self.start(&id, &Start::TrimHorizon, is_held).await?;
        }
        Ok(())
    }

    /// Where an earlier life ended.
    fn start_of(&self, id: &str) -> Option<Start> {
        match self.known.get(id)? {
            Checkpoint::TrimHorizon => Some(Start::TrimHorizon),
            Checkpoint::After(number) => Some(Start::After(number.clone())),
            Checkpoint::ShardEnd => None,
        }
    }

    async fn start(&mut self, id: &str, otherwise: &Start, is_held: bool) -> Result<(), EventSourceError> {
        let start = self.start_of(id).unwrap_or_else(|| otherwise.clone());
        if start == Start::TrimHorizon {
            // From now on this shard has an earlier life, even if nothing of it is ever delivered.
            self.plan.checkpoints.save(id, &Checkpoint::TrimHorizon).await?;
        }
        let shard = Shard::open(&self.plan, id, start, is_held, &self.signals).await?;
        self.running.spawn(shard.run());
        self.started.insert(id.to_owned());
        Ok(())
    }
}

/// Shards that are neither started nor finished, and whose parent is out of the way.
fn startable(shards: &[Description], started: &BTreeSet<String>, finished: &BTreeSet<String>) -> Vec<String> {
    let listed: BTreeSet<_> = shards.iter().filter_map(Description::shard_id).collect();
    let is_startable = |shard: &&Description| {
        let id = shard.shard_id().unwrap_or_default();
        let parent = shard.parent_shard_id();
        let is_free = parent.is_none_or(|parent| finished.contains(parent) || !listed.contains(parent));
        is_free && !started.contains(id) && !finished.contains(id)
    };
    shards.iter().filter(is_startable).filter_map(|shard| shard.shard_id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_wait_for_their_parents() {
        let shard = |id: &str, parent: Option<&str>| {
            Description::builder().shard_id(id).set_parent_shard_id(parent.map(str::to_owned)).build()
        };
        // The parent of `a` is trimmed already.
        let shards = [shard("a", Some("trimmed")), shard("b", Some("a")), shard("c", Some("a")), shard("d", None)];
        let set = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(startable(&shards, &set(&[]), &set(&[])), ["a", "d"]);
        assert_eq!(startable(&shards, &set(&["a", "d"]), &set(&[])), [""; 0]);
        assert_eq!(startable(&shards, &set(&["a", "d"]), &set(&["a"])), ["b", "c"]);
    }
}
