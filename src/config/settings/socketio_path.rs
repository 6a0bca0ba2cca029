//! Rules for `--socketio-path` and `--path-prefix`.

/// First segments of paths that the server uses for something else. A test compares them with the route table.
pub const TAKEN: [&str; 11] = [
    "ws",
    "chat",
    "echo",
    "lesson",
    "avatars",
    "limits",
    "rooms",
    "health",
    "metrics",
    "admin",
    "index.html",
];

/// Segments of `TAKEN` below which every path is taken, too.
const TAKEN_WITH_ALL_BELOW: [&str; 3] = ["lesson", "avatars", "admin"];

/// Longest path, in bytes. Every request of a polling client contains it.
const MAX_PATH_BYTES: usize = 128;

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not begin with a slash.
    #[error("{0:?} does not begin with a slash, as /socket.io does")]
    NoSlash(String),
    /// The page's own address.
    #[error("{0:?} is the address of the page: Socket.IO needs a path of its own, such as /socket.io")]
    Page(String),
    /// An address of another door.
    #[error("{0:?} is taken: the server has something else at /{1}")]
    Taken(String, &'static str),
    /// A character that clients would encode, or that has a meaning in addresses or in the route table.
    #[error("{0:?} has the character {1:?}: a path is made of slashes, ASCII letters, digits and - . _ ~")]
    Character(String, char),
    /// `//`, `/./` or `/../`: clients would normalize it to another path.
    #[error("{0:?} has the segment {1:?}: clients would ask for another path")]
    Segment(String, String),
    /// More than `MAX_PATH_BYTES`.
    #[error("the path has {0} bytes, at most {MAX_PATH_BYTES} are taken")]
    TooLong(usize),
}

/// Checks a path, with or without a slash at its end.
///
/// # Errors
/// The first rule that the path breaks.
pub fn check(path: &str) -> Result<(), PathError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong(path.len()));
    }
    let shown = || path.to_owned();
    if path.is_empty() || path == "/" {
        return Err(PathError::Page(shown()));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    if let Some(other) = path.chars().find(|&c| !is_plain(c)) {
        return Err(PathError::Character(shown(), other));
    }
    let Some(below_root) = path.strip_prefix('/') else {
        return Err(PathError::NoSlash(shown()));
    };
    let segments: Vec<&str> = below_root.strip_suffix('/').unwrap_or(below_root).split('/').collect();
    if let Some(odd) = segments.iter().find(|segment| ["", ".", ".."].contains(segment)) {
        return Err(PathError::Segment(shown(), (*odd).to_owned()));
    }
    let taken = TAKEN.into_iter().find(|taken| *taken == segments[0]);
    match taken {
        Some(taken) if segments.len() == 1 || TAKEN_WITH_ALL_BELOW.contains(&taken) => {
            Err(PathError::Taken(shown(), taken))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_written_as_clients_write_it() {
        for good in
            ["/socket.io", "/socket.io/", "/io", "/a/b/c", "/ws/io", "/Chat", "/chats", "/~a_b-c.d", "/..."]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, word) in [
            ("", "address of the page"),
            ("/", "address of the page"),
            ("//", "segment \"\""),
            ("/a//b", "segment \"\""),
            ("/a//", "segment \"\""),
            ("/..", "segment \"..\""),
            ("/a/../b", "segment \"..\""),
            ("/./a", "segment \".\""),
            ("io", "begin with a slash"),
            ("socket.io/", "begin with a slash"),
            ("io x", "character ' '"),
            ("/io x", "character ' '"),
            ("/{", "character '{'"),
            ("/{a}", "character '{'"),
            ("/a}", "character '}'"),
            ("/a?b", "character '?'"),
            ("/a#b", "character '#'"),
            ("/a%20b", "character '%'"),
            ("/a*", "character '*'"),
            ("/a\\b", "character '\\\\'"),
            ("/é", "character 'é'"),
            ("/聊天", "character '聊'"),
            ("/a\n", "character '\\n'"),
            ("http://a/b", "character ':'"),
        ] {
            let error = check(bad).expect_err(bad).to_string();
            assert!(error.contains(word), "{bad:?}: {error}");
        }
        assert_eq!(check(&format!("/{}", "a".repeat(MAX_PATH_BYTES))), Err(PathError::TooLong(129)));
    }

    #[test]
    fn a_path_takes_the_place_of_no_other_door() {
        for taken in TAKEN {
            for path in [format!("/{taken}"), format!("/{taken}/")] {
                assert_eq!(check(&path), Err(PathError::Taken(path.clone(), taken)));
            }
        }
        for path in ["/lesson/io", "/avatars/io/x"] {
            assert!(matches!(check(path), Err(PathError::Taken(..))), "{path}");
        }
    }
}
