//! Pictures that users wear, by address, in bounded memory. The journal also has the pictures of users who
//! have sent a message.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{Avatar, ImageLimits, Picture, PictureId},
    logging,
};

/// The setting that the log names when the bound is reached.
const AVATAR_BYTES: &str = "--avatar-bytes (ECHOROOM_AVATAR_BYTES)";

/// Bytes of memory that a picture takes beside its own bytes.
const OVERHEAD: usize = 256;

/// At most this many pictures are examined when one more needs space.
const MOST_LOOKED_AT: usize = 32;

/// Milliseconds after which it is told again that a picture is in use: one day.
const KEEP_AGAIN: u64 = 24 * 3600 * 1000;

/// The picture of an avatar that is used at `now`, in milliseconds since 1970, if it is to be kept again beyond memory.
pub(super) fn picture_to_keep(avatar: &Avatar, now: u64) -> Option<Arc<Picture>> {
    let picture = avatar.as_picture()?;
    picture.must_be_kept(now.saturating_sub(KEEP_AGAIN), now).then(|| Arc::clone(picture))
}

/// Pictures by address, at most `max_bytes` of them. Shared by all workers.
#[derive(Debug)]
pub struct AvatarStore {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pictures: HashMap<PictureId, Slot>,
    /// Pictures by their last use, least recently used first.
    order: BTreeMap<u64, PictureId>,
    last_turn: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    picture: Arc<Picture>,
    turn: u64,
}

impl AvatarStore {
    /// An empty store that holds at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, state: Mutex::default() }
    }

    /// The avatar for `asked`: the name of a known avatar, a small picture as a data URL, or the address of a
    /// picture. The default avatar if `asked` is none of these.
    pub fn wear(&self, asked: &str, limits: ImageLimits) -> Avatar {
        if let Some(known) = Avatar::known(asked) {
            return known;
        }
        if let Ok(id) = PictureId::from_address(asked) {
            // A picture that is not in memory may be in the journal; if it is not, pages show the default.
            return self.find(&id).map_or_else(|| Avatar::address(id), Avatar::picture);
        }
        let picture = Picture::parse(asked, limits).ok();
        picture.and_then(|picture| self.add(picture)).map_or_else(Avatar::default, Avatar::picture)
    }

    /// An avatar as clients are sent it: the address of a picture, never the data URL that older journals
    /// hold.
    pub fn address_of<'a>(&self, avatar: &'a str, limits: ImageLimits) -> Cow<'a, str> {
        if avatar.starts_with("data:") {
            Cow::Owned(self.wear(avatar, limits).to_string())
        } else {
            Cow::Borrowed(avatar)
        }
    }

    /// A picture that is in memory; counts as a use of it.
    pub fn find(&self, id: &PictureId) -> Option<Arc<Picture>> {
        self.state().touch(id)
    }

    /// Adds a picture. `None` if worn pictures leave no space for it.
    pub fn add(&self, picture: Picture) -> Option<Arc<Picture>> {
        let mut state = self.state();
        if let Some(known) = state.touch(&picture.id()) {
            return Some(known);
        }
        if !state.make_room(size_of(&picture), self.max_bytes) {
            drop(state);
            logging::refused(
                AVATAR_BYTES,
                format_args!("no room for the picture of a user, who wears the default"),
            );
            return None;
        }
        Some(state.insert(picture))
    }

    /// Adds a picture that was read from the journal, if there is space.
    pub fn keep_in_memory(&self, picture: Picture) {
        let mut state = self.state();
        if state.touch(&picture.id()).is_none() && state.make_room(size_of(&picture), self.max_bytes) {
            state.insert(picture);
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.state().bytes
    }

    /// The bound on [`used`](Self::used), in bytes.
    pub fn bound(&self) -> usize {
        self.max_bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    fn touch(&mut self, id: &PictureId) -> Option<Arc<Picture>> {
        let turn = self.next_turn();
        let slot = self.pictures.get_mut(id)?;
        self.order.remove(&std::mem::replace(&mut slot.turn, turn));
        self.order.insert(turn, *id);
        Some(Arc::clone(&slot.picture))
    }

    fn insert(&mut self, picture: Picture) -> Arc<Picture> {
        let (picture, turn) = (Arc::new(picture), self.next_turn());
        self.bytes += size_of(&picture);
        self.order.insert(turn, picture.id());
        self.pictures.insert(picture.id(), Slot { picture: Arc::clone(&picture), turn });
        picture
    }

    /// Drops the least recently used pictures that no user wears, until `size` bytes fit. False if they do
    /// not fit.
    fn make_room(&mut self, size: usize, max_bytes: usize) -> bool {
        for _ in 0..MOST_LOOKED_AT {
            if self.bytes + size <= max_bytes {
                return true;
            }
            let Some((_, id)) = self.order.pop_first() else {
                return false;
            };
            let is_worn = self.pictures.get(&id).is_some_and(|slot| Arc::strong_count(&slot.picture) > 1);
            let turn = self.next_turn();
            match self.pictures.get_mut(&id) {
                Some(slot) if is_worn => {
                    slot.turn = turn;
                    self.order.insert(turn, id);
                }
                _ => {
                    if let Some(slot) = self.pictures.remove(&id) {
                        self.bytes -= size_of(&slot.picture);
                    }
                }
            }
        }
        self.bytes + size <= max_bytes
    }
}

fn size_of(picture: &Picture) -> usize {
    OVERHEAD + picture.bytes().len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn picture(number: u8) -> Picture {
        Picture::stored("image/png", Bytes::from(vec![number; 744])).expect("a type")
    }

    #[test]
    fn pictures_that_no_user_wears_give_way_the_longest_unused_first() {
        let store = AvatarStore::new(3000);
        let ids: Vec<_> = (0..3).map(|number| store.add(picture(number)).expect("room").id()).collect();
        assert!(store.find(&ids[0]).is_some());
        store.add(picture(3)).expect("room");
        assert!(store.find(&ids[1]).is_none(), "the longest unused");
        assert!(store.find(&ids[0]).is_some() && store.find(&ids[2]).is_some());
        assert_eq!((store.used(), store.bound()), (3000, 3000));
    }

    #[test]
    fn a_picture_that_a_user_wears_stays_and_one_without_room_becomes_the_default() {
        let store = AvatarStore::new(2000);
        let worn: Vec<_> =
            (0..2).map(|number| Avatar::picture(store.add(picture(number)).expect("room"))).collect();
        assert!(store.add(picture(2)).is_none());
        assert!(store.add(picture(1)).is_some(), "a picture that is there takes no more room");
        let first = PictureId::from_address(worn[0].as_str()).expect("an address");
        drop(worn);
        assert!(store.add(picture(2)).is_some());
        assert!(store.find(&first).is_none());
    }

    #[test]
    fn a_picture_larger_than_all_the_room_is_refused() {
        let store = AvatarStore::new(500);
        assert!(store.add(picture(1)).is_none());
        assert_eq!(store.used(), 0);
    }
}
