//! Owners of numbers: the longest registered prefix of a number gives its owner.

use hashbrown::HashMap;

/// The registered prefixes of one channel; the longest that matches counts.
///
/// A trie over digits and the plus sign; prefixes with other characters (internet senders) are kept in a map, which is
/// searched only where it has any.
#[derive(Debug, Default)]
pub struct Prefixes {
    nodes: Vec<Node>,
    named: HashMap<Box<[u8]>, u32>,
    named_lengths: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Node {
    next: [u32; 11],
    /// The holding (owner and permitted purposes) of the prefix that ends here, counted from 1; 0: none.
    holding: u32,
}

const NO_NODE: Node = Node { next: [0; 11], holding: 0 };

#[inline]
fn step(byte: u8) -> usize {
    let digit = byte.wrapping_sub(b'0');
    if digit <= 9 {
        digit as usize
    } else if byte == b'+' {
        10
    } else {
        11
    }
}

impl Prefixes {
    /// Adds a prefix, not empty, with its holding's index.
    pub fn add(&mut self, prefix: &[u8], holding: u32) {
        if prefix.iter().any(|byte| step(*byte) > 10) {
            self.named.insert(prefix.into(), holding);
            if !self.named_lengths.contains(&prefix.len()) {
                self.named_lengths.push(prefix.len());
                self.named_lengths.sort_unstable_by(|one, other| other.cmp(one));
            }
            return;
        }
        if self.nodes.is_empty() {
            self.nodes.push(NO_NODE);
        }
        let mut node = 0;
        for byte in prefix {
            let next = self.nodes[node].next[step(*byte)] as usize;
            node = if next != 0 {
                next
            } else {
                self.nodes.push(NO_NODE);
                let made = self.nodes.len() - 1;
                self.nodes[node].next[step(*byte)] = u32::try_from(made).expect("far fewer prefixes");
                made
            };
        }
        self.nodes[node].holding = holding + 1;
    }

    /// The holding of the longest prefix of a number.
    #[inline]
    pub fn longest(&self, number: &[u8]) -> Option<u32> {
        let mut found = 0;
        let mut length = 0;
        if !self.nodes.is_empty() {
            let mut node = 0;
            for (place, byte) in number.iter().enumerate() {
                let Some(next) = self.nodes[node].next.get(step(*byte)) else { break };
                if *next == 0 {
                    break;
                }
                node = *next as usize;
                if self.nodes[node].holding != 0 {
                    (found, length) = (self.nodes[node].holding, place + 1);
                }
            }
        }
        for length_of_named in &self.named_lengths {
            if *length_of_named > length
                && let Some(prefix) = number.get(..*length_of_named)
                && let Some(holding) = self.named.get(prefix)
            {
                return Some(*holding);
            }
        }
        found.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_owns_whatever_it_is_made_of() {
        let mut prefixes = Prefixes::default();
        for (holding, prefix) in ["1069", "106901", "app:", "app:x", "1069x", "+86"].iter().enumerate() {
            prefixes.add(prefix.as_bytes(), holding as u32);
        }
        for (number, holding) in [
            ("1069", Some(0)),
            ("10690", Some(0)),
            ("1069012", Some(1)),
            ("1069x1", Some(4)),
            ("app:y", Some(2)),
            ("app:x1", Some(3)),
            ("+8613", Some(5)),
            ("106", None),
            ("", None),
            ("\u{9000}", None),
        ] {
            assert_eq!(prefixes.longest(number.as_bytes()), holding, "{number}");
        }
    }
}
