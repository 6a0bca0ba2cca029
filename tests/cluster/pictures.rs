//! Avatar pictures at their addresses, at all nodes.

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC},
    visitor::Visitor,
};

/// A picture of 1 pixel, as a data URL.
pub const PIXEL: &str = "data:image/png;base64,\
    iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[test]
fn the_address_of_a_picture_answers_at_each_node_also_when_the_node_of_its_user_was_killed() {
    let mut cluster = Cluster::start(3, &EVERYSEC);
    let login = json!({"username": "ann", "room": "tea", "avatar": PIXEL});
    let mut ann = Visitor::login_with(cluster.nodes[0].address(), &login);
    let address = ann.welcome["avatar"].as_str().expect("an address").to_owned();
    assert!(address.starts_with("/avatars/"), "{address}");
    // What was said is in Redis behind the picture.
    ann.say("hello");
    let status = |cluster: &Cluster, node: usize| cluster.nodes[node].status(&address);
    assert_eq!(status(&cluster, 1), Some(200));
    cluster.nodes[0].kill();
    assert_eq!([1, 2].map(|node| status(&cluster, node)), [Some(200); 2]);
    assert_eq!(cluster.nodes[2].status("/avatars/AAAAAAAAAAAAAAAAAAAAAA"), Some(404));
    // A user who comes back elsewhere wears it by its address.
    let again = json!({"username": "ann", "room": "tea", "avatar": address, "token": ann.welcome["token"]});
    let ann = Visitor::login_with(cluster.nodes[2].address(), &again);
    assert_eq!(ann.welcome["avatar"], address);
}
