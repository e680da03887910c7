//! A short run of the fuzzer, with another seed each time; `cargo run -p tests --bin fuzz -- --seed` repeats one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tests::fuzz::{Budget, Finding, codec, messages};

#[track_caller]
fn without_finding(run: Result<(), Finding>) {
    run.unwrap_or_else(|finding| panic!("{finding}"));
}

/// One after the other in one test: a panic anywhere in this process is a finding of the messages.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_breaks_the_codec_and_no_message_the_message_function() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    without_finding(codec::run(&Budget::cases(20_000), seed));
    without_finding(messages::run(&Budget::cases(300), seed).await);
}
