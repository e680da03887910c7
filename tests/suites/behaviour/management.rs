//! The management API, with the errors of AWS, on connections of every edge.

use reqwest::{Client, Method, Response};
use tests::{Cloud, Socket, on_every_edge, until};

async fn call(cloud: &Cloud, method: Method, prefix: &str, id: &str, body: Vec<u8>) -> Response {
    let url = format!("{}{prefix}/@connections/{}", cloud.url(), id.replace('=', "%3D"));
    Client::new().request(method, url).body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_post_is_one_text_frame_and_a_delete_closes() {
    on_every_edge(async |cloud, edge| {
        let mut socket = Socket::connected(cloud, edge, None).await;
        let id = cloud.connection_ids().await.remove(0);
        for prefix in ["", "/dev"] {
            let event = br#"42/users,["users.deleted",{"id":"0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"}]"#.to_vec();
            assert_eq!(call(cloud, Method::POST, prefix, &id, event).await.status(), 200, "{edge:?}");
            let gone = serde_json::json!({"id": "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"});
            assert_eq!(socket.event().await, ("users.deleted".into(), gone), "{edge:?}");
        }
        let look = call(cloud, Method::GET, "/dev", &id, vec![]).await;
        assert_eq!(look.status(), 200);
        let look: serde_json::Value = look.json().await.unwrap();
        assert_eq!(look["identity"]["sourceIp"], "127.0.0.1");
        assert!(look["connectedAt"].as_str().unwrap().ends_with('Z') && look["lastActiveAt"].is_string());
        assert_eq!(call(cloud, Method::DELETE, "/dev", &id, vec![]).await.status(), 204);
        assert_eq!(socket.frame().await, None, "{edge:?}: closed");
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let gone = call(cloud, method, "/dev", &id, vec![]).await;
            assert_eq!(
                (gone.status().as_u16(), &gone.headers()["x-amzn-errortype"]),
                (410, &"GoneException".parse().unwrap())
            );
            assert_eq!(gone.text().await.unwrap(), "");
        }
        // Nobody waits for `$disconnect`, on AWS neither.
        until(async || cloud.connection_ids().await.is_empty()).await;
    })
    .await;
}

#[tokio::test]
async fn malformed_ids_and_large_frames_are_refused() {
    let cloud = Cloud::start().await;
    for id in ["x", "QQFxqeZfIAMCKRA", "QQFxqeZfIAMCKR%2F%3D"] {
        let refused = call(&cloud, Method::POST, "/dev", id, vec![b'2']).await;
        assert_eq!(refused.status(), 400);
        let body: serde_json::Value = refused.json().await.unwrap();
        assert!(body["message"].as_str().unwrap().starts_with("Invalid connectionId: "));
    }
    let large = call(&cloud, Method::POST, "/dev", "QQFxqeZfIAMCKRA=", vec![b'x'; 131_073]).await;
    assert_eq!(
        (large.status().as_u16(), &large.headers()["x-amzn-errortype"]),
        (413, &"PayloadTooLargeException".parse().unwrap())
    );
    let unknown = call(&cloud, Method::POST, "/dev", "QQFxqeZfIAMCKRA=", vec![b'x'; 131_072]).await;
    assert_eq!(unknown.status(), 410);
    cloud.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_rows() {
    on_every_edge(async |cloud, edge| {
        let socket = Socket::connected(cloud, edge, None).await;
        assert_eq!(cloud.connection_ids().await.len(), 1);
        drop(socket);
        until(async || cloud.connection_ids().await.is_empty() && cloud.room_members().await.is_empty()).await;
    })
    .await;
}
