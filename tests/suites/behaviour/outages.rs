//! What a client makes of a database that is away: nothing, except that it comes back a moment later.

use local_dev::Options;
use tests::{Cloud, Edge, Outage, Socket, until};

/// A cloud, the outage of its database, and the cloud that database is of.
async fn with_an_outage() -> (Cloud, Outage, Cloud) {
    let other = Cloud::start().await;
    let outage = Outage::before(other.running().dynamodb_endpoint()).await;
    let dynamodb_endpoint = Some(outage.endpoint().to_owned());
    (Cloud::with(Options { dynamodb_endpoint, ..Options::default() }).await, outage, other)
}

/// Design rule 2. After a refusal a client does not come back; after the end of its connection it does.
#[tokio::test]
async fn a_connect_without_a_database_is_closed_and_not_refused() {
    for edge in Edge::ALL {
        let (cloud, outage, other) = with_an_outage().await;
        let mut socket = Socket::open(&cloud, edge, None).await.unwrap();
        outage.begin();
        socket.send_connect(None).await;
        assert_eq!(socket.frame().await, None, "{edge:?}");
        outage.end();
        let mut socket = Socket::connected(&cloud, edge, None).await;
        let user = cloud.rest().register().await;
        assert_eq!(socket.event().await, ("users.created".into(), user), "{edge:?}");
        drop(socket);
        cloud.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn a_socket_that_is_connected_hears_what_was_committed_before_and_after_an_outage() {
    for edge in Edge::ALL {
        let (cloud, outage, other) = with_an_outage().await;
        let mut socket = Socket::connected(&cloud, edge, None).await;
        let before = cloud.rest().register().await;
        assert_eq!(socket.event().await.1, before, "{edge:?}");
        outage.begin();
        // An emit nobody listens to needs the database; this client loses its connection, the other does not.
        let emitting = async {
            let mut noisy = Socket::open(&cloud, edge, None).await;
            if let Ok(noisy) = &mut noisy {
                noisy.send_connect(None).await;
                assert_eq!(noisy.frame().await, None, "{edge:?}");
            }
        };
        emitting.await;
        outage.end();
        let after = cloud.rest().register().await;
        assert_eq!(socket.event().await.1, after, "{edge:?}");
        drop(socket);
        until(async || cloud.room_members().await.is_empty()).await;
        cloud.stop().await;
        other.stop().await;
    }
}
