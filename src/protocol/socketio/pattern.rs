//! Patterns of namespace names.

use std::fmt;

/// A pattern of namespace names, such as `/room-*`.
///
/// A `*` stands for one or more characters other than `/`, and more than one `*` in a row are one. All other
/// characters stand for themselves. As with names, a `/` is put in front of a pattern that has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// The text before the first `*`.
    start: Box<str>,
    /// The texts between one `*` and the next.
    middle: Vec<Box<str>>,
    /// The text behind the last `*`. None if the pattern has no `*`.
    end: Option<Box<str>>,
}

impl Pattern {
    /// The pattern of a text.
    pub(crate) fn new(text: &str) -> Self {
        let slash = if text.starts_with('/') { "" } else { "/" };
        let mut parts = text.split('*');
        let start = format!("{slash}{}", parts.next().unwrap_or_default()).into();
        let end = parts.next_back().map(Box::from);
        let middle = parts.filter(|part| !part.is_empty()).map(Box::from).collect();
        Self { start, middle, end }
    }

    /// Whether a name, with its `/` in front, is one of the pattern. Takes time in proportion to the length of
    /// the name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some(mut rest) = name.strip_prefix(&*self.start) else { return false };
        let Some(end) = &self.end else { return rest.is_empty() };
        for part in &self.middle {
            // The first place is as good as any: no `*` reaches beyond the next `/`.
            let found = rest.char_indices().nth(1).and_then(|(second, _)| {
                let at = second + rest[second..].find(&**part)?;
                is_star(&rest[..at]).then(|| &rest[at + part.len()..])
            });
            let Some(behind) = found else { return false };
            rest = behind;
        }
        rest.strip_suffix(&**end).is_some_and(is_star)
    }
}

/// Whether a `*` stands for a text.
fn is_star(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start)?;
        self.middle.iter().try_for_each(|part| write!(f, "*{part}"))?;
        self.end.iter().try_for_each(|part| write!(f, "*{part}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_is_one_or_more_characters_other_than_a_slash() {
        for (pattern, names, others) in [
            (
                "/room-*",
                &["/room-1", "/room-a b?é", "/room--"][..],
                &["/room-", "/room-1/2", "/room", "room-1"][..],
            ),
            ("/*", &["/a", "/*"], &["/", "", "//", "/a/b"]),
            ("*", &["/a"], &["/", "a"]),
            ("/a", &["/a"], &["/", "/ab", "/*"]),
            ("a", &["/a"], &["a"]),
            ("", &["/"], &["", "/a"]),
            ("/*/b", &["/a/b", "/b/b"], &["//b", "/a/a/b", "/a/b/"]),
            ("/*/*", &["/a/b"], &["/a/", "/a", "/a/b/c"]),
            ("/**", &["/a", "/ab"], &["/"]),
            ("/a*a", &["/aba", "/aaa"], &["/aa", "/a"]),
            ("/*a*b", &["/xaxb", "/aaab", "/éaéb", "/aaxbb"], &["/axb", "/xab", "/xaxbc", "/xa/b"]),
            ("/x*ab*ab", &["/x-ab-ab", "/xabab-ab", "/xabababab"], &["/xabab", "/x-ab"]),
        ] {
            let pattern = Pattern::new(pattern);
            names.iter().for_each(|name| assert!(pattern.matches(name), "{pattern} {name}"));
            others.iter().for_each(|name| assert!(!pattern.matches(name), "{pattern} {name}"));
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_was_written() {
        for text in ["/", "/a", "/room-*", "/*a*b", "/*/*"] {
            assert_eq!(Pattern::new(text).to_string(), text);
        }
        assert_eq!(Pattern::new("a**b").to_string(), "/a*b");
    }

    /// The definition, tried in every way.
    fn reference(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', '*', rest @ ..], _) => reference(&[&['*'], rest].concat(), name),
            (['*', rest @ ..], [first, others @ ..]) if *first != '/' => {
                reference(rest, others) || reference(pattern, others)
            }
            ([expected, rest @ ..], [first, others @ ..]) if expected == first && *first != '*' => {
                reference(rest, others)
            }
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_pattern_matches_by_its_definition(pattern in "/[ab*/é]{0,8}", name in "/[ab/é]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), reference(&chars(&pattern), &chars(&name)));
        }
    }

    #[test]
    fn a_long_name_against_many_stars_takes_no_time() {
        let pattern = Pattern::new(&format!("/{}b", "*a".repeat(1000)));
        assert!(!pattern.matches(&format!("/{}", "a".repeat(100_000))));
    }
}
