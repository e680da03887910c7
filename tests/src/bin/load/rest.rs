//! The REST calls a load needs, over one kept-alive connection each.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::Failure;

/// No healthy request takes a tenth of it, not even a login on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The API, as the administrator sees it.
pub(crate) struct Rest {
    client: Client,
    base: String,
    token: String,
}

impl Rest {
    /// Logs in.
    pub(crate) async fn login(url: &str, email: &str, password: &str) -> Result<Self, Failure> {
        // A proxy of the environment has no business between two processes of one machine.
        let client = Client::builder().timeout(ANSWER_WITHIN).no_proxy().build()?;
        let mut rest = Self { client, base: format!("{url}/api/v1"), token: String::new() };
        let credentials = json!({ "email": email, "password": password });
        let answer = rest.ask("the login", rest.client.post(rest.url("/auth/admin/login")).json(&credentials)).await?;
        let token = answer["tokens"]["accessToken"].as_str();
        rest.token = token.ok_or("the login gave no access token")?.to_owned();
        Ok(rest)
    }

    /// Registers a user and returns the id.
    pub(crate) async fn register(&self, name: &str, email: &str) -> Result<String, Failure> {
        let form = json!({
            "fullName": name, "countryCode": "DE", "countryName": "Germany", "phone": "+491701234567",
            "email": email, "password": "correct horse",
        });
        let answer = self.ask("a registration", self.client.post(self.url("/users/register")).json(&form)).await?;
        let id = answer["user"]["id"].as_str();
        Ok(id.ok_or("a registration gave no id")?.to_owned())
    }

    /// Renames a user.
    pub(crate) async fn rename(&self, id: &str, name: &str) -> Result<(), Failure> {
        let change = self.client.patch(self.url(&format!("/users/{id}"))).bearer_auth(&self.token);
        self.ask("a rename", change.json(&json!({ "fullName": name }))).await.map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn ask(&self, what: &str, request: RequestBuilder) -> Result<Value, Failure> {
        let failed = |error: reqwest::Error| format!("{what} failed: {}", causes(&error));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(format!("{what} was answered with {status}: {body}").into());
        }
        Ok(serde_json::from_str(&body).map_err(|error| format!("{what} was not answered with JSON: {error}"))?)
    }
}

/// The whole story: the client's own text leaves out why a connection was refused.
fn causes(error: &dyn std::error::Error) -> String {
    let texts: Vec<_> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.join(": ")
}
