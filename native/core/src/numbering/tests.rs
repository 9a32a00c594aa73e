//! Numbers of every kind, by the shipped policies' patterns.

use super::*;

/// The shipped policies' patterns.
pub(crate) fn shipped() -> Patterns {
    let redress = ["12300", "12321", "12315", "12345", "10000", "10001", "10010", "10015", "10086", "10099"];
    Patterns {
        help: r"((\+?86|0)(10|2[0-9]|[3-9][0-9]{2}))?(110|112|119|120|122|999)|000|08|118|911|12110[0-9]{0,6}|urn:service:sos(\..+)?".into(),
        redress: redress.map(String::from).to_vec(),
        short: "1[0-2][0-9]{1,4}|9[56][0-9]{3,6}|[48]00[0-9]{7}".into(),
        subscriber: r"\+[1-9][0-9]{6,14}".into(),
        country: "86".into(),
        mobile: "1[3-9][0-9]{9}|14[0-9]{11}|1064[0-9]{9}".into(),
        fixed: "(10|2[0-9])[2-9][0-9]{7}|([35-7][0-9]{2}|[48](0[1-9]|[1-9][0-9])|9([0-47-9][0-9]|5[1-5]))[2-9][0-9]{6,7}".into(),
        port: "106[0-9]+".into(),
    }
}

fn numbering() -> Numbering {
    Numbering::new(&shipped()).expect("plain patterns")
}

fn person(number: u64) -> Option<Number<'static>> {
    Some(Number::Person(number))
}

#[test]
fn what_lacks_the_plus_or_the_country_is_read() {
    let numbering = numbering();
    for text in ["+8613800138000", "8613800138000", "008613800138000", "13800138000"] {
        assert_eq!(numbering.read(text.as_bytes()), person(8_613_800_138_000), "{text}");
        assert_eq!(numbering.recipient(text.as_bytes()), Some((ToKind::Person, Some(8_613_800_138_000))), "{text}");
    }
    for text in ["+861087654321", "861087654321", "00861087654321"] {
        assert_eq!(numbering.read(text.as_bytes()), person(861_087_654_321), "{text}");
    }
    for (text, number) in [
        ("1064123456789", 861_064_123_456_789),
        ("1491234567890", 861_491_234_567_890),
        ("+869558812345", 869_558_812_345),
        ("+85223456789", 85_223_456_789),
        ("+13800138000", 13_800_138_000),
    ] {
        assert_eq!(numbering.read(text.as_bytes()), person(number), "{text}");
    }
}

#[test]
fn what_stands_as_it_is_read_keeps_its_kind() {
    let numbering = numbering();
    for (text, kind) in [
        ("110", ToKind::Help),
        ("12110123456", ToKind::Help),
        ("8610110", ToKind::Help),
        ("+8610110", ToKind::Help),
        ("12300", ToKind::Redress),
        ("95588", ToKind::Short),
        ("4008001234", ToKind::Short),
        ("1069012345", ToKind::Other),
        ("87654321", ToKind::Other),
        ("138001380001", ToKind::Other),
        ("1", ToKind::Other),
        ("x00110", ToKind::Other),
    ] {
        assert_eq!(numbering.recipient(text.as_bytes()), Some((kind, None)), "{text}");
    }
}

#[test]
fn what_takes_more_is_left_to_python() {
    let numbering = numbering();
    for text in [
        "",
        "+",
        "000",
        "08",
        "010110",
        "+86110",
        "86110",
        "+86086110",
        "+8612300",
        "8612300",
        "+8695588",
        "8695588",
        "+8601087654321",
        "8675512345678",
        "01087654321",
        "013800138000",
        "+008613800138000",
        "+08613800138000",
        "00110",
        "+86138001380001",
        "+108613800138000",
        "+1064123456789",
        "+12110123456",
        "+110",
        "0085223456789",
        "+86106901234",
        "8610 95588",
        "138 0013 8000",
        "+86-13800138000",
        "tel:+8613800138000",
        "110#",
        "urn:service:sos",
        "１３８００１３８０００",
        "86138001380001",
        "861095588",
        "0086138001380001",
        "+8613800138000\u{200b}",
    ] {
        assert_eq!(numbering.read(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn on_the_senders_side_of_an_sms_a_port_is_one_whatever_stands_before_it() {
    let numbering = numbering();
    for text in ["1069012345", "861069012345", "+861069012345", "00861069012345"] {
        let port = Number::Other(&b"1069012345"[..]);
        assert_eq!(numbering.source(text.as_bytes(), Side::Sms), Some((FromKind::Port, port)), "{text}");
    }
    // Things and lines of Peking, of which some look like ports.
    for text in ["1064123456789", "+861064123456789", "+861069012345", "861069012345"] {
        assert!(matches!(numbering.source(text.as_bytes(), Side::Sms), Some((FromKind::Port, _))), "{text}");
        assert!(matches!(numbering.source(text.as_bytes(), Side::Call), Some((FromKind::Person, _))), "{text}");
    }
    let number = Number::Person(8_613_800_138_000);
    for side in [Side::Sms, Side::Call] {
        assert_eq!(numbering.source(b"8613800138000", side), Some((FromKind::Person, number)));
        assert_eq!(numbering.source(b"", side), Some((FromKind::Missing, Number::Other(b""))));
        for text in ["12", "123456789012345678901", "Acme", "x12345"] {
            let malformed = Some((FromKind::Malformed, Number::Other(text.as_bytes())));
            assert_eq!(numbering.source(text.as_bytes(), side), malformed, "{text}");
        }
        assert_eq!(numbering.source(b"+8610110", side), None);
    }
}

#[test]
fn on_the_internet_nothing_is_read() {
    let numbering = numbering();
    for text in ["app:x", "13800138000", "861069012345", "+x"] {
        let identifier = Some((FromKind::Identifier, Number::Other(text.as_bytes())));
        assert_eq!(numbering.source(text.as_bytes(), Side::Internet), identifier, "{text}");
    }
    let number = Number::Person(8_613_800_138_000);
    assert_eq!(numbering.source(b"+8613800138000", Side::Internet), Some((FromKind::Person, number)));
    for text in ["+8695588123", "+8610110", "+86755110"] {
        assert_eq!(numbering.source(text.as_bytes(), Side::Internet), None, "{text}");
    }
}

#[test]
fn whatever_is_settled_by_its_first_digits_is_what_its_patterns_say() {
    let mut patterns = shipped();
    patterns.help += r"|\+1911[0-9]{7}|\+8613912345[0-9]*";
    patterns.redress.push("+8613800138000".into());
    let numbering = Numbering::new(&patterns).expect("plain patterns");
    let (mut settled, mut all) = (0, 0);
    for start in ["+1911", "+191", "+8610", "+8621", "+8613", "+8615", "+861008", "+86", "+100", "+999", "+0", "+852"] {
        for length in start.len()..18 {
            for digit in ["0", "1", "5", "110", "86", "2345", "12345", "9123456", "800138000"] {
                let number: String = start.chars().chain(digit.chars().cycle()).take(length).collect();
                let text = number.as_bytes();
                all += 1;
                if parse(text).is_some() && numbering.is_settled(text) {
                    settled += 1;
                    assert!(may_be_international(text), "{number}");
                    assert!(is_person(numbering.found(text), number.starts_with("+86")), "{number}");
                }
            }
        }
    }
    assert!(settled > 100, "{settled} of {all}");
    assert!(numbering.is_settled(b"+8615800138000"), "mobile numbers are");
}
