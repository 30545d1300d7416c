//! Text from records, made safe for HTML.

use std::fmt::{self, Display, Write};

/// Displays text so that HTML shows it as it is, in content and in quoted attributes.
///
/// Control characters and those that turn the direction of text become U+FFFD: they would let one
/// value change how the rest of the page reads.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                _ if c.is_control() || turns_direction(c) => f.write_char('\u{fffd}')?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The first `limit` characters, and an ellipsis where there are more.
pub(super) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let text = Text("<script>alert('1' & \"2\")</script>").to_string();
        assert_eq!(
            text,
            "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"
        );
    }

    #[test]
    fn controls_are_replaced_and_other_scripts_kept() {
        let text = Text("a\u{0}b\u{202e}c\u{1b}[31m\n日本 é 🚣").to_string();
        assert_eq!(text, "a\u{fffd}b\u{fffd}c\u{fffd}[31m\n日本 é 🚣");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("ééé", 2), "éé…");
        assert_eq!(cut("éé", 2), "éé");
    }
}
