//! Names of namespaces by their form.

/// A form of names: `*` stands for one or more characters except `/`.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(name) = name.strip_prefix(first.as_str()) else { return false };
        rest.is_empty() && name.is_empty()
            || rest.len() == 1 && name.ends_with(rest[0].as_str()) && name.len() > rest[0].len()
    }
}
