//! E-mail addresses in any script: one mailbox is one account, however it is spelt, and one that nobody could send to is
//! refused.

use serde_json::{Value, json};
use tests::{
    Cloud, PASSWORD, until,
    user::{path, path_to},
};

use crate::typed::{login, with};

/// One mailbox, in the spellings that people, phones and mail programs have for it.
const SPELLINGS: [&str; 6] = [
    "sara@bücher.example",
    "sara@bu\u{308}cher.example",
    "Sara@BÜCHER.example",
    "sara@xn--bcher-kva.example",
    "SARA@XN--BCHER-KVA.EXAMPLE",
    "sara@bücher。example",
];

#[tokio::test]
async fn one_mailbox_is_one_account_however_it_is_spelt() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for registered in [0, 3] {
        let user = rest.post("/users/register", with("email", SPELLINGS[registered])).await.expect(201);
        assert_eq!(user["user"]["email"], SPELLINGS[registered], "as it was typed");
        for spelling in SPELLINGS {
            rest.post("/users/register", with("email", spelling)).await.is_refused(409, "EMAIL_TAKEN");
            let session = login(&rest, spelling, PASSWORD).await.expect(200);
            assert_eq!(session["user"], user["user"], "{spelling}");
        }
        cloud.admin().await.delete(&path(&user["user"])).await.expect(200);
        login(&rest, SPELLINGS[registered], PASSWORD).await.is_refused(401, "WRONG_CREDENTIALS");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_code_goes_to_an_address_in_its_own_script_in_punycode() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().post("/users/register", with("email", "Sara@Bücher.example")).await.expect(201);
    let user = &user["user"];
    let rest = cloud.rest().login(user).await;
    rest.post(&path_to(user, "/email/verify/send"), json!({})).await.expect(200);
    until(async || !cloud.messages().await.is_empty()).await;
    assert_eq!(cloud.messages().await[0]["to"], "Sara@xn--bcher-kva.example");
    cloud.stop().await;
}

#[tokio::test]
async fn ses_here_takes_no_address_that_is_not_ascii() {
    let cloud = Cloud::start().await;
    let text = |data: &str| json!({ "Data": data });
    let email = |to: &str| {
        json!({
            "FromEmailAddress": "no-reply@example.com", "Destination": { "ToAddresses": [to] },
            "Content": { "Simple": { "Subject": text("a"), "Body": { "Text": text("b") } } },
        })
    };
    let client = reqwest::Client::new();
    for (to, status) in [("sara@bücher.example", 400), ("sára@example.com", 400), ("sara@xn--bcher-kva.example", 200)]
    {
        let url = format!("{}/v2/email/outbound-emails", cloud.url());
        // Unsigned, which only a cloud without policies would take.
        let signed = "AWS4-HMAC-SHA256 Credential=NotifyFunction/20250101/eu-central-1/ses/aws4_request";
        let answer = client.post(url).header("authorization", signed).json(&email(to)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{to}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_address_nobody_could_send_to_is_refused_with_its_reason() {
    let cloud = Cloud::start().await;
    for (email, reason) in [
        ("sára@example.com", "ASCII"),
        ("ســارا@example.com", "ASCII"),
        ("sara@[192.0.2.1]", "domain"),
        ("sara@[IPv6:2001:db8::1]", "domain"),
        ("sara@192.0.2.1", "domain"),
        ("sara@localhost", "domain"),
        ("sara@example", "domain"),
        ("sara@xn--a.example", "domain"),
        ("sara@exa mple.com", "domain"),
        ("sara@-example.com", "domain"),
        ("sara@exa\u{ad}mple.com", "domain"),
        ("sara@exa\u{200b}mple.com", "domain"),
        ("\"a\u{0}b\"@example.com", "e-mail address"),
    ] {
        let answer = cloud.rest().post("/users/register", with("email", email)).await;
        let details = answer.body["details"].to_string();
        assert!(details.contains(reason), "{email}: {details}");
        answer.is_refused_for("email");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn limits_count_an_address_once_however_it_is_spelt() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for spelling in &SPELLINGS[..5] {
        login(&rest, spelling, "wrong horse").await.is_refused(401, "WRONG_CREDENTIALS");
    }
    login(&rest, SPELLINGS[5], "wrong horse").await.is_refused(429, "TOO_MANY_ATTEMPTS");

    // Registered again in another spelling after a deletion: the code of before counts.
    let elsewhere = rest.from_elsewhere();
    let user = elsewhere.post("/users/register", with("email", SPELLINGS[0])).await.expect(201);
    let owner = elsewhere.login(&user["user"]).await;
    owner.post(&path_to(&user["user"], "/email/verify/send"), json!({})).await.expect(200);
    cloud.admin().await.delete(&path(&user["user"])).await.expect(200);
    let again = elsewhere.post("/users/register", with("email", SPELLINGS[4])).await.expect(201);
    let owner = elsewhere.login(&again["user"]).await;
    owner.post(&path_to(&again["user"], "/email/verify/send"), json!({})).await.is_refused(429, "TOO_MANY_ATTEMPTS");
    cloud.stop().await;
}

/// The row of an address as it was written when its key was the typed address in lower case.
async fn older_form(cloud: &Cloud, user: &Value, typed: &str) {
    let mut profile = cloud.user_items("PROFILE").await;
    let row = profile.iter_mut().find(|row| row["id"].as_s().unwrap() == user["id"].as_str().unwrap()).unwrap();
    row.insert("email".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(typed.to_owned()));
    cloud.put_user_row(row.clone()).await;
    cloud
        .put_user_item(
            &json!({ "pk": format!("EMAIL#{}", typed.to_lowercase()), "sk": "UNIQUE", "userId": user["id"] }),
        )
        .await;
    cloud.delete_user_row(&format!("EMAIL#{}", user["email"].as_str().unwrap()), "UNIQUE").await;
}

#[tokio::test]
async fn an_account_of_before_is_found_kept_apart_and_deleted() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for typed in ["Sara@Bücher.example", "sára@example.com"] {
        let user = rest.register().await;
        older_form(&cloud, &user, typed).await;
        let session = login(&rest, typed, PASSWORD).await.expect(200);
        assert_eq!((&session["user"]["id"], &session["user"]["email"]), (&user["id"], &json!(typed)));
        login(&rest, &typed.to_uppercase(), PASSWORD).await.expect(200);
        let taken = rest.post("/users/register", with("email", typed)).await;
        assert!([400, 409].contains(&taken.status), "{typed}: {}", taken.body);
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        assert!(cloud.user_items("UNIQUE").await.is_empty(), "{typed}");
    }
    let user = rest.register().await;
    older_form(&cloud, &user, SPELLINGS[0]).await;
    for spelling in SPELLINGS {
        assert_eq!(login(&rest, spelling, PASSWORD).await.expect(200)["user"]["id"], user["id"], "{spelling}");
        rest.post("/users/register", with("email", spelling)).await.is_refused(409, "EMAIL_TAKEN");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_account_of_before_is_found_in_either_normal_form_of_its_address() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (composed, decomposed) = ("Sára@bücher.example", "Sa\u{301}ra@bu\u{308}cher.example");
    for (before, typed) in [(composed, decomposed), (decomposed, composed)] {
        let user = rest.register().await;
        older_form(&cloud, &user, before).await;
        for spelling in [before, typed, &typed.to_uppercase()] {
            assert_eq!(login(&rest, spelling, PASSWORD).await.expect(200)["user"]["id"], user["id"], "{spelling}");
        }
        let taken = rest.post("/users/register", with("email", typed)).await;
        assert!([400, 409].contains(&taken.status), "{typed}: {}", taken.body);
        cloud.admin().await.delete(&path(&user)).await.expect(200);
        login(&rest, before, PASSWORD).await.is_refused(401, "WRONG_CREDENTIALS");
        assert!(cloud.user_items("UNIQUE").await.is_empty(), "{before}");
    }
    // Of an address that may still be registered every spelling is taken.
    let user = rest.register().await;
    older_form(&cloud, &user, SPELLINGS[1]).await;
    for spelling in SPELLINGS {
        assert_eq!(login(&rest, spelling, PASSWORD).await.expect(200)["user"]["id"], user["id"], "{spelling}");
        rest.post("/users/register", with("email", spelling)).await.is_refused(409, "EMAIL_TAKEN");
    }
    cloud.stop().await;
}
