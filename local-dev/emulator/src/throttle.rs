//! The throttles of an API's stage: a token bucket per route. Whether API Gateway counts each route for itself is not
//! documented.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// Requests a route lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests in a second, in the long run.
    pub rate: f64,
    /// Requests at once.
    pub burst: f64,
}

/// What the routes of a stage let through; without a throttle everything passes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageThrottle {
    /// The throttle of each route that has none of its own.
    pub default: Option<Throttle>,
    /// The throttles of single routes, by route key.
    pub routes: BTreeMap<String, Throttle>,
}

/// What is left of the throttle of each route.
pub(crate) struct Buckets {
    throttle: StageThrottle,
    routes: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Buckets {
    pub(crate) fn new(throttle: StageThrottle) -> Self {
        Self { throttle, routes: Mutex::default() }
    }

    /// Whether a request for this route passes.
    pub(crate) fn take(&self, route: &str) -> bool {
        let throttle = self.throttle.routes.get(route).copied().or(self.throttle.default);
        let Some(Throttle { rate, burst }) = throttle else { return true };
        let now = Instant::now();
        // What somebody panicked over is still a count.
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Bucket { tokens: burst, filled_at: now });
        }
        routes.get_mut(route).is_none_or(|bucket| {
            bucket.tokens = burst.min(bucket.tokens + rate * now.duration_since(bucket.filled_at).as_secs_f64());
            bucket.filled_at = now;
            let passes = bucket.tokens >= 1.0;
            if passes {
                bucket.tokens -= 1.0;
            }
            passes
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_for_each_route() {
        let default = Some(Throttle { rate: 2.0, burst: 3.0 });
        let buckets = Buckets::new(StageThrottle { default, ..StageThrottle::default() });
        let passed = |route| (0..10).filter(|_| buckets.take(route)).count();
        assert_eq!([passed("$default"), passed("$default"), passed("$connect")], [3, 0, 3]);
        advance(Duration::from_secs(1)).await;
        assert_eq!(passed("$default"), 2);
        advance(Duration::from_secs(60)).await;
        assert_eq!(passed("$default"), 3, "never more than a burst");
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_with_a_throttle_of_its_own_has_that_and_not_the_default() {
        let of = |burst| Throttle { rate: 1.0, burst };
        let routes = BTreeMap::from([("POST /login".to_owned(), of(2.0))]);
        let buckets = Buckets::new(StageThrottle { default: Some(of(5.0)), routes });
        let passed = |route| (0..10).filter(|_| buckets.take(route)).count();
        assert_eq!([passed("POST /login"), passed("POST /{proxy+}")], [2, 5]);
    }

    #[test]
    fn without_a_throttle_everything_passes() {
        let buckets = Buckets::new(StageThrottle::default());
        assert!((0..10_000).all(|_| buckets.take("$default")));
    }
}
