//! What a post costs, side by side with the SDK: its signature alone, and whole posts to a server that answers at once.
//!
//! ```sh
//! cargo bench -p shared --bench posts
//! ```
//!
//! Posts are made on one thread, [`AT_ONCE`] at a time, over HTTP/1.1 without TLS; the server has a thread of its own. Beside
//! the time, which the server's share of the machine is part of, the processor time of the posting thread is printed, per
//! post (Linux only).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{
    hint::black_box,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::{StreamExt as _, stream};
use shared::{
    aws::Clients,
    config::Environment,
    gateway::{Endpoint, Gateway, Payload, SigningKey},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
};

/// Posts under way at the same time, as many as a delivery makes.
const AT_ONCE: usize = 128;

const ID: &str = "QQFxqeZfIAMCKRA=";
const REGION: &str = "eu-central-1";

/// About as long as those of Lambda are.
const TOKEN_LENGTH: usize = 1000;

/// About as long as an event of a user is.
fn frame() -> String {
    format!("42/users,[\"users.updated\",{{\"id\":\"{}\"}}]", "x".repeat(400))
}

fn signatures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature");
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("t".repeat(TOKEN_LENGTH)), None, "bench");
    let endpoint = Endpoint::parse("https://abc123.execute-api.eu-central-1.amazonaws.com/prod").unwrap();
    let (payload, now) = (Payload::new(frame()), SystemTime::now());
    let key = SigningKey::derive(&credentials, REGION, now).unwrap();
    group.bench_function("here", |bencher| {
        bencher.iter(|| {
            let address = endpoint.address(black_box(ID)).unwrap();
            key.sign(&endpoint, &address, &payload, now).unwrap()
        });
    });
    let (identity, body) = (credentials.into(), frame());
    let length = body.len().to_string();
    group.bench_function("aws-sigv4", |bencher| {
        bencher.iter(|| {
            let url = "https://abc123.execute-api.eu-central-1.amazonaws.com/prod/@connections/QQFxqeZfIAMCKRA%3D";
            let headers = [("content-type", "application/octet-stream"), ("content-length", &length)];
            let body = SignableBody::Bytes(body.as_bytes());
            let request = SignableRequest::new("POST", black_box(url), headers.into_iter(), body).unwrap();
            let parameters = SigningParams::builder().identity(&identity).region(REGION).name("execute-api");
            let parameters = parameters.time(now).settings(SigningSettings::default()).build().unwrap().into();
            sign(request, &parameters).unwrap()
        });
    });
    group.finish();
}

fn posts(criterion: &mut Criterion) {
    let sink = sink();
    let env = environment(sink);
    let clients = Clients::from_env(&env).unwrap();
    let timeout = Duration::from_secs(3);
    let gateway = Gateway::without_retries(&clients, &env, timeout).unwrap();
    let sdk = clients.management_without_retries(&env, timeout).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("post");
    group.throughput(Throughput::Elements(1));
    let payload = Payload::new(frame());
    let mut used = Used::default();
    group.bench_function(BenchmarkId::new("here", AT_ONCE), |bencher| {
        bencher.iter_custom(|count| {
            used.measure(&runtime, count, async || {
                gateway.post(ID, &payload).await.expect("the sink accepts");
            })
        });
    });
    used.print("here");
    let (frame, mut used) = (frame(), Used::default());
    group.bench_function(BenchmarkId::new("sdk", AT_ONCE), |bencher| {
        bencher.iter_custom(|count| {
            used.measure(&runtime, count, async || {
                let post = sdk.post_to_connection().connection_id(ID).data(Blob::new(frame.as_str()));
                post.send().await.expect("the sink accepts");
            })
        });
    });
    used.print("sdk");
    group.finish();
}

/// Posts that were made, and the processor time they took.
#[derive(Default)]
struct Used {
    posts: u64,
    processor: Duration,
    wall: Duration,
}

impl Used {
    fn measure(&mut self, runtime: &Runtime, count: u64, post: impl AsyncFn()) -> Duration {
        let (processor, started) = (processor_time(), Instant::now());
        runtime.block_on(stream::iter(0..count).for_each_concurrent(AT_ONCE, |_| post()));
        let took = started.elapsed();
        self.posts += count;
        self.wall += took;
        self.processor += processor_time().saturating_sub(processor);
        took
    }

    #[allow(clippy::cast_precision_loss, reason = "nobody waits for 2^52 posts")]
    fn print(&self, who: &str) {
        let posts = self.posts.max(1) as f64;
        let (processor, rate) = (self.processor.as_secs_f64() / posts * 1e6, posts / self.wall.as_secs_f64());
        println!("{who}: {rate:.0} posts/s, {processor:.1} µs of the posting thread's processor each");
    }
}

/// The processor time of this thread so far; zero where the system does not tell.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

fn environment(sink: SocketAddr) -> Environment {
    let token = "t".repeat(TOKEN_LENGTH);
    let endpoint = format!("http://{sink}/prod");
    let env = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", &token),
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &endpoint),
    ];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
}

/// A server that accepts every post as soon as it is there, on a thread of its own.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(swallow(stream));
            }
        });
    });
    address
}

/// Answers each post on a connection when all of it is there.
async fn swallow(mut stream: tokio::net::TcpStream) {
    let mut unread = Vec::new();
    loop {
        while let Some(length) = length_of_first(&unread) {
            if unread.len() < length {
                break;
            }
            unread.drain(..length);
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                return;
            }
        }
        if stream.read_buf(&mut unread).await.unwrap_or_default() == 0 {
            return;
        }
    }
}

/// Head and body of the first request, once its head is there.
fn length_of_first(unread: &[u8]) -> Option<usize> {
    let find = |text: &[u8]| unread.windows(text.len()).position(|window| window.eq_ignore_ascii_case(text));
    let (head, field) = (find(b"\r\n\r\n")? + 4, find(b"content-length: ")? + 16);
    let digits = unread[field..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

criterion_group!(benches, signatures, posts);
criterion_main!(benches);
