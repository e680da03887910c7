//! Verification of e-mail addresses and phone numbers: a code goes out, and who sends it back has the address.
//!
//! The row of a code carries it twice: as a keyed hash to compare with, and sealed for `notify`, which reads it from the
//! stream and sends it. Neither is worth anything without `CODE_SECRET`, so a dump of the table does not give away even
//! six digits. Sending from the stream and not from the request means that a request never waits for a mail service, and
//! that what was promised is tried again until it worked.

mod code;
mod delivery;
mod keys;
mod store;

pub use delivery::{Delivery, PoisonedCode};
pub use keys::CodeKeys;
pub use store::{CODE_SECONDS, CodeStore};
