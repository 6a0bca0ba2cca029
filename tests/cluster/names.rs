//! Names over nodes: each is one user's, everywhere.

use std::{
    net::SocketAddr,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, EVERYSEC},
    node::{LEASE, Node, SHORT_LEASE},
    program::PATIENCE,
    runs::{Run, runs},
    visitor::Visitor,
};

/// Names that two users each want at once.
const NAMES: usize = 300;

/// Users that log in at a time.
const THREADS: usize = 12;

/// Has two users each log in under every name, at nodes that depend on chance. Gives back who is in.
fn claim_all(nodes: &[SocketAddr], run: &mut Run) -> Vec<Visitor> {
    let mut claims: Vec<_> = (0..2 * NAMES).map(|claim| (claim / 2, run.rng.below(nodes.len()))).collect();
    // The two claims of a name come close together, in an order that depends on chance.
    for at in 0..claims.len() {
        let other = (at + run.rng.below(THREADS)).min(claims.len() - 1);
        claims.swap(at, other);
    }
    claims.reverse();
    let (claims, winners) = (Mutex::new(claims), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some((name, node)) = claims.lock().expect("no panic").pop() else { return };
                    // Names that look alike are one name.
                    let name = if node == 0 { format!("user {name}") } else { format!("USER {name}") };
                    let data = json!({"username": name, "room": "names", "presence": "changes"});
                    match Visitor::try_login(nodes[node], &data) {
                        Ok(visitor) => winners.lock().expect("no panic").push(visitor),
                        Err(error) => assert_eq!(error["code"], "name_taken", "{name}"),
                    }
                }
            });
        }
    });
    winners.into_inner().expect("no panic")
}

/// The users of a room at a node, once there are so many.
fn users(node: SocketAddr, room: &str, count: usize) -> Vec<String> {
    let mut visitor = Visitor::login(node, &format!("visitor of {}", node.port()), room);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut users = visitor.users();
        users.retain(|name| !name.starts_with("visitor of "));
        if users.len() == count {
            return users;
        }
        assert!(Instant::now() < deadline, "{} users, not {count}", users.len());
        thread::sleep(Duration::from_millis(20));
    }
}

fn each_name_is_given_once(nodes: &[SocketAddr], run: &mut Run) {
    let winners = claim_all(nodes, run);
    let lists: Vec<_> = nodes.iter().map(|node| users(*node, "names", NAMES)).collect();
    let mut names: Vec<_> = winners.iter().map(|one| one.welcome["username"].as_str()).collect();
    names.sort_unstable();
    for list in &lists {
        let mut list: Vec<_> = list.iter().map(|name| Some(name.as_str())).collect();
        list.sort_unstable();
        assert_eq!(list, names, "all nodes have those users who were let in");
    }
}

#[test]
fn of_two_users_who_want_a_name_at_once_one_gets_it() {
    runs("names at one node", |run| each_name_is_given_once(&[Node::alone(&[]).address()], run));
}

#[test]
fn of_two_users_who_want_a_name_at_once_at_different_nodes_one_gets_it() {
    runs("names at three nodes", |run| {
        let cluster = Cluster::start(3, &EVERYSEC);
        each_name_is_given_once(&cluster.addresses(), run);
    });
}

/// What a user is known by to others, and to itself.
fn identity(visitor: &Visitor) -> (&str, &str) {
    let text = |field: &str| visitor.welcome[field].as_str().expect("a text");
    (text("uid"), text("token"))
}

#[test]
fn tabs_at_one_node_are_one_user_whose_name_is_held_for_the_bearer_of_its_token() {
    tabs_are_one_user([Node::alone(&[]).address(); 3]);
}

#[test]
fn tabs_at_two_nodes_are_one_user_whose_name_is_held_for_the_bearer_of_its_token_at_any_node() {
    tabs_are_one_user(Cluster::start(3, &EVERYSEC).three());
}

fn tabs_are_one_user([one, two, three]: [SocketAddr; 3]) {
    let mut witness = Visitor::login(three, "witness", "tea");
    let ann = Visitor::login(one, "ann", "tea");
    witness.hear("addUser", |user| user["username"] == "ann");
    let tab = Visitor::login_with(two, &ann.data());
    assert_eq!(identity(&tab), identity(&ann));
    assert_eq!((tab.welcome["count"].as_u64(), witness.users()), (Some(2), names(&["ann", "witness"])));
    let anew = |node| Visitor::try_login(node, &json!({"username": "Ann", "room": "tea"}));
    let is_taken = |node| anew(node).is_err_and(|error| error["code"] == "name_taken");
    // Both go without a farewell: only the second one is seen to go.
    let back = ann.data();
    drop(ann);
    assert!(is_taken(one));
    drop(tab);
    witness.hear("delUser", |user| user["username"] == "ann");
    assert!([one, two, three].into_iter().all(is_taken), "the name is held");
    let ann = Visitor::login_with(three, &back);
    assert_eq!(ann.welcome["token"], back["token"], "it takes over its name at another node");
    assert_eq!(witness.count("delUser", "ann"), 0, "the first tab's end was told to none");
    witness.hear("addUser", |user| user["username"] == "ann");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// As long as the leases of two nodes: others learn only then that a killed node is gone. The second one is killed about
/// when it may be taking the first one's users out.
#[test]
fn users_of_killed_nodes_go_after_the_lease_except_those_who_came_back_elsewhere() {
    runs("gravediggers", |run| {
        let mut cluster = Cluster::with(3, &EVERYSEC, &SHORT_LEASE);
        let nodes = cluster.addresses();
        let mut witness = Visitor::login(nodes[2], "witness", "tea");
        let first: Vec<_> =
            (0..30).map(|one| Visitor::login(nodes[0], &format!("first {one}"), "tea")).collect();
        let second: Vec<_> =
            (0..5).map(|one| Visitor::login(nodes[1], &format!("second {one}"), "tea")).collect();
        let back = first[0].data();
        cluster.nodes[0].kill();
        let killed = Instant::now();
        let mut ann = Visitor::login_with(nodes[2], &back);
        assert_eq!(ann.welcome["token"], back["token"]);
        let wait = LEASE - Duration::from_secs(1) + Duration::from_millis(run.rng.below(2500) as u64);
        thread::sleep(wait.saturating_sub(killed.elapsed()));
        cluster.nodes[1].kill();
        drop((first, second));
        let deadline = Instant::now() + PATIENCE;
        while witness.users() != names(&["first 0", "witness"]) {
            assert!(Instant::now() < deadline, "{:?}", witness.users());
            thread::sleep(Duration::from_millis(100));
        }
        ann.say("still here");
        assert_eq!(witness.count("delUser", "first 0"), 0, "it is not seen to go");
        cluster.nodes[0].start_again();
        cluster.nodes[0].wait_until_well();
        assert_eq!(users(nodes[0], "tea", 2), names(&["first 0", "witness"]));
    });
}

/// Opens guests at the nodes in turn, each of whom says something; checks that no two have one name.
fn guests_are_told_apart(nodes: &[SocketAddr]) {
    const GUESTS: usize = 30;
    let mut witness = Visitor::login(nodes[0], "witness", "tea");
    let guests: Vec<_> = (0..GUESTS)
        .map(|number| {
            let node = nodes[number % nodes.len()];
            let mut guest = crate::wire::Wire::open(node, "/ws?room=tea", PATIENCE).expect("connected");
            guest.send_text(&format!("guest {number} is here")).expect("sent");
            guest
        })
        .collect();
    let mut heard: Vec<_> = guests
        .iter()
        .map(|_| {
            let message = witness.hear("receiveMessage", |_| true);
            message["username"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert!(heard.iter().all(|name| name.starts_with("guest-")), "{heard:?}");
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(heard.len(), GUESTS, "{heard:?}");
}

#[test]
fn guests_of_one_node_are_told_apart() {
    guests_are_told_apart(&[Node::alone(&[]).address()]);
}

#[test]
fn guests_of_three_nodes_are_told_apart() {
    guests_are_told_apart(&Cluster::start(3, &EVERYSEC).addresses());
}

#[test]
fn users_who_come_at_once_to_two_nodes_see_each_other() {
    let cluster = Cluster::start(2, &EVERYSEC);
    let nodes = cluster.addresses();
    for number in 0..40 {
        let room = format!("room {number}");
        let login = |node: usize, name| Visitor::login(nodes[node], name, &room);
        let mut both = thread::scope(|scope| {
            let ann = scope.spawn(|| login(0, "ann"));
            let ben = login(1, "ben");
            [ann.join().expect("no panic"), ben]
        });
        let deadline = Instant::now() + PATIENCE / 4;
        // Both stay until the end.
        for visitor in &mut both {
            loop {
                let users = visitor.users();
                if users == ["ann", "ben"] {
                    break;
                }
                assert!(Instant::now() < deadline, "{room}: {} sees {users:?}", visitor.welcome);
            }
        }
    }
}
