//! The message function, through a running cloud: whatever is sent, every CONNECT is answered, every frame is one of
//! Engine.IO, nothing panics or is logged as an error, and a bystander goes on hearing events.

use futures::future::try_join_all;
use serde_json::{Value, json};
use shared::auth::Role;
use tokio::{
    sync::Mutex,
    time::{Duration, timeout},
};

use super::{Budget, Finding, complaints::Complaints, inputs::Inputs, session::FuzzedSocket};
use crate::{
    Cloud, Edge, Socket, TOKEN_SECRET, tokens, until,
    user::{id, path},
};

/// Sockets that send at the same time.
const SOCKETS: u64 = 6;

/// Cases of each socket before all of it starts afresh: the embedded DynamoDB gets slower with every change its streams
/// have ever seen.
const ROUND: u32 = 250;

/// Cases between two looks at the bystander.
const BYSTANDER_EVERY: u64 = 200;

/// The largest frame the gateway takes.
const LONGEST: usize = 32 * 1024;

/// Far beyond what anything here takes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

/// Tries cases until the budget is used up. Panics and error logs of the whole process count, so nothing else should
/// run in it.
///
/// # Errors
/// The first finding.
pub async fn run(budget: &Budget, seed: u64) -> Result<(), Finding> {
    let mut round = 0;
    while budget.is_left() {
        // In a box: the future of a whole cloud is too large for a caller.
        Box::pin(play_round(budget, seed, round)).await?;
        round += 1;
    }
    Ok(())
}

async fn play_round(budget: &Budget, seed: u64, round: u64) -> Result<(), Finding> {
    let complaints = Complaints::listen();
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    let tokens = vec![token("admin", Role::Admin), token(id(&user), Role::User)];
    let feed = Socket::connected(&cloud, Edge::Gateway, None).await;
    let bystander = Mutex::new(Bystander { user, feed, renames: 0 });
    let senders = (0..SOCKETS).map(|n| {
        // Each has a stream of texts of its own, so that their timing changes no text.
        let stream = seed.wrapping_add(round * SOCKETS + n);
        let inputs = Inputs::new(stream, tokens.clone(), LONGEST);
        Sender { cloud: &cloud, bystander: &bystander, complaints, seed, inputs, session: None }.send(budget)
    });
    try_join_all(senders).await?;
    let end = bystander.into_inner().hears(&cloud).await;
    end.map_err(|what| Finding { what, seed, texts: Vec::new() })?;
    // Everybody has gone, so every row goes.
    let empty = async || cloud.connection_ids().await.is_empty() && cloud.room_members().await.is_empty();
    let left = timeout(TIMEOUT, until(empty)).await;
    left.map_err(|_| Finding { what: "rows outlive their connections".to_owned(), seed, texts: Vec::new() })?;
    let said = complaints.take();
    cloud.stop().await;
    if said.is_empty() { Ok(()) } else { Err(Finding { what: said.join("\n"), seed, texts: Vec::new() }) }
}

/// A fresh token.
fn token(subject: &str, role: Role) -> String {
    tokens(TOKEN_SECRET).issue(subject, role).unwrap()
}

/// Somebody who only listens, on a connection of its own.
struct Bystander {
    user: Value,
    feed: Socket,
    renames: u64,
}

impl Bystander {
    /// Renames the user and waits until that is heard.
    async fn hears(&mut self, cloud: &Cloud) -> Result<(), String> {
        self.renames += 1;
        let name = format!("Sara Ahmadi {}", self.renames);
        let admin = cloud.rest().with_token(&token("admin", Role::Admin));
        let path = path(&self.user);
        admin.patch(&path, json!({ "fullName": name })).await.expect(200);
        let heard = async { while self.feed.event().await.1["fullName"] != name {} };
        timeout(TIMEOUT, heard).await.map_err(|_| format!("the bystander did not hear of {name}"))
    }
}

/// One of the sockets, replaced whenever the server closes it.
struct Sender<'a> {
    cloud: &'a Cloud,
    bystander: &'a Mutex<Bystander>,
    complaints: &'static Complaints,
    seed: u64,
    inputs: Inputs,
    session: Option<FuzzedSocket>,
}

impl Sender<'_> {
    async fn send(mut self, budget: &Budget) -> Result<(), Finding> {
        for _ in 0..ROUND {
            let Some(number) = budget.take() else { break };
            let texts = self.case();
            let mut session = match self.session.take() {
                Some(session) => session,
                None => FuzzedSocket::open(self.cloud).await.map_err(|what| self.finding(what, Vec::new()))?,
            };
            let open = session.play(texts, number).await;
            let open = open.map_err(|what| self.finding(what, session.texts()))?;
            if let complaints @ [_, ..] = self.complaints.take().as_slice() {
                return Err(self.finding(complaints.join("\n"), session.texts()));
            }
            if number % BYSTANDER_EVERY == 0 {
                let heard = self.bystander.lock().await.hears(self.cloud).await;
                heard.map_err(|what| self.finding(what, session.texts()))?;
            }
            self.session = open.then_some(session);
        }
        Ok(())
    }

    /// A new socket joins first, mostly; then a text, or some at once.
    fn case(&mut self) -> Vec<String> {
        if self.session.is_none() && self.inputs.rng().u8(0..10) < 8 {
            return vec!["40/users,".to_owned()];
        }
        let count = if self.inputs.rng().u8(0..10) == 0 { self.inputs.rng().usize(2..8) } else { 1 };
        (0..count).map(|_| self.inputs.text()).collect()
    }

    fn finding(&self, what: String, texts: Vec<String>) -> Finding {
        Finding { what, seed: self.seed, texts }
    }
}
