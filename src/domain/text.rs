//! Rules on the characters of names, and their looks.

use caseless::Caseless as _;
use unicode_normalization::{UnicodeNormalization as _, char::canonical_combining_class};
use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _,
};
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::{mixed_script::AugmentedScriptSet, skeleton};

const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';
const EMOJI_PRESENTATION: char = '\u{FE0F}';

/// Canonical combining class of the viramas, which join two consonants.
const VIRAMA: u8 = 9;

/// Maximum of nonspacing marks on one letter. Burmese words need five, Hebrew with vowel points four.
const MAX_NONSPACING_MARKS: usize = 5;

/// Maximum of nonspacing marks in scripts whose marked letters are mostly precomposed after normalization.
const MAX_MARKS_OF_COMPOSED: usize = 2;

/// Maximum of marks of any kind after one letter.
const MAX_MARKS: usize = 8;

/// The reason why a text cannot be a part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A character without a glyph, or without an agreed one.
    Forbidden(char),
    /// Too many marks on this letter.
    Marks(char),
}

/// Control characters, line and paragraph separators, and direction marks (Unicode's `Bidi_Control`), with
/// which one name could be drawn as another.
pub(super) fn is_control_or_bidi(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character draws nothing by itself, so that two different names could look equal: formats
/// (zero-width spaces and joiners, direction marks, tags), variation selectors, fillers and the blank braille
/// pattern (Unicode's `Default_Ignorable_Code_Point` and similar ones).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{16FE4}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether a character has no agreed glyph: unassigned (including noncharacters), private use, the
/// replacement characters for objects and unreadable text, and controls and formats that [`is_invisible`]
/// does not list.
fn is_undrawn(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::Unassigned
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || matches!(c, '\u{FFFC}' | '\u{FFFD}')
}

/// The first flaw in a normalized name: an invisible character, or marks drawn over other characters.
pub(super) fn check(name: &str) -> Result<(), Flaw> {
    check_drawn(name)?;
    check_marks(name)
}

/// Checks that invisible characters change what is drawn: a joiner between two emoji, the presentation mark
/// after one, and joiners inside words of scripts that need them.
fn check_drawn(name: &str) -> Result<(), Flaw> {
    // The last two visible characters.
    let (mut before, mut last) = (None, None);
    let mut has_joined = false;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if !is_invisible(c) && !is_undrawn(c) {
            (before, last, has_joined) = (last, Some(c), false);
            continue;
        }
        let next = chars.peek().copied();
        let is_seen = match c {
            // A presentation mark may stand between an emoji and its joiner.
            EMOJI_PRESENTATION => !has_joined && last.is_some_and(is_emoji),
            ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER if has_joined => false,
            ZERO_WIDTH_JOINER if last.is_some_and(is_emoji) => next.is_some_and(is_emoji),
            ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => joins_letters(c, before, last, next),
            _ => false,
        };
        if !is_seen {
            return Err(Flaw::Forbidden(c));
        }
        has_joined = c != EMOJI_PRESENTATION;
    }
    Ok(())
}

/// Excludes digits and `#`, which are emoji characters too: a joiner after them is invisible.
fn is_emoji(c: char) -> bool {
    c.is_emoji_char() && !c.is_ascii()
}

/// Whether a joiner or non-joiner is visible between these characters (RFC 5892, appendix A, shortened):
/// after a virama, or a non-joiner between two Arabic letters of which the first would join.
fn joins_letters(joiner: char, before: Option<char>, last: Option<char>, next: Option<char>) -> bool {
    let (Some(last), Some(next)) = (last, next) else { return false };
    if canonical_combining_class(last) == VIRAMA {
        return before.is_some_and(is_letter) && is_letter(next);
    }
    joiner == ZERO_WIDTH_NON_JOINER
        && joins_forward(last)
        && next.script() == Script::Arabic
        && is_letter(next)
}

fn is_letter(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
}

/// Whether an Arabic letter joins the next one; letters that do not are listed.
fn joins_forward(c: char) -> bool {
    let stands_apart = matches!(c,
        '\u{621}'..='\u{625}' | '\u{627}' | '\u{629}' | '\u{62F}'..='\u{632}' | '\u{648}' | '\u{671}'..='\u{677}'
        | '\u{688}'..='\u{699}' | '\u{6C0}' | '\u{6C3}'..='\u{6CB}' | '\u{6CD}' | '\u{6CF}' | '\u{6D2}'..='\u{6D5}'
        | '\u{6EE}'..='\u{6EF}');
    c.script() == Script::Arabic && is_letter(c) && !stands_apart
}

/// Checks that a letter has few marks, none repeated, and that each mark has a letter.
fn check_marks(name: &str) -> Result<(), Flaw> {
    let mut base = None;
    let (mut marks, mut nonspacing) = (0, 0);
    let mut previous = '\0';
    for c in name.chars() {
        let kind = c.general_category();
        let is_nonspacing = is_nonspacing(c);
        if !is_nonspacing && kind != GeneralCategory::SpacingMark {
            (base, marks, nonspacing) = (Some(c), 0, own_marks(c));
        } else if c != EMOJI_PRESENTATION {
            marks += 1;
            nonspacing += usize::from(is_nonspacing);
            let is_twice = is_nonspacing && previous == c;
            let most = base.map_or(0, most_marks);
            if is_twice || nonspacing > most || marks > MAX_MARKS || most == 0 {
                return Err(Flaw::Marks(base.unwrap_or(c)));
            }
        }
        previous = c;
    }
    Ok(())
}

fn is_nonspacing(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// Number of nonspacing marks in the decomposed character.
fn own_marks(c: char) -> usize {
    std::iter::once(c).nfd().filter(|part| is_nonspacing(*part)).count()
}

/// Maximum of nonspacing marks on this character.
fn most_marks(base: char) -> usize {
    match base.script() {
        _ if base.is_whitespace() => 0,
        Script::Latin
        | Script::Greek
        | Script::Cyrillic
        | Script::Common
        | Script::Han
        | Script::Hiragana
        | Script::Katakana
        | Script::Hangul => MAX_MARKS_OF_COMPOSED,
        _ => MAX_NONSPACING_MARKS,
    }
}

/// Two scripts that a text mixes against UTS #39, section 5.2, "highly restrictive": allowed are Latin with
/// Han and kana, Han and bopomofo, or Han and hangul. Punctuation and symbols have no script.
pub(super) fn mixed_scripts(text: &str) -> Option<(Script, Script)> {
    let (mut all, mut beside_latin) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    let mut first = None;
    for c in text.chars().filter(|c| has_script(*c)) {
        let set = AugmentedScriptSet::for_char(c);
        all.intersect_with(set);
        if !set.base.contains_script(Script::Latin) {
            beside_latin.intersect_with(set);
        }
        let is_legal = !all.is_empty() || beside_latin.hanb || beside_latin.jpan || beside_latin.kore;
        let script = c.script();
        match first {
            Some(first) if !is_legal => return Some((first, script)),
            None if !matches!(script, Script::Common | Script::Inherited) => first = Some(script),
            _ => {}
        }
    }
    None
}

fn has_script(c: char) -> bool {
    !matches!(c.general_category_group(), GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol)
}

/// The NFKC case folding of a text, to compare its letters.
pub(super) fn folded(text: &str) -> String {
    text.chars().default_case_fold().nfkc().collect()
}

/// The folded skeleton of UTS #39 of a text, to compare looks without regard to case.
pub(super) fn drawn(text: &str) -> String {
    folded(&skeleton(text).collect::<String>())
}

/// Whether a character is drawn like a hyphen or a longer dash.
pub(super) fn is_dash(c: char) -> bool {
    // Hyphens have the first skeleton; long dashes, the Japanese long vowel mark and the Chinese digit one
    // have the second.
    let mut buffer = [0; 4];
    let drawn = drawn(c.encode_utf8(&mut buffer));
    c.general_category() == GeneralCategory::DashPunctuation
        || is_line(c)
        || matches!(drawn.as_str(), "-" | "\u{30FC}" | "\u{2014}")
}

/// Whether a character looks like a single horizontal line, although Unicode does not make it a dash or
/// confusable with one: tildes, line and box pieces, strokes, and digits.
fn is_line(c: char) -> bool {
    matches!(
        c,
        '~' | '\u{AF}'
            | '\u{2C9}'
            | '\u{2CD}'
            | '\u{2D7}'
            | '\u{2DC}'
            | '\u{640}'
            | '\u{7FA}'
            | '\u{1173}'
            | '\u{203E}'
            | '\u{2043}'
            | '\u{2053}'
            | '\u{207B}'
            | '\u{208B}'
            | '\u{2212}'
            | '\u{223C}'
            | '\u{223D}'
            | '\u{23AF}'
            | '\u{23BA}'
            ..='\u{23BD}'
                | '\u{23E4}'
                | '\u{2500}'
                | '\u{2501}'
                | '\u{2504}'
                | '\u{2505}'
                | '\u{2508}'
                | '\u{2509}'
                | '\u{254C}'
                | '\u{254D}'
                | '\u{2550}'
                | '\u{2574}'
                | '\u{2576}'
                | '\u{2578}'
                | '\u{257A}'
                | '\u{257C}'
                | '\u{257E}'
                | '\u{25AC}'
                | '\u{25AD}'
                | '\u{268A}'
                | '\u{268B}'
                | '\u{2796}'
                | '\u{2E0F}'
                | '\u{2E1E}'
                | '\u{2E1F}'
                | '\u{2E2F}'
                | '\u{3127}'
                | '\u{3161}'
                | '\u{31D0}'
                | '\u{4E00}'
                | '\u{A4FE}'
                | '\u{10110}'
                | '\u{10191}'
                | '\u{1D116}'
                | '\u{1D300}'
                | '\u{1D369}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_of_all_kinds_are_known() {
        for dash in "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{2043}\u{2D7}\u{30FC}\u{4E00}\u{2500}\u{FE58}\u{3161}\u{FF0D}\u{2E3A}".chars() {
            assert!(is_dash(dash), "U+{:04X} is drawn as {:?}", u32::from(dash), drawn(&dash.to_string()));
        }
        for other in "_ a.一二".chars().filter(|c| *c != '一') {
            assert!(!is_dash(other), "{other:?}");
        }
    }

    #[test]
    fn a_joiner_is_seen_where_a_script_needs_it() {
        for word in ["श्री", "क्\u{200D}ष", "ශ්\u{200D}රී", "علی\u{200C}رضا", "می\u{200C}خوانم"]
        {
            assert_eq!(check(word), Ok(()), "{word}");
        }
        for bad in [
            "راه\u{200C}",
            "\u{200C}راه",
            "ر\u{200C}اه",
            "क\u{200D}ष",
            "a\u{200C}b",
            "क्\u{200D}\u{200D}ष",
            "क्\u{200D}",
        ] {
            assert!(matches!(check(bad), Err(Flaw::Forbidden('\u{200C}' | '\u{200D}'))), "{bad:?}");
        }
    }

    #[test]
    fn marks_are_counted_by_what_a_script_needs() {
        for word in ["Việt", "ệ", "ᾧ", "ė\u{303}", "שָּׁלוֹם", "ที่นี่", "ညွှို့", "ज़ींदगी", "مُحَمَّدٌ", "སྒྲུབ"]
        {
            assert_eq!(check(word), Ok(()), "{word}");
        }
        for bad in [
            "e\u{301}\u{302}\u{303}",
            "q\u{301}\u{301}",
            "\u{301}a",
            "a \u{301}",
            "ש\u{5B0}\u{5B1}\u{5B2}\u{5B3}\u{5B4}\u{5B5}",
            "क\u{93E}\u{93E}\u{93E}\u{93E}\u{93E}\u{93E}\u{93E}\u{93E}\u{93E}",
        ] {
            assert!(matches!(check(bad), Err(Flaw::Marks(_))), "{bad:?}");
        }
    }

    #[test]
    fn scripts_are_mixed_only_where_languages_do() {
        for legal in [
            "Ann",
            "Иван-2",
            "田中さくらABC",
            "王ㄅx",
            "金철수Lee",
            "Γιώργος!",
            "★Иван★",
            "「Иван」",
            "👍🏽",
            "٣محمد",
            "1st",
        ] {
            assert_eq!(mixed_scripts(legal), None, "{legal}");
        }
        assert_eq!(mixed_scripts("аlice"), Some((Script::Cyrillic, Script::Latin)));
        assert_eq!(mixed_scripts("Bοb"), Some((Script::Latin, Script::Greek)));
        assert_eq!(mixed_scripts("さ철"), Some((Script::Hiragana, Script::Hangul)));
        assert_eq!(mixed_scripts("Ann٣"), Some((Script::Latin, Script::Arabic)));
    }
}
