//! The policy's patterns for numbers, and which of them mean the same to Python and here.

/// The policy's patterns, each of a whole number.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Patterns {
    pub help: String,
    pub redress: Vec<String>,
    pub short: String,
    pub subscriber: String,
    /// The country's calling code, without its plus.
    pub country: String,
    /// Of a number within the country, without anything before it; so are `fixed` and `port`.
    pub mobile: String,
    pub fixed: String,
    pub port: String,
}

/// Whether a pattern is made of nothing but what both engines read alike: ASCII literals, sets, groups, alternatives,
/// greedy repetition, a point for any character but a line's end.
pub(super) fn plain(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    let mut repeated = false;
    while at < bytes.len() {
        let repeats = matches!(bytes[at], b'?' | b'*' | b'+' | b'{');
        if repeats && repeated {
            return false; // lazy or possessive
        }
        repeated = repeats;
        match bytes[at] {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'-' | b'_' | b'|' | b')' | b'.' | b'?' | b'*' | b'+' => {
                at += 1
            }
            b'(' => {
                at += 1;
                if bytes.get(at) == Some(&b'?') {
                    if bytes.get(at + 1) != Some(&b':') {
                        return false;
                    }
                    at += 2;
                }
            }
            b'\\' => {
                if !matches!(bytes.get(at + 1), Some(b'+' | b'.' | b'-' | b'*' | b'(' | b')')) {
                    return false;
                }
                at += 2;
            }
            b'[' => {
                let Some(length) = bytes[at..].iter().position(|byte| *byte == b']') else { return false };
                let inner = &bytes[at + 1..at + length];
                if inner.is_empty() || !inner.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
                    return false;
                }
                at += length + 1;
            }
            b'{' => {
                let Some(length) = bytes[at..].iter().position(|byte| *byte == b'}') else { return false };
                let inner = &bytes[at + 1..at + length];
                if !inner.first().is_some_and(u8::is_ascii_digit)
                    || !inner.iter().all(|byte| byte.is_ascii_digit() || *byte == b',')
                {
                    return false;
                }
                at += length + 1;
            }
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_two_engines_may_read_in_two_ways_are_refused() {
        for pattern in [r"\d+", "(?i)a", "a(?=b)", "a+?", "a*+", "[^a]", "^a", "a$", "é", r"(\w)\1", "{,3}", "a{,3}"] {
            assert!(!plain(pattern), "{pattern}");
        }
        for pattern in [r"\+[1-9][0-9]{6,14}", r"((\+86|0)(10|2[0-9]))?(110)|urn:service:sos(\..+)?", "(?:a|b)c{2}"] {
            assert!(plain(pattern), "{pattern}");
        }
    }
}
