//! Log lines of what Redis refuses.

use crate::logging::{self, Shown};

/// The kinds of refusals that have log lines of their own, by how Redis begins them.
const KINDS: [(&str, &str); 7] = [
    ("NOPERM", "Redis (NOPERM)"),
    ("OOM", "Redis (OOM)"),
    ("MOVED", "Redis (MOVED)"),
    ("READONLY", "Redis (READONLY)"),
    ("CLUSTERDOWN", "Redis (CLUSTERDOWN)"),
    ("MISCONF", "Redis (MISCONF)"),
    ("WRONGTYPE", "Redis (WRONGTYPE)"),
];

/// The kind of a refusal that has no line of its own.
const OTHER: &str = "Redis (another refusal)";

/// Logs that Redis has refused a command of Socket.IO: once a minute for each kind.
pub(super) fn log(command: &str, text: &str) {
    logging::refused(kind_of(text), format_args!("{command} of Socket.IO was refused: {}", Shown(text)));
}

fn kind_of(text: &str) -> &'static str {
    let known = KINDS.iter().find(|(begin, _)| text.strip_prefix(begin).is_some_and(is_end_of_word));
    known.map_or(OTHER, |(_, kind)| kind)
}

fn is_end_of_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_of_the_kind_of_its_first_word() {
        assert_eq!(kind_of("OOM command not allowed"), "Redis (OOM)");
        assert_eq!(kind_of("MOVED 1 a:2"), "Redis (MOVED)");
        assert_eq!(kind_of("NOPERMIT"), OTHER);
        assert_eq!(kind_of(""), OTHER);
    }
}
