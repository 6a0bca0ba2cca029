//! Nicknames of users.

use std::{fmt, sync::Arc};

use unicode_normalization::UnicodeNormalization as _;
use unicode_script::Script;
use unicode_segmentation::UnicodeSegmentation as _;

use super::text::{self, Flaw, is_control_or_bidi};

/// Maximum length of a nickname in extended grapheme clusters (Unicode annex 29).
pub(crate) const MAX_NICKNAME_GRAPHEMES: usize = 24;

/// Maximum length in code points: one grapheme can contain any number of marks.
const MAX_CHARS: usize = 4 * MAX_NICKNAME_GRAPHEMES;

/// Prefix of guest names, before the dash.
const RESERVED: &str = "guest";

/// The name of a user in a room: NFKC, trimmed, white space as single spaces, 1 to 24 graphemes, in one
/// script, without invisible characters, with few marks on a letter, and not drawn like a guest name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nickname(Arc<str>);

/// The case-folded nickname: equal for all its spellings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NicknameKey(Arc<str>);

/// The look of a nickname: two names with one look can be confused, so only one of them may be in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Look(Arc<str>);

/// Parse error of [`Nickname`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NicknameError {
    /// Nothing is left after trimming.
    #[error("a nickname needs at least 1 character")]
    Empty,
    /// More than [`MAX_NICKNAME_GRAPHEMES`], or one character with too many marks.
    #[error("a nickname has at most {MAX_NICKNAME_GRAPHEMES} characters, this one has more")]
    TooLong,
    /// A control, text-direction, invisible, unassigned or private-use character.
    #[error("a nickname cannot contain the character U+{:04X}", u32::from(*.0))]
    Forbidden(char),
    /// A letter with more marks than its script needs.
    #[error("a nickname has at most a few marks on a letter, this one has too many on U+{:04X}", u32::from(*.0))]
    TooManyMarks(char),
    /// Letters of scripts that no language mixes, with which one name could look like another.
    #[error("a nickname is written in one script, this one mixes {} and {}", .0.full_name(), .1.full_name())]
    MixedScripts(Script, Script),
    /// The name looks like a guest name.
    #[error("names that look like \"{RESERVED}-\" are for sessions without a name")]
    Reserved,
}

impl NicknameKey {
    /// The case-folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Nickname {
    /// Normalizes and checks `text`.
    ///
    /// # Errors
    /// The text breaks a rule of [`Nickname`]; the error names the rule.
    pub fn parse(text: &str) -> Result<Self, NicknameError> {
        // NFKC expands one character to at most 18, so a long text is rejected before that work.
        if text.chars().take(MAX_CHARS + 1).count() > MAX_CHARS {
            return Err(NicknameError::TooLong);
        }
        let normalized: String = text.nfkc().collect();
        // Check before white space is folded, which would hide line breaks.
        if let Some(found) = normalized.trim().chars().find(|&c| is_control_or_bidi(c)) {
            return Err(NicknameError::Forbidden(found));
        }
        let name = normalized.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err(NicknameError::Empty);
        }
        let graphemes = name.graphemes(true).take(MAX_NICKNAME_GRAPHEMES + 1).count();
        if graphemes > MAX_NICKNAME_GRAPHEMES || name.chars().count() > MAX_CHARS {
            return Err(NicknameError::TooLong);
        }
        text::check(&name).map_err(|flaw| match flaw {
            Flaw::Forbidden(found) => NicknameError::Forbidden(found),
            Flaw::Marks(letter) => NicknameError::TooManyMarks(letter),
        })?;
        if let Some((one, other)) = text::mixed_scripts(&name) {
            return Err(NicknameError::MixedScripts(one, other));
        }
        let name = Self(name.into());
        if name.is_a_guests() { Err(NicknameError::Reserved) } else { Ok(name) }
    }

    /// Whether the name looks like a guest name, with any confusable letters and any dash.
    fn is_a_guests(&self) -> bool {
        // The skeleton may turn a dash into another character, so check the written text too.
        let mut chars = self.0.char_indices().skip(1);
        let is_written_so = chars.any(|(at, c)| {
            text::is_dash(c) && {
                let before = self.0[..at].trim_end();
                [text::drawn(before), text::drawn(&text::folded(before))].iter().any(|look| look == RESERVED)
            }
        });
        is_written_so || self.looks().any(|look| look.is_a_guests())
    }

    /// The normalized name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The NFKC case folding of the name, equal for all its spellings.
    pub fn key(&self) -> NicknameKey {
        NicknameKey(text::folded(&self.0).into())
    }

    /// The looks of the name as written and in lower case: `AIice` (with a capital i) looks like `alice`, and
    /// `ILL` like `ill`. One look for both would make `Neil` and `Nell` one name.
    pub fn looks(&self) -> impl Iterator<Item = Look> + use<> {
        let (written, lower) = (text::drawn(&self.0), text::drawn(&text::folded(&self.0)));
        let lower = (lower != written).then_some(lower);
        std::iter::once(written).chain(lower).map(|look| Look(look.into()))
    }
}

impl Look {
    /// What two names with this look share.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the look of a guest name, with any dash.
    fn is_a_guests(&self) -> bool {
        let rest = self.0.strip_prefix(RESERVED).map(str::trim_start);
        rest.and_then(|rest| rest.chars().next()).is_some_and(text::is_dash)
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, NicknameError> {
        Nickname::parse(text).map(|name| name.to_string())
    }

    fn key(text: &str) -> NicknameKey {
        Nickname::parse(text).expect("a legal name").key()
    }

    #[test]
    fn a_nickname_is_normalized_trimmed_and_its_spaces_are_single() {
        assert_eq!(parse("  ＡＮＮ\u{3000} \u{A0}Lee "), Ok("ANN Lee".to_owned()));
        assert_eq!(parse("小明"), Ok("小明".to_owned()));
    }

    #[test]
    fn a_nickname_has_1_to_24_characters_as_people_count_them() {
        assert_eq!(parse(" \u{3000} "), Err(NicknameError::Empty));
        assert!(parse(&"名".repeat(24)).is_ok());
        assert_eq!(parse(&"名".repeat(25)), Err(NicknameError::TooLong));
        assert!(parse(&"👍🏽".repeat(24)).is_ok(), "an emoji with its skin tone is one");
        assert_eq!(parse(&format!("a{}", "\u{301}".repeat(200))), Err(NicknameError::TooLong));
        assert_eq!(parse(&"x".repeat(1 << 20)), Err(NicknameError::TooLong));
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for bad in [
            '\0',
            '\n',
            '\u{7F}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{202E}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{AD}',
            '\u{FE0F}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{34F}',
        ] {
            assert_eq!(
                parse(&format!("a{bad}b")),
                Err(NicknameError::Forbidden(bad)),
                "U+{:04X}",
                u32::from(bad)
            );
        }
        assert_eq!(parse("a\u{3164}b"), Err(NicknameError::Forbidden('\u{1160}')), "a filler, normalized");
        assert!(NicknameError::Forbidden('\u{200B}').to_string().contains("U+200B"));
    }

    #[test]
    fn a_joiner_is_legal_inside_an_emoji_only() {
        assert!(parse("👩\u{200D}💻").is_ok());
        assert!(parse("❤\u{FE0F}\u{200D}🔥").is_ok());
        assert!(parse("👩🏽\u{200D}🚀").is_ok());
        for bad in
            ["👩\u{200D}", "\u{200D}💻", "👩\u{200D}a", "1\u{200D}2", "👩\u{200D}\u{200D}💻", "a\u{FE0F}"]
        {
            assert!(matches!(parse(bad), Err(NicknameError::Forbidden(_))), "{bad:?}");
        }
    }

    #[test]
    fn names_of_the_server_are_reserved() {
        for bad in [
            "guest-1",
            "GUEST-",
            "Ｇuest-x",
            "guest\u{2010}5",
            "guest\u{2011}5",
            "guest\u{2013}5",
            "guest\u{2014}5",
            "guest\u{2212}5",
            "guestー5",
            "guest一5",
            "ɡuest-5",
            "guest -5",
            "Guest ~5",
            "guest\u{301C}5",
            "guest\u{30A0}5",
        ] {
            assert_eq!(parse(bad), Err(NicknameError::Reserved), "{bad}");
        }
        for mixed in ["guеst-1", "gυest-1"] {
            assert!(matches!(parse(mixed), Err(NicknameError::MixedScripts(..))), "{mixed}");
        }
        for legal in ["guest", "guest 5", "guests", "Guestavo", "guest5"] {
            assert!(parse(legal).is_ok(), "{legal}");
        }
    }

    #[test]
    fn no_line_of_any_kind_makes_a_name_of_the_server() {
        use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

        let dashes = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        let dashes = dashes.filter(|c| c.general_category() == GeneralCategory::DashPunctuation);
        let lines = "~\u{2D7}\u{2043}\u{2053}\u{207B}\u{208B}\u{2212}\u{223C}\u{23AF}\u{23E4}\u{2500}\u{2501}\u{2504}\u{2508}\
            \u{254C}\u{254D}\u{2574}\u{2576}\u{2578}\u{257A}\u{2796}\u{2F00}\u{30FC}\u{31D0}\u{4E00}\u{1173}\u{3161}\u{FF5E}\
            \u{FF70}\u{10110}\u{10191}\u{1D116}\u{640}\u{6D4}\u{1428}\u{2CBA}";
        for line in dashes.chain(lines.chars()) {
            for name in [format!("guest{line}5"), format!("GUEST {line}"), format!("ɡuest{line} 12")] {
                assert!(parse(&name).is_err(), "{name:?} with U+{:04X}", u32::from(line));
            }
        }
    }

    #[test]
    fn a_character_without_an_agreed_drawing_is_refused() {
        for bad in [
            '\u{378}',
            '\u{E000}',
            '\u{F8FF}',
            '\u{FFFC}',
            '\u{FFFD}',
            '\u{FFFE}',
            '\u{FFFF}',
            '\u{FDD0}',
            '\u{1FFFF}',
            '\u{F0000}',
            '\u{10FFFF}',
            '\u{600}',
            '\u{1D159}',
        ] {
            assert_eq!(
                parse(&format!("a{bad}b")),
                Err(NicknameError::Forbidden(bad)),
                "U+{:04X}",
                u32::from(bad)
            );
        }
    }

    #[test]
    fn a_letter_bears_a_few_marks() {
        let marked = |count| format!("a{}", "\u{301}\u{336}".repeat(count));
        assert!(parse(&marked(1)).is_ok());
        for count in [2, 5, 47] {
            assert_eq!(parse(&marked(count)), Err(NicknameError::TooManyMarks('á')), "{count}");
        }
        let sentence = NicknameError::TooManyMarks('á').to_string();
        assert!(sentence.contains("marks") && sentence.contains("U+00E1"), "{sentence}");
    }

    #[test]
    fn a_nickname_is_written_in_one_script() {
        for mixed in ["аlice", "Bοb", "раypal", "aliсe", "さ철수", "Ann עדי", "ann٣"] {
            assert!(matches!(parse(mixed), Err(NicknameError::MixedScripts(..))), "{mixed}");
        }
        let sentence = NicknameError::MixedScripts(Script::Cyrillic, Script::Latin).to_string();
        assert!(sentence.ends_with("mixes Cyrillic and Latin"), "{sentence}");
    }

    #[test]
    fn the_names_of_people_everywhere_are_nicknames() {
        for name in [
            "Ann",
            "O'Brien",
            "Jean-Luc",
            "D’Angelo",
            "María José",
            "Łukasz Żółć",
            "Zoë",
            "Ægir",
            "Ştefan",
            "Çağrı",
            "İpek",
            "Nguyễn Thị Minh Khai",
            "Nguye\u{302}\u{303}n",
            "Иван Петров",
            "Ёлка",
            "Їжак",
            "Ђорђе",
            "Γιώργος Παπαδόπουλος",
            "王小明",
            "李雷 Leo",
            "欧阳娜娜",
            "小ㄓ",
            "田中 太郎",
            "佐々木",
            "さくら",
            "マリー・アントワネット",
            "ヴィクター",
            "山田Taro",
            "김철수",
            "金철수 Kim",
            "محمد",
            "فاطمة الزهراء",
            "عبد الله",
            "علی\u{200C}رضا",
            "مُحَمَّد",
            "אברהם",
            "נִסִּים",
            "שָׁלוֹם",
            "राजेश कुमार",
            "श्रीदेवी",
            "ज़ैनब",
            "প্রিয়া",
            "ਗੁਰਪ੍ਰੀਤ",
            "தமிழ்ச்செல்வி",
            "లక్ష్మి",
            "ലക്ഷ്മി",
            "ශ්\u{200D}රී",
            "สมชาย",
            "ณัฐวุฒิ",
            "น้ำฝน",
            "ศิริพร ใจดี",
            "ကျော်စွာ",
            "សុខា",
            "སྒྲོལ་མ",
            "გიორგი",
            "Արմեն",
            "አበበ",
            "ann17",
            "Ann (work)",
            "★ann★",
            "【小明】",
            "ann_the_2nd",
            "🦊",
            "Ann 👩🏽\u{200D}🚀",
            "🏳\u{FE0F}\u{200D}🌈",
            "👨\u{200D}👩\u{200D}👧\u{200D}👦",
            "🇩🇪 Jürgen",
            "❤\u{FE0F}",
            "小明👍",
        ] {
            assert!(parse(name).is_ok(), "{name}: {:?}", parse(name));
        }
    }

    fn look_alike(one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|name| Nickname::parse(name).expect("a legal name"));
        one.looks().any(|look| other.looks().any(|of_other| of_other == look))
    }

    #[test]
    fn names_that_are_drawn_alike_share_a_look() {
        for (one, other) in [
            ("Alice", "AIice"),
            ("alice", "a1ice"),
            ("ILL", "ill"),
            ("ILL", "lll"),
            ("Oscar", "0scar"),
            ("coop", "соор"),
            ("BOB", "ВОВ"),
            ("AHH", "АНН"),
            ("NIKO", "ΝΙΚΟ"),
            ("Ann-Lee", "Ann\u{2010}Lee"),
            ("O'Brien", "O’Brien"),
            ("❤", "❤\u{FE0F}"),
            ("علی\u{200C}رضا", "علیرضا"),
            ("gina", "ɡina"),
            ("Bern", "Bem"),
            ("Ann", "ＡＮＮ"),
            ("Straße", "STRASSE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ] {
            assert!(look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_differ_to_the_eye_share_no_look() {
        for (one, other) in [
            ("Neil", "Nell"),
            ("Ann", "Anne"),
            ("ann1", "ann2"),
            ("bot10", "bot1"),
            ("Zoe", "Zoë"),
            ("田", "由"),
        ] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_spellings_of_a_name_have_one_key() {
        assert_eq!(key("Ann"), key("ａｎｎ"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
        assert_eq!(key("Café"), key("cafe\u{301}"));
        assert_eq!(key("ann  lee"), key("Ann Lee"));
        assert_ne!(key("ann"), key("anne"));
    }
}
