//! How a sender makes itself known in a text.

use super::Reading;
use super::tables::Tables;
use memchr::memmem;

/// How one sender makes itself known in a text, folded.
#[derive(Debug)]
pub struct Identity {
    names: Vec<memmem::Finder<'static>>,
    contacts: Vec<Box<[u8]>>,
}

impl Identity {
    /// A sender's name and bracketed signatures, folded, and its contact's digits in each way in which they may stand.
    pub fn new(names: &[String], contacts: Vec<String>) -> Self {
        Self {
            names: names.iter().map(|name| memmem::Finder::new(name.as_bytes()).into_owned()).collect(),
            contacts: contacts.into_iter().map(|contact| contact.into_bytes().into()).collect(),
        }
    }
}

impl Reading {
    /// Whether a sender's name, or a signature of it in its brackets, stands in the text.
    pub fn names(&self, identity: &Identity) -> bool {
        identity.names.iter().any(|name| name.find(self.folded()).is_some())
    }

    /// Whether a contact's digits stand there in order, with any spaces, dashes or parentheses between them and no digit
    /// around.
    pub fn shows_contact(&self, identity: &Identity, tables: &Tables) -> bool {
        let folded = self.folded();
        identity.contacts.iter().filter_map(|contact| contact.split_first()).any(|(first, rest)| {
            memchr::memchr_iter(*first, folded)
                .any(|at| (at == 0 || !folded[at - 1].is_ascii_digit()) && follows(&folded[at + 1..], rest, tables))
        })
    }
}

/// Whether a text goes on with these digits, with nothing but what may stand between them.
fn follows(text: &[u8], digits: &[u8], tables: &Tables) -> bool {
    let mut at = 0;
    for digit in digits {
        loop {
            match text.get(at) {
                Some(found) if found == digit => break,
                Some(byte) if byte.is_ascii_digit() => return false,
                Some(_) => match separator(&text[at..], tables) {
                    Some(length) => at += length,
                    None => return false,
                },
                None => return false,
            }
        }
        at += 1;
    }
    !text.get(at).is_some_and(u8::is_ascii_digit)
}

/// How long the space, dash or parenthesis is that a text begins with, if it does.
fn separator(text: &[u8], tables: &Tables) -> Option<usize> {
    let length = match text[0] {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => return None,
    };
    let character = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    tables.is_between(character).then_some(length)
}
