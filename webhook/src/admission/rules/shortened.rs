//! Lists of names in messages.

/// Maximum number of names in a message; it only counts the others.
const MAX_NAMED: usize = 3;

/// The first names, and how many more there are.
pub fn shortened(mut names: Vec<String>) -> String {
    let more = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(MAX_NAMED);
    format!("{}{more}", names.join(", "))
}
