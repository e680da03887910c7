//! Every text a user is sent.

/// Subject of the e-mail.
pub(crate) const SUBJECT: &str = "Your Moien Delivery code";

/// Body of the e-mail.
pub(crate) fn email(code: &str) -> String {
    format!(
        "{code} is your code to confirm this e-mail address at Moien Delivery.\n\n\
         It is valid for 10 minutes. If you did not ask for it, you can ignore this message.\n"
    )
}

/// The text message; it fits into one.
pub(crate) fn sms(code: &str) -> String {
    format!("{code} is your Moien Delivery code. It is valid for 10 minutes. Do not share it with anybody.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_message_is_one_message() {
        let text = sms("123456");
        assert!(text.is_ascii() && text.len() <= 160 && text.starts_with("123456 "), "{text}");
    }
}
