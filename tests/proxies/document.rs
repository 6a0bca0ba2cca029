//! What docs/proxies.md says.

const DOCUMENT: &str = include_str!("../../docs/proxies.md");

/// The first block of code in `language` below a heading.
pub fn block(heading: &str, language: &str) -> String {
    let below = DOCUMENT.split(&format!("\n{heading}\n")).nth(1);
    let below = below.unwrap_or_else(|| panic!("docs/proxies.md has no heading {heading:?}"));
    let begin = format!("```{language}\n");
    let code = below.split_once(&begin).and_then(|(before, rest)| {
        assert!(!before.contains("\n## ") && !before.contains("\n### "), "no {language} below {heading:?}");
        rest.split_once("\n```\n")
    });
    code.unwrap_or_else(|| panic!("no {language} below {heading:?}")).0.to_owned()
}

/// The flags that the document starts the server with.
pub fn flags() -> Vec<String> {
    let line = DOCUMENT.lines().find_map(|line| line.strip_prefix("echoroom ")).expect("a command");
    line.split_whitespace().map(str::to_owned).collect()
}

/// A configuration with other words in some places, all of which must be there.
pub fn replaced(mut text: String, replacements: &[(&str, String)]) -> String {
    for (old, new) in replacements {
        assert!(text.contains(old), "{old:?} is not in {text}");
        text = text.replace(old, new);
    }
    text
}
