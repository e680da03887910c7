//! What must hold of posts, held against the SDK and against servers that misbehave.

mod answers;
mod signatures;
mod warm;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::*;

/// The variables of a function that posts to this address.
fn env(endpoint: &str) -> Environment {
    let env = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("AWS_SESSION_TOKEN", "session"),
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", endpoint),
    ];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
}

/// A time that nobody waits for, not even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A gateway there that makes each call once.
fn gateway(endpoint: &str) -> Gateway {
    let env = env(endpoint);
    Gateway::without_retries(&Clients::from_env(&env).unwrap(), &env, LONG).unwrap()
}

/// A server that does with the n-th connection, and the n-th request on it, what it is told.
struct Script {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Requests that came whole.
    requests: Arc<AtomicUsize>,
    /// Connections that were closed by the client.
    closed: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer,
    /// Answers, and closes without having said so.
    AnswerAndClose,
    /// Reads the request and closes.
    Close,
    /// Says nothing for ever.
    Hang,
}

impl Script {
    async fn play(act: impl Fn(usize, usize) -> Act + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script =
            Self { address, connections: Arc::default(), requests: Arc::default(), closed: watch::Sender::new(0) };
        let (connections, requests) = (Arc::clone(&script.connections), Arc::clone(&script.requests));
        let closed = script.closed.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let act = act.clone();
                let (requests, closed) = (Arc::clone(&requests), closed.clone());
                tokio::spawn(async move {
                    if serve(stream, requests, move |request| act(number, request)).await {
                        closed.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        script
    }

    fn endpoint(&self) -> String {
        format!("http://{}/prod", self.address)
    }

    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

/// Serves the connection until it is over; returns whether the client has closed it.
async fn serve(mut stream: TcpStream, requests: Arc<AtomicUsize>, act: impl Fn(usize) -> Act) -> bool {
    for number in 0.. {
        if read_request(&mut stream).await.is_none() {
            return true;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let act = act(number);
        match act {
            Act::Answer | Act::AnswerAndClose => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            Act::Hang => std::future::pending().await,
            Act::Close => {}
        }
        if act != Act::Answer {
            break;
        }
    }
    false
}

/// A whole request of which no more comes before its answer.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() == length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
        let before = request.len();
        stream.read_buf(&mut request).await.ok()?;
        if request.len() == before {
            return None;
        }
    }
}
