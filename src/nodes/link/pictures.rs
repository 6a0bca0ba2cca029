//! Avatar pictures on their way to Redis.

use std::{collections::HashMap, sync::Arc};

use super::turn::{About, Turn};
use crate::{
    domain::{Picture, PictureId},
    nodes::commands::Command,
};

/// Pictures that Redis has not taken yet. Each is worn, and in memory anyway.
#[derive(Debug, Default)]
pub(super) struct Pictures(HashMap<PictureId, Arc<Picture>>);

impl Pictures {
    /// Has Redis keep a picture, now or when it can be reached.
    pub(super) fn keep(&mut self, picture: Arc<Picture>, turn: &mut Turn<'_>) {
        ask(&picture, turn);
        self.0.insert(picture.id(), picture);
    }

    /// Redis has taken a picture.
    pub(super) fn kept(&mut self, id: &PictureId) {
        self.0.remove(id);
    }

    /// Asks again for all that Redis has not taken.
    pub(super) fn ask_again(&self, turn: &mut Turn<'_>) {
        self.0.values().for_each(|picture| ask(picture, turn));
    }
}

/// Asks Redis to keep a picture, if the node has joined.
fn ask(picture: &Arc<Picture>, turn: &mut Turn<'_>) {
    if !turn.open.is_empty() {
        turn.call(About::Picture(picture.id()), Command::KeepPicture { picture: Arc::clone(picture) });
    }
}
