//! Patterns against what the original was seen to say, a definition for short texts, and bounds; tests.

use super::*;
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use std::time::Duration;

fn yes(pattern: &str, name: &str) {
    assert!(
        matches(pattern.as_bytes(), name.as_bytes()),
        "{pattern} {name}"
    );
}

fn no(pattern: &str, name: &str) {
    assert!(
        !matches(pattern.as_bytes(), name.as_bytes()),
        "{pattern} {name}"
    );
}

/// What the original says for a directory of these names, patterns that begin with a brace aside.
#[test]
fn as_the_original() {
    let names = [
        "[z]", "a*b", "a.txt", "aXb1c", "aab", "ab.txt", "abc", "abcb", "b", "ff", "m1", "m2",
        "m3", "old", "{x",
    ];
    for (pattern, want) in [
        (
            "a*",
            &["a*b", "a.txt", "aXb1c", "aab", "ab.txt", "abc", "abcb"][..],
        ),
        ("a*b?c", &["aXb1c"]),
        ("*b", &["a*b", "aab", "abcb", "b"]),
        (
            "{a*,b}",
            &["a*b", "a.txt", "aXb1c", "aab", "ab.txt", "abc", "abcb", "b"],
        ),
        ("{*b,*c}", &["a*b", "aXb1c", "aab", "abc", "abcb", "b"]),
        ("a*b", &["a*b", "aab", "abcb"]),
        ("[z]", &["[z]"]),
        ("?", &["b"]),
        ("a?b", &["a*b", "aab"]),
        ("a**b", &["a*b", "aab", "abcb"]),
        ("*.txt", &["a.txt", "ab.txt"]),
        ("a{b,Xb1}c", &["aXb1c", "abc"]),
        ("{ab,aab}", &["aab"]),
        ("a{b*,x}", &["ab.txt", "abc", "abcb"]),
        ("{{b,x},old}", &["b", "old"]),
        ("{b}", &["b"]),
        ("}", &[]),
        ("{}", &[]),
        ("{a.txt,ab.txt}x", &[]),
        ("{a,ab}{.txt,c}", &["a.txt", "ab.txt", "abc"]),
        ("??", &["ff", "m1", "m2", "m3", "{x"]),
        ("a*a*b", &["aab"]),
        ("m[12]", &[]),
        ("m{1,2}", &["m1", "m2"]),
        ("{m}{1,2}", &["m1", "m2"]),
        ("{m1,*}d", &["old"]),
    ] {
        let got: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| matches(pattern.as_bytes(), name.as_bytes()))
            .collect();
        assert_eq!(got, want, "{pattern}");
    }
}

#[test]
fn where_the_original_gives_up() {
    yes("*{.exe,.com}", "a.exe");
    yes("*{b,c}", "abc");
    yes("a{,b}.txt", "a.txt");
    yes("a{b,}.txt", "a.txt");
    yes("a*b?c", "abxbyc");
    yes("a*b*c*", "abcb");
    yes("*?", "ab");
    yes("{}b", "b");
    yes("*{a,b}*{c,d}*", "xxbyyczz");
    // So many alternatives that all are followed at once.
    let many = "{a,b}".repeat(6);
    yes(&format!("{many}?c*"), "abababXcd");
    no(&format!("{many}?c*"), "abababcd");
    yes(&format!("{{*,}}/{many}"), "/bababa");
    assert!(denies(
        format!("{{*.{many},x}}").as_bytes(),
        b"q",
        Some(b"/d/q.aaabbb")
    ));
}

#[test]
fn braces_without_a_partner_are_text() {
    yes("{x", "{x");
    yes("x}", "x}");
    yes("{a,b", "{a,b");
    yes("{{a,b}", "{b");
    no("{{a,b}", "b");
    yes("a,b", "a,b");
    no("", "x");
    yes("", "");
}

/// This thread's time on the processor: what others take meanwhile does not count.
fn spent() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// attacks B-020, B-023.
#[test]
fn no_pattern_is_slow() {
    let name = [b'a'; 255];
    let stars = [b"a*".repeat(200), b"b".to_vec()].concat();
    let begin = spent();
    assert!(!matches(&stars, &name));
    assert!(spent() - begin < Duration::from_millis(50));
    let nested = [b"{".repeat(2000), b"a".to_vec(), b",*}".repeat(2000)].concat();
    let open = b"{*,".repeat(1365);
    let empty = [b"{,}".repeat(1300), b"b".to_vec()].concat();
    let begin = spent();
    for pattern in [&nested, &open, &empty] {
        let _ = matches(pattern, &name);
    }
    assert!(spent() - begin < Duration::from_millis(1500));
    assert!(matches(&[b'a'; LONGEST], &[b'a'; LONGEST]));
    assert!(!matches(&[b'a'; LONGEST + 1], &[b'a'; LONGEST + 1]));
}

#[test]
fn what_a_pattern_may_cost() {
    for cheap in ["a*b?", "{*.exe,*.com}", "{a,b}{a,b}{a,b}"] {
        assert_eq!(Pattern::new(cheap.as_bytes()).cost(255), 0, "{cheap}");
    }
    let dear = Pattern::new("{a,b}".repeat(6).as_bytes());
    assert_eq!(dear.cost(10), dear.states.len() * 10);
    assert!(dear.states.len() > 24 && dear.cost(0) == 0);
}

/// The definition, for short texts.
fn slow(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some(b'*') => (0..=text.len()).any(|at| slow(&pattern[1..], &text[at..])),
        Some(b'?') => !text.is_empty() && slow(&pattern[1..], &text[1..]),
        Some(b'{') if pairs(pattern)[0] => {
            let (mut depth, mut from, mut parts, mut end) = (0, 1, vec![], 0);
            for (at, byte) in pattern.iter().enumerate() {
                let paired = pairs(pattern)[at];
                match byte {
                    b'{' if paired => depth += 1,
                    b',' if depth == 1 => {
                        parts.push(&pattern[from..at]);
                        from = at + 1;
                    }
                    b'}' if paired => {
                        depth -= 1;
                        if depth == 0 {
                            parts.push(&pattern[from..at]);
                            end = at + 1;
                            break;
                        }
                    }
                    _ => {}
                }
            }
            parts
                .iter()
                .any(|part| slow(&[part, &pattern[end..]].concat(), text))
        }
        Some(byte) => text.first() == Some(byte) && slow(&pattern[1..], &text[1..]),
    }
}

proptest! {
    #[test]
    fn as_defined(pattern in "[ab*?]{0,3}(\\{[ab*]{0,2},[ab?]{0,2}\\})?[ab*]{0,2}(\\{[ab]?,\\{[a*]?,b\\},\\})?[ab]?", text in "[ab]{0,8}") {
        prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()), "{} {}", pattern, text);
    }

    #[test]
    fn both_ways_agree(pattern in "[ab/*]{0,2}\\{[ab/*]{0,2},(\\{[ab/]?,/[a*]?,b\\})?,[ab/?]{0,2}\\}[ab*]{0,2}", text in "/?[ab/]{0,6}") {
        let quick = Pattern::new(pattern.as_bytes());
        let all = Pattern { plains: Vec::new(), ..quick.clone() };
        prop_assert!(!quick.plains.is_empty());
        for begin in [Begin::Anyhow, Begin::AtSlash, Begin::NotAtSlash] {
            prop_assert_eq!(quick.fits(text.as_bytes(), begin), all.fits(text.as_bytes(), begin), "{} {}", pattern, text);
        }
    }

    #[test]
    fn any_bytes(pattern: Vec<u8>, text: Vec<u8>) {
        let _ = denies(&pattern, &text, Some(&text));
    }
}
