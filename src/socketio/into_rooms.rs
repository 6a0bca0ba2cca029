//! What can name rooms.

use bytestring::ByteString;

/// One room or several, by their names: a text, or an array, a slice or a `Vec` of texts. The id of a socket is the
/// name of a room with only that socket.
pub trait IntoRooms {
    /// The names of the rooms.
    fn into_rooms(self) -> Vec<ByteString>;
}

macro_rules! one_room {
    ($($name:ty),*) => {
        $(impl IntoRooms for $name {
            fn into_rooms(self) -> Vec<ByteString> {
                vec![self.into()]
            }
        })*
    };
}

one_room!(&str, String, Box<str>, ByteString);

impl IntoRooms for &String {
    fn into_rooms(self) -> Vec<ByteString> {
        vec![self.as_str().into()]
    }
}

impl IntoRooms for &ByteString {
    fn into_rooms(self) -> Vec<ByteString> {
        vec![self.clone()]
    }
}

impl<R: IntoRooms, const N: usize> IntoRooms for [R; N] {
    fn into_rooms(self) -> Vec<ByteString> {
        self.into_iter().flat_map(IntoRooms::into_rooms).collect()
    }
}

impl<R: IntoRooms> IntoRooms for Vec<R> {
    fn into_rooms(self) -> Vec<ByteString> {
        self.into_iter().flat_map(IntoRooms::into_rooms).collect()
    }
}

impl<'a, R> IntoRooms for &'a [R]
where
    &'a R: IntoRooms,
{
    fn into_rooms(self) -> Vec<ByteString> {
        self.iter().flat_map(IntoRooms::into_rooms).collect()
    }
}

impl<'a, R, const N: usize> IntoRooms for &'a [R; N]
where
    &'a R: IntoRooms,
{
    fn into_rooms(self) -> Vec<ByteString> {
        self.as_slice().into_rooms()
    }
}

impl<'a, R> IntoRooms for &'a Vec<R>
where
    &'a R: IntoRooms,
{
    fn into_rooms(self) -> Vec<ByteString> {
        self.as_slice().into_rooms()
    }
}

impl IntoRooms for &&str {
    fn into_rooms(self) -> Vec<ByteString> {
        vec![(*self).into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_one_room_and_a_collection_of_texts_several() {
        let names = ["a".to_owned(), "b".to_owned()];
        let strings = names.to_vec();
        for rooms in [
            ["a", "b"].into_rooms(),
            (&["a", "b"]).into_rooms(),
            ["a", "b"].as_slice().into_rooms(),
            vec!["a", "b"].into_rooms(),
            (&names).into_rooms(),
            (&strings).into_rooms(),
            strings.into_rooms(),
            names.map(ByteString::from).into_rooms(),
        ] {
            assert_eq!(rooms, ["a", "b"]);
        }
        for room in [
            "a".into_rooms(),
            "a".to_owned().into_rooms(),
            (&"a".to_owned()).into_rooms(),
            ByteString::from("a").into_rooms(),
            (&ByteString::from("a")).into_rooms(),
        ] {
            assert_eq!(room, ["a"]);
        }
    }
}
