//! Foreign text on a page.

use forensics_incident::text::escape;

/// A sentence in which what stands between backticks is code. Foreign text never holds one itself.
pub(super) fn prose(sentence: &str) -> String {
    let mut safe = String::new();
    for (index, part) in sentence.split('`').enumerate() {
        match index % 2 {
            0 => safe.push_str(&html(part)),
            _ => safe.push_str(&format!("<code>{}</code>", html(part))),
        }
    }
    safe
}

/// Text as it may stand in an element or a quoted attribute. What a terminal would act on is escaped as everywhere,
/// since pages are copied from.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
