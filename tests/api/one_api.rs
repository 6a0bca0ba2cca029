//! The program is built on the public API of Socket.IO and on nothing else of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn source(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).expect("a source")
}

/// All sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The words of a list of imports, such as `{Event, socket::{Ack, Socket}}`, that are names of items.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let words = list.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.chars().next().is_some_and(char::is_uppercase))
}

/// What a text imports behind `prefix`: one path, or a list in braces.
fn imported<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut lists = Vec::new();
    for (place, _) in text.match_indices(prefix) {
        let is_name =
            text[..place].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "_.".contains(c));
        let rest = &text[place + prefix.len()..];
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ';' || depth < 0 || depth == 0 && !c.is_alphanumeric() && !"_:{}".contains(c)
        });
        if !is_name {
            lists.push(&rest[..end.unwrap_or(rest.len())]);
        }
    }
    lists
}

#[test]
fn outside_of_its_folder_only_the_public_items_of_socketio_are_named() {
    let page = source("socketio/mod.rs");
    let lists = page.match_indices("\npub use ").map(|(place, _)| &page[place..]);
    let public: BTreeSet<_> =
        lists.flat_map(|list| items(list.split(';').next().unwrap_or_default())).collect();
    let public: BTreeSet<_> = public.into_iter().chain(["Refusal"]).collect();
    assert!(public.contains("Server") && public.contains("Socket"), "{public:?}");
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut named = BTreeSet::new();
    for file in files {
        let name = file.display().to_string();
        if ["/src/socketio/", "/src/protocol/", "/src/config/"].iter().any(|folder| name.contains(folder)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source");
        // What this crate's tests use beside the public API is private, too.
        let text = text.split("pub mod testing {").next().unwrap_or_default();
        // Comments and settings name the word, too.
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for list in imported(&code, "socketio::") {
            // `protocol::socketio::` is another module.
            let is_protocol = code.contains(&format!("protocol::socketio::{list}")) || list.contains("MAIN");
            for item in items(list).filter(|_| !is_protocol) {
                assert!(public.contains(item), "{name} names {item}, which is not public");
                named.insert(item.to_owned());
            }
            assert!(
                is_protocol || !list.trim_start_matches('{').starts_with(char::is_lowercase),
                "{name}: {list}"
            );
        }
    }
    assert!(named.contains("Server") && named.contains("Event"), "the search finds what there is: {named:?}");
}

#[test]
fn the_chat_and_the_relay_handle_the_events_of_a_socket_one_after_another() {
    for file in ["session/chat_socket.rs", "session/relay.rs"] {
        assert_eq!(source(file).matches(".sequential()").count(), 1, "{file}");
    }
}
