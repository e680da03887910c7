//! Connections: kept, shared, opened a few at a time, and closed by the server at the wrong moment.

use std::sync::Mutex;

use aws_credential_types::Credentials;
use futures::future::join_all;
use http::{Response, Version};
use http_body_util::Empty;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    sync::{Semaphore, watch},
    task::yield_now,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::gateway::{connections::Connections, poster::tls};

#[tokio::test]
async fn posts_go_over_one_connection_as_long_as_one_is_enough() {
    let script = Script::play(|_, _| Act::Answer).await;
    let gateway = gateway(&script.endpoint());
    for _ in 0..20 {
        assert_eq!(gateway.post("a", &Payload::new("2")).await.unwrap(), GatewayAnswer::Accepted);
    }
    assert_eq!(script.counts(), (1, 20));
}

#[tokio::test]
async fn a_post_over_a_connection_the_server_has_closed_is_made_over_another() {
    // Closed before the post, so that it may or may not be known by then.
    let script = Script::play(|_, _| Act::AnswerAndClose).await;
    let posts = gateway(&script.endpoint());
    for _ in 0..10 {
        assert_eq!(posts.post("a", &Payload::new("2")).await.unwrap(), GatewayAnswer::Accepted);
    }
    assert_eq!(script.counts(), (10, 10), "every post was read once");
    // Closed when the post is there.
    let script =
        Script::play(|connection, request| if connection == 0 && request == 1 { Act::Close } else { Act::Answer })
            .await;
    let posts = gateway(&script.endpoint());
    for _ in 0..3 {
        assert_eq!(posts.post("a", &Payload::new("2")).await.unwrap(), GatewayAnswer::Accepted);
    }
    assert_eq!(script.counts(), (2, 4));
}

#[tokio::test]
async fn a_post_that_never_finds_an_answer_is_an_error_and_not_lost() {
    let script =
        Script::play(|connection, request| if connection + request == 0 { Act::Answer } else { Act::Close }).await;
    let gateway = gateway(&script.endpoint());
    assert_eq!(gateway.post("a", &Payload::new("2")).await.unwrap(), GatewayAnswer::Accepted);
    let error = gateway.post("a", &Payload::new("2")).await.unwrap_err();
    assert!(error.to_string().contains("the connection ended before the answer"), "{error}");
    assert_eq!(script.counts(), (2, 3), "it was tried over the old connection and over a new one");
    assert_eq!(gateway.take_sent(), 1);
}

#[tokio::test]
async fn one_post_that_hangs_keeps_no_other_waiting() {
    let script = Script::play(|connection, _| if connection < 100 { Act::Hang } else { Act::Answer }).await;
    let gateway = gateway(&script.endpoint());
    let payload = Payload::new("2");
    let mut hanging: Vec<_> = (0..100).map(|_| Box::pin(gateway.post("a", &payload))).collect();
    let all = join_all(hanging.iter_mut());
    let other = async {
        while script.counts().1 < 100 {
            yield_now().await;
        }
        gateway.post("b", &payload).await.unwrap()
    };
    tokio::select! {
        _ = all => panic!("nobody answers them"),
        outcome = other => assert_eq!(outcome, GatewayAnswer::Accepted),
    }
}

/// A server with TLS that lets through as many handshakes and answers as it is told.
struct Tls {
    endpoint: String,
    roots: RootCertStore,
    /// TCP connections that were made.
    connections: watch::Sender<usize>,
    handshakes: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<(Version, String)>>>,
}

impl Tls {
    async fn start(protocols: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key.into()).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            endpoint: format!("https://localhost:{}/prod", listener.local_addr().unwrap().port()),
            roots,
            connections: watch::Sender::new(0),
            handshakes: Arc::new(Semaphore::new(0)),
            answers: Arc::new(Semaphore::new(0)),
            seen: Arc::default(),
        };
        let (connections, handshakes) = (server.connections.clone(), Arc::clone(&server.handshakes));
        let (answers, seen) = (Arc::clone(&server.answers), Arc::clone(&server.seen));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.send_modify(|count| *count += 1);
                let (acceptor, handshakes) = (acceptor.clone(), Arc::clone(&handshakes));
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                tokio::spawn(async move {
                    handshakes.acquire().await.unwrap().forget();
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                        async move {
                            answers.acquire().await.unwrap().forget();
                            seen.lock().unwrap().push((request.version(), request.uri().to_string()));
                            Ok::<_, std::convert::Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
                        }
                    });
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _closed = server.serve_connection(stream, service).await;
                    } else {
                        let server = hyper::server::conn::http1::Builder::new();
                        let _closed = server.serve_connection(stream, service).await;
                    }
                });
            }
        });
        server
    }

    /// Posts to it as a function does, except for whom it trusts.
    fn poster(&self) -> Arc<Poster> {
        let endpoint = Endpoint::parse(&self.endpoint).unwrap();
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
        let keys = Keys::new(credentials, "eu-central-1".to_owned());
        let connections = Connections::new(endpoint.origin().unwrap(), tls(self.roots.clone()).unwrap());
        Arc::new(Poster::over(connections, endpoint, keys, RetryConfig { attempts: 1, attempt: LONG, call: LONG }))
    }

    /// Waits until there are so many connections, and for more that may be on their way.
    async fn has_connections(&self, count: usize) -> usize {
        self.connections.subscribe().wait_for(|made| *made >= count).await.unwrap();
        for _ in 0..1000 {
            yield_now().await;
        }
        *self.connections.borrow()
    }
}

fn post_all(poster: &Arc<Poster>, count: usize) -> Vec<tokio::task::JoinHandle<GatewayAnswer>> {
    let payload = Payload::new("2");
    let post = |_| {
        let (poster, payload) = (Arc::clone(poster), payload.clone());
        tokio::spawn(async move { poster.post("QQFxqeZfIAMCKRA=", &payload).await.unwrap() })
    };
    (0..count).map(post).collect()
}

#[tokio::test]
async fn a_cold_start_opens_connections_a_few_at_a_time() {
    let server = Tls::start(&["http/1.1"]).await;
    let posts = post_all(&server.poster(), 128);
    assert_eq!(server.has_connections(2).await, 2, "one would be enough if it spoke HTTP/2");
    server.handshakes.add_permits(2);
    assert_eq!(server.has_connections(10).await, 10, "two are open, eight are being opened");
    server.handshakes.add_permits(4);
    assert_eq!(server.has_connections(14).await, 14);
    // Six are open, and as soon as they are answered they serve whoever waits.
    server.answers.add_permits(128);
    for post in posts {
        assert_eq!(post.await.unwrap(), GatewayAnswer::Accepted);
    }
    assert_eq!(*server.connections.borrow(), 14);
    let seen = server.seen.lock().unwrap();
    assert!(seen.iter().all(|(version, _)| *version == Version::HTTP_11));
}

#[tokio::test]
async fn http2_is_used_where_it_is_offered() {
    let server = Tls::start(&["h2", "http/1.1"]).await;
    server.handshakes.add_permits(1000);
    let poster = server.poster();
    let posts = post_all(&poster, 150);
    // A hundred at the same time go over each of two.
    server.answers.add_permits(1000);
    for post in posts {
        assert_eq!(post.await.unwrap(), GatewayAnswer::Accepted);
    }
    assert!(*server.connections.borrow() <= 4, "{}", *server.connections.borrow());
    let seen = server.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 150);
    let expected = (Version::HTTP_2, format!("{}/@connections/QQFxqeZfIAMCKRA%3D", server.endpoint));
    assert!(seen.iter().all(|seen| *seen == expected), "{:?}", seen[0]);
}

#[tokio::test]
async fn a_server_nobody_trusts_gets_no_frame() {
    let server = Tls::start(&["http/1.1"]).await;
    server.handshakes.add_permits(10);
    server.answers.add_permits(10);
    let stranger = Tls::start(&["http/1.1"]).await;
    let poster = Tls { roots: stranger.roots.clone(), ..server }.poster();
    let error = GatewayError::from(poster.post("a", &Payload::new("2")).await.unwrap_err());
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn a_connection_that_was_not_used_for_long_is_closed() {
    let script = Script::play(|_, _| Act::Answer).await;
    let endpoint = Endpoint::parse(&script.endpoint()).unwrap();
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let keys = Keys::new(credentials, "eu-central-1".to_owned());
    let tls = tls(RootCertStore::empty()).unwrap();
    let connections = Connections::with_idle(endpoint.origin().unwrap(), tls, Duration::from_millis(200));
    let poster = Poster::over(connections, endpoint, keys, RetryConfig { attempts: 1, attempt: LONG, call: LONG });
    for number in 1..=2 {
        assert_eq!(poster.post("a", &Payload::new("2")).await.unwrap(), GatewayAnswer::Accepted);
        script.closed.subscribe().wait_for(|closed| *closed == number).await.unwrap();
    }
    assert_eq!(script.counts(), (2, 2));
}
