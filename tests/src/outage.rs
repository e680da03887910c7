//! A DynamoDB that can be taken away for a while, and comes back with everything that was in it.

use std::io;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes connections on to a DynamoDB while that is there; without it they are reset. It ends with the test.
pub struct Outage {
    endpoint: String,
    is_there: watch::Sender<bool>,
}

impl Outage {
    /// An outage that can be begun in front of this DynamoDB.
    pub async fn before(endpoint: &str) -> Self {
        let behind = endpoint.strip_prefix("http://").expect("a plain endpoint").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let (is_there, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, behind.clone(), watched.clone()));
            }
        });
        Self { endpoint, is_there }
    }

    /// Where the database is reached through the outage.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Begins the outage: there is no database, also for who is connected to it.
    pub fn begin(&self) {
        self.is_there.send_replace(false);
    }

    /// Ends the outage: the database is back.
    pub fn end(&self) {
        self.is_there.send_replace(true);
    }
}

async fn pass_on(mut client: TcpStream, behind: String, mut is_there: watch::Receiver<bool>) -> io::Result<()> {
    if !*is_there.borrow() {
        return Ok(());
    }
    let mut server = TcpStream::connect(behind).await?;
    tokio::select! {
        _ = is_there.wait_for(|is_there| !is_there) => Ok(()),
        ended = copy_bidirectional(&mut client, &mut server) => ended.map(drop),
    }
}
