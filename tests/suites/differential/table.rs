//! How sessions are written down.

use tests::Edge;

/// One client, one connection.
pub(crate) struct RecordedSession {
    /// The session's name, for people.
    pub(crate) name: &'static str,
    /// What happens, in order. An edge that closes has played its last step.
    pub(crate) steps: Vec<Step>,
}

/// Something happens, and the client sees a reaction.
pub(crate) struct Step {
    /// What happens.
    pub(crate) what: Do,
    node: Reaction,
    gateway: Option<Reaction>,
    socketioxide: Option<Reaction>,
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Do {
    /// The client sends these frames without waiting in between.
    Send(&'static [&'static str]),
    /// The client sends an event of this many bytes.
    SendLong(usize),
    /// The server posts `users.updated` to the feed.
    Rename,
}

/// What the client sees of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction {
    /// Nothing; the connection is open.
    Silence,
    /// Frames in any order; the connection is open.
    Answers(&'static [&'static str]),
    /// Other frames than any the table has.
    Surprise(Vec<String>),
    /// The connection is closed, nothing before it.
    Closed,
    /// The connection is closed with 1009.
    TooBig,
}

impl Reaction {
    /// Whether the connection is over.
    pub(crate) fn ends(&self) -> bool {
        matches!(self, Self::Closed | Self::TooBig)
    }
}

impl Step {
    /// What this edge is expected to do: what Node does, unless the table knows a difference.
    pub(crate) fn on(&self, edge: Edge) -> &Reaction {
        let difference = match edge {
            Edge::Gateway => &self.gateway,
            Edge::SocketIo => &self.socketioxide,
        };
        difference.as_ref().unwrap_or(&self.node)
    }

    /// This step, at which our functions differ from Node for this reason.
    pub(crate) fn but_we(mut self, reaction: Reaction, reason: &'static str) -> Self {
        assert!(self.node != reaction && !reason.is_empty(), "no difference");
        self.gateway = Some(reaction);
        self
    }

    /// socketioxide differs from Node, for this reason.
    pub(crate) fn but_socketioxide(mut self, reaction: Reaction, reason: &'static str) -> Self {
        assert!(self.node != reaction && !reason.is_empty(), "no difference");
        self.socketioxide = Some(reaction);
        self
    }
}

/// What Node does when a client sends these frames at once.
pub(crate) fn send(frames: &'static [&'static str], node: Reaction) -> Step {
    Step { what: Do::Send(frames), node, gateway: None, socketioxide: None }
}

/// What Node does when a client sends an event beyond the limit.
pub(crate) fn send_long(length: usize, node: Reaction) -> Step {
    Step { what: Do::SendLong(length), ..send(&[], node) }
}

/// What a client hears when the server posts `users.updated`.
pub(crate) fn rename(node: Reaction) -> Step {
    Step { what: Do::Rename, ..send(&[], node) }
}

/// `users.updated`, as every member of the feed hears it.
pub(crate) const HEARD: Reaction = Reaction::Answers(&[r#"42/users,["users.updated","<user>"]"#]);

/// The socket joins `/users`.
pub(crate) fn join() -> Step {
    send(&["40/users,"], Reaction::Answers(&[r#"40/users,{"sid":"<1>"}"#]))
}

/// A session that begins before any CONNECT.
pub(crate) fn session(name: &'static str, steps: impl IntoIterator<Item = Step>) -> RecordedSession {
    RecordedSession { name, steps: steps.into_iter().collect() }
}

/// A session of a socket that is in `/users`.
pub(crate) fn joined(name: &'static str, steps: impl IntoIterator<Item = Step>) -> RecordedSession {
    session(name, std::iter::once(join()).chain(steps))
}
