//! One of the lanes of a shard: one batch at a time, in order. All changes of a partition key go through the same lane.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::FutureExt;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};

use super::{
    Invoke, InvokeError,
    batch::{Batch, BatchResult, Next, RetryPolicy},
    dead_letter::{Condition, DeadLetters, Origin},
    progress::Progress,
    record::Record,
    stopped,
};
use crate::template::OnFailure;

/// What a synchronous invocation may carry, and Lambda invokes the function of a stream synchronously.
const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How the batches of one mapping are formed and delivered.
pub(super) struct Delivery {
    pub(super) function: String,
    pub(super) destination: Option<OnFailure>,
    pub(super) region: String,
    pub(super) stream_arn: String,
    pub(super) batch_size: usize,
    pub(super) window: Duration,
    pub(super) policy: RetryPolicy,
    pub(super) invoke: Invoke,
    pub(super) dead_letters: DeadLetters,
}

/// A lane, ready to run.
pub(super) struct Lane {
    delivery: Arc<Delivery>,
    shard_id: Arc<str>,
    progress: Arc<Progress>,
    queue: mpsc::UnboundedReceiver<Vec<Arc<Record>>>,
    waiting: VecDeque<Arc<Record>>,
    stop: watch::Receiver<bool>,
}

impl Lane {
    /// A lane over this queue, which has no bound of its own: [`Progress`] bounds all lanes of a shard together, so
    /// that one which is stuck does not stop the others.
    pub(super) fn new(
        delivery: Arc<Delivery>,
        shard_id: Arc<str>,
        progress: Arc<Progress>,
        queue: mpsc::UnboundedReceiver<Vec<Arc<Record>>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { delivery, shard_id, progress, queue, waiting: VecDeque::new(), stop }
    }

    /// Delivers until the queue ends or everything stops.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.collect().await {
            self.deliver(batch).await;
        }
    }

    /// The next batch: what is there, or what comes within the batching window.
    async fn collect(&mut self) -> Option<Batch> {
        while self.waiting.is_empty() {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return None,
                records = self.queue.recv() => self.waiting.extend(records?),
            }
        }
        let end = Instant::now() + self.delivery.window;
        let mut records = Vec::new();
        let mut size = 0;
        loop {
            while let Ok(more) = self.queue.try_recv() {
                self.waiting.extend(more);
            }
            while records.len() < self.delivery.batch_size
                && let Some(record) =
                    self.waiting.pop_front_if(|record| size + record.size <= PAYLOAD_LIMIT || size == 0)
            {
                size += record.size;
                records.push(record);
            }
            let is_full = records.len() == self.delivery.batch_size || !self.waiting.is_empty();
            if is_full || self.delivery.window.is_zero() {
                return Some(Batch::new(records));
            }
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                more = timeout_at(end, self.queue.recv()) => match more {
                    Ok(Some(more)) => self.waiting.extend(more),
                    Ok(None) | Err(_) => return Some(Batch::new(records)),
                },
            }
        }
    }

    /// Delivers a batch, in as many parts and attempts as it takes.
    async fn deliver(&mut self, batch: Batch) {
        let delivery = Arc::clone(&self.delivery);
        let mut parts = VecDeque::from([batch]);
        let mut function_failed = false;
        while let Some(mut batch) = parts.pop_front() {
            if let Some(expired) = batch.take_expired(&delivery.policy, SystemTime::now()) {
                self.give_up(&expired, Condition::RecordAgeExceeded, function_failed);
            }
            if batch.records.is_empty() {
                continue;
            }
            if *self.stop.borrow() {
                // What is left is still open, so the checkpoint stays before it.
                return;
            }
            batch.invocations += 1;
            let result = self.invoke(batch.event()).await;
            function_failed = result.is_err();
            let outcome = BatchResult::of(&result, &batch.records, delivery.policy.report);
            // The line of the invocation says why.
            if result.is_err() {
                tracing::warn!(function = delivery.function, records = batch.records.len(), "delivery failed");
            }
            let (delivered, next) = batch.after(outcome, &delivery.policy);
            self.progress.closed(delivered.iter().map(|record| &record.sequence_number));
            match next {
                Next::Finished => {}
                Next::Cut(cut) => cut.into_iter().rev().for_each(|part| parts.push_front(part)),
                Next::GiveUp(batch) => self.give_up(&batch, Condition::RetryAttemptsExhausted, function_failed),
                Next::Retry(batch, retries) => {
                    parts.push_front(batch);
                    tokio::select! {
                        () = stopped(&mut self.stop) => return,
                        () = sleep(pause(retries)) => {}
                    }
                }
            }
        }
    }

    /// Invokes the function. One that panics has failed; it must not end its lane.
    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let invoke = &self.delivery.invoke;
        AssertUnwindSafe(async { invoke(event).await })
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(InvokeError("the function panicked".to_owned())))
    }

    fn give_up(&self, batch: &Batch, condition: Condition, function_failed: bool) {
        let delivery = &self.delivery;
        let origin = Origin {
            function: &delivery.function,
            destination: delivery.destination.as_ref(),
            region: &delivery.region,
            stream_arn: &delivery.stream_arn,
            shard_id: &self.shard_id,
        };
        delivery.dead_letters.add(origin, batch, condition, function_failed);
        self.progress.closed(batch.records.iter().map(|record| &record.sequence_number));
    }
}

fn pause(retries: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(retries.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::{super::batch::tests::record, *};

    const POLICY: RetryPolicy =
        RetryPolicy { maximum_retries: Some(3), maximum_age: Duration::from_secs(600), bisect: false, report: true };

    /// A lane and what it did: every invocation's sequence numbers come out of `invoked`.
    struct Bench {
        send: mpsc::UnboundedSender<Vec<Arc<Record>>>,
        progress: Arc<Progress>,
        dead_letters: DeadLetters,
        invoked: mpsc::UnboundedReceiver<Vec<String>>,
        stop: watch::Sender<bool>,
        lane: tokio::task::JoinHandle<()>,
    }

    impl Bench {
        fn new(
            policy: RetryPolicy,
            window: Duration,
            answer: impl Fn(&[String]) -> Result<Value, InvokeError> + Send + Sync + 'static,
        ) -> Self {
            let (log, invoked) = mpsc::unbounded_channel();
            let dead_letters = DeadLetters::default();
            let answer = Arc::new(answer);
            let delivery = Delivery {
                function: "F".into(),
                destination: None,
                region: "r".into(),
                stream_arn: "a".into(),
                batch_size: 4,
                window,
                policy,
                dead_letters: dead_letters.clone(),
                invoke: Arc::new(move |event| {
                    let records = event["Records"].as_array().unwrap();
                    let numbers: Vec<_> = records
                        .iter()
                        .map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned())
                        .collect();
                    let (log, answer) = (log.clone(), Arc::clone(&answer));
                    Box::pin(async move {
                        let result = answer(&numbers);
                        log.send(numbers).unwrap();
                        result
                    })
                }),
            };
            let progress = Arc::new(Progress::new());
            let (send, queue) = mpsc::unbounded_channel();
            let (stop, stopping) = watch::channel(false);
            let lane = Lane::new(Arc::new(delivery), "shard".into(), Arc::clone(&progress), queue, stopping);
            Self { send, progress, dead_letters, invoked, stop, lane: tokio::spawn(lane.run()) }
        }

        fn feed(&self, numbers: std::ops::Range<u32>) {
            let records: Vec<_> = numbers.map(record).collect();
            for record in &records {
                self.progress.opened(&record.sequence_number);
            }
            self.send.send(records).unwrap();
        }

        async fn next(&mut self) -> Vec<String> {
            self.invoked.recv().await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_what_is_queued_up_to_the_batch_size() {
        let mut bench = Bench::new(POLICY, Duration::ZERO, |_| Ok(Value::Null));
        bench.feed(10..16);
        assert_eq!(bench.next().await, ["10", "11", "12", "13"]);
        assert_eq!(bench.next().await, ["14", "15"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batching_window_waits_for_more() {
        let mut bench = Bench::new(POLICY, Duration::from_secs(5), |_| Ok(Value::Null));
        bench.feed(10..11);
        tokio::task::yield_now().await;
        bench.feed(11..13);
        let start = Instant::now();
        assert_eq!(bench.next().await, ["10", "11", "12"]);
        assert!(start.elapsed() >= Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_batch_is_tried_again_until_it_is_given_up() {
        let mut bench = Bench::new(POLICY, Duration::ZERO, |_| Err(InvokeError("no".into())));
        let start = Instant::now();
        bench.feed(10..12);
        for _ in 0..4 {
            assert_eq!(bench.next().await, ["10", "11"]);
        }
        bench.progress.at_most(0).await;
        assert_eq!(start.elapsed().as_millis() / 100, 7);
        let [letter] = bench.dead_letters.list().try_into().unwrap();
        assert_eq!(letter.body["requestContext"]["approximateInvokeCount"], 4);
        assert_eq!(letter.body["requestContext"]["condition"], "RetryAttemptsExhausted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_delivers_what_came_before_the_failure() {
        let count = AtomicUsize::new(0);
        let mut bench = Bench::new(POLICY, Duration::ZERO, move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "12" }] })),
            _ => Ok(json!({ "batchItemFailures": [] })),
        });
        bench.feed(10..14);
        assert_eq!(bench.next().await, ["10", "11", "12", "13"]);
        assert_eq!(bench.next().await, ["12", "13"]);
        bench.progress.at_most(0).await;
        assert!(bench.dead_letters.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_function_has_failed() {
        let policy = RetryPolicy { maximum_retries: Some(0), ..POLICY };
        let bench = Bench::new(policy, Duration::ZERO, |_| panic!("on purpose"));
        bench.feed(10..11);
        bench.progress.at_most(0).await;
        assert_eq!(bench.dead_letters.list().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_are_too_old_are_given_up_unseen() {
        let mut bench = Bench::new(POLICY, Duration::ZERO, |_| Ok(Value::Null));
        let mut old = record(10);
        Arc::get_mut(&mut old).unwrap().created_by -= Duration::from_secs(601);
        bench.progress.opened(&old.sequence_number);
        bench.send.send(vec![old, record(11)]).unwrap();
        assert_eq!(bench.next().await, ["11"]);
        let [letter] = bench.dead_letters.list().try_into().unwrap();
        assert_eq!(letter.body["requestContext"]["condition"], "RecordAgeExceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_leaves_what_is_not_delivered_open() {
        let mut bench = Bench::new(POLICY, Duration::ZERO, |numbers| match numbers[0].as_str() {
            "10" => Ok(Value::Null),
            _ => Err(InvokeError("no".into())),
        });
        bench.feed(10..18);
        bench.next().await;
        bench.next().await;
        bench.stop.send(true).unwrap();
        bench.lane.await.unwrap();
        assert_eq!(bench.progress.safe().borrow().as_ref().unwrap().as_str(), "13");
        assert!(bench.dead_letters.list().is_empty());
    }
}
