//! What people type: passwords of another keyboard, names, links to photos; and whatever the rules accept is the same
//! wherever it is said.

use fastrand::Rng;
use serde_json::{Value, json};
use shared::{
    passwords::Passwords,
    users::{
        mailbox::{Mailbox, deliverable},
        rules,
    },
};
use tests::{
    Answer, Cloud, Edge, Rest, Socket, on_every_edge, until,
    user::{path, path_to},
};

pub(super) fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut form = Rest::registration();
    form[field] = value.into();
    form
}

pub(super) async fn login(rest: &Rest, email: &str, password: &str) -> Answer {
    rest.post("/auth/user/login", json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn a_password_may_have_what_is_typed_and_seen_although_opaque_string_refuses_it() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    for password in [
        "ســـلام دنيا",
        "١٢٣۴۵۶۷۸",
        "\u{1140}\u{1175}\u{11eb}\u{a960}\u{d7b0} 옛한글",
        "correct·horse",
        "🐴🔋📎👩🏽\u{200d}🍳❤\u{fe0f}",
    ] {
        let user = rest.post("/users/register", with("password", password)).await.expect(201);
        let email = user["user"]["email"].as_str().unwrap();
        login(&rest, email, password).await.expect(200);
        login(&rest, email, &password.replace(['ـ', '۴', '\u{1140}', '·', '🔋'], "x"))
            .await
            .is_refused(401, "WRONG_CREDENTIALS");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn one_password_is_one_password_on_every_keyboard() {
    let cloud = Cloud::start().await;
    let rest = cloud.rest();
    let (composed, decomposed) = ("pässwörter am See", "pa\u{308}sswo\u{308}rter\u{a0}am\u{3000}See");
    for (chosen, typed) in [(composed, decomposed), (decomposed, composed)] {
        let user = rest.post("/users/register", with("password", chosen)).await.expect(201);
        let email = user["user"]["email"].as_str().unwrap();
        login(&rest, email, typed).await.expect(200);
        let owner =
            rest.with_token(login(&rest, email, chosen).await.expect(200)["tokens"]["accessToken"].as_str().unwrap());
        login(&rest, email, "passworter am See").await.is_refused(401, "WRONG_CREDENTIALS");
        owner.post(&path_to(&user["user"], "/delete"), json!({ "password": typed })).await.expect(200);
    }
    for (password, status) in [
        ("a\tb c d e f g", 400),
        ("a\u{0}bcdefgh", 400),
        ("abcdefg\u{85}", 400),
        ("abcdefgh\u{ad}", 400),
        ("abcdefgh\u{fdd0}", 400),
        ("abcdefgh\u{378}", 400),
        // Seven and eight characters, as people count.
        (&"e\u{301}".repeat(7) as &str, 400),
        (&"e\u{301}".repeat(8), 201),
        (&"e\u{301}".repeat(128), 201),
        (&"e\u{301}".repeat(129), 400),
    ] {
        let answer = rest.post("/users/register", with("password", password)).await;
        assert_eq!(answer.status, status, "{password:?}: {}", answer.body);
    }
    cloud.stop().await;
}

/// Names as people have them, where joiners and combining marks belong.
const NAMES: [&str; 18] = [
    "سید علی‌رضا حسینی",
    "محمد‌رضا شجریان کدکنی",
    "فاطمه می‌ر عمادی",
    "عبد الرَّحْمٰن بن خلدون",
    "محمّد بن سلمان",
    "श्री राम शर्मा",
    "क्‍षितिज कुमार शर्मा",
    "അരുണ്‍ കുമാര്‍ നായര്‍",
    "ශ්‍රී ලාල් සිල්වා",
    "ರಮೇಶ್\u{200c} ಕುಮಾರ್\u{200c} ಗೌಡ",
    "రమేష్\u{200c} కుమార్\u{200c} రెడ్డి",
    "তাসনিম জান্নাত খান্\u{200c}",
    "র\u{200d}্যান্ডি রহমান খান",
    "王 小 明",
    "Nguyễn Thị Minh Khai",
    "Nguye\u{302}\u{303}n Thi\u{323} Minh",
    "Jean-Luc d’Été Müller",
    "יוסף בן דָּוִד",
];

#[tokio::test]
async fn names_of_many_scripts_are_the_same_everywhere() {
    on_every_edge(async |cloud, edge| {
        let (rest, admin) = (cloud.rest(), cloud.admin().await);
        let mut feed = Socket::connected(cloud, edge, None).await;
        for name in NAMES {
            let user = rest.post("/users/register", with("fullName", name)).await.expect(201)["user"].clone();
            assert_eq!(user["fullName"], name);
            assert_eq!(feed.event().await, ("users.created".into(), user.clone()), "{edge:?}");
            assert_eq!(rest.login(&user).await.get("/auth/me").await.expect(200)["user"], user);
            assert_eq!(admin.get("/users?limit=1").await.expect(200)[0], user);
            let other = admin.patch(&path(&user), json!({ "fullName": "Sara Ahmadi Rad" })).await.expect(200);
            assert_eq!(feed.event().await.1, other["user"]);
            let back = admin.patch(&path(&user), json!({ "fullName": name })).await.expect(200);
            assert_eq!(back["user"], user);
            assert_eq!(feed.event().await.1, user);
        }
    })
    .await;
}

#[tokio::test]
async fn what_nobody_can_see_is_in_no_text_for_people() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let user = rest.register().await;
    for hidden in [
        "\u{ad}",
        "\u{34f}",
        "\u{115f}",
        "\u{2800}",
        "\u{3164}",
        "\u{ffa0}",
        "\u{e0041}",
        "\u{200c}",
        "\u{200d}",
        "\u{180b}",
        "\u{fe0f}",
        "\u{e000}",
        "\u{fdd0}",
        "\u{ffff}",
    ] {
        let text = format!("R{hidden}ad");
        let shown = hidden.escape_unicode();
        let name = format!("Sara Ahmadi {text}");
        let answer = rest.post("/users/register", with("fullName", name.as_str())).await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.body);
        answer.is_refused_for("fullName");
        rest.post("/users/register", with("countryName", text.as_str())).await.is_refused_for("countryName");
        admin.patch(&path(&user), json!({ "fullName": name })).await.is_refused_for("fullName");
        admin.post(&path_to(&user, "/ban"), json!({ "reason": text })).await.is_refused_for("reason");
    }
    for nobody in ["\u{1b}[2J", "fr\u{0}aud", "\u{7f}"] {
        admin.post(&path_to(&user, "/ban"), json!({ "reason": nobody })).await.is_refused_for("reason");
    }
    for nothing in ["…", "1", "\u{301}"] {
        rest.post("/users/register", with("countryName", nothing)).await.is_refused_for("countryName");
    }
    for nameless in
        ["\u{2800} \u{2800} \u{2800}", "\u{3164} \u{3164} \u{3164}", "… … …", "1 2 3", "\u{301} \u{301} \u{301}"]
    {
        rest.post("/users/register", with("fullName", nameless)).await.is_refused_for("fullName");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_photo_is_stored_as_a_browser_prints_it_and_refused_where_a_browser_would() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, cloud.register_told().await);
    let mut feed = Socket::connected(&cloud, Edge::SocketIo, None).await;
    let change = async |url: &str| admin.patch(&path(&user), json!({ "photoUrl": url })).await;
    for (typed, printed) in [
        ("https://CDN.Example.com", "https://cdn.example.com/"),
        ("https://cdn.example.com:443/a/../b/./c.png?x=1#y", "https://cdn.example.com/b/c.png?x=1#y"),
        ("https://127.0.0.1:08443/a", "https://127.0.0.1:8443/a"),
    ] {
        assert_eq!(change(typed).await.expect(200)["user"]["photoUrl"], printed, "{typed}");
        assert_eq!(feed.event().await.1["photoUrl"], printed);
        assert_eq!(admin.get(&path(&user)).await.expect(200)["photoUrl"], printed);
    }
    for refused in [
        "https://cdn.example.com:65536/",
        "https://cdn.example.com:99999/",
        "https://1.2.3.256/",
        "https://1.2.3.4.5/",
        "https://4294967296/",
        "https://xn--a/",
        "https://xn--a.example.com/a.png",
    ] {
        change(refused).await.is_refused_for("photoUrl");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn people_in_kosovo_have_a_country() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().post("/users/register", with("countryCode", "XK")).await.expect(201);
    assert_eq!(user["user"]["countryCode"], "XK");
    cloud.rest().post("/users/register", with("countryCode", "XX")).await.is_refused_for("countryCode");
    cloud.stop().await;
}

/// Letters of scripts, with what joins, composes and colours them, signs and spaces.
const TYPED: [&str; 9] = [
    "abcdefgXYZ",
    "äöüßéñøçšžÅĳﬁ",
    "e\u{301}o\u{308}a\u{323}\u{302}n\u{303}",
    "سارحمدیعلکگپ\u{200c}\u{64e}\u{651}",
    "कखगरमश\u{94d}\u{93e}\u{93f}\u{200c}\u{200d}",
    "അരണക\u{d4d}\u{200d}",
    "王小明李가나다한\u{1112}\u{1161}\u{11ab}",
    "👩🏽🍳❤\u{fe0f}\u{200d}😀",
    "0123٤٥'’-.,",
];

/// Some characters of one script, and now and then any at all.
fn text(random: &mut Rng, length: std::ops::Range<usize>) -> String {
    let script: Vec<char> = TYPED[random.usize(..TYPED.len())].chars().collect();
    let any =
        |random: &mut Rng| if random.u8(..40) == 0 { random.char(..) } else { script[random.usize(..script.len())] };
    (0..random.usize(length)).map(|_| any(random)).collect()
}

fn texts(random: &mut Rng, count: std::ops::Range<usize>) -> String {
    let space = [" ", "\u{a0}", "\u{3000}"][random.usize(..3)];
    (0..random.usize(count)).map(|_| text(random, 1..9)).collect::<Vec<_>>().join(space)
}

/// The first of many that the rule accepts.
fn accepted(random: &mut Rng, make: fn(&mut Rng) -> String, rule: impl Fn(&str) -> bool) -> String {
    (0..10_000).map(|_| make(random)).find(|made| rule(made)).expect("one that the rule accepts")
}

fn address(random: &mut Rng) -> String {
    let local = ["Sara", "s.a+b", "\"sara b\"", "o'neil", "x_y-z"][random.usize(..5)];
    let top = ["example", "Example", "例え", "com"][random.usize(..4)];
    format!("{local}@{}{}.{top}", text(random, 1..9), random.u16(..))
}

fn photo(random: &mut Rng) -> String {
    let part = |random: &mut Rng| {
        let parts = ["a", "B", "..", ".", "%7E", "%2e", "/", "?", "#", ":", "@", "!$&", "(x)", ";=", "+,", "-_~", "//"];
        (0..random.usize(..8)).map(|_| parts[random.usize(..parts.len())]).collect::<String>()
    };
    let host = ["CDN.Example.com", "127.0.0.1", "xn--bcher-kva.example", "a"][random.usize(..4)];
    let port = ["", ":443", ":08443", ":65535"][random.usize(..4)];
    format!("https://{host}{port}{}{}", ["", "/", "?", "#"][random.usize(..4)], part(random))
}

/// Another spelling of the mailbox.
fn respelt(random: &mut Rng, email: &str) -> String {
    let ascii = Mailbox::parse(email).unwrap().address();
    match random.u8(..3) {
        0 => ascii.to_ascii_uppercase(),
        1 => ascii,
        _ => email.to_ascii_uppercase(),
    }
}

#[tokio::test]
async fn whatever_the_rules_accept_is_the_same_everywhere() {
    let cloud = Cloud::start().await;
    let (rest, admin) = (cloud.rest(), cloud.admin().await);
    let mut feed = Socket::connected(&cloud, Edge::SocketIo, None).await;
    for seed in 0..40 {
        let random = &mut Rng::with_seed(seed);
        let mut form = Rest::registration();
        form["fullName"] = accepted(random, |random| texts(random, 3..6), |name| rules::full_name(name).is_ok()).into();
        let country = accepted(random, |random| texts(random, 1..4), |name| rules::country_name(name).is_ok());
        form["countryName"] = country.into();
        let email = accepted(random, address, |email| rules::email(email).is_ok());
        form["email"] = email.clone().into();
        let password = accepted(random, |random| texts(random, 2..6), |typed| rules::password(typed).is_ok());
        form["password"] = password.clone().into();

        let user = rest.post("/users/register", form.clone()).await.expect(201)["user"].clone();
        for field in ["fullName", "countryName", "phone", "email"] {
            assert_eq!(user[field], form[field], "seed {seed}");
        }
        assert_eq!(feed.event().await, ("users.created".into(), user.clone()), "seed {seed}");
        let respelt = respelt(random, &email);
        let session = login(&rest, &respelt, &Passwords::prepared(&password)).await.expect(200);
        assert_eq!(session["user"], user, "seed {seed}: {respelt}");
        let owner = rest.with_token(session["tokens"]["accessToken"].as_str().unwrap());

        let url = accepted(random, photo, |url| rules::photo_url(url).is_ok());
        let name = accepted(random, |random| texts(random, 3..6), |name| rules::full_name(name).is_ok());
        let change = json!({ "fullName": name, "photoUrl": url });
        let user = owner.patch(&path(&user), change).await.expect(200)["user"].clone();
        assert_eq!((&user["fullName"], &user["photoUrl"]), (&json!(name), &json!(rules::photo_url(&url).unwrap())));
        assert_eq!(feed.event().await, ("users.updated".into(), user.clone()), "seed {seed}");
        assert_eq!(admin.get(&path(&user)).await.expect(200), user, "seed {seed}");
        assert_eq!(admin.get("/users?limit=1").await.expect(200)[0], user, "seed {seed}");

        let sent = usize::try_from(seed).unwrap();
        owner.post(&path_to(&user, "/email/verify/send"), json!({})).await.expect(200);
        until(async || cloud.messages().await.len() > sent).await;
        let message = cloud.messages().await[sent].clone();
        assert_eq!(message["to"], &*deliverable(&email), "seed {seed}");
        let code = message["text"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        let verified = owner.post(&path_to(&user, "/email/verify/confirm"), json!({ "code": code })).await.expect(200);
        assert_eq!(feed.event().await.1, verified["user"], "seed {seed}");
    }
    cloud.stop().await;
}
