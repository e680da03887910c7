//! A REST client that keeps every answer whole.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::{Client, Method, header::HeaderMap};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::Document;

/// Makes e-mail addresses and phone numbers unique.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Password of every registered test user.
pub const PASSWORD: &str = "correct horse";

/// Calls the API, with a token or without. Every answer must be one that the document knows of.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    base: String,
    token: Option<String>,
    headers: HeaderMap,
    document: Arc<OnceCell<Document>>,
}

/// Status, headers and body of an answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The JSON body.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Asserts the one shape of refusals.
    #[track_caller]
    pub fn is_refused(self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["statusCode"], status, "{}", self.body);
        assert_eq!(self.body["message"], code, "{}", self.body);
        assert!(self.body["error"].is_string(), "{}", self.body);
        let keys: Vec<_> = self.body.as_object().unwrap().keys().map(String::as_str).collect();
        let with_details = if status == 400 {
            &["statusCode", "message", "error", "details"][..]
        } else {
            &["statusCode", "message", "error"]
        };
        assert_eq!(keys, with_details);
    }

    /// Asserts a 400 that names this field.
    #[track_caller]
    pub fn is_refused_for(self, field: &str) {
        let fields: Vec<_> =
            self.body["details"].as_array().into_iter().flatten().map(|d| d["field"].clone()).collect();
        assert!(fields.contains(&json!(field)), "{} should name {field}", self.body);
        self.is_refused(400, "VALIDATION_ERROR");
    }
}

impl Rest {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            client: Client::new(),
            base: format!("{url}/api/v1"),
            token: None,
            headers: HeaderMap::new(),
            document: Arc::default(),
        }
    }

    /// This client as another machine: it comes from another loopback address and says so to nobody.
    #[must_use]
    pub fn from_elsewhere(&self) -> Self {
        if cfg!(target_os = "linux") {
            // All of 127.0.0.0/8 is this machine there, while `::1` may be missing.
            let client = Client::builder().local_address(IpAddr::from([127, 0, 0, 2])).build().expect("a client");
            Self { client, ..self.clone() }
        } else {
            Self { base: self.base.replace("127.0.0.1", "[::1]"), ..self.clone() }
        }
    }

    /// This client with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// This client with one more header.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(name, value.parse().expect("a header"));
        Self { headers, ..self.clone() }
    }

    /// A fresh user's own client.
    pub async fn register_and_login(&self) -> Self {
        self.login(&self.register().await).await
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a token")
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A body that is whatever one likes, with whatever content type.
    pub async fn raw(&self, method: Method, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        self.finish(request.header("content-type", content_type)).await
    }

    /// What `local-dev` would have sent to people, oldest first.
    pub async fn messages(&self) -> Vec<Value> {
        let url = self.base.replace("/api/v1", "/_dev/messages");
        self.client.get(url).send().await.expect("an answer").json().await.expect("a list")
    }

    /// What a registration looks like, with a fresh e-mail address.
    pub fn registration() -> Value {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        json!({
            "fullName": "Sara Ahmadi Rad", "countryCode": "IR", "countryName": "Iran",
            "phone": format!("+98912{n:07}"), "email": format!("sara.{n}@example.com"), "password": PASSWORD,
        })
    }

    /// Registers a fresh user.
    pub async fn register(&self) -> Value {
        self.post("/users/register", Self::registration()).await.expect(201)["user"].clone()
    }

    /// Logs the administrator in.
    pub async fn login_admin(&self) -> Rest {
        let credentials = json!({ "email": "admin@example.com", "password": "local-admin" });
        let login = self.post("/auth/admin/login", credentials).await.expect(200);
        self.with_token(login["tokens"]["accessToken"].as_str().unwrap())
    }

    /// Logs a registered user in.
    pub async fn login(&self, user: &Value) -> Rest {
        let credentials = json!({ "email": user["email"], "password": PASSWORD });
        let login = self.post("/auth/user/login", credentials).await.expect(200);
        self.with_token(login["tokens"]["accessToken"].as_str().unwrap())
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.base));
        self.finish(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    async fn finish(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.headers(self.headers.clone());
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let document = self.document.get_or_init(|| Document::fetch(&self.client, &self.base)).await;
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.json().await.unwrap_or_default();
        document.must_know(&method, &path, status, &headers, &body);
        Answer { status, headers, body }
    }
}
