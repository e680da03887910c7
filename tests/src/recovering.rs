//! A client that asked for recovery, as far as it keeps what `socket.io-client` keeps, and what is needed to see what it
//! has missed.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::protocol::{Packet, PacketData};

use crate::{Cloud, Edge, Rest, Socket, until, user::path};

/// A client that keeps of its events what `socket.io-client` keeps.
pub struct Recovering {
    /// The client's connection.
    pub socket: Socket,
    /// The client's Socket.IO id.
    pub sid: String,
    /// The `pid` that the client says when it comes back.
    pub pid: String,
    /// The offset of the last event that had one.
    pub offset: Option<String>,
}

/// Name, payload and offset of an event.
pub type Heard = (String, Value, Option<String>);

fn event(frame: &str) -> Heard {
    let packet = Packet::decode(frame.strip_prefix('4').unwrap()).unwrap();
    let PacketData::Event { id: None, mut args } = packet.data else { panic!("no event: {frame}") };
    let offset = (args.len() == 3).then(|| args.pop().unwrap().as_str().unwrap().to_owned());
    let [name, payload] = args.as_slice() else { panic!("{frame}") };
    (name.as_str().unwrap().to_owned(), payload.clone(), offset)
}

/// Joins with these `auth` data: the events before the answer, and the answer's payload or the refusal's frame.
pub async fn connect(cloud: &Cloud, auth: Value) -> (Socket, Vec<Heard>, Result<Value, String>) {
    let mut before = Vec::new();
    'connections: loop {
        let mut socket = Socket::open(cloud, Edge::Gateway, None).await.unwrap();
        socket.send_connect(Some(auth.clone())).await;
        loop {
            // A service that could not answer closes. What came until then is in the client's buffer, and stays there.
            let Ok(frame) = socket.raw_frame().await else { continue 'connections };
            match frame.as_str() {
                "2" => socket.send("3").await,
                // A post that took too long is sent again; clients ignore a second open packet.
                frame if frame.starts_with('0') => {}
                // What the gateway says of a function that was killed ends a client's connection.
                frame if frame.starts_with('{') => continue 'connections,
                frame if frame.starts_with("42") => before.push(event(frame)),
                frame => {
                    let answer = frame.strip_prefix("40/users,").map(|answer| serde_json::from_str(answer).unwrap());
                    return (socket, before, answer.ok_or_else(|| frame.to_owned()));
                }
            }
        }
    }
}

impl Recovering {
    /// A socket that has never been here before.
    pub async fn first(cloud: &Cloud, auth: Value) -> Self {
        let auth = with(&auth, json!({"recovery": true}));
        let (socket, before, answer) = connect(cloud, auth).await;
        assert!(before.is_empty(), "{before:?}");
        let text = |name: &str| answer.as_ref().unwrap()[name].as_str().unwrap().to_owned();
        Self { socket, sid: text("sid"), pid: text("pid"), offset: None }
    }

    /// Cut, and back again: what it is told before it is connected, and whether it was recovered.
    pub async fn again(self, cloud: &Cloud, auth: Value) -> (Self, Vec<Heard>, bool) {
        let Self { socket, pid, mut offset, .. } = self;
        drop(socket);
        Self::back(cloud, &pid, &mut offset, auth).await
    }

    /// Comes back with this `pid` and the offset it has kept.
    pub async fn back(cloud: &Cloud, pid: &str, offset: &mut Option<String>, auth: Value) -> (Self, Vec<Heard>, bool) {
        let auth = with(&auth, json!({"recovery": true, "pid": pid, "offset": offset.clone()}));
        let (socket, before, answer) = connect(cloud, auth).await;
        let answer = answer.unwrap();
        for (_, _, own) in &before {
            assert!(own.is_some(), "an event without an offset: {before:?}");
        }
        let offset = before.last().and_then(|(_, _, own)| own.clone()).or(offset.take());
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let client = Self { socket, sid: text("sid"), pid: text("pid"), offset };
        let recovered = client.pid == pid;
        (client, before, recovered)
    }

    /// The next event.
    pub async fn hear(&mut self) -> Heard {
        loop {
            match self.socket.raw_frame().await.expect("an event and no close").as_str() {
                "2" => self.socket.send("3").await,
                frame if frame.starts_with('0') => {}
                frame => {
                    let heard = event(frame);
                    self.offset = heard.2.clone().or(self.offset.take());
                    return heard;
                }
            }
        }
    }
}

/// `auth` data with more in them.
pub fn with(auth: &Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    let mut auth = auth.clone();
    auth.as_object_mut().unwrap().extend(more);
    auth
}

/// A socket without recovery that is never cut.
pub struct Witness(Socket);

impl Witness {
    /// A witness on the feed.
    pub async fn of(cloud: &Cloud) -> Self {
        Self(Socket::connected(cloud, Edge::Gateway, None).await)
    }

    /// Waits until this was told to everybody, and all before it.
    pub async fn hears(&mut self, cloud: &Cloud, payload: &Value) {
        while self.0.event().await.1 != *payload {}
        until(async || cloud.has_settled().await).await;
    }
}

/// Gives a user another name; the user as it is then.
pub async fn rename(admin: &Rest, user: &Value, name: &str) -> Value {
    admin.patch(&path(user), json!({"fullName": name})).await.expect(200)["user"].clone()
}

/// Registers a user, and returns when everybody who is there has heard of it.
pub async fn registered(cloud: &Cloud) -> Value {
    let mut witness = Witness::of(cloud).await;
    let user = cloud.rest().register().await;
    witness.hears(cloud, &user).await;
    user
}

/// Registers so many users at once, and returns when all of them were heard of.
pub async fn registered_at_once(cloud: &Cloud, count: usize) -> Vec<Value> {
    let mut witness = Socket::connected(cloud, Edge::Gateway, None).await;
    let rest = cloud.rest();
    // Each of them hashes a password.
    let users: Vec<_> = stream::iter(0..count).map(|_| rest.register()).buffer_unordered(16).collect().await;
    for _ in 0..count {
        assert_eq!(witness.event().await.0, "users.created");
    }
    until(async || cloud.has_settled().await).await;
    users
}
